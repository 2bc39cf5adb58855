"""Fit the variance branch on examples: early stopping and calibration on people of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.detection.branch import BranchConfig, VarianceBranch
from faceunc.detection.intervals import fit_factors
from faceunc.detection.versions import Examples
from faceunc.errors import InputError
from faceunc.losses.gaussian import smooth_l1_gaussian_loss
from faceunc.progress import bar

UNIT = 100.0  # residuals enter the loss in percent of the crop's side
_LOG_UNIT = 2.0 * math.log(UNIT)


@dataclass(frozen=True)
class BranchOptions:
    """How a branch is fitted.

    Attributes:
        delta: where the loss turns from squared to absolute, in percent of the crop's side.
        steps: most optimiser steps. batch: crops a step. lr, weight_decay: of AdamW, with a cosine schedule.
        validation, calibration: shares of the people held out for early stopping, and for the factors on sigma.
        check_every: steps between validations. patience: validations without improvement before the end.
        seed: of split, weights and batches.
    """

    delta: float = 5.0
    steps: int = 3000
    batch: int = 512
    lr: float = 1e-3
    weight_decay: float = 1e-4
    validation: float = 0.15
    calibration: float = 0.15
    check_every: int = 200
    patience: int = 4
    seed: int = 0


@dataclass(frozen=True)
class FittedBranch:
    """What fitting gives.

    Attributes:
        branch: the best state by validation, calibrated, in eval mode, without gradients.
        history: rows {step, train_loss, validation_loss}. best_step: of the returned state.
        factors: what calibration multiplied sigma by, by group.
        train_people, validation_people, calibration_people: disjoint.
    """

    branch: VarianceBranch
    history: list[dict[str, float]]
    best_step: int
    factors: dict[str, float]
    train_people: list[str]
    validation_people: list[str]
    calibration_people: list[str]


def branch_loss(residual: Tensor, log_var: Tensor, delta: float) -> Tensor:
    """Heteroscedastic smooth L1 of residuals (N, 14) with log_var (N, 14), both relative to the crop's side; nats.

    A likelihood's counterpart in percent of the side: negative is possible, about 1 is usual. Source: Kendall & Gal,
    NIPS 2017, eq. 8, with a Huber residual; see :func:`smooth_l1_gaussian_loss`.
    """
    off = UNIT * residual
    return smooth_l1_gaussian_loss(torch.zeros_like(off), off, log_var + _LOG_UNIT, delta)


def fit_branch(
    examples: Examples,
    identities: Sequence[str],
    people: Iterable[str],
    config: BranchConfig | None = None,
    options: BranchOptions | None = None,
    show: bool | None = None,
) -> FittedBranch:
    """Fit and calibrate a branch on the crops of ``people``, and of nobody else.

    ``identities``: the person of every photograph of the set that the examples were made of.

    Raises:
        InputError: fewer than three people, or training that diverged.
    """
    options = options or BranchOptions()
    train, held, last = _three_ways(sorted(set(people)), options)
    persons = np.asarray(identities)[examples.photo]
    rows = [np.flatnonzero(np.isin(persons, names)) for names in (train, held, last)]
    if not all(len(part) > 1 for part in rows):
        raise InputError(f"expected faces of at least three people, found {len(np.unique(persons))} with one")
    branch, history, best_step = _optimise(examples, rows[0], rows[1], config or BranchConfig(), options, show)
    with torch.no_grad():
        log_var = branch(examples.features[rows[2]])
    factors = fit_factors(examples.residual[rows[2]], log_var)
    branch.rescale(factors)
    return FittedBranch(branch, history, best_step, factors, train, held, last)


def _three_ways(people: list[str], options: BranchOptions) -> tuple[list[str], list[str], list[str]]:
    """(training, validation, calibration) people; at least one each."""
    if len(people) < 3:
        raise InputError(f"expected at least three people, got {len(people)}")
    order = np.random.default_rng([options.seed, 4]).permutation(len(people))
    first = max(1, round(options.validation * len(people)))
    second = first + max(1, round(options.calibration * len(people)))
    if second >= len(people):
        raise InputError("validation and calibration must leave somebody to train on")
    named = [people[i] for i in order]
    return sorted(named[second:]), sorted(named[:first]), sorted(named[first:second])


def _optimise(
    examples: Examples,
    rows: NDArray[np.int64],
    held: NDArray[np.int64],
    config: BranchConfig,
    options: BranchOptions,
    show: bool | None,
) -> tuple[VarianceBranch, list[dict[str, float]], int]:
    torch.manual_seed(options.seed)
    branch = VarianceBranch(config)
    branch.standardise(examples.features[rows])
    optimizer = torch.optim.AdamW(branch.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    rng = np.random.default_rng([options.seed, 5])
    best, best_loss, best_step, stale = _copy(branch), math.inf, 0, 0
    history: list[dict[str, float]] = []
    logged: list[float] = []
    with bar("train", options.steps, unit="step", show=show) as progress:
        for step in range(1, options.steps + 1):
            pick = rng.choice(rows, options.batch)
            loss = branch_loss(examples.residual[pick], branch(examples.features[pick]), options.delta)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            logged.append(float(loss.detach()))
            progress.update(1)
            if step % options.check_every and step != options.steps:
                continue
            value = _validate(branch, examples, held, options.delta)
            history.append({"step": step, "train_loss": float(np.mean(logged)), "validation_loss": value})
            logged = []
            best_loss, stale = (value, 0) if value < best_loss else (best_loss, stale + 1)
            if not stale:
                best, best_step = _copy(branch), step
            if stale >= options.patience:
                break
    branch.load_state_dict(best)
    return branch.eval().requires_grad_(False), history, best_step


@torch.no_grad()
def _validate(branch: VarianceBranch, examples: Examples, rows: NDArray[np.int64], delta: float) -> float:
    loss = float(branch_loss(examples.residual[rows], branch(examples.features[rows]), delta))
    if not math.isfinite(loss):
        raise InputError(f"training diverged (validation loss {loss}); try a lower learning rate")
    return loss


def _copy(branch: VarianceBranch) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in branch.state_dict().items()}
