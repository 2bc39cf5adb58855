"""What every template protocol ends in: images grouped to templates and media, comparisons 1:1, searches 1:N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TemplateSet:
    """T templates over R rows; a row is one image (one face in it) that belongs to one template and one medium.

    Attributes:
        images: path of each row's image relative to the protocol's image folder, R.
        template: int64 (R,), position in 0..T-1 of the template that a row belongs to.
        media: int64 (R,), which medium (a still, or one video) a row comes from; unique inside its template at least.
        template_ids: int64 (T,), the protocol's own number of each template, strictly ascending.
        subject: int64 (T,), who the template shows, -1 where the protocol does not say.
        points: float32 (R, 5, 2), landmarks in the image, or None. box: float32 (R, 4), x, y, width, height, or None.
        score: float32 (R,), the detector's score, or None.

    Raises:
        ValueError: when the parts do not fit each other, or a template has no row.
    """

    images: Sequence[str]
    template: Ints
    media: Ints
    template_ids: Ints
    subject: Ints
    points: NDArray[np.float32] | None = None
    box: NDArray[np.float32] | None = None
    score: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        rows, count = len(self.images), len(self.template_ids)
        if self.template.shape != (rows,) or self.media.shape != (rows,) or self.subject.shape != (count,):
            raise ValueError(f"template and media must be ({rows},), subject ({count},).")
        for name, shape in (("points", (rows, 5, 2)), ("box", (rows, 4)), ("score", (rows,))):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} must be {shape}. Got {value.shape} instead.")
        if (np.diff(self.template_ids) <= 0).any():
            raise ValueError("template_ids must be strictly ascending.")
        if not np.array_equal(np.unique(self.template), np.arange(count)):
            raise ValueError("every template must have at least one row, and every row a template.")

    def __len__(self) -> int:
        return len(self.template_ids)

    def positions(self, ids: NDArray[np.integer]) -> Ints:
        """Positions of templates by the protocol's numbers; KeyError naming the first unknown one."""
        found = np.searchsorted(self.template_ids, ids)
        found = np.minimum(found, len(self) - 1)
        unknown = self.template_ids[found] != ids
        if unknown.any():
            raise KeyError(int(np.asarray(ids)[unknown][0]))
        return found.astype(np.int64)


@dataclass(frozen=True)
class TemplatePairs:
    """1:1 comparisons of templates.

    Attributes:
        first, second: int64 (P,), positions in the :class:`TemplateSet`. same: bool (P,), True for a genuine pair.
    """

    first: Ints
    second: Ints
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.same)


@dataclass(frozen=True)
class Search:
    """1:N open-set identification: every probe is searched in one gallery.

    Attributes:
        name: of the gallery, "G1". gallery, probe: int64 (G,), (Q,), positions in the :class:`TemplateSet`.
    """

    name: str
    gallery: Ints
    probe: Ints


@dataclass(frozen=True)
class TemplateProtocol:
    """A template set with what is compared on it. ``searches`` is empty where the protocol has no 1:N part."""

    templates: TemplateSet
    pairs: TemplatePairs
    searches: tuple[Search, ...] = ()


def subjects_from_pairs(templates: int, pairs: TemplatePairs) -> Ints:
    """Who each of T templates shows, as far as genuine pairs tell: the connected components that they form, (T,).

    Protocols in insightface's layout name no subjects, and a bootstrap over subjects needs them. In IJB-B and IJB-C
    every probe template is compared with its subject's gallery template, so the components are the subjects.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = pairs.first[pairs.same], pairs.second[pairs.same]
    links = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(templates, templates))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def complete_subjects(known: Ints, pairs: TemplatePairs) -> Ints:
    """Subjects (T,) with the unknown ones (-1) told by genuine pairs, so that no two people share the number -1.

    A template that genuine pairs link to one of a known subject is that subject's; else its connected component is a
    subject of its own, with a number above the known ones.
    """
    component = subjects_from_pairs(len(known), pairs)
    names = int(known.max(initial=-1)) + 1 + np.arange(len(known))
    rows = np.flatnonzero(known >= 0)
    names[component[rows]] = known[rows]
    return np.where(known >= 0, known, names[component])
