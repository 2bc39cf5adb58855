"""Quality scores as variances: the order of photographs is the score's, the last layer is the backbone's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from faceunc.backbones.tail import Tail
from faceunc.errors import InputError
from faceunc.heads.quality import QualityConfig, QualityHead

SHAPE, DIM = (6, 3, 2), 5


def maps(count: int = 8) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0))


def tail() -> Tail:
    torch.manual_seed(0)
    reduce = nn.Sequential(nn.Conv2d(6, 6, (3, 2), groups=6), nn.Flatten())
    return Tail(reduce, nn.Sequential(nn.Linear(6, DIM), nn.BatchNorm1d(DIM))).eval().requires_grad_(False)


def test_norm_is_its_logarithm() -> None:
    head = QualityHead(QualityConfig(SHAPE, DIM)).eval()
    norm = torch.tensor([0.5, 1.0, 2.0])
    torch.testing.assert_close(head.pool(maps(3), norm)[:, 0], norm.log())
    with pytest.raises(ValueError, match="norm must be given"):
        head.pool(maps(3))


def test_slope_and_intercept() -> None:
    head = QualityHead(QualityConfig(SHAPE, DIM, bias=-2.0)).eval()
    quality = torch.tensor([[1.0], [3.0]])
    torch.testing.assert_close(head.from_pooled(quality), torch.full((2, 1), -2.0), rtol=0, atol=1e-4)
    head.take_over(None, quality)
    with torch.no_grad():
        head.slope.fill_(-0.5)
    log_var = head.member_outputs(quality)[0]
    assert log_var[0, 0] > log_var[1, 0]  # the better photograph has the smaller variance
    head.rescale(1.0, 2.0)
    torch.testing.assert_close(head.member_outputs(quality)[0], 1.0 + 2.0 * log_var)


def test_serfiq_has_the_last_layer_of_the_backbone() -> None:
    head, last = QualityHead(QualityConfig(SHAPE, DIM, measure="serfiq")).eval(), tail()
    head.take_tail(last)
    found = head._reduce(maps()) @ head.last_weight.T + head.last_bias
    torch.testing.assert_close(found, last(maps()), rtol=1e-4, atol=1e-5)
    from faceunc.epistemic.serfiq import serfiq_score

    score = serfiq_score(last.reduce(maps()), last.last)
    assert spearmanr(head.pool(maps())[:, 0].numpy(), score.numpy()).statistic > 0.99


def test_serfiq_of_a_tail_that_is_not_linear() -> None:
    head = QualityHead(QualityConfig(SHAPE, DIM, measure="serfiq"))
    bent = Tail(nn.Sequential(nn.Conv2d(6, 6, (3, 2), groups=6), nn.Flatten(), nn.ReLU()), nn.Linear(6, DIM)).eval()
    with pytest.raises(InputError, match="linear"):
        head.take_tail(bent.requires_grad_(False))


def test_buffers_survive_taking_over() -> None:
    first, second = (QualityHead(QualityConfig(SHAPE, DIM, measure="serfiq")) for _ in range(2))
    first.take_tail(tail())
    second.take_over(first, torch.tensor([[0.0], [2.0]]))
    np.testing.assert_allclose(second.last_weight, first.last_weight)
    assert float(second.centre) == 1.0
    assert "last_weight" in second.state_dict()


@pytest.mark.parametrize("wrong", [{"measure": "beauty"}, {"variance": "per-dimension"}])
def test_wrong_quality_config(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        QualityConfig(SHAPE, DIM, **wrong)  # type: ignore[arg-type]
