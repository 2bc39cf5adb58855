"""The teaching example of the literature: y = sin x under noise that differs along x, learnt from x in [-5, 5] only.

What is to be seen: epistemic uncertainty (networks that disagree) opens where there is no data, aleatoric uncertainty
(the variance that a network predicts) follows the noise, and neither does the other's work. Two ways to many networks,
MC dropout (Gal & Ghahramani, ICML 2016) and a deep ensemble (Lakshminarayanan et al., NIPS 2017, without adversarial
examples); head and decomposition of Kendall & Gal, NIPS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceunc.epistemic.decomposition import Decomposition, decompose_regression
from faceunc.epistemic.dropout import dropout_masks
from faceunc.losses.gaussian import gaussian_loss
from faceunc.threads import one_thread

DATA_END = 5.0  # training x lie in [-5, 5]
PLOT_END = 10.0
HIDDEN = 256
DROPOUT = 0.05
LENGTH_SCALE = 0.5  # of the prior over weights, Gal & Ghahramani's l
LEARNING_RATE = 5e-3
_LOG_VAR_LIMIT = 14.0  # sd in [0.001, 1100]: no overflow where log_var is extrapolated
_WEIGHTS, _DATA = 1, 2  # streams of random numbers

Line = NDArray[np.float64]


@dataclass(frozen=True)
class SineConfig:
    """How much is drawn and trained.

    Attributes:
        seed: of data, weights and masks, at least 0. members: networks of the ensemble. passes: sampled networks of
        MC dropout. points: training points. steps: of full-batch Adam.

    Raises:
        ValueError: fewer than 2 members or passes (nobody to disagree with), 10 points or 1 step.
    """

    seed: int = 0
    members: int = 5
    passes: int = 200
    points: int = 400
    steps: int = 1200

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("members", 2), ("passes", 2), ("points", 10), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}. Got {getattr(self, name)} instead.")


@dataclass(frozen=True, eq=False)
class Bands:
    """What one method says along x: mean and standard deviations, in the unit of y, (G,) each.

    The variances add up, ``total**2 == aleatoric**2 + epistemic**2``; the standard deviations do not.
    """

    name: str
    mean: Line
    aleatoric: Line
    epistemic: Line
    total: Line


@dataclass(frozen=True, eq=False)
class SineResult:
    """x and y (N,), the training points; grid (G,) over [-10, 10]; and the bands of both methods on it."""

    config: SineConfig
    x: Line
    y: Line
    grid: Line
    mc_dropout: Bands
    ensemble: Bands

    @property
    def methods(self) -> tuple[Bands, Bands]:
        """Both."""
        return self.mc_dropout, self.ensemble


def noise_sd(x: Line) -> Line:
    """True standard deviation of the noise at x: 0.4 at x = 1, 0.12 at -5, 0.18 at 5, 0.1 far away."""
    return 0.1 + 0.3 * np.exp(-0.5 * ((x - 1.0) / 2.5) ** 2)


def sine_data(points: int, seed: int) -> tuple[Line, Line]:
    """x, uniform in [-5, 5] and rising, and y = sin x + noise; (points,) each."""
    rng = np.random.default_rng([seed, 0, _DATA])
    x = np.sort(rng.uniform(-DATA_END, DATA_END, points))
    return x, np.sin(x) + noise_sd(x) * rng.normal(size=points)


class SineNetworks(nn.Module):
    """M networks at once, x -> 256 ReLU -> (mean, log_var); the weights of all stand in one tensor a layer.

    One hidden layer, whose kinks lie all over the data at first: beyond the data the networks are straight lines whose
    slopes nothing has agreed upon. Member m depends on the seed and m alone.
    """

    def __init__(self, members: int, seed: int) -> None:
        super().__init__()
        drawn = [_first_weights(np.random.default_rng([seed, member, _WEIGHTS])) for member in range(members)]
        self.weight, self.bias, self.out, self.shift = (
            nn.Parameter(torch.from_numpy(np.stack(part)).float()) for part in zip(*drawn, strict=True)
        )

    def forward(self, x: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means and log_vars, (M, B, 1) each.

        Args:
            x: (B, 1). masks: on the hidden units, (M, B, 256) or what broadcasts with it; (T, 1, 256) makes T sampled
                networks of one.
        """
        hidden = torch.relu(x @ self.weight + self.bias)
        if masks is not None:
            hidden = hidden * masks
        output = hidden @ self.out + self.shift
        return output[..., :1], output[..., 1:].clamp(-_LOG_VAR_LIMIT, _LOG_VAR_LIMIT)


def _first_weights(rng: np.random.Generator) -> tuple[Line, Line, Line, Line]:
    """Weight and bias (1, H) of the hidden layer, of x that is standardised; (H, 2) and (1, 2) of the output."""
    spread = DATA_END / np.sqrt(3.0)  # standard deviation of the training x
    weight = rng.normal(size=(1, HIDDEN)) / spread
    kinks = rng.uniform(-DATA_END, DATA_END, (1, HIDDEN))
    return weight, -weight * kinks, rng.normal(size=(HIDDEN, 2)) * np.sqrt(1.0 / HIDDEN), np.zeros((1, 2))


def train_networks(networks: SineNetworks, x: Line, y: Line, steps: int, rate: float = 0.0, seed: int = 0) -> None:
    """Minimise every member's :func:`gaussian_loss` + weight decay, with dropout at ``rate``, a mask a point and step.

    Full-batch Adam, its rate falling to 0 along a cosine. The decay is Gal & Ghahramani's ``(1 - rate) l^2 / 2N |W|^2``
    (ICML 2016, eq. 4) with l = 0.5; the precision tau of their formula is 1 / exp(log_var) here, and already part of
    the loss. At rate 0 this is the most probable network under the same prior.
    """
    inputs, targets = _column(x), _column(y)
    members = len(networks.weight)
    decay = (1.0 - rate) * LENGTH_SCALE**2 / len(x)
    optimizer = torch.optim.Adam(networks.parameters(), lr=LEARNING_RATE, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        masks = dropout_masks(len(x), HIDDEN, rate, seed, place=step) if rate else None
        mean, log_var = networks(inputs, masks)
        # times M: each member is trained as if it were alone
        loss = members * gaussian_loss(mean, targets.expand_as(mean), log_var)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


@torch.no_grad()
def decompose(networks: SineNetworks, grid: Line, masks: Tensor | None = None) -> Decomposition:
    """The decomposition at ``grid`` (G,), over the members or over the T networks that ``masks`` (T, 256) samples."""
    return decompose_regression(*networks(_column(grid), None if masks is None else masks[:, None]))


def run_sine(config: SineConfig | None = None) -> SineResult:
    """Draw the data, train both methods, decompose along [-10, 10]. The same seed gives the same numbers.

    Runs in one thread, for the networks are too small to gain by more: 5 to 10 s at the defaults.
    """
    config = config or SineConfig()
    x, y = sine_data(config.points, config.seed)
    grid = np.linspace(-PLOT_END, PLOT_END, 401)
    with one_thread():
        single = SineNetworks(1, config.seed)
        train_networks(single, x, y, config.steps, DROPOUT, config.seed)
        sampled = decompose(single, grid, dropout_masks(config.passes, HIDDEN, DROPOUT, config.seed))
        ensemble = SineNetworks(config.members, config.seed)
        train_networks(ensemble, x, y, config.steps)
        agreed = decompose(ensemble, grid)
    return SineResult(config, x, y, grid, _bands("MC dropout", sampled), _bands("deep ensemble", agreed))


def _bands(name: str, parts: Decomposition) -> Bands:
    mean, *variances = (
        part[:, 0].double().numpy() for part in (parts.mean, parts.aleatoric, parts.epistemic, parts.total)
    )
    return Bands(name, mean, *map(np.sqrt, variances))


def _column(values: Line) -> Tensor:
    return torch.from_numpy(values).float()[:, None]
