"""The public names, and the embedder called on all that it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import faceunc
from faceunc.errors import ImageError, InputError

NAMES = [
    "Embedder",
    "Embeddings",
    "FaceuncError",
    "concatenate",
    "fuse",
    "load",
    "score_blocks",
    "score_histogram",
    "score_matrix",
    "score_pairs",
    "top_k",
]


@pytest.fixture(scope="module")
def embedder(tiny_head: Path) -> faceunc.Embedder:
    return faceunc.load(tiny_head, precision="float32")


def test_public_names_are_frozen() -> None:
    assert faceunc.__all__ == NAMES
    assert dir(faceunc) == sorted([*NAMES, "__version__"])
    assert all(getattr(faceunc, name).__name__ == name for name in NAMES)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = faceunc.nonsense  # type: ignore[attr-defined]


def test_array(embedder: faceunc.Embedder, astronaut: NDArray[np.uint8]) -> None:
    found = embedder(astronaut)
    assert (found.mean.shape, found.mean.dtype) == ((1, 128), np.float32)
    assert (found.log_var.shape, list(found.ids)) == ((1, 128), ["array-0"])
    np.testing.assert_allclose(np.linalg.norm(found.mean), 1, atol=1e-5)
    assert found.meta["head"] == "tiny"


def test_uint16_is_the_same_as_uint8(embedder: faceunc.Embedder, astronaut: NDArray[np.uint8]) -> None:
    wide = embedder(astronaut.astype(np.uint16) * 257)
    np.testing.assert_allclose(wide.mean, embedder(astronaut).mean, atol=1e-6)


def test_grey_is_still_this_person(embedder: faceunc.Embedder, astronaut: NDArray[np.uint8]) -> None:
    grey = np.asarray(Image.fromarray(astronaut).convert("L"))
    assert float((embedder(grey).mean @ embedder(astronaut).mean.T)[0, 0]) > 0.9


def test_path(embedder: faceunc.Embedder, astronaut: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    for form in (path, str(path)):
        found = embedder(form)
        assert list(found.ids) == [str(path)]
        np.testing.assert_allclose(found.mean, embedder(astronaut).mean, atol=1e-6)


def test_mixed_list_keeps_its_order(embedder: faceunc.Embedder, astronaut: NDArray[np.uint8], bush: list[Path]) -> None:
    found = embedder([bush[0], astronaut, str(bush[1])])
    assert list(found.ids) == [str(bush[0]), "array-1", str(bush[1])]
    assert float(found.mean[0] @ found.mean[2]) > float(found.mean[0] @ found.mean[1])


def test_bad_path_is_left_out_with_a_warning(embedder: faceunc.Embedder, bush: list[Path], tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="1 of 2 photographs left out") as caught:
        found = embedder([tmp_path / "none.jpg", bush[0]])
    assert list(found.ids) == [str(bush[0])]
    assert caught[0].filename == __file__


def test_strict_raises(embedder: faceunc.Embedder, bush: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg: no such file") as caught:
        embedder([bush[0], tmp_path / "none.jpg"], strict=True)
    assert caught.value.kind == "missing"


def test_wrong_array(embedder: faceunc.Embedder) -> None:
    with pytest.raises(ImageError, match="expected uint8 or uint16"):
        embedder(np.zeros((200, 200, 3), np.float32), strict=True)


def test_nothing(embedder: faceunc.Embedder) -> None:
    with pytest.raises(InputError, match="empty list"):
        embedder([])
