"""Variance voting against a loop over plain numbers, and its laws."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceunc.detection.branch import BranchConfig, VarianceBranch
from faceunc.detection.candidates import CandidateFinder
from faceunc.detection.features import LastStage
from faceunc.detection.voting import Candidates, plain_nms, variance_voting


def made_up(count: int, seed: int, spread: float = 10.0) -> Candidates:
    """Candidates around two faces."""
    rng = torch.Generator().manual_seed(seed)
    centre = torch.where(torch.arange(count) % 2 == 0, 60.0, 180.0)
    corner = centre[:, None] - 40 + spread * torch.randn(count, 2, generator=rng)
    box = torch.cat([corner, corner + 80 + spread * torch.rand(count, 2, generator=rng)], dim=1)
    points = centre[:, None] + spread * torch.randn(count, 10, generator=rng)
    log_var = 2 * torch.randn(count, 14, generator=rng)
    return Candidates(torch.cat([box, points], 1).double(), log_var.double(), torch.rand(count, generator=rng).double())


def iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (area - width * height)


def brute_force(candidates: Candidates, overlap: float, temperature: float) -> tuple[list[int], list[list[float]]]:
    """Algorithm 1 of the paper with hard suppression, in Python numbers."""
    places, log_var = candidates.places.tolist(), candidates.log_var.tolist()
    left = sorted(range(len(candidates)), key=lambda i: -float(candidates.score[i]))
    kept, voted = [], []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if iou(places[best], places[i]) <= overlap]
        row = []
        for c in range(14):
            above = below = 0.0
            for i, place in enumerate(places):
                share = iou(places[best], place)
                if share > 0:
                    weight = math.exp(-((1 - share) ** 2) / temperature) / math.exp(log_var[i][c])
                    above, below = above + weight * place[c], below + weight
            row.append(above / below)
        voted.append(row)
    return kept, voted


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10**6), st.sampled_from([0.3, 0.5, 0.7]), st.sampled_from([0.005, 0.02, 1.0]))
def test_against_brute_force(count: int, seed: int, overlap: float, temperature: float) -> None:
    candidates = made_up(count, seed)
    kept, voted = brute_force(candidates, overlap, temperature)
    assert plain_nms(candidates, overlap).tolist() == kept
    found = variance_voting(candidates, overlap, temperature)
    torch.testing.assert_close(found.places, torch.tensor(voted, dtype=torch.float64))
    torch.testing.assert_close(found.score, candidates.score[kept])
    torch.testing.assert_close(found.log_var, candidates.log_var[kept])


def test_a_single_candidate_is_unchanged() -> None:
    one = made_up(1, 3)
    found = variance_voting(one)
    torch.testing.assert_close(found.places, one.places)
    assert plain_nms(one).tolist() == [0]


def test_nothing_stays_nothing() -> None:
    assert len(variance_voting(made_up(0, 0))) == 0


def test_identical_boxes_and_equal_variances_give_the_mean() -> None:
    some = made_up(6, 1)
    places = some.places.clone()
    places[:, :4] = places[0, :4]
    found = variance_voting(Candidates(places, torch.full((6, 14), 3.0).double(), some.score))
    assert len(found) == 1
    torch.testing.assert_close(found.places[0], places.mean(dim=0))


def test_a_sure_candidate_rules_and_a_hopeless_one_counts_nothing() -> None:
    some = made_up(5, 2)
    places = some.places.clone()
    places[:, :4] = places[0, :4]
    log_var = torch.zeros(5, 14).double()
    log_var[3] = -60.0
    torch.testing.assert_close(variance_voting(Candidates(places, log_var, some.score)).places[0], places[3])
    log_var[3] = 60.0
    rest = torch.tensor([0, 1, 2, 4])
    torch.testing.assert_close(
        variance_voting(Candidates(places, log_var, some.score)).places[0], places[rest].mean(dim=0)
    )


def test_order_of_candidates_changes_nothing() -> None:
    some = made_up(9, 5)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    mixed = Candidates(some.places[order], some.log_var[order], some.score[order])
    torch.testing.assert_close(variance_voting(mixed).places, variance_voting(some).places)


def test_a_common_factor_of_the_variances_changes_nothing() -> None:
    some = made_up(9, 6)
    scaled = Candidates(some.places, some.log_var + 4.0, some.score)
    torch.testing.assert_close(variance_voting(scaled).places, variance_voting(some).places)


def test_a_box_without_area_keeps_its_place() -> None:
    some = made_up(3, 7)
    some.places[:, 2:4] = some.places[:, :2]
    assert torch.isfinite(variance_voting(some).places).all()
    torch.testing.assert_close(variance_voting(some).places, some.places[plain_nms(some)])


def test_inputs_are_not_changed() -> None:
    some = made_up(7, 8)
    before = [t.clone() for t in (some.places, some.log_var, some.score)]
    variance_voting(some)
    for old, new in zip(before, (some.places, some.log_var, some.score), strict=True):
        assert torch.equal(old, new)


def test_wrong_arguments() -> None:
    some = made_up(3, 0)
    with pytest.raises(ValueError, match="temperature"):
        variance_voting(some, temperature=0.0)
    with pytest.raises(ValueError, match="must be"):
        plain_nms(Candidates(some.places[:, :4], some.log_var, some.score))
    with pytest.raises(ValueError, match="finite"):
        variance_voting(Candidates(some.places, some.log_var + math.nan, some.score))


def test_candidates_are_those_of_mtcnn(bush: list[Path]) -> None:
    """The whole detector's faces are among them, but for how crops are made small (its own: by torch)."""
    from facenet_pytorch import MTCNN

    from faceunc.images.read import read_image

    finder, branch = CandidateFinder(LastStage()), VarianceBranch(BranchConfig(hidden=4))
    mtcnn = MTCNN(keep_all=True, min_face_size=40, device="cpu").eval()
    several = 0
    for path in bush[:6]:
        image = read_image(path)
        found = finder(image, branch)
        boxes, scores, points = mtcnn.detect(image.copy(), landmarks=True)
        several += len(found) > len(boxes)
        for box, score, point in zip(boxes, scores, points, strict=True):
            gap = (found.places[:, :4] - torch.from_numpy(np.asarray(box - [1, 1, 0, 0], float))).abs().amax(dim=1)
            assert gap.min() < 6
            nearest = int(gap.argmin())
            assert float(found.score[nearest]) == pytest.approx(score, abs=0.1)
            marks = found.places[nearest, 4:].view(5, 2) - torch.from_numpy(np.asarray(point, float))
            assert marks.abs().max() < 5
    assert several


def test_no_candidates_in_an_empty_picture() -> None:
    finder, branch = CandidateFinder(LastStage()), VarianceBranch(BranchConfig(hidden=4))
    found = finder(np.full((120, 120, 3), 90, np.uint8), branch)
    assert len(found) == 0
    assert len(variance_voting(found)) == 0
