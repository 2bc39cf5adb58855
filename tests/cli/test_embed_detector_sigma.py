"""``faceunc embed --detector-sigma``: what it stores, and that it goes on where it stopped."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import faceunc
from faceunc.cli import main
from faceunc.detection.branch import BranchConfig, VarianceBranch
from faceunc.detection.features import LastStage
from faceunc.detection.store import branch_path, save_branch
from faceunc.embeddings import Embeddings
from faceunc.errors import InputError


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained branch whose answers differ between faces."""
    torch.manual_seed(0)
    made = VarianceBranch(BranchConfig(hidden=8, sigma=0.03))
    torch.nn.init.normal_(made.out.weight, std=0.05)
    path = tmp_path_factory.mktemp("branch") / "own.safetensors"
    save_branch(path, made, LastStage(), {})
    return path


def embed(photos: list[Path], out: Path, head: Path, *more: str) -> int:
    options = ["--head", str(head), "--precision", "float32", "--threads", "1", *more]
    return main(["embed", *map(str, photos), "-o", str(out), *options])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_columns_and_going_on(
    tmp_path: Path, tiny_head: Path, bush: list[Path], branch: Path, count_reads: list[str]
) -> None:
    out = tmp_path / "out"
    assert embed(bush[:3], out, tiny_head, "--detector-sigma", str(branch)) == 0
    table = rows(out / "photos.csv")
    for name in ("box_sigma", "landmark_sigma"):
        values = [float(row[name]) for row in table]
        assert all(0.1 < value < 50 for value in values)
        assert len(set(values)) == 3
    assert Embeddings.load(out / "embeddings.safetensors").meta["detector_sigma"].startswith("own ")
    count_reads.clear()
    assert embed(bush[:5], out, tiny_head, "--detector-sigma", str(branch)) == 0
    assert count_reads == [str(path) for path in bush[3:5]]
    again = rows(out / "photos.csv")
    assert again[:3] == table
    assert all(row["box_sigma"] for row in again)


def test_without_it_there_are_no_columns_and_no_mixing(
    tmp_path: Path, tiny_head: Path, bush: list[Path], branch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert embed(bush[:2], out, tiny_head) == 0
    assert "box_sigma" not in rows(out / "photos.csv")[0]
    assert embed(bush[:3], out, tiny_head, "--detector-sigma", str(branch)) == 2
    assert "detector_sigma is '' on one side" in capsys.readouterr().err


def test_the_embeddings_are_the_same_with_and_without(tiny_head: Path, bush: list[Path], branch: Path) -> None:
    plain = faceunc.load(tiny_head, precision="float32")(bush[:3])
    other = faceunc.load(tiny_head, precision="float32", detector_sigma=branch)(bush[:3])
    np.testing.assert_array_equal(plain.mean, other.mean)
    np.testing.assert_array_equal(plain.log_var, other.log_var)


def test_wrong_uses(
    tmp_path: Path, tiny_head: Path, bush: list[Path], branch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(bush[:1], tmp_path / "a", tiny_head, "--aligned", "--detector-sigma", str(branch)) == 2
    assert "aligned chips" in capsys.readouterr().err
    assert embed(bush[:1], tmp_path / "b", tiny_head, "--detector-sigma", "photo.jpg") == 2
    assert "detector sigma must be mtcnn-sigma" in capsys.readouterr().err
    assert embed(bush[:1], tmp_path / "c", tiny_head, "--detector-sigma", str(tiny_head)) == 2
    assert "expected faceunc-detector-sigma-1" in capsys.readouterr().err
    with pytest.raises(InputError, match="aligned chips"):
        faceunc.load(tiny_head, precision="float32", aligned=True, detector_sigma=branch)


@pytest.mark.skipif(not branch_path().is_file(), reason="pretrained/mtcnn-sigma.safetensors is missing")
def test_the_shipped_one_is_the_default_and_sees_blur(tmp_path: Path, tiny_head: Path, bush: list[Path]) -> None:
    """A blurred photograph of the same face has the larger sigma."""
    photos = []
    for number, path in enumerate(bush[:3]):
        image = cv2.imread(str(path))
        for name, pixels in (("clear", image), ("blurred", cv2.GaussianBlur(image, (0, 0), 4.0))):
            photos.append(tmp_path / f"{number}-{name}.png")
            assert cv2.imwrite(str(photos[-1]), pixels)
    assert embed(photos, tmp_path / "out", tiny_head, "--detector-sigma") == 0
    table = {Path(row["photo"]).stem: row for row in rows(tmp_path / "out" / "photos.csv")}
    for number in range(3):
        for name in ("box_sigma", "landmark_sigma"):
            clear, blurred = (float(table[f"{number}-{how}"][name]) for how in ("clear", "blurred"))
            assert 0.2 < clear < blurred < 30
