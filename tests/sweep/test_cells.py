"""Cells: computed once, whole or not at all, and never trusted when damaged."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from faceunc.errors import OutputError
from faceunc.storage import cache_dir
from faceunc.sweep import cells
from faceunc.sweep.cells import cell, cell_path, sweep_dir

KEY = {"data": "abc", "kind": "blur", "severity": 0.2, "heads": ["x", "y"]}


def test_computed_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def compute() -> dict[str, object]:
        calls.append(1)
        return {"eer": 0.1 + 0.2, "scores": {"mls": (1, 2)}}

    fresh = cell(tmp_path / "new", KEY, compute)
    stored = cell(tmp_path / "new", dict(reversed(KEY.items())), compute)
    assert fresh == stored == {"eer": 0.1 + 0.2, "scores": {"mls": [1, 2]}}
    assert len(calls) == 1


@pytest.mark.parametrize("change", [{"severity": 0.4}, {"kind": "noise"}, {"heads": ["y", "x"]}, {"more": None}])
def test_every_part_of_the_key_counts(tmp_path: Path, change: dict[str, object]) -> None:
    cell(tmp_path, KEY, lambda: {"value": 1})
    assert cell(tmp_path, {**KEY, **change}, lambda: {"value": 2}) == {"value": 2}
    assert cell(tmp_path, KEY, lambda: {"value": 3}) == {"value": 1}


def test_the_version_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell(tmp_path, KEY, lambda: {"value": 1})
    monkeypatch.setattr(cells, "_SWEEP", "another")
    assert cell(tmp_path, KEY, lambda: {"value": 2}) == {"value": 2}


def test_killed_halfway_goes_on(tmp_path: Path) -> None:
    """The cells that were done stay; the one that was under way is computed whole."""
    done: list[int] = []

    def sweep(stop: int) -> list[int]:
        def compute(number: int) -> dict[str, int]:
            if number == stop:
                raise KeyboardInterrupt
            done.append(number)
            return {"value": number}

        return [cell(tmp_path, {"number": n}, lambda n=n: compute(n))["value"] for n in range(5)]  # type: ignore[misc]

    with pytest.raises(KeyboardInterrupt):
        sweep(stop=3)
    assert done == [0, 1, 2]
    assert sorted(tmp_path.iterdir()) == sorted(cell_path(tmp_path, {"number": n}) for n in range(3))
    assert sweep(stop=-1) == [0, 1, 2, 3, 4]
    assert done == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": {}}', "null", '{"key": {}, "figures": {"value": 9}}'])
def test_damaged_files_are_computed_again(tmp_path: Path, damage: str) -> None:
    cell(tmp_path, KEY, lambda: {"value": 1})
    path = cell_path(tmp_path, KEY)
    path.write_text(damage)
    with pytest.warns(UserWarning, match=r"damaged cell of a sweep") as caught:
        assert cell(tmp_path, KEY, lambda: {"value": 2}) == {"value": 2}
    assert str(path) in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cell(tmp_path, KEY, lambda: {"value": 3}) == {"value": 2}


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    cell_path(tmp_path, KEY).write_bytes(b"\xff\xfe\x00garbage")
    with pytest.warns(UserWarning, match="computed again"):
        assert cell(tmp_path, KEY, lambda: {"value": 2}) == {"value": 2}


def test_nan_is_refused_and_nothing_stored(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        cell(tmp_path, KEY, lambda: {"value": float("nan")})
    assert not list(tmp_path.iterdir())


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    cell(tmp_path, KEY, lambda: {"value": 1})
    content = json.loads(cell_path(tmp_path, KEY).read_text())
    assert content == {"sweep": cells._SWEEP, "key": KEY, "figures": {"value": 1}}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        cell(tmp_path / "file", KEY, lambda: {"value": 1})


def test_where_cells_lie(tmp_path: Path) -> None:
    assert sweep_dir("noise") == cache_dir() / "sweep" / "noise"
    assert sweep_dir("noise", tmp_path) == tmp_path
