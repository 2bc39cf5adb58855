"""The adapter between numpy and torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from faceunc.scoring.arrays import numpy_in_numpy_out


@numpy_in_numpy_out
def both(a: torch.Tensor, b: torch.Tensor, label: str = "") -> tuple[torch.Tensor, str]:
    assert isinstance(a, torch.Tensor)
    assert isinstance(b, torch.Tensor)
    return a + 2 * b, label


def test_numpy_gives_numpy() -> None:
    total, label = both(np.ones(3), b=np.ones(3), label="x")
    assert isinstance(total, np.ndarray)
    assert total.tolist() == [3.0, 3.0, 3.0]
    assert label == "x"


def test_one_tensor_gives_tensors() -> None:
    total, _ = both(np.ones(3), torch.ones(3, dtype=torch.float64, requires_grad=True))
    assert isinstance(total, torch.Tensor)
    assert total.requires_grad


def test_tensors_pass_through_unchanged() -> None:
    a = torch.ones(2)
    assert numpy_in_numpy_out(lambda value: value)(a) is a


@pytest.mark.parametrize("case", ["reversed", "foreign byte order", "read only", "empty"])
def test_unusual_arrays_are_taken(case: str) -> None:
    plain = np.arange(6, dtype=np.float32).reshape(3, 2)
    made = {
        "reversed": plain[::-1],
        "foreign byte order": plain.astype(plain.dtype.newbyteorder()),
        "read only": plain.copy(),
        "empty": plain[:0],
    }[case]
    if case == "read only":
        made.flags.writeable = False
    total, _ = both(made, made)
    assert np.array_equal(total, 3 * made)


def test_memory_map_is_read_and_left_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4.0))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert both(mapped, mapped)[0].tolist() == [0.0, 3.0, 6.0, 9.0]
