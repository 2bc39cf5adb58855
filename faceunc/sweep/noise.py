"""Noise in training: does the advantage of uncertainty grow with the share of photographs that are corrupted?

A share of every training person's photographs is corrupted, each method is trained on them (cross-fitted by identity:
a head is tested on people whom it never met) and tested on photographs that nobody corrupted. After Chang et al., CVPR
2020, section 4.5, who blurred 0 to 40% of every class; the strength of their blur is not known to us, ours is
:data:`faceunc.sweep.noise_views.SEVERITIES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faceunc.errors import InputError
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.setup import TEST_SEEDS, folder_bench
from faceunc.images.views import View
from faceunc.progress import bar
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.pairs import PairProtocol
from faceunc.sweep.cells import cell, sweep_dir
from faceunc.sweep.noise_corruption import KINDS, make_corruption
from faceunc.sweep.noise_figures import TEST_VIEWS, measure, severity_correlation
from faceunc.training.cache import FeatureSource
from faceunc.training.crossfit import CrossFit, cross_fit, crossfit_key, split_identities
from faceunc.training.data import TRAIN_VIEWS
from faceunc.training.methods import METHODS, named_recipe

BASELINE = "softmax"  # the deterministic head: what every method is compared with
METHOD_NAMES = (BASELINE, "pfe:variance=scalar", "dul-cls", "dul-reg", "dul-mls")
FROZEN = "frozen"  # the backbone's own embedding: it does not learn, and stands there for orientation
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
VIEWS = {"clean": (View(),), "mix": TRAIN_VIEWS}
_TESTS = 1  # part of every cell's key: raise it when tests or figures change


@dataclass(frozen=True)
class NoiseOptions:
    """What is swept.

    Attributes:
        eval: data, backbone, cache, and options of training (their seed is replaced by each of ``seeds``).
        kind: one of :data:`KINDS`. shares: of corrupted photographs, ascending from 0. seeds: of training, of its
            split, and of the choice of photographs. methods: names for :func:`named_recipe`, the baseline among them.
        views: "clean": heads learn from the photographs as they are; "mix": besides, from three degraded views of each,
            as heads usually do, with the corruption applied before the mix.
        work: folder of the cells, None for the cache's.
    """

    eval: EvalOptions
    kind: str = "blur"
    shares: tuple[float, ...] = SHARES
    seeds: tuple[int, ...] = (0, 1, 2)
    methods: tuple[str, ...] = METHOD_NAMES
    views: str = "clean"
    work: Path | None = None

    def __post_init__(self) -> None:
        for name, value, allowed in (("kind", self.kind, KINDS), ("views", self.views, tuple(VIEWS))):
            if value not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}. Got {value!r} instead.")
        if BASELINE not in self.methods:
            raise InputError(f"methods must hold {BASELINE}, with which the others are compared")
        if not self.shares or self.shares[0] != 0.0 or list(self.shares) != sorted(set(self.shares)):
            raise InputError(f"shares must ascend from 0. Got {', '.join(map(str, self.shares))} instead.")
        if self.shares[-1] > 1.0:
            raise InputError(f"shares must lie in [0, 1]. Got {self.shares[-1]} instead.")


@dataclass(frozen=True)
class NoiseCell:
    """One method, trained once: its figures by score, and what sigma knows of the severity of unseen mixes."""

    method: str
    share: float
    seed: int
    figures: dict[str, dict[str, float]]
    sigma: float
    seconds: float


@dataclass
class NoiseSweep:
    """All cells that were run, and what they were run on. ``frozen``: figures of the backbone's own embedding."""

    options: NoiseOptions
    bench: Bench
    cells: list[NoiseCell] = field(default_factory=list)
    frozen: dict[str, float] = field(default_factory=dict)


def sweep_noise(options: NoiseOptions) -> NoiseSweep:
    """Run (or take from the store) every cell: all shares of the first seed, then the next seed.

    Raises:
        InputError: unusable data or an unknown method. OutputError: a cell cannot be written.
    """
    pairs = read_pairs(options.eval.data / "pairs.txt")
    bench = _bench(options.eval, pairs)
    views = [*VIEWS[options.views], *TEST_VIEWS]
    corruption = make_corruption(options.kind, options.shares[-1], 0)
    if corruption is not None:
        views += corruption.views(VIEWS[options.views])
    bench.prepare(list(dict.fromkeys(views)))
    sweep = NoiseSweep(options, bench, frozen=_frozen(options, bench, pairs))
    grid = [(seed, share, method) for seed in options.seeds for share in options.shares for method in options.methods]
    with bar(f"noise, {options.kind}", len(grid), "cell", show=options.eval.show) as progress:
        for seed, share, method in grid:
            sweep.cells.append(_cell(options, bench.source, pairs, method, share, seed))
            progress.update(1)
    return sweep


def own_score(method: str) -> str:
    """The score that stands for the method in figure and table: that of its paper."""
    return "cosine" if METHODS[method.partition(":")[0]].score == "cosine" else "mls"


def _bench(options: EvalOptions, pairs: PairProtocol) -> Bench:
    """Photographs, landmarks and backbone; the heads are put in by each cell."""
    return folder_bench(replace(options, variances=(), methods=()), pairs)


def _cell(
    options: NoiseOptions, source: FeatureSource, pairs: PairProtocol, method: str, share: float, seed: int
) -> NoiseCell:
    recipe, train = named_recipe(method, source.backbone), replace(options.eval.train, seed=seed)
    part = split_identities(source.photos.identities, pairs, seed)
    views, corruption = VIEWS[options.views], make_corruption(options.kind, share, seed)

    def compute() -> dict[str, Any]:
        fit = cross_fit(source, part, views, recipe, train, False, corruption)
        bench = Bench(replace(options.eval, methods=(method,), train=train), source, {method: fit})
        scores = ("cosine", "mls") if bench.moves_mean(method) else ("mls",)
        figures = {score: measure(bench, pairs, method, score) for score in scores}
        return {"figures": figures, "sigma": severity_correlation(bench, method), "seconds": fit.seconds}

    key = {
        **_key(source),
        "heads": crossfit_key(part, views, recipe, train, corruption),
        "what": [method, options.views, options.kind if share else "", share, seed],  # for who opens the file
    }
    return NoiseCell(method, share, seed, **cell(sweep_dir("noise", options.work), key, compute))


def _frozen(options: NoiseOptions, bench: Bench, pairs: PairProtocol) -> dict[str, float]:
    """The backbone's own embedding by cosine; heads do not matter for it, so an untrained one stands in."""

    def compute() -> dict[str, Any]:
        from faceunc.heads.store import StoredHead

        recipe, spec = named_recipe("pfe", bench.source.backbone), bench.source.backbone.spec
        head = StoredHead(recipe.pooling_head().eval(), "pfe", spec.name, spec.sha256, spec.alignment, {}, FROZEN, "")
        part = split_identities(bench.source.photos.identities, pairs, 0)
        still = Bench(options.eval, bench.source, {FROZEN: CrossFit(part, [head, head], [])})
        return measure(still, pairs, FROZEN, "cosine")

    return cell(sweep_dir("noise", options.work), {**_key(bench.source), "what": [FROZEN]}, compute)


def _key(source: FeatureSource) -> dict[str, Any]:
    """What all cells depend on."""
    return {"features": source.folder(View()).parent.name, "tests": [_TESTS, *TEST_SEEDS]}
