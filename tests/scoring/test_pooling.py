"""Pooling of all templates at once against the fusion of one template after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.scoring import pooling as module
from faceunc.scoring.fusion import POSTERIORS, fuse, fuse_mean
from faceunc.scoring.pooling import Pooling, pool_stored, pool_templates

Ints = NDArray[np.int64]
N, T, D = 60, 9, 7


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=[D, 1], ids=["per-dimension", "scalar"])
def images(request: pytest.FixtureRequest) -> Embeddings:
    rng = np.random.default_rng(0)
    log_var = rng.normal(-4, 2, (N, request.param)).astype(np.float32)
    return Embeddings(unit(rng.normal(size=(N, D))), log_var, [str(i) for i in range(N)], meta={"backbone": "b"})


@pytest.fixture
def template() -> Ints:
    rng = np.random.default_rng(1)
    return rng.permutation(np.concatenate([np.arange(T), rng.integers(0, T, N - T)]))


@pytest.fixture
def media() -> Ints:
    return np.random.default_rng(2).integers(0, 4, N)


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("elements", [1, 100, 10**9], ids=["block of one", "some blocks", "one block"])
def test_inverse_variance_is_fuse(
    images: Embeddings, template: Ints, posterior: str, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK_ELEMENTS", elements)
    pooled = pool_templates(images, template, Pooling(posterior=posterior, rho=0.3))
    assert pooled.meta == images.meta
    for t in range(T):
        rows = template == t
        mean, log_var = fuse(
            images.mean[rows], images.log_var[rows], posterior, 0.3 if posterior == "correlated" else 0
        )
        np.testing.assert_allclose(pooled.mean[t], mean, atol=1e-6)
        np.testing.assert_allclose(pooled.log_var[t], log_var, atol=2e-5)


@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_a_stored_file_piece_by_piece(
    images: Embeddings, template: Ints, media: Ints, pieces: int, tmp_path: Path
) -> None:
    weight = np.random.default_rng(5).uniform(1, 2, N)
    for order in (np.arange(N), np.argsort(template, kind="stable")):
        images[order].save(tmp_path / "images.safetensors")
        arguments = (template[order], Pooling(media=True), media[order], weight[order])
        pooled = pool_stored(tmp_path / "images.safetensors", *arguments, pieces)
        expected = pool_templates(images[order], *arguments)
        np.testing.assert_allclose(pooled.mean, expected.mean, atol=1e-6)
        np.testing.assert_allclose(pooled.log_var, expected.log_var, atol=1e-5)
        assert list(pooled.ids) == list(expected.ids)
    with pytest.raises(ValueError, match="pieces must be"):
        pool_stored(tmp_path / "images.safetensors", *arguments, 0)


def test_equal_weights_is_the_mean_and_its_variance(images: Embeddings, template: Ints) -> None:
    pooled = pool_templates(images, template, Pooling("equal"))
    for t in range(T):
        rows = template == t
        np.testing.assert_allclose(pooled.mean[t], fuse_mean(images.mean[rows]), atol=1e-6)
        variance = np.exp(images.log_var[rows].astype(np.float64)).sum(0) / rows.sum() ** 2
        np.testing.assert_allclose(pooled.log_var[t], np.log(variance), atol=1e-5)


def test_media_mean_is_the_mean_of_means(images: Embeddings, template: Ints, media: Ints) -> None:
    weight = np.random.default_rng(3).uniform(0.5, 2, N)
    for w in (None, weight):
        pooled = pool_templates(images, template, Pooling("equal", media=True), media, w)
        scaled = images.mean * (np.ones(N) if w is None else w)[:, None]
        for t in range(T):
            parts = [scaled[(template == t) & (media == m)].mean(0) for m in set(media[template == t].tolist())]
            np.testing.assert_allclose(pooled.mean[t], unit(np.sum(parts, axis=0)), atol=1e-6)


def test_media_inverse_variance_is_fuse_of_fused_media(images: Embeddings, template: Ints, media: Ints) -> None:
    pooled = pool_templates(images, template, Pooling(media=True, posterior="bayes", within="harmonic"), media)
    for t in range(T):
        means, log_vars = [], []
        for m in sorted(set(media[template == t].tolist())):
            rows = (template == t) & (media == m)
            precision = np.exp(-images.log_var[rows].astype(np.float64))
            means.append((precision * images.mean[rows]).sum(0) / precision.sum(0))
            log_vars.append(-np.log(precision.mean(0)))
        precision = np.exp(-np.array(log_vars))
        np.testing.assert_allclose(pooled.mean[t], unit((precision * means).sum(0) / precision.sum(0)), atol=1e-6)
        np.testing.assert_allclose(pooled.log_var[t], -np.log(precision.sum(0)), atol=2e-5)


def test_an_image_of_weight_two_counts_as_two(images: Embeddings, template: Ints) -> None:
    weight = np.where(np.arange(N) % 3 == 0, 2.0, 1.0)
    twice = np.concatenate([np.arange(N), np.arange(0, N, 3)])
    weighted = pool_templates(images, template, Pooling(), weight=weight)
    repeated = pool_templates(images[twice], template[twice], Pooling())
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=1e-6)
    np.testing.assert_allclose(weighted.log_var, repeated.log_var, atol=2e-5)


@pytest.mark.parametrize("media_first", [False, True])
def test_a_weight_shared_by_all_images_changes_nothing(
    images: Embeddings, template: Ints, media: Ints, media_first: bool
) -> None:
    plain = pool_templates(images, template, Pooling("equal", media_first), media)
    heavy = pool_templates(images, template, Pooling("equal", media_first), media, np.full(N, 20.0))
    np.testing.assert_allclose(heavy.mean, plain.mean, atol=1e-6)
    np.testing.assert_allclose(heavy.log_var, plain.log_var, atol=1e-5)


def test_weighted_media_variance_is_that_of_the_weighted_mean(images: Embeddings, template: Ints, media: Ints) -> None:
    weight = np.random.default_rng(6).uniform(0.5, 3, N)
    pooled = pool_templates(images, template, Pooling("equal", media=True), media, weight)
    for t in range(T):
        rows = np.flatnonzero(template == t)
        size = np.array([(media[rows] == media[row]).sum() for row in rows])
        share = weight[rows] / size
        share /= share.sum()
        variance = (share[:, None] ** 2 * np.exp(images.log_var[rows].astype(np.float64))).sum(0)
        np.testing.assert_allclose(pooled.log_var[t], np.log(variance), atol=1e-5)


@pytest.mark.parametrize("pooling", [Pooling(), Pooling("equal"), Pooling(media=True), Pooling("equal", media=True)])
def test_laws_of_every_pooling(images: Embeddings, template: Ints, media: Ints, pooling: Pooling) -> None:
    pooled = pool_templates(images, template, pooling, media)
    np.testing.assert_allclose(np.linalg.norm(pooled.mean, axis=1), 1, atol=1e-6)
    order = np.random.default_rng(4).permutation(N)
    shuffled = pool_templates(images[order], template[order], pooling, media[order])
    np.testing.assert_allclose(shuffled.mean, pooled.mean, atol=1e-6)
    alone = pool_templates(images, np.arange(N), pooling, media)
    np.testing.assert_allclose(alone.mean, images.mean, atol=1e-6)
    np.testing.assert_allclose(alone.log_var, images.log_var, atol=1e-5)


@pytest.mark.parametrize("pooling", [Pooling(posterior=p) for p in POSTERIORS] + [Pooling("equal")])
def test_extreme_variances_stay_finite(pooling: Pooling) -> None:
    log_var = np.array([[-80.0], [80.0], [0.0]], np.float32)
    images = Embeddings(unit(np.eye(3)), log_var, list("abc"))
    pooled = pool_templates(images, np.zeros(3, np.int64), pooling)
    assert np.isfinite(pooled.mean).all()
    assert np.isfinite(pooled.log_var).all()


def test_wrong_input(images: Embeddings, template: Ints) -> None:
    for call, message in (
        (lambda: Pooling("nonsense"), "weights must be"),
        (lambda: Pooling(posterior="nonsense"), "posterior must be"),
        (lambda: Pooling(rho=2), "rho must be"),
        (lambda: pool_templates(images, template[1:], Pooling()), "template must be"),
        (lambda: pool_templates(images, template + 1, Pooling()), "template must number"),
        (lambda: pool_templates(images, template, Pooling(media=True)), "media must be given"),
        (lambda: pool_templates(images, template, Pooling(), weight=np.zeros(N)), "weight must be positive"),
        (lambda: pool_templates(images, template, Pooling(), weight=np.full(N, np.nan)), "weight must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
