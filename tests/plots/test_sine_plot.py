"""What the sine figure draws are the result's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from PIL import Image

from faceunc.plots.sine import plot_band, plot_sd, save_sine
from faceunc.sine import Bands, SineConfig, SineResult, noise_sd


@pytest.fixture
def result() -> SineResult:
    """Made up, nothing trained."""
    rng = np.random.default_rng(0)
    grid = np.linspace(-10, 10, 41)
    bands = [
        Bands(name, np.sin(grid), *(rng.uniform(0.1, 1, 41) for _ in range(3)))
        for name in ("MC dropout", "deep ensemble")
    ]
    return SineResult(SineConfig(), rng.uniform(-5, 5, 30), rng.normal(size=30), grid, *bands)


@pytest.mark.parametrize("kind", ["epistemic", "aleatoric"])
def test_band(result: SineResult, kind: str) -> None:
    """The band's edges are mean -+ 2 sd; points, mean and truth are named in the legend."""
    bands = result.ensemble
    ax = plot_band(result, bands, kind, Figure().add_subplot())
    (band,) = (item for item in ax.collections if isinstance(item, FillBetweenPolyCollection))
    drawn = {(round(float(x), 6), round(float(y), 6)) for x, y in band.get_paths()[0].vertices}
    for sign in (-2, 2):
        edge = bands.mean + sign * getattr(bands, kind)
        assert {(round(x, 6), round(y, 6)) for x, y in zip(result.grid, edge, strict=True)} <= drawn
    legend = ax.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    expected = ["training points", f"±2 sd {kind}", "predicted mean", "true function sin x"]
    assert names == expected + (["true ±2 sd"] if kind == "aleatoric" else [])
    assert ax.get_title() == f"deep ensemble: {kind}"


@pytest.mark.parametrize("kind", ["epistemic", "aleatoric"])
def test_sd(result: SineResult, kind: str) -> None:
    ax = plot_sd(result, kind, Figure().add_subplot())
    lines = {str(line.get_label()): np.asarray(line.get_ydata()) for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["MC dropout"], getattr(result.mc_dropout, kind))
    np.testing.assert_array_equal(lines["deep ensemble"], getattr(result.ensemble, kind))
    np.testing.assert_array_equal(lines["sd of the noise"], noise_sd(result.grid))
    assert ax.get_yscale() == "log"


def test_save(result: SineResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epistemic on the left, aleatoric on the right, one row a method."""
    written: list[Figure] = []
    original = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (written.append(self), original(self, *a, **k)))
    save_sine(result, tmp_path / "sine.png")
    with Image.open(tmp_path / "sine.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
    titles = [ax.get_title() for ax in written[0].get_axes()][:4]
    assert titles == [f"{m}: {k}" for m in ("MC dropout", "deep ensemble") for k in ("epistemic", "aleatoric")]
