"""Every method on real faces by the command line: train, card, curves, embed, evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import faceunc
from faceunc.cli import main
from faceunc.cli.train import METHOD_HELP
from faceunc.errors import IncompatibleError

MOVING = {"dul-cls", "dul-mls", "dul-reg", "softmax"}


@pytest.fixture(scope="module")
def people(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs each of 12 people."""
    folder = tmp_path_factory.mktemp("people")
    chosen = [p for p in sorted(lfw.iterdir()) if p.is_dir() and len(list(p.glob("*.jpg"))) >= 4][:12]
    for person in chosen:
        (folder / person.name).mkdir()
        for photo in sorted(person.glob("*.jpg"))[:4]:
            (folder / person.name / photo.name).symlink_to(photo)
    return folder


def train(method: str, people: Path, out: Path, *more: str) -> int:
    return main(["train", method, str(people), "-o", str(out), "--steps", "20", "--threads", "2", *more])


@pytest.mark.parametrize("method", METHOD_HELP)
def test_train_and_embed(
    method: str, people: Path, tmp_path: Path, bush: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "head.safetensors"
    assert train(method, people, out) == 0
    assert "rank correlation with severity" in capsys.readouterr().out
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["method"] == method
    assert card["identity_hashes"]
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    embedder = faceunc.load(out)
    faces = embedder(bush[:3])
    assert faces.meta["method"] == method
    assert (faces.meta["mean"] != "") == (method in MOVING)
    assert np.isfinite(faces.log_var).all()
    np.testing.assert_allclose(np.linalg.norm(faces.mean, axis=1), 1.0, rtol=1e-5)
    frozen = faceunc.load("dlib-pfe")(bush[:3])
    if method in MOVING:
        with pytest.raises(IncompatibleError, match="mean is"):
            faceunc.score_pairs(faces, frozen, "cosine")
    else:
        np.testing.assert_allclose(faceunc.score_pairs(faces, frozen, "cosine"), 1.0, atol=1e-5)
    if method == "vmf":
        assert faceunc.score_pairs(faces[:1], faces[1:2], "vmf").shape == (1,)


@pytest.mark.parametrize("kind", ["seeds", "bootstrap", "checkpoints"])
def test_an_ensemble_fills_epistemic(kind: str, people: Path, tmp_path: Path, bush: list[Path]) -> None:
    out = tmp_path / "ensemble.safetensors"
    more = ("--ensemble", "2", "--ensemble-kind", kind, "--steps", "200")
    assert main(["train", "dul-reg", str(people), "-o", str(out), *more]) == 0
    faces = faceunc.load(out)(bush[:2])
    assert faces.epistemic is not None
    assert (faces.epistemic > 0).all()
    assert faces.meta["epistemic"].startswith("ensemble of 2")


def test_mc_dropout_fills_epistemic_and_leaves_the_rest(tiny_head: Path, bush: list[Path], tmp_path: Path) -> None:
    plain = faceunc.load(tiny_head, engine="torch")(bush[:2])
    sampled = faceunc.load(tiny_head, precision="float32", mc_dropout=20)(bush[:2])
    assert plain.epistemic is None
    assert sampled.epistemic is not None
    assert (sampled.epistemic > 0).all()
    np.testing.assert_array_equal(plain.mean, sampled.mean)
    np.testing.assert_array_equal(plain.log_var, sampled.log_var)
    more = ["--mc-dropout", "10", "--dropout-blocks", "14", "--dropout-rate", "0.2"]
    assert main(["embed", str(bush[0]), "-o", str(tmp_path / "out"), "--head", str(tiny_head), *more]) == 0
    stored = faceunc.Embeddings.load(tmp_path / "out" / "embeddings.safetensors")
    assert stored.epistemic is not None
    assert stored.meta["epistemic"] == "dropout 0.2 x 10 (block 14, bottleneck)"
    header, row = (tmp_path / "out" / "photos.csv").read_text().splitlines()
    assert header.split(",")[:3] == ["photo", "sigma", "epistemic"]
    assert float(row.split(",")[2]) == pytest.approx(float(stored.epistemic[0]), rel=1e-3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--head", "HEAD", "--mc-dropout", "10", "--dropout-rate", "1"], "rate must be"),
        (["--head", "HEAD", "--mc-dropout", "10", "--dropout-blocks", "15"], "up to 14"),
    ],
)
def test_wrong_dropout(
    more: list[str], message: str, tiny_head: Path, bush: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(tiny_head) if part == "HEAD" else part for part in more]
    assert main(["embed", str(bush[0]), "-o", str(tmp_path / "out"), *given]) == 2
    assert message in capsys.readouterr().err


def test_a_checkpoint_of_an_ensemble_is_refused(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--ensemble", "2", "--checkpoint", str(tmp_path / "state"))
    assert train("pfe", people, tmp_path / "e.safetensors", *more) == 2
    assert "not for an ensemble" in capsys.readouterr().err


def test_methods_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(METHOD_HELP)
    assert all(row["paper"] and row["when"] and row["cost"] for row in rows)
    assert main(["methods"]) == 0
    assert "serfiq" in capsys.readouterr().out


def test_fine_tuning_of_the_last_block(people: Path, tmp_path: Path, bush: list[Path]) -> None:
    out = tmp_path / "tuned.safetensors"
    assert train("dul-cls", people, out, "--backbone", "dlib@13", "--start", "tuned") == 0
    faces = faceunc.load(out)(bush[:2])
    assert faces.meta["backbone"] == "dlib@13"
    assert faces.meta["mean"]
    assert faces.log_var.shape == (2, 128)
