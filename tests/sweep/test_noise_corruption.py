"""What a corruption makes of training data."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import blake2b

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from faceunc.images.views import View
from faceunc.sweep.noise_corruption import PoorPhotographs, WrongLabels, make_corruption
from faceunc.sweep.noise_views import CorruptView, corrupted_images
from faceunc.training import crossfit
from faceunc.training.crossfit import crossfit_key
from faceunc.training.data import TrainingData
from faceunc.training.loop import TrainOptions, split_people
from faceunc.training.recipe import Recipe

PEOPLE, PHOTOS = 30, 5
NAMES = [f"p{i:02d}" for i in range(PEOPLE)]
IDS = [f"{name}/{k}.jpg" for name in NAMES for k in range(PHOTOS)]
IDENTITIES = [name.split("/")[0] for name in IDS]
SEEN = set(NAMES[:20])
OPTIONS = TrainOptions(seed=3)


def made_up(views: int) -> TrainingData:
    """Every number says which view and which photograph it is of."""
    rows, generator = PEOPLE * PHOTOS, torch.Generator().manual_seed(0)
    values = np.arange(views)[:, None] * 1000.0 + np.arange(rows)
    return TrainingData(
        pooled=torch.from_numpy(np.repeat(values[..., None], 4, axis=2)).float(),
        mean=normalize(torch.randn(views, rows, 3, generator=generator), dim=-1),
        person=np.repeat(np.arange(PEOPLE), PHOTOS),
        people=NAMES,
        usable=np.arange(rows) % 17 != 3,
        severity=values,
        kind=values.astype(np.int64),
        norm=values.astype(np.float32),
        sharpness=values.astype(np.float32),
        face_size=np.ones(rows, np.float32),
    )


def test_chosen_photographs_come_from_the_corrupted_views() -> None:
    corruption = PoorPhotographs("blur", 0.4, 1)
    plain = [View(), View(1)]
    assert corruption.views(plain) == [*plain, CorruptView(), CorruptView(1)]
    data = made_up(4)
    out = corruption.corrupted(data, IDS, SEEN, OPTIONS)
    chosen = corrupted_images(IDS, IDENTITIES, 0.4, 1)
    assert chosen.mean() == pytest.approx(0.4)
    view = np.array([0, 1])[:, None] + 2 * chosen
    row = np.arange(len(IDS))
    for name in ("pooled", "mean"):
        torch.testing.assert_close(
            getattr(out, name), getattr(data, name)[torch.from_numpy(view), torch.from_numpy(row)]
        )
    for name in ("severity", "kind", "norm", "sharpness"):
        np.testing.assert_array_equal(getattr(out, name), getattr(data, name)[view, row])
    np.testing.assert_array_equal(out.person, data.person)


def test_share_of_nothing_changes_nothing() -> None:
    assert make_corruption("blur", 0.0, 1) is make_corruption("labels", 0.0, 1) is None
    data = made_up(2)
    out = PoorPhotographs("noise", 0.0, 1).corrupted(data, IDS, SEEN, OPTIONS)
    torch.testing.assert_close(out.pooled, data.pooled[:1])
    torch.testing.assert_close(out.mean, data.mean[:1])
    np.testing.assert_array_equal(WrongLabels(0.0, 1).corrupted(data, IDS, SEEN, OPTIONS).person, data.person)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_labels_never_leave_their_side_and_differ(share: float) -> None:
    data = made_up(1)
    out = WrongLabels(share, 2).corrupted(data, IDS, SEEN, OPTIONS)
    changed = out.person != data.person
    chosen = corrupted_images(IDS, IDENTITIES, share, 2) & data.usable & np.isin(IDENTITIES, sorted(SEEN))
    np.testing.assert_array_equal(changed, chosen)
    train, held = (set(side) for side in split_people(SEEN, OPTIONS.validation, OPTIONS.seed))
    for side in (train, held, set(NAMES) - SEEN):
        was, now = (
            {NAMES[code] for code in person[np.isin(IDENTITIES, sorted(side))]} for person in (data.person, out.person)
        )
        assert was == side
        assert now <= side
        # so what is trained on under a label of this side shows somebody of this side
        assert set(np.array(IDENTITIES)[out.rows_of(side)]) <= side
    np.testing.assert_array_equal(np.bincount(out.person), np.bincount(data.person))


def test_wrong_corruptions() -> None:
    with pytest.raises(ValueError, match="kind must be one of"):
        make_corruption("fog", 0.1, 0)
    with pytest.raises(ValueError, match="share must be in"):
        make_corruption("labels", 1.5, 0)


class Plain:
    """As much of a recipe as its identity."""

    def identity(self) -> list[object]:
        return ["method", {"dim": 3}]


def test_keys_of_heads_without_corruption_stay_and_others_differ() -> None:
    part, views, recipe = np.array([0, 1, 1]), [View(), View(2)], Plain()
    old = [crossfit._RECIPE, *recipe.identity(), asdict(OPTIONS), ["clean", "mix-2"], part.tolist()]
    expected = blake2b(json.dumps(old).encode(), digest_size=8).hexdigest()

    def key(corruption: PoorPhotographs | WrongLabels | None, options: TrainOptions = OPTIONS) -> str:
        typed: Recipe = recipe  # type: ignore[assignment]
        return crossfit_key(part, views, typed, options, corruption)

    assert key(None) == expected
    corruptions = [
        PoorPhotographs("blur", 0.1, 0),
        PoorPhotographs("blur", 0.2, 0),
        PoorPhotographs("blur", 0.1, 1),
        PoorPhotographs("noise", 0.1, 0),
        WrongLabels(0.1, 0),
    ]
    keys = [expected, *(key(one) for one in corruptions), key(corruptions[0], replace(OPTIONS, seed=4))]
    assert len(set(keys)) == len(keys)
