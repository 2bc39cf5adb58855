"""eval/speed.py: what is not measured again keeps its figures and where they came from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EVAL = Path(__file__).resolve().parents[2] / "eval"
OLD = {"date": "2026-01-01T00:00:00", "commit": "abc", "machine": {"processor": "Z80", "cores": 1}}


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, as it finds its modules when it is run."""
    monkeypatch.syspath_prepend(str(EVAL))
    monkeypatch.delitem(sys.modules, "speed", raising=False)
    import speed

    return speed


def heads(seconds: float) -> dict[str, Any]:
    return {"both heads": {"scalar": {"seconds": seconds}, "per-dimension": {"seconds": 2 * seconds}}}


def run(driver: ModuleType, out: Path, only: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Measure ``only`` with a stand-in for the training module, and read what was written."""
    stand_in = ModuleType("speed_training")
    stand_in.measure = lambda data: heads(12.0)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "speed_training", stand_in)
    monkeypatch.setattr(sys, "argv", ["speed.py", "LFW", "--out", str(out), "--only", only])
    driver.main()
    sections: dict[str, Any] = json.loads((out / "speed.json").read_text())["sections"]
    return sections


def test_sections_are_merged(driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growth = {
        "N": [10, 100],
        "seconds": [0.1, 1.0],
        "fitted exponent": 1.0,
        "fitted factor": 0.01,
        "fitted on N": [10, 100],
        "exponent of the algorithm": 1.0,
    }
    old = {"growth.roc": {"figures": growth, "provenance": OLD}, "training": {"figures": heads(1), "provenance": OLD}}
    (tmp_path / "speed.json").write_text(json.dumps({"sections": old}))
    found = run(driver, tmp_path, "training", monkeypatch)
    assert found["growth.roc"] == old["growth.roc"]
    assert found["training"]["figures"] == heads(12.0)
    assert found["training"]["provenance"]["command"].endswith("--only training")
    text = (tmp_path / "speed.txt").read_text()
    assert [line.split()[-1] for line in text.splitlines() if "<= " in line] == ["NO", "yes", "yes"]
    assert "Z80, 1 cores" in text
    for name in ("speed.png", "speed-growth.png"):
        assert (tmp_path / name).stat().st_size > 5_000


@pytest.mark.parametrize("content", ["{", "[]", '{"figures": {}}'])
def test_a_foreign_file_is_refused(
    driver: ModuleType,
    tmp_path: Path,
    content: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "speed.json").write_text(content)
    with pytest.raises(SystemExit):
        run(driver, tmp_path, "training", monkeypatch)
    assert "remove it to begin anew" in capsys.readouterr().err
    assert (tmp_path / "speed.json").read_text() == content


def test_names_of_sections(driver: ModuleType) -> None:
    assert driver.chosen("growth") == [f"growth.{work}" for work in driver.WORKS]
    assert driver.chosen("engines,training,engines") == ["engines", "training"]
    assert driver.chosen("none") == []
    with pytest.raises(driver.InputError, match="got 'tranining'"):
        driver.chosen("tranining")


def test_the_exponent_is_that_of_the_upper_decade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EVAL))
    import speed_growth

    points = {10: 1.0, 30: 1.0, 100: 2e-4 * 100**2, 300: 2e-4 * 300**2, 1000: 2e-4 * 1000**2}
    assert speed_growth.upper(points) == [100, 300, 1000]
    assert speed_growth.fit(points) == pytest.approx((2.0, 2e-4))
    assert speed_growth.steps(1e2, 1e4) == [100, 300, 1000, 3000, 10000]
