"""The CUDA kernels in numba's simulator, which must be chosen before numba is imported: in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

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


def test_simulated_kernels_agree_with_the_formula() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    errors = [float(line) for line in done.stdout.split()]
    assert len(errors) == 4
    assert max(errors) < 2e-6


def test_without_a_device_the_error_is_clear() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "InputError: mls_matrix_cuda needs a CUDA device" in done.stderr
