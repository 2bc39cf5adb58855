"""``faceunc protocol``: exit codes, what is printed where, errors in one line."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from faceunc.cli import main
from faceunc.protocols import make_ijb as module
from faceunc.protocols.ijbc import counts, read_ijb

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def people(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs each of three people."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("George_W_Bush", "Tony_Blair", "Colin_Powell"):
        (folder / name).mkdir()
        for photo in sorted((lfw / name).glob("*.jpg"))[:4]:
            (folder / name / photo.name).symlink_to(photo)
    return folder


@pytest.fixture(scope="module")
def out(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "ijb"
    assert main(["protocol", "make-ijb", str(people), "-o", str(folder), "--seed", "5"]) == 0
    return folder


def run(capsys: Capture, *words: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    capsys.readouterr()
    code = main(["protocol", *map(str, words)])
    done = capsys.readouterr()
    return code, done.out, done.err


def refused(capsys: Capture, *words: object) -> str:
    """The one line on stderr of a command that exits with 2."""
    code, _, err = run(capsys, *words)
    assert code == 2
    assert err.startswith("faceunc: error: ")
    assert err.count("\n") == 1
    return err


def test_make(people: Path, out: Path, capsys: Capture) -> None:
    """The second run says the same as the manifest."""
    code, text, err = run(capsys, "make-ijb", people, "-o", out, "--seed", 5)
    assert (code, err) == (0, "")
    *lines, last = text.splitlines()
    assert last == f"complete already, nothing was written or checked ('faceunc protocol check' does that): {out}"
    facts = json.loads((out / "manifest.json").read_text())
    said = {line[:40].strip(): line[41:] for line in lines}
    assert {name: str(facts[name]) for name in said} == said
    assert (said["subjects"], said["photographs left out"]) == ("3", "{'no_face': 0, 'unreadable': 0}")
    protocol = read_ijb(out, "ijbc")
    assert [int(said[name]) for name in ("images", "templates", "pairs", "genuine")] == list(counts(protocol))


def test_make_options(people: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["--video-share", 0, "--max-photos", 3, "--pairs", 4, "--threads", 2]
    code, _, _ = run(capsys, "make-ijb", people, "-o", tmp_path / "out", *words)
    assert code == 0
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (facts["images"], facts["frames of videos"]) == (9, 0)
    assert facts["pairs"] <= 3 * facts["genuine"]
    assert {k: facts["options"][k] for k in ("seed", "video_share", "max_photos", "pairs")} == {
        "seed": 0,
        "video_share": 0.0,
        "max_photos": 3,
        "pairs": 4,
    }


def test_make_refuses(people: Path, out: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "other photographs or options" in refused(capsys, "make-ijb", people, "-o", out, "--seed", 6)
    assert "no such folder" in refused(capsys, "make-ijb", tmp_path / "none", "-o", tmp_path / "out")
    (tmp_path / "in").mkdir()
    assert "found no photograph" in refused(capsys, "make-ijb", tmp_path / "in", "-o", tmp_path / "out")
    (tmp_path / "in" / "Ann").symlink_to(people / "Tony_Blair")
    assert "two people with two photographs" in refused(capsys, "make-ijb", tmp_path / "in", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    assert "expected a new or an empty folder" in refused(capsys, "make-ijb", people, "-o", tmp_path / "mine")


@pytest.mark.parametrize(
    "words",
    [
        ["make-ijb", "DIR"],
        ["make-ijb", "DIR", "-o", "OUT", "--video-share", "1.5"],
        ["make-ijb", "DIR", "-o", "OUT", "--pairs", "1"],
        ["make-ijb", "DIR", "-o", "OUT", "--max-photos", "1"],
        ["make-ijb", "DIR", "-o", "OUT", "--seed", "-1"],
        ["check"],
        [],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_usage(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["protocol", *words])
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_interrupted(people: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_crop", killed)
        code, _, err = run(capsys, "make-ijb", people, "-o", tmp_path / "out", "--video-share", 0)
    assert (code, err) == (130, "faceunc: interrupted; start the same command again to go on\n")
    assert run(capsys, "make-ijb", people, "-o", tmp_path / "out", "--video-share", 0)[0] == 0


def test_check_of_what_was_made(out: Path, capsys: Capture) -> None:
    for words in ([], ["--quick"], ["--images", out]):
        code, text, err = run(capsys, "check", out, *words)
        assert (code, err) == (0, "")
        assert "ok       IJB-C: " in text
        assert "made by 'faceunc protocol make-ijb'\n         -> not the published protocol" in text
        assert "problem" not in text


def test_check_counts_its_problems(out: Path, tmp_path: Path, capsys: Capture) -> None:
    """Images are elsewhere: one kind of problem, exit code 1."""
    code, text, err = run(capsys, "check", out, "--images", tmp_path)
    assert code == 1
    assert err == f"faceunc: 1 problem(s) found in {out}\n"
    images = len(read_ijb(out, "ijbc").templates.images)
    assert f"problem  {images} images missing, first {tmp_path / 'loose_crop' / '1.jpg'}: no such file\n" in text
    assert "\n         -> not downloaded" in text


class Call:
    """Pickles as a call of ``os.system``."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def test_check_of_a_hostile_file(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps(Call(f"touch {tmp_path / 'marker'}")))
    code, text, err = run(capsys, "check", path)
    assert code == 1
    assert text.startswith(f"problem  {path}: ")
    assert "1 problem(s)" in err
    assert not (tmp_path / "marker").exists()


def test_check_without_a_protocol(people: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "no such file or folder" in refused(capsys, "check", tmp_path / "none")
    assert "nothing of a known protocol" in refused(capsys, "check", people)
