"""Templates of a protocol seen through a bench: pooled in every way, compared 1:1 and searched 1:N.

A template of which no image can be used fails to enrol. It stays in every count: whatever is compared with it gets the
lowest of all scores, so that its genuine comparisons are misses and its impostor ones are rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings, concatenate
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.fusion_fit import FusionFit
from faceunc.images.views import View
from faceunc.metrics.identification import SearchResult, join, search_block
from faceunc.progress import bar
from faceunc.protocols.template_set import Search, TemplatePairs, TemplateSet
from faceunc.scoring.indexed import score_all, score_indexed
from faceunc.scoring.pooling import Pooling, pool_templates

FAILED = np.float32(-1e30)  # score of a comparison with a template that could not be enrolled
_SEARCH_BLOCK = 4_000_000
_PIECE = 20_000  # images that are held at once while templates are pooled


@dataclass(frozen=True)
class Method:
    """One row of the table: how images become templates, and how templates are compared.

    Attributes:
        pooling, score: as they stand in the table. how: the pooling. weight: "", "norm" or "detector score".
        variance: name of the head. kind: of score, "cosine" or "mls".
    """

    pooling: str
    score: str
    how: Pooling
    weight: str
    variance: str
    kind: str


def methods(bench: Bench) -> Iterator[Method]:
    """Everything that is compared: poolings without a variance by cosine, those with one by cosine and MLS."""
    any_head = bench.head_names[0]
    for name, media, weight in (
        ("mean of images", False, ""),
        ("mean of media", True, ""),
        ("mean of media x norm", True, "norm"),
        ("mean of media x detector score", True, "detector score"),
    ):
        yield Method(name, "cosine", Pooling("equal", media), weight, any_head, "cosine")
    for variance in bench.head_names:
        for media in (False, True):
            name = f"inverse variance{', media' if media else ''} ({variance})"
            yield Method(name, "cosine", Pooling(media=media), "", variance, "cosine")
            for posterior, rho in (("min", 0.0), ("harmonic", 0.0), ("bayes", 0.0), ("correlated", 0.5)):
                label = f"mls {posterior}" + (f" {rho:g}" if rho else "")
                yield Method(name, label, Pooling(media=media, posterior=posterior, rho=rho), "", variance, "mls")


class TemplateBench:
    """A bench and a template set whose rows are the bench's photographs.

    Attributes:
        usable: bool (R,), images that were read and in which a face was found. enrolled: positions of the templates
            that have one. ``failed`` counts the others.
    """

    def __init__(self, bench: Bench, templates: TemplateSet, flip: bool = False) -> None:
        self.bench, self.templates, self._views = bench, templates, [View()] + ([View(flip=True)] if flip else [])
        self.usable = bench.source.landmarks.state == 0
        self.enrolled = np.unique(templates.template[self.usable])
        self._place = np.full(len(templates), -1, np.int64)
        self._place[self.enrolled] = np.arange(len(self.enrolled))
        bench.prepare(self._views)

    @property
    def failed(self) -> int:
        """Number of templates that could not be enrolled."""
        return len(self.templates) - len(self.enrolled)

    def pool(self, method: Method) -> Embeddings:
        """One embedding for every enrolled template."""
        parts = []
        for rows, template in self._pieces():
            images, weight = self._images(method.variance, rows), self._weight(method.weight, rows)
            parts.append(pool_templates(images, template, method.how, self.templates.media[rows], weight))
        return concatenate(parts)

    def pool_fitted(self, variance: str, fits: tuple[FusionFit, FusionFit]) -> Embeddings:
        """One embedding for every enrolled template; ``fits[k]`` is used for people of part k."""
        parts = []
        for rows, template in self._pieces():
            images, media = self._images(variance, rows), self.templates.media[rows]
            zero, one = (pool_templates(fit.stretch(images), template, fit.pooling, media) for fit in fits)
            part = np.zeros(len(zero), np.int64)
            part[template] = self.bench.heads[variance].part[rows]
            chosen = (part == 1)[:, None]
            mean, log_var = np.where(chosen, one.mean, zero.mean), np.where(chosen, one.log_var, zero.log_var)
            parts.append(replace(zero, mean=mean, log_var=log_var))
        return concatenate(parts)

    def _pieces(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """(usable rows, their template from 0 on) of runs of enrolled templates: few images are held at once."""
        usable = np.flatnonzero(self.usable)
        place = self._place[self.templates.template[usable]]
        order = np.argsort(place, kind="stable")
        runs = max(1, len(usable) // _PIECE)
        edges = np.linspace(0, len(self.enrolled), runs + 1).astype(int)
        cuts = np.searchsorted(place[order], edges)
        for first, start, stop in zip(edges, cuts, cuts[1:], strict=False):
            if stop > start:
                rows = order[start:stop]
                yield usable[rows], place[rows] - first

    def _images(self, variance: str, rows: NDArray[np.int64]) -> Embeddings:
        """Embeddings of these rows, with the mirror images where these are asked for."""
        parts = [self.bench.embeddings(view, variance, rows) for view in self._views]
        return parts[0] if len(parts) == 1 else flip_sum(*parts)

    def _weight(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        if not name:
            return None
        if name == "norm":
            features = self.bench.source.features(self._views)
            norms = np.stack([features[view].norm[rows] for view in self._views])
            return np.asarray(norms.mean(axis=0), np.float32)
        return self.bench.source.landmarks.score[rows]

    def verify(self, pooled: Embeddings, pairs: TemplatePairs, kind: str, show: bool | None) -> NDArray[np.float32]:
        """Scores of all 1:1 comparisons, float32 (P,)."""
        first, second = self._place[pairs.first], self._place[pairs.second]
        good = (first >= 0) & (second >= 0)
        if good.all():
            return score_indexed(pooled, first, second, kind, show)
        scores = np.full(len(pairs), FAILED)
        scores[good] = score_indexed(pooled, first[good], second[good], kind, show)
        return scores

    def identify(self, pooled: Embeddings, search: Search, kind: str, show: bool | None) -> SearchResult:
        """Search every probe in the gallery, block by block."""
        subject, gallery = self.templates.subject, self._place[search.gallery]
        results, rows = [], max(1, _SEARCH_BLOCK // len(gallery))
        with bar(f"search {search.name}", len(search.probe), "probe", show=show) as progress:
            for start in range(0, len(search.probe), rows):
                part = search.probe[start : start + rows]
                probe = self._place[part]
                scores = np.full((len(part), len(gallery)), FAILED)
                inside = np.ix_(probe >= 0, gallery >= 0)
                scores[inside] = score_all(pooled, probe[probe >= 0], gallery[gallery >= 0], kind)
                results.append(search_block(scores, subject[part], subject[search.gallery]))
                progress.update(len(part))
        return join(results)


def flip_sum(plain: Embeddings, mirrored: Embeddings) -> Embeddings:
    """A photograph and its mirror image as one: normalised sum of the means, mean of the log variances."""
    total = plain.mean + mirrored.mean
    mean = (total / np.linalg.norm(total, axis=1, keepdims=True)).astype(np.float32)
    return Embeddings(mean, (plain.log_var + mirrored.log_var) / np.float32(2), plain.ids, meta=plain.meta)
