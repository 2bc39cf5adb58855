"""What the fused kernels are compared with: the machine's multiply-adds, eager and compiled torch, PFE's loop in C."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numba import njit

from faceunc.embeddings import Embeddings
from faceunc.scoring.mls import mutual_likelihood_score

LANES = np.uint64(64)
LOOP = Path(__file__).parent / "peers" / "mls_loop.c"


@njit(nogil=True, fastmath={"contract"})
def _multiply_add(y: Any, c: np.float32, d: np.float32, times: int) -> None:
    """Four independent chains of 16 fused multiply-adds over 64 lanes: nothing but arithmetic."""
    for _ in range(times):
        for j in range(LANES):
            p, q, r, s = y[j], y[j + LANES], y[j + LANES + LANES], y[j + LANES + LANES + LANES]
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            p, q, r, s = p * c + d, q * c + d, r * c + d, s * c + d
            y[j], y[j + LANES], y[j + LANES + LANES], y[j + LANES + LANES + LANES] = p, q, r, s


def fma_per_second(times: int = 10_000) -> Callable[[], int]:
    """All threads at fused multiply-adds that wait for nothing: the roofline."""
    threads = torch.get_num_threads()
    lanes = [np.zeros(4 * int(LANES), np.float32) for _ in range(threads)]

    def work() -> int:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda y: _multiply_add(y, np.float32(0.999), np.float32(0.001), times), lanes))
        return threads * times * 4 * 16 * int(LANES)

    return work


def product_per_second(side: int = 2048) -> Callable[[], int]:
    """Multiply-adds of a float32 matrix product, the same roofline as a library reaches it."""
    a, b = torch.rand(side, side), torch.rand(side, side)

    def work() -> int:
        torch.mm(a, b)
        return side**3

    return work


def eager_blocks(side: Embeddings, rows: int = 96, block: int = 32) -> Callable[[], int]:
    """The formula as torch runs it, block by block: (block, N, D) at a time."""
    mean, log_var = torch.from_numpy(np.array(side.mean)), torch.from_numpy(np.array(side.log_var))

    def work() -> int:
        for start in range(0, rows, block):
            part = slice(start, start + block)
            mutual_likelihood_score(mean[part, None], log_var[part, None], mean[None], log_var[None])
        return rows * len(mean)

    return work


def torch_compiled(side: Embeddings, rows: int = 256) -> Callable[[], int]:
    """The plain formula under torch.compile. Raises RuntimeError without a C++ compiler."""
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        raise RuntimeError("no C++ compiler")
    mean, variance = torch.from_numpy(np.array(side.mean)), torch.from_numpy(np.exp(side.log_var))

    def formula(a: torch.Tensor, s: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        total = s[:, None] + t[None]
        return -0.5 * ((a[:, None] - b[None]).square() / total + total.log()).sum(-1)

    compiled = torch.compile(formula, dynamic=False)

    def work() -> int:
        compiled(mean[:rows], variance[:rows], mean, variance)
        return rows * len(mean)

    work()
    return work


def loop_in_c(side: Embeddings, views: bool, rows: int = 192) -> Callable[[], int]:
    """PFE's loop with full optimisation: ``views`` as Cython compiles it, else contiguous with a float logarithm.

    Raises:
        RuntimeError: no gcc.
    """
    if shutil.which("gcc") is None:
        raise RuntimeError("no gcc")
    folder = tempfile.TemporaryDirectory()
    library = Path(folder.name) / "mls_loop.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(LOOP), "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    loop = loaded.mls_loop_views if views else loaded.mls_loop_plain
    mean = np.ascontiguousarray(side.mean)
    variance = np.ascontiguousarray(np.broadcast_to(np.exp(side.log_var), mean.shape))
    out = np.empty((rows, len(mean)), np.float32)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (mean, variance, mean, variance, out)]
    numbers = [rows, len(mean), mean.shape[1], *((*mean.strides, out.strides[0]) if views else ())]
    sizes = [ctypes.c_long(value) for value in numbers]

    def work() -> int:
        assert folder is not None  # the compiled file stays as long as this function
        loop(*pointers, *sizes)
        return rows * len(mean)

    return work
