"""The CUDA kernels in numba's simulator, which must be chosen before numba is imported: in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import numpy as np
from faceunc.scoring.kernel_cuda import mls_matrix_cuda
from made_embeddings import made, oracle
for dim, width in ((6, 6), (6, 1), (8, 8), (1, 1)):
    first, second = made(5, dim, width, 1e-8, 1e2, 1), made(9, dim, width, 1e-8, 1e2, 2)
    expected, terms = oracle(first, second)
    found = mls_matrix_cuda(first, second)
    assert found.dtype == np.float32
    print((np.abs(found - expected) / terms).max())
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program in a new process that finds the tests' modules."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_simulated_kernels_agree_with_the_formula() -> None:
    done = run(_PROGRAM, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr
    errors = [float(line) for line in done.stdout.split()]
    assert len(errors) == 4
    assert max(errors) < 2e-6


def test_without_a_device_the_error_is_clear() -> None:
    assert "InputError: mls_matrix_cuda needs a CUDA device" in run(_PROGRAM, CUDA_VISIBLE_DEVICES="").stderr


_PTX = """
from types import SimpleNamespace
from numba import cuda, float32, float64, void
import numba.cuda.dispatcher
from numba.cuda.compiler import compile_cuda
from faceunc.scoring.kernel_cuda import per_dimension, scalar
numba.cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=(8, 0))
matrix = float32[:, ::1]
for kernel in (per_dimension, scalar):
    types, options = (matrix,) * 4 + (float64, matrix), {"fma": True, "opt": 3}
    made = compile_cuda(kernel, void, types, cc=(8, 0), nvvm_options=options, fastmath=False)
    print("fma.rn.f32" in made.library.get_asm_str(cc=(8, 0)))
"""


def test_kernels_compile_to_ptx() -> None:
    """Without a device, where the CUDA toolkit is there."""
    toolkits = sorted(Path("/usr/local").glob("cuda-*/nvvm")) or sorted(Path("/usr/local").glob("cuda/nvvm"))
    if not toolkits:
        pytest.skip("no CUDA toolkit below /usr/local: kernels cannot be compiled to PTX here")
    done = run(_PTX, CUDA_HOME=str(toolkits[-1].parent))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True"]
