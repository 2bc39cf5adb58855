"""One training while it runs: steps, validation, the best state, checkpoint and resume."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from faceunc.errors import InputError
from faceunc.heads.build import SingleHead, build_single
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.quality import QualityHead
from faceunc.heads.tuned import SLOW, TunedHead
from faceunc.storage import atomic_path
from faceunc.training.batches import Batch, Batches
from faceunc.training.objectives.base import Objective
from faceunc.training.options import TrainOptions


class TrainingRun:
    """The state of one training: head, optimiser, what was best so far; stored and resumed."""

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
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, weight_decay=options.weight_decay, fused=True)
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
        for batch in _ahead(batches, self.step, stop):
            rate = 0.5 * self.options.lr * self.objective.lr_factor
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["factor"] * (1 + math.cos(math.pi * self.step / self.options.steps))
            loss, parts = self.objective(self.head, batch)
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


def _ahead(batches: Batches, first: int, stop: int) -> Iterator[Batch]:
    """Batches ``first`` to ``stop`` - 1, the next one made in a thread while the caller works on this one."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(batches.batch, first)
        for step in range(first, stop):
            batch = following.result()
            if step + 1 < stop:
                following = pool.submit(batches.batch, step + 1)
            yield batch
