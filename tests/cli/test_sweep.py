"""``faceunc sweep``: what is wrong is said in one line, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceunc.cli import main


@pytest.fixture
def people(bush: list[Path], tmp_path: Path) -> Path:
    """Two people and pairs in two folds (of one person each side, only to be read)."""
    folder = tmp_path / "people"
    for name in ("George_W_Bush", "Tony_Blair"):
        (folder / name).mkdir(parents=True)
        for number in (1, 2):
            (folder / name / f"{name}_{number:04d}.jpg").symlink_to(bush[number])
    lines = [
        "2\t1",
        "George_W_Bush 1 2",
        "George_W_Bush 1 Tony_Blair 1",
        "Tony_Blair 1 2",
        "Tony_Blair 2 George_W_Bush 2",
    ]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kinds", "fog"], "invalid choice: 'fog'"),
        (["--severities", "1.5"], "in [0, 1]"),
        (["--side", "first"], "invalid choice"),
        (["--kinds"], "expected at least one argument"),
        (["--degradation-seed", "-1"], "at least 0"),
    ],
)
def test_wrong_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["sweep", "degradation", str(tmp_path), *words])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--severities", "0"], "one of them above 0"),
        (["--kinds", "noise", "--show-kind", "blur"], "--show-kind must be one of --kinds (noise), got blur"),
        (["--norm", "--method", "dul-mls"], "leave out --head and --method"),
        (["--norm", "--head", "dlib-pfe"], "leave out --head and --method"),
        (["--pairs", "/nowhere/pairs.txt"], "/nowhere/pairs.txt: expected LFW's pair file, no such file"),
    ],
)
def test_errors(words: list[str], message: str, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "degradation", str(people), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_head_that_knows_the_people(people: Path, tiny_head: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "degradation", str(people), "--head", str(tiny_head)]) == 2
    assert "was trained on 1 of the people" in capsys.readouterr().err


def test_one_fold(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (people / "one.txt").write_text("1\t1\nGeorge_W_Bush 1 2\nGeorge_W_Bush 1 Tony_Blair 1\n")
    assert main(["sweep", "degradation", str(people), "--pairs", str(people / "one.txt")]) == 2
    assert "at least two folds" in capsys.readouterr().err


def test_missing_photographs(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (people / "Tony_Blair" / "Tony_Blair_0002.jpg").unlink()
    assert main(["sweep", "degradation", str(people)]) == 2
    assert "1 photographs of the protocol are missing" in capsys.readouterr().err


def test_unwritable_result_is_said_before_any_work(
    people: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceunc.sweep.degradation.folder_bench", None)
    (people / "file").write_text("")
    assert main(["sweep", "degradation", str(people), "--json", str(people / "file" / "out.json")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_sweep_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["sweep"])
    assert stop.value.code == 2
    assert "SWEEP" in capsys.readouterr().err
