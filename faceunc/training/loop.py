"""Train a head on cached features: validation on held-out identities, early stopping, checkpoint and resume."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from faceunc.heads.build import Head, SingleHead, build_single
from faceunc.heads.pfe import PFEConfig
from faceunc.progress import bar
from faceunc.threads import one_thread
from faceunc.training.batches import Batches
from faceunc.training.centres import class_centres
from faceunc.training.data import TrainingData
from faceunc.training.objectives.base import Objective
from faceunc.training.objectives.pfe import PFEObjective
from faceunc.training.options import TrainOptions
from faceunc.training.refit import refit
from faceunc.training.run import TrainingRun
from faceunc.training.spread import fit_spread

__all__ = ["TrainOptions", "TrainedHead", "derived_bias", "split_people", "train_head"]
_VALIDATION_BATCHES = 4


@dataclass(frozen=True)
class TrainedHead:
    """What training gives.

    Attributes:
        head: the best state by validation, in eval mode.
        history: rows {step, train_loss, validation_loss, and the parts of the training loss}; likelihood losses are
            normally negative.
        best_step: step of the returned state.
        train_people, validation_people: identities seen, and held out.
        spread_fnmr: FNMR on the held-out identities by stretch of log_var; the best stretch is in the config.
        snapshots: states at the last validations, when asked for, rescaled like the head.
    """

    head: Head
    history: list[dict[str, float]]
    best_step: int
    train_people: list[str]
    validation_people: list[str]
    spread_fnmr: dict[str, float]
    snapshots: list[dict[str, Tensor]] = field(default_factory=list)


def split_people(people: Iterable[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """(training, validation) identities: a random share of them, at least one, is held out."""
    names = sorted(people)
    order = np.random.default_rng([seed, 2]).permutation(len(names))
    held = max(1, round(share * len(names)))
    return sorted(names[i] for i in order[held:]), sorted(names[i] for i in order[:held])


def train_head(
    data: TrainingData,
    people: Iterable[str],
    config: PFEConfig,
    options: TrainOptions,
    checkpoint: Path | None = None,
    show: bool | None = None,
    objective: Objective | None = None,
    pooling: SingleHead | None = None,
    keep: int = 0,
) -> TrainedHead:
    """Train a head on the photographs of ``people``, and of nobody else.

    ``config.bias`` is replaced by the one derived from the data. With ``checkpoint`` the state is stored at every
    validation, and training goes on from there when the file exists. ``objective``: what is minimised (PFE's loss when
    None). ``pooling``: the head that pooled the features; its fixed tensors are taken over. ``keep``:
    how many of the last states to return as ``snapshots``.

    Raises:
        InputError: too few people with two photographs, or a checkpoint of another run.
    """
    objective = objective or PFEObjective()
    train_people, held_people = split_people(people, options.validation, options.seed)
    _ensure_pairs(data, train_people, held_people)
    centre = (
        class_centres(data, train_people + held_people, objective.centres, options.seed) if objective.centres else None
    )
    train = Batches(data, train_people, options.people, options.images, options.seed, centre)
    held = Batches(data, held_people, 10**9, options.images, options.seed + 1, centre)
    config = replace(config, bias=derived_bias(train, config.dim) + objective.level(config.dim))
    run = TrainingRun(config, options, objective, train, data.origin, train_people)
    run.take_over(pooling, train)
    if checkpoint is not None:
        run.resume(checkpoint)
    snapshots: list[dict[str, Tensor]] = []
    validation = [held.batch(step) for step in range(_VALIDATION_BATCHES)]
    threads = one_thread() if not run.head.keeps_map else contextlib.nullcontext()
    with threads, bar("train", options.steps, unit="step", initial=run.step, show=show) as progress:
        while run.step < options.steps and run.stale < options.patience:
            run.train_until_check(train)
            run.validate(validation)
            if keep:
                snapshots = [*snapshots, run.copy()][-keep:]
            if checkpoint is not None:
                run.store(checkpoint)
            progress.set_postfix(validation=f"{run.history[-1]['validation_loss']:.2f}")
            progress.update(run.step - progress.n)
    run.head.load_state_dict(run.best)
    head = run.head.eval().requires_grad_(False)
    if objective.refit:
        shift, factor = refit(head, validation)
        snapshots = [_rescaled(config, state, shift, factor) for state in snapshots]
    spread_fnmr = fit_spread(head, data, held_people, options.seed)
    return TrainedHead(head, run.history, run.best_step, train_people, held_people, spread_fnmr, snapshots)


def _rescaled(config: PFEConfig, state: dict[str, Tensor], shift: float, factor: float) -> dict[str, Tensor]:
    head = build_single(config)
    head.load_state_dict(state)
    head.rescale(shift, factor)
    return {name: value.detach().clone() for name, value in head.state_dict().items()}


def _ensure_pairs(data: TrainingData, train: list[str], held: list[str]) -> None:
    """Move one person with two photographs to the held-out side when chance left none there (small data)."""
    counts = np.bincount(data.person[data.usable], minlength=len(data.people))
    paired = {name for name, count in zip(data.people, counts, strict=True) if count > 1}
    candidates = [name for name in train if name in paired]
    if not paired & set(held) and len(candidates) > 1:
        train.remove(candidates[0])
        held.append(candidates[0])


def derived_bias(batches: Batches, dim: int) -> float:
    """Where a single shared variance has the least loss: ``log(mean genuine d^2 / (2 D))`` over the first batches."""
    squares = []
    for step in range(8):
        batch = batches.batch(step)
        squares.append((batch.mean[batch.pairs[:, 0]] - batch.mean[batch.pairs[:, 1]]).square().sum(1))
    return math.log(max(float(torch.cat(squares).mean()) / (2 * dim), 1e-6))
