"""``faceunc calibrate`` on fifty people of LFW, with an untrained head that knows none of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceunc.cli import main
from faceunc.confidence import load_calibrator
from faceunc.confidence.store import calibrator_path
from faceunc.heads.shipped import shipped_names
from faceunc.heads.store import load_head

PEOPLE, EACH, IMPOSTORS = 50, 2, 300
Capture = pytest.CaptureFixture[str]


def small_folder(lfw: Path, folder: Path, people: int) -> Path:
    """Two photographs each of some people, George W Bush not among them."""
    found = (p for p in sorted(lfw.iterdir()) if p.is_dir() and len(list(p.glob("*.jpg"))) >= EACH)
    for person in [p for p in found if p.name != "George_W_Bush"][:people]:
        (folder / person.name).mkdir(parents=True)
        for photo in sorted(person.glob("*.jpg"))[:EACH]:
            (folder / person.name / photo.name).symlink_to(photo)
    return folder


@pytest.fixture(scope="module")
def people(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_folder(lfw, tmp_path_factory.mktemp("fifty"), PEOPLE)


@pytest.fixture(scope="module")
def few(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_folder(lfw, tmp_path_factory.mktemp("twelve"), 12)


@pytest.fixture
def head(tiny_head: Path, tmp_path: Path) -> Path:
    """The tiny head in a folder of its own, so that its calibrator can lie beside it."""
    path = tmp_path / "mine.safetensors"
    path.write_bytes(tiny_head.read_bytes())
    return path


def calibrate(people: Path, head: object, *words: object) -> int:
    return main(["calibrate", str(people), "--head", str(head), "--impostors", str(IMPOSTORS), *map(str, words)])


@pytest.mark.parametrize("kind", ["sigmoid", "monotone"])
def test_calibrate_then_compare(kind: str, people: Path, head: Path, bush: list[Path], capsys: Capture) -> None:
    assert calibrate(people, head, "--kind", kind) == 0
    out = calibrator_path(head)
    assert str(out) in capsys.readouterr().out
    stored, reference = load_calibrator(out).calibrator, load_calibrator(out).reference
    assert stored.kind == kind
    assert stored.meta["head_sha256"] == load_head(head).sha256
    assert stored.card["people"] <= PEOPLE
    assert stored.card["genuine"] == reference.same.sum() > PEOPLE // 2  # one of each whose photographs are usable
    assert stored.card["impostor"] == (~reference.same).sum() <= IMPOSTORS
    assert ((reference.first_subject == reference.second_subject) == reference.same).all()
    assert np.median(reference.log_odds[reference.same]) > 0 > np.median(reference.log_odds[~reference.same])

    words = ["--head", str(head), "--fmr", "0.2", "--refuse-share", "0"]
    assert main(["compare", str(bush[0]), str(bush[1]), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["similarity", "confidence", "decision", "limited", "likely"]
    assert lines[1].split()[1].endswith("%") or lines[1].split()[1] in "<>"
    assert lines[2].split()[1] in ("accept", "reject", "refuse")


def test_the_same_seed_writes_the_same_calibrator(people: Path, head: Path, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / f"{name}.safetensors"
        assert calibrate(people, head, "--kind", "sigmoid", "--seed", seed, "-o", out) == 0
        found.append(load_calibrator(out))
    np.testing.assert_array_equal(found[0].reference.log_odds, found[1].reference.log_odds)
    assert found[0].calibrator.parameters == found[1].calibrator.parameters
    assert found[0].calibrator.parameters != found[2].calibrator.parameters


def test_reference_is_scored_by_calibrators_that_had_not_seen_its_people(
    people: Path, head: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Five fits on the other folds, one on all; the reference does not hold the log-odds of the last."""
    from faceunc.evaluation import calibrate as module

    fitted: list[int] = []
    original = module.fit_calibrator

    def spy(evidence, *rest):  # type: ignore[no-untyped-def]
        fitted.append(len(evidence))
        return original(evidence, *rest)

    monkeypatch.setattr(module, "fit_calibrator", spy)
    out = tmp_path / "c.safetensors"
    assert calibrate(people, head, "--kind", "sigmoid", "-o", out) == 0
    count = len(load_calibrator(out).reference)
    assert fitted[-1] == count
    assert sum(count - size for size in fitted[:-1]) == count  # each comparison is left out once
    assert len(fitted) == 6


def error_of(capsys: Capture) -> str:
    err = capsys.readouterr().err
    assert err.startswith("faceunc: error:")
    assert err.count("\n") == 1
    return err


def test_a_head_that_knows_the_people(lfw: Path, tiny_head: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = small_folder(lfw, tmp_path / "few", 3)
    (folder / "George_W_Bush").symlink_to(lfw / "George_W_Bush")
    assert calibrate(folder, tiny_head, "-o", tmp_path / "c.safetensors") == 2
    assert "was trained on 1 of the people in this data" in error_of(capsys)
    assert not (tmp_path / "c.safetensors").exists()


@pytest.mark.parametrize("name", ["c.npz", "c", "c.safetensors.txt"])
def test_wrong_ending(
    name: str, people: Path, tiny_head: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceunc.evaluation.calibrate.folder_bench", None)  # said before any work
    assert calibrate(people, tiny_head, "-o", tmp_path / name) == 2
    assert "--out: expected a file *.safetensors" in error_of(capsys)


def test_unwritable_result_is_said_before_any_work(
    people: Path, tiny_head: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceunc.evaluation.calibrate.folder_bench", None)
    (tmp_path / "file").write_text("")
    assert calibrate(people, tiny_head, "-o", tmp_path / "file" / "c.safetensors") == 2
    assert "cannot write" in error_of(capsys)


@pytest.mark.skipif("dlib-pfe" not in shipped_names(), reason="pretrained/dlib-pfe.safetensors is missing")
def test_a_shipped_calibrator_is_not_written_over(
    people: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceunc.evaluation.calibrate.folder_bench", None)
    assert calibrate(people, "dlib-pfe") == 2
    assert "--out: dlib-pfe ships with a calibrator" in error_of(capsys)


def test_too_few_people(lfw: Path, head: Path, tmp_path: Path, capsys: Capture) -> None:
    """One person a fold at most: nobody to be compared with."""
    assert calibrate(small_folder(lfw, tmp_path / "few", 2), head) == 2
    assert "cannot calibrate on these people" in error_of(capsys)
    assert not calibrator_path(head).exists()


@pytest.mark.parametrize(
    ("method", "what"), [("pfe:variance=scalar", "variance"), ("vmf", "method"), ("pfe*2", "ensemble")]
)
def test_cross_fit_with_another_recipe(
    method: str, what: str, few: Path, head: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceunc.evaluation import setup
    from faceunc.training.loop import TrainOptions

    original = setup.cross_fit
    monkeypatch.setattr(
        setup, "cross_fit", lambda s, part, v, recipe, _, show: original(s, part, v, recipe, TrainOptions(20), show)
    )
    assert calibrate(few, head, "--cross-fit", method) == 2
    assert what in error_of(capsys)
    assert not calibrator_path(head).exists()
