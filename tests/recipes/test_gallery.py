"""Choosing photographs: laws, brute force, and what each rule is for."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.embeddings import Embeddings, harmonic_log_var
from faceunc.recipes.gallery import RULES, choose_photos
from faceunc.recipes.redundancy import error_covariance
from faceunc.scoring.fusion import fuse


def person(
    count: int = 8, dim: int = 16, width: int = 16, seed: int = 0, spread: float = 1.0, level: float = -4.0
) -> Embeddings:
    """Photographs of one person, each off by its own variance."""
    rng = np.random.default_rng(seed)
    log_var = (rng.normal(level, spread, (count, 1)) + rng.normal(0, 0.2, (count, width))).astype(np.float32)
    centre = rng.normal(size=dim)
    centre /= np.linalg.norm(centre)
    mean = centre + np.exp(0.5 * log_var) * rng.normal(size=(count, dim))
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    return Embeddings(mean.astype(np.float32), log_var, [str(k) for k in range(count)])


def choose(faces: Embeddings, keep: int, rule: str) -> list[int]:
    return choose_photos(faces, keep, rule, np.arange(len(faces)) if rule == "quality" else None).tolist()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("width", [1, 16])
def test_laws_of_every_rule(rule: str, width: int) -> None:
    faces = person(width=width)
    everything = choose(faces, 99, rule)
    assert sorted(everything) == list(range(len(faces)))
    for keep in (1, 3, 8):
        assert choose(faces, keep, rule) == everything[:keep]  # keeping more never changes what came first
    assert choose(faces[:1], 2, rule) == [0]
    order = np.random.default_rng(1).permutation(len(faces))
    if rule != "quality":
        assert order[choose(faces[order], 4, rule)].tolist() == everything[:4]


def test_representative_is_the_brute_force_choice() -> None:
    faces = person(seed=3)
    target = fuse(faces.mean, faces.log_var)[0]
    chosen = choose(faces, 4, "representative")
    for step in range(4):
        rest = [k for k in range(len(faces)) if k not in chosen[:step]]
        near = [fuse(*(a[[*chosen[:step], k]] for a in (faces.mean, faces.log_var)))[0] @ target for k in rest]
        assert chosen[step] == rest[int(np.argmax(near))]


def test_representative_comes_nearer_to_the_template_of_all_than_sigma() -> None:
    nearer = 0
    for seed in range(20):
        faces = person(12, seed=seed)
        target = fuse(faces.mean, faces.log_var)[0]
        both = [choose(faces, 3, rule) for rule in ("representative", "sigma")]
        near = [float(fuse(faces.mean[rows], faces.log_var[rows])[0] @ target) for rows in both]
        nearer += near[0] >= near[1]
    assert nearer >= 19


def test_a_copy_of_the_best_photograph_brings_no_information() -> None:
    faces = person(6, spread=0.3, seed=5)
    best = int(np.argmin(harmonic_log_var(faces.log_var)))
    doubled = faces[[best, *range(6)]]
    assert set(choose(doubled, 2, "sigma")) == {0, best + 1}
    assert not {0, best + 1} <= set(choose(doubled, 3, "information"))


def test_information_takes_the_least_variance_of_the_template() -> None:
    faces = person(seed=7)
    covariance = error_covariance(faces)
    weight = 1 / np.diag(covariance)
    chosen = choose(faces, 3, "information")

    def variance(rows: list[int]) -> float:
        w = weight[rows] / weight[rows].sum()
        return float(w @ covariance[np.ix_(rows, rows)] @ w)

    for step in range(3):
        rest = [k for k in range(len(faces)) if k not in chosen[:step]]
        assert variance(chosen[: step + 1]) == pytest.approx(min(variance([*chosen[:step], k]) for k in rest))


def test_error_covariance_of_copies_of_independent_and_of_one_width() -> None:
    faces = person(30, dim=200, width=200, spread=0.0, seed=2, level=-9.0)
    covariance = error_covariance(faces[[0, 0, *range(30)]])
    total = np.exp(faces.log_var.astype(float)).sum(axis=1)
    assert covariance[0, 1] == pytest.approx(total[0])
    np.testing.assert_allclose(np.diag(covariance)[2:], total)
    correlation = covariance[2:, 2:] / np.sqrt(np.outer(total, total))
    assert (covariance >= 0).all()
    assert correlation.max() <= 1 + 1e-9
    assert np.median(correlation[np.triu_indices(30, 1)]) < 0.35  # unit length takes a part of every error away
    scalar = Embeddings(faces.mean, faces.log_var[:, :1], faces.ids)
    wide = Embeddings(faces.mean, np.repeat(faces.log_var[:, :1], 200, axis=1), faces.ids)
    np.testing.assert_allclose(error_covariance(scalar), error_covariance(wide), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"keep": 0}, "keep must be at least 1"),
        ({"keep": 1, "rule": "best"}, "rule must be one of representative"),
        ({"keep": 1, "rule": "quality"}, "quality must be"),
        ({"keep": 1, "rule": "quality", "quality": [1.0, 2.0]}, "quality must be \\(8,\\)"),
        ({"keep": 1, "rule": "quality", "quality": [np.nan] * 8}, "quality must be finite"),
    ],
)
def test_refusals(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_photos(person(), **kwargs)  # type: ignore[arg-type]


def test_nobody_has_no_photographs_to_keep() -> None:
    with pytest.raises(ValueError, match="at least 1 photograph"):
        choose_photos(person()[:0], 2)
