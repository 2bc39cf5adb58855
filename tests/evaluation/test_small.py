"""The three evaluations by the command line, on 24 people of LFW; nobody meets a head that knows them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from faceunc.cli import main
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.setup import folder_bench
from faceunc.protocols.lfw import read_pairs
from faceunc.training.crossfit import hash_identities
from faceunc.training.loop import TrainOptions

PEOPLE, EACH, FOLDS = 24, 4, 4


@pytest.fixture(scope="module")
def mini(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs each of 24 people, and a pair file of four folds with six people each."""
    folder = tmp_path_factory.mktemp("mini")
    people = [p for p in sorted(lfw.iterdir()) if p.is_dir() and len(list(p.glob("*.jpg"))) >= EACH][:PEOPLE]
    for person in people:
        (folder / person.name).mkdir()
        for photo in sorted(person.glob("*.jpg"))[:EACH]:
            (folder / person.name / photo.name).symlink_to(photo)
    names = [person.name for person in people]
    lines = [f"{FOLDS}\t6"]
    for fold in range(FOLDS):
        own = names[6 * fold : 6 * fold + 6]
        lines += [f"{name}\t1\t{2 + i % 3}" for i, name in enumerate(own)]
        lines += [f"{name}\t1\t{own[i - 1]}\t2" for i, name in enumerate(own)]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("evaluation", "rows", "figure"),
    [("lfw", 6, "accuracy"), ("cross-quality", 6, "eer"), ("templates", 9, "far at 0.01")],
)
def test_writes_json_table_and_picture(
    evaluation: str, rows: int, figure: str, mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    assert main(["eval", evaluation, str(mini), "--steps", "20", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())
    assert len(result["rows"]) == rows
    assert all(0.0 <= row[figure] <= 1.0 for row in result["rows"])
    assert result["data"]["photographs"] == PEOPLE * EACH
    assert {"faceunc", "commit", "command", "machine"} <= set(result["provenance"])
    assert out.with_suffix(".txt").read_text() in printed
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_nobody_is_embedded_by_a_head_that_knows_them(mini: Path) -> None:
    pairs = read_pairs(mini / "pairs.txt")
    bench = folder_bench(EvalOptions(mini, train=TrainOptions(steps=20)), pairs)
    people = np.array(bench.source.photos.identities)
    for part in (0, 1):
        assert pairs.identities_of_folds({2 * part, 2 * part + 1}) == set(people[bench.heads["scalar"].part == part])
        for fit in bench.heads.values():
            known = set(fit.heads[part].card["identity_hashes"])
            assert known == set(hash_identities(set(people[bench.heads["scalar"].part != part])))


def test_unwritable_result_is_said_before_any_work(
    mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceunc.evaluation.lfw.folder_bench", None)
    (tmp_path / "file").write_text("")
    assert main(["eval", "lfw", str(mini), "--json", str(tmp_path / "file" / "out.json")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_view1_takes_the_threshold_from_the_training_part(mini: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in mini.iterdir() if path.is_dir())
    for file, own in (("pairsDevTrain.txt", names[:12]), ("pairsDevTest.txt", names[12:])):
        lines = [f"{len(own)}", *(f"{name}\t1\t2" for name in own)]
        lines += [f"{name}\t1\t{own[i - 1]}\t2" for i, name in enumerate(own)]
        (mini / file).write_text("\n".join(lines) + "\n")
    out = tmp_path / "view1.json"
    assert main(["eval", "lfw", str(mini), "--view", "1", "--steps", "20", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 6
    assert all(0.8 <= row["accuracy"] <= 1.0 for row in rows)


def test_xqlfw_is_lfw_with_its_own_pairs(mini: Path, tmp_path: Path) -> None:
    (mini / "xqlfw_pairs.txt").write_text((mini / "pairs.txt").read_text())
    out = tmp_path / "xqlfw.json"
    assert main(["eval", "xqlfw", str(mini), "--steps", "20", "--norm", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["evaluation"] == "xqlfw"


def test_rejection_compares_sigma_with_its_rivals(mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceunc.evaluation.rejection.REPLICATES", 5)
    out = tmp_path / "rejection.json"
    code = main(["eval", "rejection", str(mini), "--steps", "20", "--json", str(out)])
    assert code == 0
    result = json.loads(out.read_text())
    measures = {row["quality"] for row in result["rows"]}
    assert {"sigma (scalar)", "norm", "detector score", "sharpness", "face size", "random", "oracle"} <= measures
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
