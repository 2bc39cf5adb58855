"""Training on made-up features in which every row says how noisy its embedding is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import normalize

from faceunc.embeddings import harmonic_log_var
from faceunc.errors import InputError
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.training import loop
from faceunc.training.collapse import predict_log_var
from faceunc.training.data import TrainingData
from faceunc.training.loop import TrainedHead, TrainOptions, split_people, train_head
from faceunc.training.objectives import pfe as objective

PEOPLE, PHOTOS, VIEWS, DIM = 60, 5, 2, 16
CONFIG = PFEConfig((4, 1, 1), DIM, variance="scalar", hidden=16, members=1)
SHORT = TrainOptions(steps=40, people=16, check_every=10, seed=3)
NAMES = [f"p{i:02d}" for i in range(PEOPLE)]
SEEN = NAMES[:45]


def made_up() -> tuple[TrainingData, NDArray[np.float64]]:
    """Features, and the noise level of every row (V, N): it can be read from the first feature."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(PEOPLE), PHOTOS)
    level = rng.uniform(0.0, 1.0, (VIEWS, PEOPLE * PHOTOS))
    noise = rng.standard_normal((VIEWS, PEOPLE * PHOTOS, DIM)) * np.exp(2.5 * level - 4.5)[..., None]
    centre = rng.standard_normal((PEOPLE, DIM)) / 4.0
    pooled = rng.standard_normal((VIEWS, PEOPLE * PHOTOS, 8))
    pooled[..., 0] = level
    data = TrainingData(
        pooled=torch.from_numpy(pooled).float(),
        mean=normalize(torch.from_numpy(centre[person] + noise).float(), dim=-1),
        person=person,
        people=NAMES,
        usable=np.ones(len(person), bool),
        severity=level,
        kind=np.ones_like(level, np.int64),
        norm=np.ones_like(level, np.float32),
        sharpness=np.ones_like(level, np.float32),
        face_size=np.ones(len(person), np.float32),
    )
    return data, level


def weights(trained: TrainedHead) -> dict[str, Tensor]:
    return trained.head.state_dict()


def equal(one: TrainedHead, other: TrainedHead) -> bool:
    same = all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())
    return same and one.history == other.history and one.best_step == other.best_step


def test_learns_the_noise_level_of_people_it_never_saw() -> None:
    data, level = made_up()
    options = TrainOptions(steps=200, people=32, lr=1e-2, check_every=50, patience=8)
    trained = train_head(data, SEEN, CONFIG, options)
    rows = data.rows_of(set(NAMES) - set(SEEN))
    predicted = predict_log_var(trained.head, data)
    for view in range(VIEWS):
        assert spearmanr(harmonic_log_var(predicted[view, rows]), level[view, rows]).statistic > 0.8
    assert trained.history[-1]["validation_loss"] < trained.history[0]["validation_loss"] < 0


def test_returns_the_best_state_frozen_and_the_split() -> None:
    trained = train_head(made_up()[0], SEEN, CONFIG, SHORT)
    losses = {row["step"]: row["validation_loss"] for row in trained.history}
    assert list(losses) == [10, 20, 30, 40]
    assert trained.best_step == min(losses, key=losses.__getitem__)
    assert not trained.head.training
    assert not any(p.requires_grad for p in trained.head.parameters())
    assert sorted(trained.train_people + trained.validation_people) == SEEN
    assert len(trained.validation_people) == round(0.15 * 45)


def test_the_bias_comes_from_the_data() -> None:
    data, _ = made_up()
    trained = train_head(data, SEEN, CONFIG, replace(SHORT, steps=10))
    squares = [
        float((data.mean[u, i] - data.mean[v, j]).square().sum())
        for who in trained.train_people
        for i in data.rows_of({who})
        for j in data.rows_of({who})
        if i < j
        for u in range(VIEWS)
        for v in range(VIEWS)
    ]
    assert trained.head.config.bias == pytest.approx(np.log(np.mean(squares) / (2 * DIM)), abs=0.1)


def test_same_seed_same_result_whatever_ran_before() -> None:
    data, _ = made_up()
    first = train_head(data, SEEN, CONFIG, SHORT)
    torch.rand(17)
    assert equal(train_head(data, reversed(SEEN), CONFIG, SHORT), first)
    assert not equal(train_head(data, SEEN, CONFIG, replace(SHORT, seed=4)), first)


def test_the_number_of_threads_changes_nothing() -> None:
    """Neither the head, nor what torch was set to."""
    data, _ = made_up()
    config = PFEConfig((4, 1, 1), DIM, hidden=64, members=4)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(train_head(data, SEEN, config, SHORT))
        assert torch.get_num_threads() == threads
    assert equal(*found)


def interrupt_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[..., Tensor] = objective.mutual_likelihood_loss
    left = [calls]

    def failing(mean: Tensor, log_var: Tensor, pairs: Tensor) -> Tensor:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(mean, log_var, pairs)

    monkeypatch.setattr(objective, "mutual_likelihood_loss", failing)


@pytest.mark.parametrize("calls", [5, 20, 33])
def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(
    calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = made_up()
    whole = train_head(data, SEEN, CONFIG, SHORT, tmp_path / "whole.pt")
    with monkeypatch.context() as patch:
        interrupt_after(calls, patch)
        with pytest.raises(KeyboardInterrupt):
            train_head(data, SEEN, CONFIG, SHORT, tmp_path / "part.pt")
    assert (tmp_path / "part.pt").is_file() == (calls > 10)
    torch.rand(5)
    assert equal(train_head(data, SEEN, CONFIG, SHORT, tmp_path / "part.pt"), whole)
    assert equal(train_head(data, SEEN, CONFIG, SHORT), whole)


def test_a_finished_run_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = made_up()
    whole = train_head(data, SEEN, CONFIG, SHORT, tmp_path / "run.pt")
    interrupt_after(0, monkeypatch)
    assert equal(train_head(data, SEEN, CONFIG, SHORT, tmp_path / "run.pt"), whole)


@pytest.mark.parametrize("content", ["empty", "junk", "tensor", "list", "none", "half", "no end", "start"])
def test_damaged_checkpoint(content: str, tmp_path: Path) -> None:
    data, path = made_up()[0], tmp_path / "run.pt"
    options = replace(SHORT, steps=10)
    train_head(data, SEEN, CONFIG, options, path)
    whole = path.read_bytes()
    foreign = {"tensor": torch.zeros(3), "list": [1, 2], "none": None}
    cut = {"empty": 0, "half": len(whole) // 2, "no end": len(whole) - 10, "start": 100}
    if content in foreign:
        torch.save(foreign[content], path)
    else:
        path.write_bytes(bytes(range(256)) * 8 if content == "junk" else whole[: cut[content]])
    with pytest.raises(InputError, match=r"run\.pt: damaged checkpoint \(.+\)"):
        train_head(data, SEEN, CONFIG, options, path)


@pytest.mark.parametrize("change", ["options", "people", "config", "data", "backbone"])
def test_checkpoint_of_another_run(change: str, tmp_path: Path) -> None:
    data, people, config, options = made_up()[0], SEEN, CONFIG, replace(SHORT, steps=10)
    train_head(data, people, config, options, tmp_path / "run.pt")
    if change == "options":
        options = replace(options, lr=1e-2)
    if change == "people":
        people = NAMES[:40]
    if change == "config":
        config = replace(config, hidden=8)
    if change == "backbone":
        data = replace(data, origin="another backbone")
    if change == "data":
        data = replace(data, mean=data.mean.roll(1, 1))
    with pytest.raises(InputError, match="of other data, options or backbone"):
        train_head(data, people, config, options, tmp_path / "run.pt")


def test_nobody_else_is_ever_touched() -> None:
    data, _ = made_up()
    expected = train_head(data, SEEN, CONFIG, SHORT)
    others = data.rows_of(set(NAMES) - set(SEEN))
    pooled, mean = data.pooled.clone(), data.mean.clone()
    pooled[:, others] = torch.nan
    mean[:, others] = torch.nan
    assert equal(train_head(replace(data, pooled=pooled, mean=mean), SEEN, CONFIG, SHORT), expected)


def test_unusable_photographs_are_not_trained_on() -> None:
    data, _ = made_up()
    usable, pooled = data.usable.copy(), data.pooled.clone()
    usable[::7] = False
    pooled[:, ::7] = torch.nan
    trained = train_head(replace(data, usable=usable, pooled=pooled), SEEN, CONFIG, SHORT)
    assert all(value.isfinite().all() for value in weights(trained).values())


def test_validation_people_do_not_move_the_weights() -> None:
    data, _ = made_up()
    before = train_head(data, SEEN, CONFIG, replace(SHORT, steps=10))
    mean = data.mean.clone()
    rows = data.rows_of(set(before.validation_people))
    mean[:, rows] = mean[:, rows].flip(-1)
    after = train_head(replace(data, mean=mean), SEEN, CONFIG, replace(SHORT, steps=10))
    assert all(torch.equal(value, weights(after)[name]) for name, value in weights(before).items())


def test_stops_when_validation_no_longer_improves() -> None:
    options = TrainOptions(steps=2000, people=16, lr=1e-12, check_every=5, patience=3)
    trained = train_head(made_up()[0], SEEN, CONFIG, options)
    steps = [row["step"] for row in trained.history]
    assert steps[-1] < 2000
    assert steps[-1] - trained.best_step == 3 * 5


def test_divergence_is_an_error() -> None:
    data, _ = made_up()
    broken = replace(data, pooled=torch.full_like(data.pooled, torch.nan))
    with pytest.raises(InputError, match="diverged at step 10"):
        train_head(broken, SEEN, CONFIG, SHORT)


@pytest.mark.parametrize("people", [[], NAMES[:1], ["stranger", "other"]])
def test_too_few_people(people: list[str]) -> None:
    with pytest.raises(InputError, match="at least two photographs"):
        train_head(made_up()[0], people, CONFIG, SHORT)


def test_split_is_disjoint_and_ignores_the_order() -> None:
    train, held = split_people(SEEN, 0.2, 5)
    assert sorted(train + held) == SEEN
    assert len(held) == 9
    assert split_people(reversed(SEEN), 0.2, 5) == (train, held)
    assert split_people(SEEN, 0.2, 6) != (train, held)
    assert len(split_people(SEEN, 0.0, 5)[1]) == 1


def test_paper_architecture_trains_too() -> None:
    data, _ = made_up()
    config = PFEConfig((8, 1, 1), DIM, "paper", "per-dimension")
    trained = train_head(replace(data, pooled=data.pooled.half()), SEEN, config, SHORT)
    assert isinstance(trained.head, PFEHead)
    assert predict_log_var(trained.head, data).shape == (VIEWS, PEOPLE * PHOTOS, DIM)


def test_somebody_with_two_photographs_is_held_out_even_by_bad_luck() -> None:
    data, _ = made_up()
    single = data.people.index("p40")
    usable = data.usable.copy()
    usable[np.flatnonzero(data.person == single)[1:]] = False
    train, held = ["p00", "p01"], ["p40"]
    loop._ensure_pairs(replace(data, usable=usable), train, held)
    assert (train, held) == (["p01"], ["p40", "p00"])
    loop._ensure_pairs(data, train, held)
    assert (train, held) == (["p01"], ["p40", "p00"])
