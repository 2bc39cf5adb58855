"""Pictures of calibration, promises, refusing, striking pairs, and of one comparison with names of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from faceunc.compare import Comparison, Judgement, Side
from faceunc.confidence import Evidence, Reference, fit_calibrator, make_policy
from faceunc.confidence.store import StoredCalibrator
from faceunc.evaluation.striking import Example
from faceunc.metrics.calibration import expected_calibration_error, reliability
from faceunc.photo_batches import Quality
from faceunc.plots.compare import save_comparison
from faceunc.plots.confidence import save_guarantees, save_refusal, save_reliability, save_striking

TITLE = "a title"
NAMES = [
    "plain.jpg",
    "price$5.jpg",
    "$a_$.jpg",
    r"$\frac{$.jpg",
    "new\nline.jpg",
    "tab\t\x1b[31m.jpg",
    "odd\udcff\udcfe.jpg",
    "面.jpg",
]


def panels(path: Path, figures: list[Figure], title: str | None = TITLE) -> list[Axes]:
    """The panels of the one figure, which must be a picture."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 200
        assert np.asarray(image.convert("L")).std() > 5  # something is drawn
    (figure,) = figures
    if title is not None:
        assert figure.get_suptitle() == title
    return figure.get_axes()


def labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [1, 3])
def test_reliability(count: int, tmp_path: Path, figures: list[Figure]) -> None:
    """A panel a group; the points of the diagram where 20 comparisons or more stand behind them."""
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(0, 0.3, 500), rng.uniform(0.3, 1, 60)])
    same = rng.uniform(size=len(p)) < p
    found = reliability(p, same)
    line = expected_calibration_error(p, same), found
    save_reliability({f"set {k}": {"one": line, "two": line} for k in range(count)}, tmp_path / "r.png", TITLE)
    axes = panels(tmp_path / "r.png", figures)
    assert [ax.get_title() for ax in axes] == [f"set {k}" for k in range(count)]
    many = found.count >= 20
    assert 0 < many.sum() < len(many)
    for ax in axes:
        assert labels(ax) == [f"{name}: ECE {line[0]:.3f}" for name in ("one", "two")]
        diagonal, *drawn = ax.get_lines()
        np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
        for one in drawn:
            np.testing.assert_array_equal(one.get_xdata(), found.probability[many])
            np.testing.assert_array_equal(one.get_ydata(), found.observed[many])
        assert drawn[0].get_marker() != drawn[1].get_marker()  # told apart in print
    assert axes[0].get_ylabel() == "observed share"


def test_refusal(tmp_path: Path, figures: list[Figure]) -> None:
    """A panel a part and score, a bar a quality; ours are not hatched."""
    names, parts, scores = (
        ["sigma (scalar)", "confidence", "norm", "random"],
        ["(a)", "(b)"],
        ["similarity", "MLS", "x"],
    )
    rows = [
        {"part": part, "score": score, "refused by": name, "FNMR": 0.1, "fall": fall, "std fall": 0.01}
        for part in parts
        for score in scores
        for name, fall in zip(names, (0.3, 0.25, 0.1, -0.02), strict=True)
    ]
    save_refusal(rows, tmp_path / "f.png", TITLE)
    axes = panels(tmp_path / "f.png", figures)
    assert [ax.get_title() for ax in axes] == [f"{part}, {score} (FNMR 0.100)" for part in parts for score in scores]
    for ax in axes:
        bars = ax.patches
        assert [bar.get_width() for bar in bars] == pytest.approx([30, 25, 10, -2])  # type: ignore[attr-defined]
        assert [bar.get_hatch() or "" for bar in bars] == ["", "", "//", "//"]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["sigma", *names[1:]]
    assert axes[0].yaxis_inverted()  # the first on top


def test_refusal_of_one_panel(tmp_path: Path, figures: list[Figure]) -> None:
    row = {"part": "(a)", "score": "MLS", "refused by": "norm", "FNMR": 0.1, "fall": 0.2, "std fall": 0.0}
    save_refusal([row], tmp_path / "f.png", TITLE)
    assert len(panels(tmp_path / "f.png", figures)) == 1


def test_guarantees(tmp_path: Path, figures: list[Figure]) -> None:
    """Bars are the rows' shares in percent, in the panel of their promise; the line is what is allowed."""
    scores, targets = ("similarity", "MLS", "log-odds"), (1e-2, 1e-3)
    share = np.random.default_rng(0).uniform(0, 0.2, (2, 3, 2))
    rows = [
        {"score": s, "FMR promised": t, "promise": promise, "confidence": 0.95, "exceeded": share[i, j, k]}
        for j, s in enumerate(scores)
        for k, t in enumerate(targets)
        for i, promise in enumerate(("population", "next"))
    ]
    save_guarantees(rows, tmp_path / "g.png", TITLE)
    left, right = panels(tmp_path / "g.png", figures)
    for ax, number, word in ((left, 1, "new comparisons"), (right, 0, "population")):
        assert word in ax.get_title()
        assert labels(ax) == ["FMR 0.01", "FMR 0.001"]
        heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, 3)  # type: ignore[attr-defined]
        np.testing.assert_allclose(heights.T, 100 * share[number])
        assert [text.get_text() for text in ax.get_xticklabels()] == list(scores)
        np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), 5.0)


def example(names: tuple[str, str], similarity: float) -> Example:
    chips = tuple(np.random.default_rng(k).integers(0, 256, (20, 20, 3), np.uint8) for k in (0, 1))
    return Example(chips, names, similarity, similarity - 0.4, 0.123)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 3])
def test_striking(count: int, tmp_path: Path, figures: list[Figure]) -> None:
    """Four chips a column: two people above, one person below, with their numbers."""
    pairs = [(example((f"A_{k}", f"B_{k}"), 0.8), example((f"C_{k}",) * 2, 0.81)) for k in range(count)]
    save_striking(pairs, tmp_path / "s.png", TITLE)
    axes = np.array(panels(tmp_path / "s.png", figures)).reshape(4, count)
    for column, (wrong, right) in enumerate(pairs):
        chips = (*wrong.chips, *right.chips)
        names = (*wrong.names, *right.names)
        for ax, chip, name in zip(axes[:, column], chips, names, strict=True):
            np.testing.assert_array_equal(ax.get_images()[0].get_array(), chip)
            assert ax.get_xlabel() == name.replace("_", " ")
        assert "similarity 80.0%\nconfidence 12.3%" in axes[0, column].get_title()
        assert "clean: similarity 40.0%" in axes[0, column].get_title()
        assert axes[2, column].get_title() == "similarity 81.0%\nconfidence 12.3%"
    assert (axes[0, 0].get_ylabel(), axes[2, 0].get_ylabel()) == ("two people", "one person")


@pytest.mark.parametrize("name", NAMES)
def test_striking_of_any_name(name: str, tmp_path: Path, figures: list[Figure]) -> None:
    save_striking([(example((name, "B"), 0.8), example(("C", "C"), 0.8))], tmp_path / "s.png", TITLE)
    assert len(panels(tmp_path / "s.png", figures)) == 4


def side(photos: list[str]) -> Side:
    count = len(photos)
    quality = Quality(face_size=100.0, score=1.0, faces=1, sharpness=100.0, norm=1.0)
    chips = tuple(np.full((30, 30, 3), 40 * k, np.uint8) for k in range(count))
    return Side(tuple(photos), (0.05,) * count, 0.04, (quality,) * count, ((),) * count, chips)


def stored() -> StoredCalibrator:
    """A sigmoid of the MLS, and two thousand reference comparisons of people who are in no other."""
    rng = np.random.default_rng(0)
    count = 2000
    same = np.arange(count) < 500
    mls = (np.where(same, 30, -30) + 20 * rng.normal(size=count)).astype(float)
    evidence = Evidence(mls / 200 + 0.5, mls, np.full((count, 2), 0.05), np.ones((count, 2)))
    calibrator = fit_calibrator(evidence, same, "sigmoid")
    number = np.arange(count, dtype=np.int32)
    odds, similarity = calibrator.log_odds(evidence).astype("f4"), evidence.similarity.astype("f4")
    poorer, everywhere = np.full(count, 0.05, np.float32), np.ones(count, bool)
    other = np.where(same, number, number + count).astype(np.int32)
    return StoredCalibrator(calibrator, Reference(odds, similarity, poorer, same, everywhere, number, other))


def comparison(first: list[str], second: list[str], calibrator: StoredCalibrator | None) -> Comparison:
    judgement = None
    if calibrator is not None:
        policy = make_policy(calibrator.reference, fmr=0.05, fnmr=0.05)
        judgement = Judgement(1.5, 0.8, 0.5, 0.8, "accept", "reason", policy, 0.2, ())
    return Comparison((side(first), side(second)), 0.61, 12.0, judgement)


@pytest.mark.parametrize("name", NAMES)
def test_comparison_of_any_name(name: str, tmp_path: Path, figures: list[Figure]) -> None:
    save_comparison(comparison([name], [name], None), tmp_path / "c.png")
    axes = panels(tmp_path / "c.png", figures, None)
    assert len(axes) == 4  # two faces, sigmas, position
    if name.isascii() and name.isprintable() and "$" not in name:
        assert axes[0].get_xlabel().startswith(name)


@pytest.mark.parametrize(
    "name", ["x" * 13 + "$" + "y" * 30 + "$_.jpg", "$" * 50, "ä" * 60 + ".jpg", "/".join("ab" * 40)]
)
def test_comparison_of_long_names(name: str, tmp_path: Path, figures: list[Figure]) -> None:
    save_comparison(comparison([name], [name], None), tmp_path / "c.png")
    axes = panels(tmp_path / "c.png", figures, None)
    assert all(len(line) < 45 for ax in axes[:2] for line in ax.get_xlabel().splitlines())


def test_comparison_with_a_calibrator(tmp_path: Path, figures: list[Figure]) -> None:
    calibrator = stored()
    found = comparison(["a.jpg"], [f"b{k}.jpg" for k in range(6)], calibrator)
    save_comparison(found, tmp_path / "c.png", calibrator)
    axes = panels(tmp_path / "c.png", figures, "similarity 61.0%, confidence 80.0%: accept")
    assert len(axes) == 1 + 4 + 2  # no more than four faces a side
    assert [ax.get_title() for ax in axes[:5]] == ["A: sigma 0.0500", *["B: sigma 0.0500"] * 4]
    assert "(and 2 more)" in axes[4].get_xlabel()
    bars, position = axes[5:]
    assert bars.get_title() == "sigma of both sides"
    assert [bar.get_width() for bar in bars.patches[:2]] == [0.04, 0.04]  # type: ignore[attr-defined]
    assert {"reference: two people", "reference: one person", "this comparison", "accepted from here"} <= set(
        labels(position)
    )
    here, threshold = position.get_lines()[:2]
    assert found.judgement is not None
    assert np.asarray(here.get_xdata())[0] == 1.5
    assert np.asarray(threshold.get_xdata())[0] == found.judgement.policy.fmr.threshold
    assert position.get_title() == "P(same person) 80.0% at prior 0.5"


def test_comparison_without_calibrator_says_so(tmp_path: Path, figures: list[Figure]) -> None:
    save_comparison(comparison(["a.jpg"], ["b.jpg"], None), tmp_path / "c.png")
    axes = panels(tmp_path / "c.png", figures, "similarity 61.0%")
    assert [text.get_text() for text in axes[-1].texts] == ["no calibrator for this head"]
