"""eval/speed.py: what is not measured again keeps its figures and where they came from."""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
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


@pytest.fixture
def goals(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EVAL))
    import speed_goals

    return speed_goals


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
    goals = [line.split() for line in text.splitlines() if "<= " in line]
    assert [words[-1] for words in goals if words[0] in ("training", "growth.roc") and words[-1] != "-"] == [
        "NO",
        "yes",
        "yes",
    ]
    assert "Z80, 1 cores" in text
    assert "Not measured: scoring, extraction, detectors, engines, methods, growth.embedding" in text
    for name in ("speed.png", "speed-growth.png"):
        assert (tmp_path / name).stat().st_size > 5_000


@pytest.mark.parametrize("content", ["{", "[]", '{"figures": {}}', '{"sections": {"roc": {}}}', '{"sections": 1}'])
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
    assert driver.chosen("growth") == [name for name in driver.SECTIONS if name.startswith("growth.")]
    assert driver.chosen("all") == [*driver.SECTIONS, *driver.ON_REQUEST]
    assert driver.chosen("methods.dul-reg:mean=frozen,memory.aligned") == [
        "methods.dul-reg:mean=frozen",
        "memory.aligned",
    ]
    with pytest.raises(driver.InputError, match=r"got 'methods\.pfee'"):
        driver.chosen("methods.pfee")
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


def test_what_will_be_run_is_told(driver: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    driver.announce(["scoring", "growth.roc"])
    minutes = driver.SECTIONS["scoring"] + driver.SECTIONS["growth.roc"]
    assert capsys.readouterr().err.startswith(f"about {minutes:.0f} minutes")
    assert sum(driver.SECTIONS.values()) < 40


@pytest.mark.parametrize(("again", "measured"), [(False, ["norm"]), (True, ["pfe", "norm"])])
def test_methods_go_on_at_the_same_commit(
    driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool, measured: list[str]
) -> None:
    run_now = []

    def methods(data: Path, done: dict[str, Any], names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for name in names:
            if name not in done:
                run_now.append(name)
                done[name] = {"seconds": 2.0}
                yield done

    stand_in = ModuleType("speed_training")
    stand_in.methods = methods  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "speed_training", stand_in)
    monkeypatch.setattr(driver, "FAMILY", ("pfe", "norm"))
    now = driver.provenance()["commit"]
    rows = {"pfe": {"seconds": 1.0}, "dul-cls": {"seconds": 1.0, "commit": "old"}}
    old = {"figures": rows, "provenance": {**OLD, "commit": now}}
    args = Namespace(data=tmp_path, out=tmp_path, again=again)
    found = list(driver.measured("methods", args, {"methods": old}))
    assert run_now == measured
    assert {name: (row["seconds"], row["commit"]) for name, row in found[-1][1].items()} == {
        "pfe": (2.0 if again else 1.0, now),
        "norm": (2.0, now),
        "dul-cls": (1.0, "old"),  # not asked for: kept
    }


def test_goals(goals: ModuleType) -> None:
    least, most = (
        goals.Goal("a", ("x", "y"), 2.0),
        goals.Goal("a", ("z",), 0.5, most=True, name="memory", over=("x", "y")),
    )
    figures = {"x": {"y": 2.0}, "z": 1.5}
    found = [goals.Outcome(goal, goals._value(figures, goal)) for goal in (least, most)]
    assert [outcome.reached for outcome in found] == [True, False]
    assert found[0].row() == ("a", "x, y", "2", ">= 2", "yes")
    assert found[1].row() == ("a", "memory", "0.75", "<= 0.5", "NO")


@pytest.mark.parametrize("figures", [None, {}, {"x": {}}, {"x": {"y": "skipped: not installed"}}, {"x": 3.0}])
def test_a_goal_without_a_figure_is_not_measured(goals: ModuleType, figures: Any) -> None:
    goal = goals.Goal("a", ("x", "y"), 2.0)
    outcome = goals.Outcome(goal, goals._value(figures, goal))
    assert outcome.reached is None
    assert outcome.row()[2:] == ("not measured", ">= 2", "-")
    ratio = goals.Goal("a", ("z",), 2.0, over=("x", "y"))
    assert goals._value({**(figures or {}), "z": 1.0}, ratio) is None


def test_every_goal_is_named_before_anything_is_measured(goals: ModuleType) -> None:
    found = goals.outcomes({})
    assert {outcome.goal.section for outcome in found} >= {"scoring", "engines", "growth.roc", "memory.photographs"}
    assert all(outcome.reached is None for outcome in found)


def test_goals_of_a_long_extraction(goals: ModuleType) -> None:
    figures = {"photographs": 20_000, "RSS after 10000": 1000.0, "RSS after 20000": 1050.0}
    sections = {"memory.photographs": {"figures": figures, "provenance": OLD}}
    (found,) = [one for one in goals.outcomes(sections) if one.value is not None]
    assert found.value == pytest.approx(1.05)
    assert found.goal.name == "resident memory, after 20,000 over after 10,000"
    assert found.reached


def test_tables_have_a_row_for_what_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EVAL))
    import speed_text

    engine = {"name": "torch", "chips_per_second": 321.44, "parity": {"cosine_distance": 1e-5}, "passes": True}
    figures = {"batch": 32, "engines": {"torch": engine, "other": {"chips_per_second": 5.0}}, "unknown": {"x": [1, 2]}}
    text = speed_text.text_of({"engines": {"figures": figures, "provenance": OLD}})
    lines = [line.split() for line in text.splitlines()]
    assert ["torch", "321.4", "yes", "1e-05"] in lines
    assert ["other", "5"] in lines
    assert "unknown, x  1 2" in text  # nothing is left out
    assert figures["engines"] == {"torch": engine, "other": {"chips_per_second": 5.0}}  # nor taken from the figures
    assert speed_text.turned({"a": {"x": 1}, "b": {"x": 2, "y": {"z": 3}}}) == {"x": {"a": 1, "b": 2}, "y, z": {"b": 3}}


def test_growth_is_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EVAL))
    import speed_text

    works = {
        "growth.roc": {"N": [1000, 10], "seconds": [1.0, 0.25], "fitted exponent": 1.0},
        "growth.pairs": {"N": [100], "seconds": [0.5], "peak memory of blocks, MB": {"100": 7.0}},
    }
    text = speed_text.text_of({name: {"figures": one, "provenance": OLD} for name, one in works.items()})
    rows = text.partition("== growth ==")[2].splitlines()
    assert ["work", "10", "100", "1,000"] in [row.split() for row in rows]
    assert ["roc", "0.25", "1"] in [row.split() for row in rows]
    assert ["pairs", "of", "blocks", "7"] in [row.split() for row in rows]


def test_peak_of_private_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EVAL))
    import speed_peaks

    def work() -> None:
        block = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE)  # malloc might give used pages
        np.frombuffer(block, np.uint8)[:] = 1
        time.sleep(0.1)

    assert 60 << 20 < speed_peaks.peak_while(work) < 90 << 20
    monkeypatch.setenv(speed_peaks.THRESHOLD, "7")
    for threshold, seen in (("9", "9"), (None, None)):
        with speed_peaks.allocator(threshold):
            assert os.environ.get(speed_peaks.THRESHOLD) == seen
    assert os.environ[speed_peaks.THRESHOLD] == "7"
