"""The refit finds level and spread of a variance that was trained up to shift and factor."""

from __future__ import annotations

import pytest
import torch

from faceunc.heads.quality import QualityConfig, QualityHead
from faceunc.losses.mutual_likelihood import genuine_pairs
from faceunc.training.batches import Batch
from faceunc.training.refit import refit

DIM, PEOPLE, EACH = 128, 120, 4


def made_up(shift: float, factor: float) -> tuple[QualityHead, Batch, torch.Tensor]:
    """A head whose output is (truth - shift) / factor, and pairs that scatter as the truth says."""
    generator = torch.Generator().manual_seed(0)
    person = torch.arange(PEOPLE).repeat_interleave(EACH)
    truth = torch.empty(len(person), 1).uniform_(-8.0, -5.0, generator=generator)
    centre = torch.nn.functional.normalize(torch.randn(PEOPLE, DIM, generator=generator), dim=1)
    mean = centre[person] + torch.randn(len(person), DIM, generator=generator) * torch.exp(0.5 * truth)
    head = QualityHead(QualityConfig((1, 1, 1), DIM)).eval()
    with torch.no_grad():
        head.intercept.fill_(-shift / factor)
        head.slope.fill_(1.0 / factor)
    pairs = genuine_pairs(person, torch.arange(len(person)))
    return head, Batch(truth, mean, pairs, person, mean[:0]), truth


@pytest.mark.parametrize("shift", [0.0, 2.0, -3.0])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_finds_shift_and_factor(shift: float, factor: float) -> None:
    head, batch, truth = made_up(shift, factor)
    found = refit(head, [batch])
    assert found[1] == pytest.approx(factor, rel=0.1)
    assert float((head.from_pooled(batch.pooled) - truth).abs().max()) < 0.3


def test_a_wrong_order_is_neither_turned_about_nor_flattened() -> None:
    head, batch, _ = made_up(0.0, -1.0)
    assert refit(head, [batch])[1] == pytest.approx(1 / 3, rel=1e-3)
