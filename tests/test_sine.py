"""The sine example shows what it says: on three seeds, with margins."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from faceunc.cli import main
from faceunc.cli.main import build_parser
from faceunc.sine import Bands, SineConfig, SineNetworks, SineResult, noise_sd, run_sine, sine_data, train_networks
from faceunc.sine_report import inside, method_values, on_data, outside, sine_values

Capture = pytest.CaptureFixture[str]
SEEDS = (0, 1, 2)
METHODS = ("mc_dropout", "ensemble")
QUICK = ["--members", "2", "--passes", "3", "--points", "20", "--steps", "5"]
both = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module", params=SEEDS, ids="seed {}".format)
def result(request: pytest.FixtureRequest) -> SineResult:
    """At the defaults of the command."""
    return run_sine(SineConfig(seed=request.param))


@both
def test_epistemic_opens_outside_the_data(result: SineResult, method: str) -> None:
    """On both sides at least 3 times what it is inside; larger than inside everywhere from |x| = 8 on."""
    epistemic = getattr(result, method).epistemic
    near = epistemic[inside(result.grid)].mean()
    for side in (result.grid <= -8.0, result.grid >= 8.0):
        assert epistemic[side].mean() > 3.0 * near
    assert epistemic[outside(result.grid)].min() > epistemic[inside(result.grid)].max()


@both
def test_aleatoric_follows_the_noise(result: SineResult, method: str) -> None:
    """Over seeds 0 to 11 the rank correlation was 0.91 to 1.00 for the ensemble, 0.89 to 0.99 for MC dropout."""
    data = on_data(result.grid)
    aleatoric, true = getattr(result, method).aleatoric[data], noise_sd(result.grid[data])
    assert np.median(np.abs(aleatoric / true - 1.0)) < 0.3
    assert spearmanr(aleatoric, true).statistic > 0.9
    loudest = result.grid[data][aleatoric.argmax()]
    assert abs(loudest - 1.0) < 2.0


@both
def test_neither_does_the_work_of_the_other(result: SineResult, method: str) -> None:
    """On the data the epistemic sd does not rank as the noise does; outside the aleatoric sd is not what opens."""
    values = method_values(result, getattr(result, method))
    assert values["epistemic sd, rank correlation with the noise"] < 0.75
    bands: Bands = getattr(result, method)
    growth = {
        kind: getattr(bands, kind)[outside(result.grid)].mean() / getattr(bands, kind)[inside(result.grid)].mean()
        for kind in ("aleatoric", "epistemic")
    }
    assert growth["epistemic"] > 3.0 * growth["aleatoric"]


@both
def test_variances_add_up(result: SineResult, method: str) -> None:
    bands: Bands = getattr(result, method)
    np.testing.assert_allclose(bands.total**2, bands.aleatoric**2 + bands.epistemic**2, rtol=1e-5)
    assert np.sqrt(np.mean((bands.mean - np.sin(result.grid))[inside(result.grid)] ** 2)) < 0.15


def test_same_seed_same_numbers() -> None:
    config = SineConfig(seed=3, members=2, passes=5, points=30, steps=20)
    one, again = run_sine(config), run_sine(config)
    assert sine_values(one) == sine_values(again)
    np.testing.assert_array_equal(one.ensemble.total, again.ensemble.total)
    other = run_sine(SineConfig(seed=4, members=2, passes=5, points=30, steps=20))
    assert not np.array_equal(one.x, other.x)


def test_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    run_sine(SineConfig(members=2, passes=2, points=10, steps=1))
    assert torch.get_num_threads() == before


def test_a_member_does_not_depend_on_the_others() -> None:
    """The first two of four, trained at once, are the two that are trained alone."""
    x, y = sine_data(50, 0)
    grid = torch.linspace(-10, 10, 41)[:, None]
    few, many = SineNetworks(2, 7), SineNetworks(4, 7)
    for networks in (few, many):
        train_networks(networks, x, y, 30)
    for one, other in zip(few(grid), many(grid), strict=True):
        torch.testing.assert_close(one, other[:2], rtol=1e-3, atol=1e-4)
    assert float(few(grid)[0].detach().var(0).max()) > 0


def test_masks_make_many_networks_of_one() -> None:
    networks = SineNetworks(1, 0)
    masks = torch.stack([torch.ones(1, 256), torch.zeros(1, 256)])
    mean, log_var = networks(torch.tensor([[1.0], [2.0], [3.0]]), masks)
    assert (tuple(mean.shape), tuple(log_var.shape)) == ((2, 3, 1), (2, 3, 1))
    torch.testing.assert_close(mean[:1], networks(torch.tensor([[1.0], [2.0], [3.0]]))[0])
    assert mean[1].unique().numel() == 1  # no hidden unit is left: a constant


def test_data() -> None:
    """Within [-5, 5], and its noise has the standard deviation that is promised."""
    x, y = sine_data(40_000, 0)
    assert np.abs(x).max() <= 5.0
    residual = (y - np.sin(x)) / noise_sd(x)
    for part in np.array_split(residual, 5):
        assert part.std() == pytest.approx(1.0, abs=0.04)
    assert noise_sd(np.array([1.0, -5.0, 5.0])) == pytest.approx([0.4, 0.117, 0.183], abs=1e-3)


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("members", 1), ("passes", 1), ("points", 9), ("steps", 0)])
def test_bad_config(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be at least {value + 1}\. Got {value} instead"):
        SineConfig(**{name: value})


def test_command(tmp_path: Path, capsys: Capture) -> None:
    figure, numbers = tmp_path / "new" / "sine.png", tmp_path / "sine.json"
    assert main(["demo", "sine", *QUICK, "--seed", "5", "-o", str(figure), "--json", str(numbers)]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("MC dropout", "deep ensemble", "aleatoric", "epistemic", f"figure: {figure}"))
    with Image.open(figure) as image:
        assert image.format == "PNG"
    values = json.loads(numbers.read_text())
    assert values["config"] == {"seed": 5, "members": 2, "passes": 3, "points": 20, "steps": 5}
    assert set(values["methods"]) == {"MC dropout", "deep ensemble"}
    for entry in values["along x"]:
        parts = entry["deep ensemble"]
        assert parts["total"] ** 2 == pytest.approx(parts["aleatoric"] ** 2 + parts["epistemic"] ** 2, rel=1e-4)


@pytest.mark.parametrize("option", ["-o", "--json"])
def test_output_is_tried_before_the_work(option: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["demo", "sine", "-o", str(tmp_path / "a.png"), option, str(tmp_path / "file" / "out")]) == 2
    captured = capsys.readouterr()
    assert "cannot write" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("words", [["--photo", "a.jpg"], ["--head", "mine"], ["--threads", "1"]])
def test_options_of_the_face_are_refused(words: list[str], capsys: Capture) -> None:
    assert main(["demo", *words, "sine"]) == 2
    assert "face demonstration" in capsys.readouterr().err


def test_defaults_of_the_command_are_those_of_the_config() -> None:
    args = vars(build_parser().parse_args(["demo", "sine"]))
    assert SineConfig(**{name: args[name] for name in ("seed", "members", "passes", "points", "steps")}) == SineConfig()


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "a.png", "--photo", "b.jpg", "--threads", "1"],
        ["-o", "a.png", "face", "--photo", "b.jpg", "--threads", "1"],
        ["face", "-o", "a.png", "--photo", "b.jpg", "--threads", "1"],
    ],
)
def test_the_face_may_be_named_or_not(words: list[str]) -> None:
    args = build_parser().parse_args(["demo", *words])
    assert (args.out, args.photo, args.head, args.threads) == (Path("a.png"), Path("b.jpg"), "dlib-pfe", 1)
    assert args.run.__name__ == "run"


def test_an_output_before_the_name_is_kept() -> None:
    args = build_parser().parse_args(["demo", "-o", "a.png", "sine"])
    assert (args.out, args.run.__name__) == (Path("a.png"), "run_sine")


def test_help_teaches(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "sine", "--help"])
    out = capsys.readouterr().out
    assert out.startswith("usage: faceunc demo sine")
    assert all(word in out for word in ("epistemic:", "aleatoric:", "default: 1200"))
