"""Train a PFE head on cached features: validation on held-out identities, early stopping, checkpoint and resume."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.errors import InputError
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.losses.mutual_likelihood import genuine_pairs, mutual_likelihood_loss
from faceunc.progress import bar
from faceunc.storage import atomic_path
from faceunc.training.data import TrainingData
from faceunc.training.sampler import BalancedSampler
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
        history: rows {step, train_loss, validation_loss}; both losses are normally negative.
        best_step: step of the returned state.
        train_people, validation_people: identities seen, and held out.
        spread_fnmr: FNMR on the held-out identities by stretch of log_var; the best stretch is in the config.
    """

    head: PFEHead
    history: list[dict[str, float]]
    best_step: int
    train_people: list[str]
    validation_people: list[str]
    spread_fnmr: dict[str, float]


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
) -> TrainedHead:
    """Train a head on the photographs of ``people``, and of nobody else.

    ``config.bias`` is replaced by the one derived from the data. With ``checkpoint`` the state is stored at every
    validation, and training goes on from there when the file exists.

    Raises:
        InputError: too few people with two photographs, or a checkpoint of another run.
    """
    train_people, held_people = split_people(people, options.validation, options.seed)
    _ensure_pairs(data, train_people, held_people)
    train = _Batches(data, train_people, options.people, options.images, options.seed)
    held = _Batches(data, held_people, 10**9, options.images, options.seed + 1)
    config = replace(config, bias=derived_bias(train, config.dim))
    run = _Run(config, options, train_people, data.origin)
    if checkpoint is not None:
        run.resume(checkpoint)
    validation = [held.batch(step) for step in range(_VALIDATION_BATCHES)]
    with bar("train", options.steps, unit="step", initial=run.step, show=show) as progress:
        while run.step < options.steps and run.stale < options.patience:
            run.train_until_check(train)
            run.validate(validation)
            if checkpoint is not None:
                run.store(checkpoint)
            progress.set_postfix(validation=f"{run.history[-1]['validation_loss']:.2f}")
            progress.update(run.step - progress.n)
    run.head.load_state_dict(run.best)
    head = run.head.eval().requires_grad_(False)
    spread_fnmr = fit_spread(head, data, held_people, options.seed)
    return TrainedHead(head, run.history, run.best_step, train_people, held_people, spread_fnmr)


def _ensure_pairs(data: TrainingData, train: list[str], held: list[str]) -> None:
    """Move one person with two photographs to the held-out side when chance left none there (small data)."""
    counts = np.bincount(data.person[data.usable], minlength=len(data.people))
    paired = {name for name, count in zip(data.people, counts, strict=True) if count > 1}
    candidates = [name for name in train if name in paired]
    if not paired & set(held) and len(candidates) > 1:
        train.remove(candidates[0])
        held.append(candidates[0])


def derived_bias(batches: _Batches, dim: int) -> float:
    """Where a single shared variance has the least loss: ``log(mean genuine d^2 / (2 D))`` over the first batches."""
    squares = []
    for step in range(8):
        _, mean, pairs = batches.batch(step)
        squares.append((mean[pairs[:, 0]] - mean[pairs[:, 1]]).square().sum(1))
    return math.log(max(float(torch.cat(squares).mean()) / (2 * dim), 1e-6))


class _Batches:
    """Gathers the tensors of the sampler's rows."""

    def __init__(self, data: TrainingData, people: list[str], per_batch: int, images: int, seed: int) -> None:
        self.data = data
        self.rows: NDArray[np.int64] = data.rows_of(set(people))
        self.sampler = BalancedSampler(data.person[self.rows].tolist(), per_batch, images, len(data.pooled), seed)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(pooled (B, P), mean (B, D), genuine pairs (K, 2))."""
        local, view = self.sampler.batch(step)
        row, view_index = torch.from_numpy(self.rows[local]), torch.from_numpy(view)
        person = torch.from_numpy(self.data.person[self.rows[local]])
        pooled = self.data.pooled[view_index, row].float()
        return pooled, self.data.mean[view_index, row], genuine_pairs(person, row)


class _Run:
    """The state of one training."""

    def __init__(self, config: PFEConfig, options: TrainOptions, people: list[str], origin: str) -> None:
        torch.manual_seed(options.seed)
        self.options, self.head = options, PFEHead(config)
        self.identity = {
            "origin": origin,
            "config": config.to_dict(),
            "options": asdict(options),
            "people": "\n".join(people),
        }
        self.optimizer = torch.optim.AdamW(self.head.parameters(), lr=options.lr, weight_decay=options.weight_decay)
        self.step, self.stale, self.best_step, self.best_loss = 0, 0, 0, math.inf
        self.history: list[dict[str, float]] = []
        self.best = self._copy()

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.head.state_dict().items()}

    def train_until_check(self, batches: _Batches) -> None:
        """Optimiser steps until the next validation is due."""
        self.head.train()
        losses = []
        stop = min(self.options.steps, self.step + self.options.check_every)
        while self.step < stop:
            rate = 0.5 * self.options.lr * (1 + math.cos(math.pi * self.step / self.options.steps))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            pooled, mean, pairs = batches.batch(self.step)
            outputs = self.head.member_outputs(pooled)  # each member learns for itself
            loss = torch.stack([mutual_likelihood_loss(mean, log_var, pairs) for log_var in outputs]).mean()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(float(loss.detach()))
            self.step += 1
        self.history.append({"step": self.step, "train_loss": float(np.mean(losses))})

    @torch.no_grad()
    def validate(self, batches: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Loss on the held-out identities; the best state is kept."""
        self.head.eval()
        loss = float(np.mean([float(mutual_likelihood_loss(m, self.head.from_pooled(x), p)) for x, m, p in batches]))
        self.history[-1]["validation_loss"] = loss
        if not math.isfinite(loss):
            raise InputError(f"training diverged at step {self.step} (validation loss {loss}); try a lower --lr")
        if loss < self.best_loss:
            self.best, self.best_loss, self.best_step, self.stale = self._copy(), loss, self.step, 0
        else:
            self.stale += 1

    def store(self, path: Path) -> None:
        """Write all that :meth:`resume` needs."""
        state: dict[str, Any] = {
            "identity": self.identity,
            "head": self.head.state_dict(),
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
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.stale, self.best_step, self.best_loss = state["numbers"]
            self.best, self.history = state["best"], state["history"]
            torch.set_rng_state(state["rng"])
        except InputError:
            raise
        except Exception as error:  # torch.load of foreign bytes raises nearly anything
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"{path}: damaged checkpoint ({reason})") from None
