"""Cross-fitting by identity: every person is embedded by a head that never met them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.heads.store import StoredHead, load_head, save_head
from faceunc.images.views import View
from faceunc.protocols.pairs import PairProtocol
from faceunc.training.cache import FeatureSource
from faceunc.training.collapse import collapse_report, predict_log_var
from faceunc.training.data import TrainingData, training_data
from faceunc.training.ensemble import train_recipe
from faceunc.training.loop import TrainOptions
from faceunc.training.recipe import Recipe

PARTS = 2
_RECIPE = "5"  # part of the cache key: raise it when training changes


class Corruption(Protocol):
    """Something that is done to training data on purpose, and to nothing else: what is tested stays as it is."""

    def identity(self) -> list[Any]:
        """JSON-ready: all that the corruption depends on; a part of the heads' cache key."""

    def views(self, views: Sequence[View]) -> list[View]:
        """Whose features it needs, to give data with ``views``."""

    def corrupted(
        self, data: TrainingData, ids: Sequence[str], people: set[str], options: TrainOptions
    ) -> TrainingData:
        """What a head is trained on: of ``data`` with :meth:`views`, data of the views that were asked for.

        ids: names of the photographs. people: those whom the head is trained on; nobody else may come in.
        """


@dataclass(frozen=True)
class CrossFit:
    """One head a part.

    Attributes:
        part: int (N,), for every photograph the part that its person belongs to.
        heads: ``heads[k]`` was trained on everybody who is NOT in part k, and embeds the people of part k.
        collapse: the check of each head, on the people of its part. seconds: what training both took, features given.
    """

    part: NDArray[np.int64]
    heads: list[StoredHead]
    collapse: list[dict[str, object]]
    seconds: float = float("nan")

    @property
    def sha256(self) -> str:
        """Both heads' hashes, as they stand in an embedding's meta."""
        return "+".join(head.sha256[:16] for head in self.heads)


def split_identities(identities: Sequence[str], pairs: PairProtocol | None = None, seed: int = 0) -> NDArray[np.int64]:
    """Assign every person to one of two parts; returns the part of every photograph, int64 (N,).

    With ``pairs`` (ten folds with disjoint identities) part 0 holds the people of the first half of the folds and part
    1 those of the second; whoever is in no pair, and everybody without ``pairs``, is dealt at random from ``seed``.

    Raises:
        InputError: when a person stands in pairs of both halves.
    """
    people = sorted(set(identities))
    order = np.random.default_rng([seed, 3]).permutation(len(people))
    part = {people[i]: rank % PARTS for rank, i in enumerate(order)}
    if pairs is not None:
        half = pairs.num_folds // 2
        first = pairs.identities_of_folds(set(range(half)))
        second = pairs.identities_of_folds(set(range(half, pairs.num_folds)))
        if first & second:
            raise InputError(f"the folds are not disjoint in identities: {sorted(first & second)[0]} is in both halves")
        part |= dict.fromkeys(first, 0) | dict.fromkeys(second, 1)
    return np.array([part[name] for name in identities])


def cross_fit(
    source: FeatureSource,
    part: NDArray[np.int64],
    views: Sequence[View],
    recipe: Recipe,
    options: TrainOptions,
    show: bool | None = None,
    corruption: Corruption | None = None,
) -> CrossFit:
    """Train (or load from the cache) one head a part; see :class:`CrossFit`.

    With ``corruption`` each head is trained on its people's corrupted photographs; the check for collapse is made on
    all views that the corruption needs, of people whom the head does not know.
    """
    key = crossfit_key(part, views, recipe, options, corruption)
    paths = [source.folder(View()).parent / "crossfit" / f"{key}-part{number}.safetensors" for number in range(PARTS)]
    if not all(path.is_file() for path in paths):
        loaded = views if corruption is None else corruption.views(views)
        data = training_data(source, loaded, recipe.pooling_head(), show)
        start = time.perf_counter()
        names = np.array(source.photos.identities)
        for number, path in enumerate(paths):
            people = set(names[part != number].tolist())
            own = corruption.corrupted(data, source.photos.ids, people, options) if corruption else data
            trained = train_recipe(own, people, recipe, options, None, show)
            rows = np.flatnonzero((part == number) & data.usable)
            report = collapse_report(predict_log_var(trained.head, data), data, rows)
            card = {
                "best_step": trained.best_step,
                "collapse": report.to_dict(),
                "spread": trained.head.config.spread,
                "history": trained.history,
                "seconds": time.perf_counter() - start,
                "identity_hashes": hash_identities([*trained.train_people, *trained.validation_people]),
            }
            save_head(path, trained.head, source.backbone.spec, card, recipe.method)
    heads = [load_head(path) for path in paths]
    seconds = heads[-1].card.get("seconds", float("nan"))
    return CrossFit(part, heads, [head.card["collapse"] for head in heads], seconds)


def crossfit_key(
    part: NDArray[np.int64],
    views: Sequence[View],
    recipe: Recipe,
    options: TrainOptions,
    corruption: Corruption | None = None,
) -> str:
    """Names cross-fitted heads among those of one data set and backbone: a hash of all else that they depend on."""
    depends = [_RECIPE, *recipe.identity(), asdict(options), [view.name for view in views], part.tolist()]
    if corruption is not None:
        depends.append(corruption.identity())
    return blake2b(json.dumps(depends).encode(), digest_size=8).hexdigest()


def hash_identities(people: Iterable[str]) -> list[str]:
    """Short hashes of names: lets a head say whom it was trained on without carrying their names."""
    return sorted(blake2b(name.encode("utf-8", "surrogateescape"), digest_size=5).hexdigest() for name in people)
