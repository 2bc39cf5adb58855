"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from faceunc.cli.main import build_parser

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def test_the_python_example_runs(bush: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, photo in zip("abc", bush, strict=False):
        (tmp_path / f"{name}.jpg").symlink_to(photo)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(code, "README.md", "exec"), scope)
    assert len(scope["faces"]) == 3  # type: ignore[arg-type]
    assert (tmp_path / "faces.safetensors").is_file()


def test_every_command_is_one_that_the_parser_takes() -> None:
    lines = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("    faceunc ")]
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line.replace("lfw|cross-quality|templates", "lfw").replace("PHOTOS...", "PHOTOS"))
        build_parser().parse_args(words[1:])


def test_every_file_that_is_named_exists() -> None:
    root = Path(__file__).parent.parent
    named = set(re.findall(r"(?:eval|scripts|faceunc|pretrained)/[\w/.-]+\w", README))
    assert {name for name in named if not (root / name).exists()} == set()
