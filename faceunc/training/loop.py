"""Train a head on cached features: validation on held-out identities, early stopping, checkpoint and resume."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from faceunc.errors import InputError
from faceunc.heads.build import Head, SingleHead, build_single
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.quality import QualityHead
from faceunc.heads.tuned import SLOW, TunedHead
from faceunc.progress import bar
from faceunc.storage import atomic_path
from faceunc.training.batches import Batch, Batches
from faceunc.training.centres import class_centres
from faceunc.training.data import TrainingData
from faceunc.training.objectives.base import Objective
from faceunc.training.objectives.pfe import PFEObjective
from faceunc.training.refit import refit
from faceunc.training.spread import fit_spread

_VALIDATION_BATCHES = 4


@dataclass(frozen=True)
class TrainOptions:
    """How a head is trained. The defaults are for a few thousand photographs.

    Attributes:
        steps: most optimiser steps. people, images: identities a batch, photographs each.
        lr, weight_decay: of AdamW, with a cosine schedule over ``steps``.
        validation: share of the training identities that is held out. check_every: steps between validations.
        patience: validations without improvement before training stops.
        seed: fixes the split, the batches, the initial weights and the dropout.
    """

    steps: int = 1500
    people: int = 64
    images: int = 4
    lr: float = 1e-3
    weight_decay: float = 1e-4
    validation: float = 0.15
    check_every: int = 100
    patience: int = 4
    seed: int = 0


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
    run = _Run(config, options, objective, train, data.origin, train_people)
    run.take_over(pooling, train)
    if checkpoint is not None:
        run.resume(checkpoint)
    snapshots: list[dict[str, Tensor]] = []
    validation = [held.batch(step) for step in range(_VALIDATION_BATCHES)]
    with bar("train", options.steps, unit="step", initial=run.step, show=show) as progress:
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


class _Run:
    """The state of one training."""

    def __init__(
        self,
        config: PFEConfig,
        options: TrainOptions,
        objective: Objective,
        batches: Batches,
        origin: str,
        people: list[str],
    ) -> None:
        torch.manual_seed(options.seed)
        self.options, self.objective, self.head = options, objective, build_single(config)
        objective.prepare(batches.prototypes())
        self.identity = {
            "origin": origin,
            "config": config.to_dict(),
            "objective": [type(objective).__name__, objective.options()],
            "options": asdict(options),
            "people": "\n".join(people),
        }
        slow = self.head.slow_parameters() if isinstance(self.head, TunedHead) else []
        known = {id(parameter) for parameter in slow}
        fast = [p for p in [*self.head.parameters(), *objective.parameters()] if id(p) not in known]
        groups = [{"params": fast, "factor": 1.0}] + ([{"params": slow, "factor": SLOW}] if slow else [])
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, weight_decay=options.weight_decay)
        self.step, self.stale, self.best_step, self.best_loss = 0, 0, 0, math.inf
        self.history: list[dict[str, float]] = []
        self.best = self.copy()

    def copy(self) -> dict[str, Tensor]:
        """The head's state."""
        return {name: value.detach().clone() for name, value in self.head.state_dict().items()}

    def take_over(self, pooling: SingleHead | None, batches: Batches) -> None:
        """What the head that pooled the features holds of the backbone."""
        copies = isinstance(self.head, TunedHead) or getattr(self.head.config, "measure", "") == "serfiq"
        if copies and type(pooling) is not type(self.head):
            raise ValueError(
                f"pooling must be the {type(self.head).__name__} that pooled. Got {type(pooling).__name__} instead."
            )
        if isinstance(self.head, QualityHead):
            self.head.take_over(pooling, batches.data.pooled[:, torch.from_numpy(batches.rows)])
        if isinstance(self.head, TunedHead) and isinstance(pooling, TunedHead):
            self.head.blocks.load_state_dict(pooling.blocks.state_dict())
            self.head.linear.load_state_dict(pooling.linear.state_dict())
            self.best = self.copy()

    def train_until_check(self, batches: Batches) -> None:
        """Optimiser steps until the next validation is due."""
        self.head.train()
        logged: list[dict[str, float]] = []
        stop = min(self.options.steps, self.step + self.options.check_every)
        while self.step < stop:
            rate = 0.5 * self.options.lr * self.objective.lr_factor
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["factor"] * (1 + math.cos(math.pi * self.step / self.options.steps))
            loss, parts = self.objective(self.head, batches.batch(self.step))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            logged.append({"train_loss": float(loss.detach()), **parts})
            self.step += 1
        means = {name: float(np.mean([row[name] for row in logged])) for name in logged[0]}
        self.history.append({"step": self.step, **means})

    def validate(self, batches: list[Batch]) -> None:
        """Loss on the held-out identities; the best state is kept."""
        self.head.eval()
        loss = float(np.mean([self.objective.validate(self.head, batch) for batch in batches]))
        self.history[-1]["validation_loss"] = loss
        if not math.isfinite(loss):
            raise InputError(f"training diverged at step {self.step} (validation loss {loss}); try a lower --lr")
        if loss < self.best_loss:
            self.best, self.best_loss, self.best_step, self.stale = self.copy(), loss, self.step, 0
        else:
            self.stale += 1

    def store(self, path: Path) -> None:
        """Write all that :meth:`resume` needs."""
        state: dict[str, Any] = {
            "identity": self.identity,
            "head": self.head.state_dict(),
            "objective": self.objective.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "numbers": [self.step, self.stale, self.best_step, self.best_loss],
            "history": self.history,
            "rng": torch.get_rng_state(),
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path) -> None:
        """Go on from ``path`` if it exists. Raises InputError when it is damaged or belongs to another run."""
        if not path.is_file():
            return
        try:
            state = torch.load(path, weights_only=True)
            if not isinstance(state, dict):
                raise TypeError("not a checkpoint")
            if state["identity"] != self.identity:
                raise InputError(f"{path}: a checkpoint of other data, options or backbone; remove it to start anew")
            self.head.load_state_dict(state["head"])
            self.objective.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.stale, self.best_step, self.best_loss = state["numbers"]
            self.best, self.history = state["best"], state["history"]
            torch.set_rng_state(state["rng"])
        except InputError:
            raise
        except Exception as error:  # torch.load of foreign bytes raises nearly anything
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"{path}: damaged checkpoint ({reason})") from None
