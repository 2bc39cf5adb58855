"""Centres on the unit sphere: means leave the photograph itself out, weights tell people apart."""

from __future__ import annotations

import numpy as np
import pytest
from test_family import NAMES, PHOTOS, SEEN, made_up

from faceunc.training.centres import class_centres


def test_means_leave_the_photograph_itself_out() -> None:
    data, _ = made_up(4)
    centre = class_centres(data, SEEN, "means", 0).numpy()
    clean = data.mean[0].numpy()
    for row in (0, 7, 123):
        others = [k for k in range(len(clean)) if data.person[k] == data.person[row] and k != row]
        total = np.sum([clean[k] for k in others], axis=0)
        np.testing.assert_allclose(centre[row], total / np.linalg.norm(total), rtol=1e-5)
    assert not centre[data.rows_of(set(NAMES) - set(SEEN))].any()


def test_a_single_photograph_has_no_centre() -> None:
    data, _ = made_up(4)
    data.usable[1:PHOTOS] = False
    assert not class_centres(data, SEEN, "means", 0)[0].any()


def test_weights_are_shared_and_near_their_people() -> None:
    data, _ = made_up(4)
    centre = class_centres(data, SEEN, "weights", 0).numpy()
    rows = data.rows_of(set(SEEN))
    np.testing.assert_allclose(np.linalg.norm(centre[rows], axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(centre[0], centre[1])
    cosine = data.mean[0].numpy()[rows] @ centre[rows[::PHOTOS]].T
    assert (cosine.argmax(1) == np.arange(len(rows)) // PHOTOS).mean() > 0.95
    np.testing.assert_array_equal(centre, class_centres(data, SEEN, "weights", 0).numpy())


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="centres must be one of"):
        class_centres(made_up(4)[0], SEEN, "medians", 0)
