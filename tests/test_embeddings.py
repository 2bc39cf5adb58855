"""The contract: shapes, slices, files and compatibility of Embeddings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from faceunc.embeddings import FORMAT, MEAN_KEYS, VARIANCE_KEYS, Embeddings, check_compatible, concatenate
from faceunc.errors import IncompatibleError, InputError, OutputError

META = {"backbone": "dlib", "backbone_sha256": "ab", "alignment": "5pt", "head": "pfe", "head_sha256": "cd"}


def make(count: int = 5, dim: int = 4, width: int | None = None, epistemic: bool = True) -> Embeddings:
    rng = np.random.default_rng(count)
    mean = rng.normal(size=(count, dim)).astype(np.float32)
    return Embeddings(
        mean / np.linalg.norm(mean, axis=1, keepdims=True),
        rng.normal(-4, 2, (count, dim if width is None else width)).astype(np.float32),
        [f"Jürgen/{i}.jpg" for i in range(count)],
        rng.uniform(size=count).astype(np.float32) if epistemic else None,
        META,
    )


def assert_same(a: Embeddings, b: Embeddings) -> None:
    np.testing.assert_array_equal(a.mean, b.mean)
    np.testing.assert_array_equal(a.log_var, b.log_var)
    assert list(a.ids) == list(b.ids)
    assert a.meta == b.meta
    assert (a.epistemic is None) == (b.epistemic is None)
    if a.epistemic is not None and b.epistemic is not None:
        np.testing.assert_array_equal(a.epistemic, b.epistemic)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros(4, np.float32)},
        {"mean": np.zeros((4, 4), np.float32)},
        {"log_var": np.zeros((5, 3), np.float32)},
        {"log_var": np.zeros(5, np.float32)},
        {"log_var": np.zeros((4, 1), np.float32)},
        {"ids": ["one"]},
        {"epistemic": np.zeros((5, 1), np.float32)},
        {"epistemic": np.zeros(4, np.float32)},
    ],
)
def test_wrong_shapes(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Got .* instead"):
        replace(make(), **change)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), [4, 2, 0]),
        ([3, 0, 3], [3, 0, 3]),
        ([-1], [4]),
        ([], []),
        (np.array([1, 2], np.uint8), [1, 2]),
        (np.array([True, False, False, True, False]), [0, 3]),
        ([False] * 5, []),
    ],
)
@pytest.mark.parametrize("loaded", [False, True])
def test_rows(rows: Any, expected: list[int], loaded: bool, tmp_path: Path) -> None:
    whole = make()
    if loaded:
        whole.save(tmp_path / "e.safetensors")
        whole = Embeddings.load(tmp_path / "e.safetensors")
    part = whole[rows]
    assert whole.epistemic is not None
    assert part.epistemic is not None
    np.testing.assert_array_equal(part.mean, whole.mean[expected])
    np.testing.assert_array_equal(part.log_var, whole.log_var[expected])
    np.testing.assert_array_equal(part.epistemic, whole.epistemic[expected])
    assert list(part.ids) == [f"Jürgen/{i}.jpg" for i in expected]
    assert part.meta == META
    assert len(part) == len(expected)
    assert part.dim == 4


@pytest.mark.parametrize("rows", [2, [[0, 1]], [0.5, 1.0], np.ones((5, 5), bool)])
def test_rows_of_another_kind(rows: Any) -> None:
    with pytest.raises(TypeError):
        make()[rows]


@pytest.mark.parametrize("rows", [[5], [-6], [True], [True] * 6])
def test_rows_out_of_range(rows: Any) -> None:
    with pytest.raises(IndexError):
        make()[rows]


@pytest.mark.parametrize("width", [1, 4])
def test_sigma_is_the_root_of_the_harmonic_mean(width: int) -> None:
    embeddings = make(width=width)
    expected = np.sqrt(1.0 / np.mean(1.0 / np.exp(embeddings.log_var.astype(np.float64)), axis=1))
    np.testing.assert_allclose(embeddings.sigma, expected, rtol=1e-6)
    assert embeddings.sigma.dtype == np.float32


def test_sigma_does_not_overflow() -> None:
    embeddings = replace(make(2), log_var=np.array([[-1000.0] * 4, [80.0] * 4], np.float32))
    np.testing.assert_allclose(embeddings.sigma, [0.0, np.exp(40.0)], rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("epistemic", [False, True])
def test_round_trip(count: int, width: int, epistemic: bool, tmp_path: Path) -> None:
    written = make(count, width=width, epistemic=epistemic)
    written.save(tmp_path / "e.safetensors")
    assert_same(Embeddings.load(tmp_path / "e.safetensors"), written)


NAMES = st.lists(st.text(max_size=12) | st.sampled_from(["", "\udcff.jpg", "王/\U0001f600.png"]), max_size=8)


@settings(max_examples=40, deadline=None)
@given(names=NAMES)
def test_round_trip_of_any_name(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("names") / "e.safetensors"
    replace(make(len(names)), ids=names).save(path)
    loaded = Embeddings.load(path)
    assert loaded.ids == names
    assert list(loaded[::-1].ids) == names[::-1]


def test_loaded_arrays_are_the_file(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    make(1000, 64).save(path)
    loaded = Embeddings.load(path)
    for array in (loaded.mean, loaded.log_var, loaded.epistemic):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    if Path("/proc/self/maps").exists():
        address = loaded.mean.__array_interface__["data"][0]
        assert path.name in _mapping_of(address)


def _mapping_of(address: int) -> str:
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if start <= address < end:
            return line
    return ""


def test_loaded_arrays_outlive_an_overwritten_file(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    first = make(5)
    first.save(path)
    loaded = Embeddings.load(path)
    make(9).save(path)
    assert_same(loaded, first)
    assert len(Embeddings.load(path)) == 9


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    make().save(path)
    data = path.read_bytes()
    for length in [*range(0, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="damaged or foreign"):
            Embeddings.load(path)


ARRAYS: dict[str, Any] = {
    "mean": np.ones((2, 3), np.float32),
    "log_var": np.ones((2, 3), np.float32),
    "ids": np.frombuffer(b"ab", np.uint8),
    "id_ends": np.array([1, 2], np.int64),
}


@pytest.mark.parametrize(
    "change",
    [
        {"mean": None},
        {"ids": None},
        {"mean": np.ones((2, 3), np.float64)},
        {"log_var": np.ones((2, 2), np.float32)},
        {"epistemic": np.ones(3, np.float32)},
        {"ids": np.ones(2, np.float32)},
        {"ids": np.ones((2, 2), np.uint8)},
        {"id_ends": np.array([1, 3], np.int64)},
        {"id_ends": np.array([2, 1], np.int64)},
        {"id_ends": np.array([-1, 2], np.int64)},
        {"id_ends": np.array([2], np.int64)},
        {"id_ends": np.array([1.0, 2.0], np.float32)},
    ],
)
def test_damaged_contents(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_file(ARRAYS, path, {"format": FORMAT, "meta": "{}"})
    assert list(Embeddings.load(path).ids) == ["a", "b"]
    arrays = {name: array for name, array in {**ARRAYS, **change}.items() if array is not None}
    save_file(arrays, path, {"format": FORMAT, "meta": "{}"})
    with pytest.raises(InputError, match=r"e\.safetensors: damaged"):
        Embeddings.load(path)


def test_bfloat16_is_foreign(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    tensors = {name: torch.from_numpy(array.copy()) for name, array in ARRAYS.items()}
    tensors["mean"] = tensors["mean"].bfloat16()
    save_torch(tensors, tmp_path / "e.safetensors", {"format": FORMAT, "meta": "{}"})
    with pytest.raises(InputError, match="damaged or foreign"):
        Embeddings.load(tmp_path / "e.safetensors")


@pytest.mark.parametrize("header", [None, {}, {"format": "other"}, {"format": FORMAT}])
@pytest.mark.parametrize("meta", [None, "", "[]", "null"])
def test_foreign_header(header: dict[str, str] | None, meta: str | None, tmp_path: Path) -> None:
    header = header if meta is None else {**(header or {}), "meta": meta}
    save_file(ARRAYS, tmp_path / "e.safetensors", header)
    with pytest.raises(InputError, match=r"e\.safetensors"):
        Embeddings.load(tmp_path / "e.safetensors")


@pytest.mark.parametrize("content", [b"", b"text, not tensors", b"\xff" * 64])
def test_foreign_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "e.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="damaged or foreign"):
        Embeddings.load(tmp_path / "e.safetensors")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path, got in ((tmp_path / "none.safetensors", "no such file"), (tmp_path, "a folder; its embeddings.safe")):
        with pytest.raises(InputError, match=got):
            Embeddings.load(path)


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError):
        make().save(tmp_path / "file" / "e.safetensors")


def test_full_disk(small_disk: Path) -> None:
    path = small_disk / "e.safetensors"
    make().save(path)
    with pytest.raises(OutputError, match="No space left"):
        make(10_000).save(path)
    assert_same(Embeddings.load(path), make())
    assert list(small_disk.iterdir()) == [path]


def test_meta_is_saved_as_json(tmp_path: Path) -> None:
    from safetensors import safe_open

    make().save(tmp_path / "e.safetensors")
    with safe_open(tmp_path / "e.safetensors", "np") as file:
        assert json.loads(file.metadata()["meta"]) == META


@pytest.mark.parametrize("key", VARIANCE_KEYS)
def test_incompatible_meta(key: str) -> None:
    first, second = make(), replace(make(), meta={**META, key: "other"})
    with pytest.raises(IncompatibleError, match=key):
        check_compatible(first, second)
    with pytest.raises(IncompatibleError, match=key):
        concatenate([first, second])
    if key not in MEAN_KEYS:
        check_compatible(first, second, MEAN_KEYS)


def test_incompatible_dimensions() -> None:
    with pytest.raises(IncompatibleError, match="4 and 6 dimensions"):
        check_compatible(make(dim=4), make(dim=6))


def test_concatenate_is_the_inverse_of_slicing() -> None:
    whole = make(6)
    assert_same(concatenate(iter([whole[:2], whole[2:2], whole[2:]])), whole)


def test_concatenate_refuses() -> None:
    with pytest.raises(InputError, match="at least one"):
        concatenate([])
    with pytest.raises(IncompatibleError, match="4 and 1 columns"):
        concatenate([make(), make(width=1)])


def test_parts_with_and_without_epistemic_do_not_join() -> None:
    with pytest.raises(IncompatibleError, match="1 of 2 parts"):
        concatenate([make(), make(epistemic=False)])


def test_parts_of_several_engines_name_all_of_them() -> None:
    def part(engine: str, name: str) -> Embeddings:
        meta = {"backbone": "b", "head": "one + one", "engine": engine, "faceunc": "1"}
        return Embeddings(np.eye(1, 4, dtype=np.float32), np.zeros((1, 4), np.float32), [name], meta=meta)

    both = concatenate([part("torch", "a"), part("openvino", "b")])
    again = concatenate([both, part("torch", "c"), part("openvino + onnxruntime", "d")])
    assert both.meta == {"backbone": "b", "head": "one + one", "engine": "torch + openvino", "faceunc": "1"}
    assert again.meta["engine"] == "torch + openvino + onnxruntime"
    silent = Embeddings(both.mean, both.log_var, both.ids, meta={"backbone": "b", "head": "one + one"})
    assert concatenate([part("torch", "a"), silent]).meta["engine"] == "torch + unknown"
