"""The reference of faces, and what is strange to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceunc.embeddings import Embeddings
from faceunc.errors import IncompatibleError, InputError
from faceunc.recipes.face_reference import FaceReference, fit_reference, load_reference, shipped_reference
from faceunc.recipes.strange_inputs import flag_strange, strangeness

META = {"backbone": "toy", "backbone_sha256": "1", "alignment": "a", "mean": ""}


def cloud(count: int, seed: int, shift: float = 0.0) -> Embeddings:
    """Unit vectors about one direction of 12, stretched in some of them."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(count, 12)) * np.linspace(0.05, 0.5, 12) + np.eye(12)[0]
    mean[:, 1] += shift
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    return Embeddings(mean.astype(np.float32), np.zeros((count, 1), np.float32), ["x"] * count, meta=META)


def scores(count: int, seed: int, high: float = 0.999) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.9, high, count)


def test_the_promised_share_of_unseen_faces_is_kept() -> None:
    reference, unseen = fit_reference(cloud(2000, 0), scores(2000, 1)), cloud(4000, 2)
    for keep in (0.5, 0.9, 0.95):
        assert flag_strange(unseen, reference, keep=keep).mean() == pytest.approx(1 - keep, abs=0.03)
        flagged = flag_strange(unseen, reference, scores(4000, 3), keep).mean()
        assert flagged == pytest.approx(1 - keep, abs=0.03)
    assert reference.limit(0.5) < reference.limit(0.95) < reference.limit(1.0)


def test_the_covariance_tells_what_is_far() -> None:
    """As long a step is stranger along a direction in which faces hardly differ."""
    reference = fit_reference(cloud(2000, 0))
    base = reference.mean
    steps = Embeddings(
        np.stack([base + 0.3 * np.eye(12)[1], base + 0.3 * np.eye(12)[11]]).astype(np.float32),
        np.zeros((2, 1), np.float32),
        ["little", "much"],
        meta=META,
    )
    little, much = strangeness(steps, reference)
    assert little > much + 2
    assert flag_strange(cloud(500, 4, shift=0.6), reference).mean() > 0.99


def test_distance_is_scikit_learns() -> None:
    from sklearn.covariance import LedoitWolf

    faces, other = cloud(300, 0), cloud(20, 5)
    expected = LedoitWolf().fit(faces.mean.astype(float)).mahalanobis(other.mean.astype(float))
    np.testing.assert_allclose(fit_reference(faces).distance(other), expected, rtol=1e-9)


def test_the_detectors_doubt_adds_to_the_distance() -> None:
    reference, faces = fit_reference(cloud(500, 0), scores(500, 1)), cloud(3, 6)
    alone = strangeness(faces, reference)
    with_score = strangeness(faces, reference, [0.999, 0.95, 0.1])
    assert (np.diff(with_score - alone) > 0.5).all()
    assert np.isfinite(strangeness(faces, reference, [0.0, 0.5, 1.0])).all()
    assert flag_strange(faces, reference, [0.01] * 3).all()


def test_stored_and_read_it_is_the_same(tmp_path: Path) -> None:
    path, faces = tmp_path / "r.safetensors", cloud(50, 7)
    for given in (None, scores(200, 1)):
        reference = fit_reference(cloud(200, 0), given)
        reference.save(path)
        again = load_reference(path)
        assert dict(again.meta) == META
        np.testing.assert_array_equal(strangeness(faces, again), strangeness(faces, reference))
        assert again.limit(0.9, given is not None) == reference.limit(0.9, given is not None)


def test_files_that_are_no_reference(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "r.safetensors"
    with pytest.raises(InputError, match="no such file"):
        load_reference(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="foreign face reference"):
        load_reference(path)
    fit_reference(cloud(60, 0)).save(path)
    arrays = load_file(path)
    for name, bad in (("precision", np.ones((3, 3))), ("scale", np.zeros(2)), ("held", np.empty(0))):
        save_file({**arrays, name: bad}, path, {"format": "faceunc-face-reference-1", "meta": "{}"})
        with pytest.raises(InputError, match="damaged face reference"):
            load_reference(path)


def test_what_is_shipped_fits_the_shipped_backbone() -> None:
    reference = shipped_reference("dlib")
    assert reference.meta["backbone"] == "dlib"
    assert reference.mean.shape == (128,)
    assert len(reference.held) == len(reference.held_detector) > 5000
    for name in ("other", "../recipes/dlib", ""):
        with pytest.raises(InputError, match="no face reference is shipped"):
            shipped_reference(name)
    with pytest.raises(InputError, match="'toy'"):
        strangeness(cloud(2, 0))


def test_another_backbone_is_refused() -> None:
    reference = fit_reference(cloud(60, 0))
    for key in ("backbone", "backbone_sha256", "alignment", "mean"):
        with pytest.raises(IncompatibleError, match=key):
            strangeness(replace(cloud(2, 1), meta={**META, key: "other"}), reference)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="12 dimensions needs 24 photographs"):
        fit_reference(cloud(23, 0))
    plain, full = fit_reference(cloud(60, 0)), fit_reference(cloud(60, 0), scores(60, 0))
    for refused, message in (
        (lambda: strangeness(cloud(2, 1), plain, [0.5, 0.5]), "fitted without the detector's score"),
        (lambda: plain.limit(0.9, detector=True), "fitted without the detector's score"),
        (lambda: strangeness(cloud(2, 1), full, [0.5]), "detector_score must be"),
        (lambda: strangeness(cloud(2, 1), full, [0.5, 1.5]), "greatest detector_score must be in"),
        (lambda: plain.limit(1.5), "keep must be in"),
        (lambda: fit_reference(cloud(60, 0), [0.5]), "detector_score must be"),
    ):
        with pytest.raises(ValueError, match=message):
            refused()


def test_a_reference_holds_nobodys_face() -> None:
    faces = cloud(60, 0)
    held = [value for value in vars(fit_reference(faces)).values() if isinstance(value, np.ndarray)]
    assert isinstance(fit_reference(faces), FaceReference)
    assert not any(value.ndim == 2 and len(value) == len(faces) for value in held)
