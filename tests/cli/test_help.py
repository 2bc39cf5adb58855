"""Help: quick, complete, and without loading anything heavy."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import pytest

from faceunc.cli import main
from faceunc.cli.main import build_parser
from faceunc.cli.train import METHOD_HELP

CODE = "from faceunc.cli import main; raise SystemExit(main())"
COMMANDS = [
    ["embed"],
    ["compare"],
    ["calibrate"],
    ["report"],
    ["train"],
    *(["train", method] for method in METHOD_HELP),
    ["train", "detector-sigma"],
    ["methods"],
    ["eval"],
    ["eval", "lfw"],
    ["eval", "cross-quality"],
    ["eval", "templates"],
    ["eval", "xqlfw"],
    ["eval", "rejection"],
    ["eval", "cfp"],
    ["eval", "bin"],
    ["eval", "ytf"],
    ["eval", "ijba"],
    ["eval", "ijbb"],
    ["eval", "ijbc"],
    ["eval", "megaface"],
    ["sweep"],
    ["sweep", "degradation"],
    ["sweep", "noise"],
    ["protocol"],
    ["protocol", "make-ijb"],
    ["protocol", "check"],
    ["bench"],
    ["export"],
    ["demo"],
    ["demo", "face"],
    ["demo", "sine"],
]
EVALUATIONS = [command for command in COMMANDS if command[0] == "eval" and len(command) == 2]


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", CODE, "--help"], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - start)
        assert "faceunc demo" in done.stdout
    assert statistics.median(seconds) < 0.3


def test_the_parser_loads_nothing_heavy() -> None:
    code = "import sys; from faceunc.cli.main import build_parser; build_parser(); print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "PIL", "cv2", "matplotlib", "skimage"} & set(names)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: faceunc {' '.join(command)}")


@pytest.mark.parametrize("command", EVALUATIONS, ids=" ".join)
def test_every_evaluation_says_where_its_data_is_had(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert "Where:" in capsys.readouterr().out


def test_no_evaluation_is_forgotten() -> None:
    (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    (kinds,) = (a for a in commands.choices["eval"]._actions if isinstance(a, argparse._SubParsersAction))
    assert set(kinds.choices) == {kind for _, kind in EVALUATIONS}
    assert set(commands.choices) == {command[0] for command in COMMANDS}


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: faceunc")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("faceunc ")


@pytest.mark.parametrize("words", [["embed"], ["nonsense"], ["compare", "a", "b", "--threads", "0"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err
