"""Ensembles of heads: other seeds, other people, or other moments of one training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from faceunc.epistemic.ensemble import bootstrap_people
from faceunc.errors import InputError
from faceunc.heads.build import Head, build_single
from faceunc.heads.ensemble import EnsembleConfig, EnsembleHead
from faceunc.heads.pfe import PFEConfig
from faceunc.training.data import TrainingData
from faceunc.training.loop import TrainedHead, TrainOptions, split_people, train_head
from faceunc.training.recipe import EnsembleOptions, Recipe

_FEW_PEOPLE = 10


def train_recipe(
    data: TrainingData,
    people: Iterable[str],
    recipe: Recipe,
    options: TrainOptions,
    checkpoint: Path | None = None,
    show: bool | None = None,
) -> TrainedHead:
    """Train what the recipe says, one head or an ensemble, on photographs of ``people`` and of nobody else.

    Raises:
        InputError: as :func:`train_head` and :func:`train_ensemble`, or a checkpoint for an ensemble.
    """
    if recipe.ensemble is not None:
        if checkpoint is not None:
            raise InputError("a checkpoint is for a single head, not for an ensemble")
        return train_ensemble(data, people, recipe, options, show)
    pooling, objective = recipe.pooling_head(), recipe.objective()
    return train_head(data, people, recipe.config, options, checkpoint, show, objective, pooling)


def train_ensemble(
    data: TrainingData,
    people: Iterable[str],
    recipe: Recipe,
    options: TrainOptions,
    show: bool | None = None,
) -> TrainedHead:
    """Train all members of ``recipe.ensemble`` on photographs of ``people`` and of nobody else.

    History and figures of training are the first member's. With "seeds" and "bootstrap" a share of the people is held
    out of all members (``validation_people``); whom each of them holds out for its own stopping, others have met. With
    fewer than ten people nobody can be spared, and they are the first member's.

    Raises:
        InputError: as :func:`train_head`, a method that cannot be ensembled, or fewer checkpoints than members.
    """
    names, ensemble = sorted(people), recipe.ensemble or EnsembleOptions()
    if recipe.method in ("norm", "serfiq"):
        raise InputError(f"{recipe.method} has nothing that differs between members: no ensemble")
    if ensemble.kind == "checkpoints":
        trained = [_train(data, names, recipe, options, show, ensemble.size)]
        if len(trained[0].snapshots) < ensemble.size:
            raise InputError(
                f"{ensemble.size} checkpoints needed, training made {len(trained[0].snapshots)}: "
                "more --steps, or a smaller --ensemble"
            )
        heads = [_restored(trained[0].head.config, state) for state in trained[0].snapshots]
    else:
        trained = []
        common: list[str] = []  # held out of every member
        if len(names) >= _FEW_PEOPLE:
            names, common = split_people(names, options.validation, options.seed)
        for member in range(ensemble.size):
            mine = names
            if ensemble.kind == "bootstrap":
                mine = sorted(bootstrap_people(names, options.seed, member))
            seed = options.seed + 1000 * member
            trained.append(_train(data, mine, recipe, replace(options, seed=seed), show))
        heads = [one.head for one in trained]
    head = EnsembleHead(EnsembleConfig.of([one.config for one in heads]), heads)
    if ensemble.kind == "checkpoints":
        return replace(trained[0], head=head.eval().requires_grad_(False))
    met = {name for one in trained for name in (*one.train_people, *one.validation_people)}
    return replace(
        trained[0],
        head=head.eval().requires_grad_(False),
        train_people=sorted(met - set(trained[0].validation_people) if not common else met),
        validation_people=common or trained[0].validation_people,
    )


def _train(
    data: TrainingData, people: list[str], recipe: Recipe, options: TrainOptions, show: bool | None, keep: int = 0
) -> TrainedHead:
    return train_head(data, people, recipe.config, options, None, show, recipe.objective(), recipe.pooling_head(), keep)


def _restored(config: PFEConfig, state: Mapping[str, Tensor]) -> Head:
    copy = build_single(config)
    copy.load_state_dict(state)
    return copy.eval().requires_grad_(False)
