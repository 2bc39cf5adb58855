"""The laws of the family: every method trains, is stored, comes back the same, and knows nobody that it should not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch.nn.functional import normalize

from faceunc.backbones.registry import load_backbone
from faceunc.backbones.spec import BackboneSpec
from faceunc.cli.train import METHOD_HELP, METHOD_SETTINGS
from faceunc.embeddings import harmonic_log_var
from faceunc.epistemic.ensemble import bootstrap_people
from faceunc.errors import InputError
from faceunc.heads.ensemble import EnsembleHead
from faceunc.heads.store import load_head, save_head
from faceunc.training.collapse import predict
from faceunc.training.data import TrainingData
from faceunc.training.ensemble import train_recipe
from faceunc.training.loop import TrainOptions, split_people
from faceunc.training.methods import METHODS, named_recipe
from faceunc.training.recipe import EnsembleOptions, Recipe
from faceunc.training.train import collapse_of_noise

PEOPLE, PHOTOS, VIEWS, DIM, CHANNELS = 80, 5, 2, 16, 6
NAMES = [f"p{i:02d}" for i in range(PEOPLE)]
SEEN = NAMES[:60]
# not SER-FIQ, which needs a real last layer: tests/cli/test_train.py trains it on faces
VARIANTS = [
    *(name for name in METHODS if name != "serfiq"),
    "pfe:variance=scalar,norm=true",
    "dul-cls:classifier=softmax,kl_weight=0",
    "dul-cls:classifier=arcface,variance=scalar",
    "dul-cls:start=scratch,kl_reduction=mean",
    "dul-reg:mean=frozen",
    "dul-reg:centres=weights",
    "vmf:centres=weights",
    "dul-reg*3",
]
# DUL_cls makes the noise small where it would do harm, near the boundary between classes: no matter of quality alone;
# softmax knows no noise
ROLES = [name for name in VARIANTS if not name.startswith(("dul-cls", "softmax"))]
OPTIONS = TrainOptions(steps=150, people=24, images=4, lr=5e-3, check_every=50, patience=8, seed=1)


class Pretend:
    """As much of a backbone as a recipe needs."""

    spec = BackboneSpec("pretend", 8, "RGB", (0, 0, 0), 1.0, ((0, 0),) * 5, DIM, (CHANNELS, 1, 1), "", "")  # type: ignore[arg-type]
    precision = "float32"


def made_up(pooled_width: int) -> tuple[TrainingData, NDArray[np.float64]]:
    """Noise of every row (V, N), readable from the first pooled feature; clean centres from others."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(PEOPLE), PHOTOS)
    level = rng.uniform(0.0, 1.0, (VIEWS, len(person)))
    level[0] *= 0.3
    noise = rng.standard_normal((VIEWS, len(person), DIM)) * np.exp(2.5 * level - 3.3)[..., None]
    centre = rng.standard_normal((PEOPLE, DIM)) / 4.0
    pooled = rng.standard_normal((VIEWS, len(person), pooled_width))
    pooled[..., 0] = -level if pooled_width == 1 else level
    data = TrainingData(
        pooled=torch.from_numpy(pooled).float(),
        mean=normalize(torch.from_numpy(centre[person] + noise).float(), dim=-1),
        person=person,
        people=NAMES,
        usable=np.ones(len(person), bool),
        severity=level,
        kind=np.ones_like(level, np.int64),
        norm=np.exp(-level).astype(np.float32),
        sharpness=np.ones_like(level, np.float32),
        face_size=np.ones(len(person), np.float32),
    )
    return data, level


def trained_names(options: TrainOptions) -> list[str]:
    return split_people(SEEN, options.validation, options.seed)[0]


def recipe_of(name: str) -> Recipe:
    return named_recipe(name, Pretend())  # type: ignore[arg-type]


def data_for(recipe: Recipe) -> tuple[TrainingData, NDArray[np.float64]]:
    width = 1 if recipe.method in ("norm", "serfiq") else 2 * CHANNELS + recipe.config.norm
    return made_up(width)


@pytest.mark.parametrize("name", ROLES)
def test_learns_the_noise_of_people_it_never_saw(name: str) -> None:
    recipe = recipe_of(name)
    data, level = data_for(recipe)
    trained = train_recipe(data, SEEN, recipe, OPTIONS)
    assert sorted(trained.train_people + trained.validation_people) == SEEN
    mean, log_var = predict(trained.head, data)
    rows = data.rows_of(set(NAMES) - set(SEEN))
    sigma = np.concatenate([harmonic_log_var(log_var[view, rows]) for view in range(VIEWS)])
    assert spearmanr(sigma, level[:, rows].ravel()).statistic > 0.6
    np.testing.assert_allclose(np.linalg.norm(mean, axis=2), 1.0, rtol=1e-5)
    assert trained.head.moves_mean or np.array_equal(mean, data.mean.numpy())


@pytest.mark.parametrize("name", VARIANTS)
def test_survives_the_disk(name: str, tmp_path: Path) -> None:
    recipe = recipe_of(name)
    data, _ = data_for(recipe)
    trained = train_recipe(data, SEEN, recipe, replace(OPTIONS, steps=20, check_every=10))
    mean, log_var = predict(trained.head, data)
    assert np.isfinite(mean).all()
    assert np.isfinite(log_var).all()
    save_head(tmp_path / "h.safetensors", trained.head, Pretend.spec, {}, recipe.method)
    stored = load_head(tmp_path / "h.safetensors")
    assert stored.method == recipe.method
    assert stored.head.moves_mean == trained.head.moves_mean
    for mine, theirs in zip((mean, log_var), predict(stored.head, data), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["pfe", "vmf", "probface", "scaleface", "dul-cls", "dul-mls", "dul-reg", "softmax"])
def test_log_var_is_a_variance(name: str) -> None:
    """Whatever the loss leaves open: on people it never saw, genuine pairs scatter about as the variances say."""
    recipe = recipe_of(name)
    data, _ = data_for(recipe)
    mean, log_var = predict(train_recipe(data, SEEN, recipe, OPTIONS).head, data)
    rows = data.rows_of(set(NAMES) - set(SEEN)).reshape(-1, PHOTOS)
    first, second = rows[:, 0], rows[:, 1]
    square = (mean[0, first] - mean[1, second]) ** 2
    expected = np.exp(log_var[0, first]) + np.exp(log_var[1, second])
    ratio = square.sum() / np.broadcast_to(expected, square.shape).sum()
    assert 0.3 < ratio < 3.0


@pytest.mark.parametrize("name", ["dul-cls", "dul-mls", "dul-reg", "scaleface", "probface"])
def test_parts_of_the_loss_are_logged_and_runs_repeat(name: str) -> None:
    recipe = recipe_of(name)
    data, _ = data_for(recipe)
    short = replace(OPTIONS, steps=20, check_every=10)
    one, other = (train_recipe(data, SEEN, recipe, short) for _ in range(2))
    assert one.history == other.history
    assert len(set(one.history[0]) - {"step", "train_loss", "validation_loss"}) >= 1


def test_checkpoint_goes_on_with_its_classifier(tmp_path: Path) -> None:
    recipe = recipe_of("dul-cls")
    data, _ = data_for(recipe)
    short = replace(OPTIONS, steps=20, check_every=10)
    whole = train_recipe(data, SEEN, recipe, short)
    path = tmp_path / "state"
    from faceunc.training.run import TrainingRun

    original = TrainingRun.store
    stores = 0

    def store_then_die(run: TrainingRun, where: Path) -> None:
        nonlocal stores
        original(run, where)
        stores += 1
        if stores == 1:
            raise KeyboardInterrupt

    TrainingRun.store = store_then_die  # type: ignore[method-assign]
    try:
        with pytest.raises(KeyboardInterrupt):
            train_recipe(data, SEEN, recipe, short, path)
        again = train_recipe(data, SEEN, recipe, short, path)
    finally:
        TrainingRun.store = original  # type: ignore[method-assign]
    assert again.history == whole.history
    with pytest.raises(InputError, match="checkpoint of other"):
        train_recipe(data, SEEN, recipe_of("dul-cls:kl_weight=0.5"), short, path)


def test_without_regulariser_the_noise_collapses_and_this_is_said() -> None:
    data, _ = data_for(recipe_of("dul-cls"))
    short = replace(OPTIONS, steps=300, lr=2e-2, patience=99)
    free = train_recipe(data, SEEN, recipe_of("dul-cls:kl_weight=0"), short)
    held = train_recipe(data, SEEN, recipe_of("dul-cls:kl_weight=0.1"), short)
    assert free.history[-1]["mean log_var"] < held.history[-1]["mean log_var"] - 1.0
    assert collapse_of_noise(free)
    assert not collapse_of_noise(held)


@pytest.mark.parametrize("kind", ["seeds", "bootstrap", "checkpoints"])
def test_members_of_an_ensemble_differ_and_know_nobody_else(kind: str) -> None:
    recipe = replace(recipe_of("dul-reg"), ensemble=EnsembleOptions(3, kind))
    data, _ = data_for(recipe)
    trained = train_recipe(data, SEEN, recipe, replace(OPTIONS, steps=30, check_every=10))
    assert isinstance(trained.head, EnsembleHead)
    assert set(trained.train_people + trained.validation_people) <= set(SEEN)
    assert not set(trained.train_people) & set(trained.validation_people)
    if kind == "bootstrap":  # the card must name everybody whom any member has met
        draws = [set(bootstrap_people(trained_names(OPTIONS), OPTIONS.seed, member)) for member in range(3)]
        assert set(trained.train_people) == set.union(*draws)
    means, log_vars = trained.head.members(data.pooled[0], data.mean[0])
    assert means.shape == (3, PEOPLE * PHOTOS, DIM)
    assert all(not torch.equal(means[0], means[k]) for k in (1, 2))
    epistemic = trained.head.combined(data.pooled[0], data.mean[0]).epistemic
    assert epistemic.shape == (PEOPLE * PHOTOS,)
    assert bool((epistemic > 0).all())
    total = trained.head.embed(data.pooled[0], data.mean[0])[1]
    assert bool((total >= trained.head.from_pooled(data.pooled[0])).all())
    assert log_vars.shape[0] == 3


def test_the_command_line_knows_the_same_methods_and_settings() -> None:
    assert list(METHOD_HELP) == list(METHOD_SETTINGS) == list(METHODS)
    for name, method in METHODS.items():
        assert METHOD_SETTINGS[name] == method.settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pfes", "method must be one of"),
        ("pfe:colour=red", "NAME one of variance, architecture, norm"),
        ("pfe:variance=none", "variance must be one of"),
        ("pfe:norm=maybe", "true or false"),
        ("dul-cls:kl_weight=much", "must be a number"),
        ("vmf*many", r"METHOD\*M"),
        ("vmf*1", "at least 2"),
        ("dul-cls:classifier=foo", "classifier must be one of"),
        ("dul-reg:mean=foo", "mean must be one of"),
        ("dul-cls:kl_weight=nan", "kl_weight must be a number"),
        ("norm:variance=scalar", "NAME one of none"),
    ],
)
def test_wrong_names(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe_of(text)


@pytest.mark.parametrize("name", ["norm*3", "serfiq*2"])
def test_nothing_to_ensemble(name: str) -> None:
    recipe = recipe_of(name)
    with pytest.raises(InputError, match="no ensemble"):
        train_recipe(made_up(1)[0], SEEN, recipe, OPTIONS)


def test_serfiq_carries_the_last_layer_of_dlib() -> None:
    backbone = load_backbone("dlib", "float32")
    head = named_recipe("serfiq", backbone).pooling_head().eval()
    chips = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), np.uint8)
    output = backbone(chips)
    raw = head._reduce(output.feature_map) @ head.last_weight.T + head.last_bias  # type: ignore[union-attr, operator]
    torch.testing.assert_close(normalize(raw, dim=1), output.mean, rtol=1e-3, atol=1e-4)
