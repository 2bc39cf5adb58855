"""The variance branch and the frozen last stage below it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceunc.detection.branch import BranchConfig, VarianceBranch
from faceunc.detection.features import GROUPS, LastStage, to_pixels, to_sides
from faceunc.images.face_score import FaceScorer, face_squares
from faceunc.images.read import read_image


@pytest.fixture(scope="module")
def stage() -> LastStage:
    return LastStage()


def noise(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48, 3), dtype=np.uint8)


def test_a_new_branch_says_what_its_config_says() -> None:
    branch = VarianceBranch(BranchConfig(hidden=8, sigma=0.05))
    log_var = branch(torch.randn(3, 256))
    assert log_var.shape == (3, 14)
    torch.testing.assert_close(log_var, torch.full((3, 14), 2 * math.log(0.05)))


def test_rescale_multiplies_sigma_by_group() -> None:
    branch = VarianceBranch(BranchConfig(hidden=8))
    features = torch.randn(4, 256)
    before = branch(features)
    branch.rescale({"box": 2.0, "landmarks": 0.5})
    branch.rescale({"box": 3.0, "landmarks": 1.0})
    ratio = torch.exp(0.5 * (branch(features) - before))
    torch.testing.assert_close(ratio[:, GROUPS["box"]], torch.full((4, 4), 6.0))
    torch.testing.assert_close(ratio[:, GROUPS["landmarks"]], torch.full((4, 10), 0.5))


def test_standardised_features_have_unit_spread_and_constant_ones_count_nothing() -> None:
    torch.manual_seed(0)
    features = 5 + 3 * torch.randn(500, 256)
    features[:, 7] = 2.5
    branch = VarianceBranch(BranchConfig(hidden=8))
    torch.nn.init.normal_(branch.out.weight)
    branch.standardise(features)
    scaled = (features - branch.centre) / branch.spread
    assert scaled.std(dim=0)[[0, 100]].tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
    other = features.clone()
    other[:, 7] = -100
    torch.testing.assert_close(branch(other), branch(features))


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"hidden": True}, {"hidden": 2.0}, {"hidden": 10**9}, {"sigma": 0.0}])
def test_wrong_configs(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BranchConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sigma"):
        BranchConfig(sigma=math.nan)


def test_the_last_stage_is_the_face_scorers(stage: LastStage, bush: list[Path]) -> None:
    """Same crops, same points and probability as :class:`FaceScorer`."""
    images = [read_image(path) for path in bush[:3]]
    guess = np.array([[[105, 113], [147, 112], [126, 138], [108, 159], [145, 158]]] * 3, np.float32)
    score, points = FaceScorer()(images, guess)
    corner, side = (np.round(v) for v in face_squares(guess))
    output = stage.look(images, corner, side)
    places = to_pixels(output.places, corner, side)
    np.testing.assert_allclose(output.probability.numpy(), score, atol=1e-6)
    np.testing.assert_allclose(places[:, 4:].reshape(-1, 5, 2).numpy(), points, atol=1e-3)
    torch.testing.assert_close(to_sides(places, corner, side).float(), output.places)


def test_answers_are_linear_in_the_features(stage: LastStage) -> None:
    """The features are what the last layers read: they give the box back."""
    output = stage(noise(4))
    onet = stage._network
    box = onet.get_submodule("dense6_2")(output.features) + torch.tensor([0.0, 0, 1, 1])
    torch.testing.assert_close(box, output.places[:, :4])
    assert (len(output), tuple(output.features.shape)) == (4, (4, 256))


def test_batches_change_nothing(stage: LastStage, monkeypatch: pytest.MonkeyPatch) -> None:
    import faceunc.detection.features as module

    whole = stage(noise(5))
    monkeypatch.setattr(module, "_BATCH", 2)
    torch.testing.assert_close(stage(noise(5)).features, whole.features)
    assert len(stage(noise(0))) == 0


def test_hash_and_wrong_patches(stage: LastStage) -> None:
    assert stage.sha256 == LastStage().sha256
    other = LastStage()
    with torch.no_grad():
        next(other._network.parameters()).add_(1e-3)
    assert other.sha256 != stage.sha256
    with pytest.raises(ValueError, match=r"patches must be uint8 \(N, 48, 48, 3\)"):
        stage(np.zeros((1, 32, 32, 3), np.uint8))
