"""``faceunc compare`` and ``faceunc demo`` with the head that is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from faceunc.cli import main
from faceunc.demo import DEMO_KINDS
from faceunc.heads.shipped import shipped_names

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.skipif("dlib-pfe" not in shipped_names(), reason="pretrained/dlib-pfe.safetensors is missing")


@pytest.fixture
def blurred(tmp_path: Path, bush: list[Path]) -> Path:
    """The second photograph, blurred by 4 pixels."""
    image = cv2.GaussianBlur(np.asarray(Image.open(bush[1]).convert("RGB")), (0, 0), 4.0)
    Image.fromarray(image.astype(np.uint8)).save(tmp_path / "blurred.png")
    return tmp_path / "blurred.png"


def compared(capsys: Capture, *words: object) -> dict[str, object]:
    assert main(["compare", *map(str, words), "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_blurred_photo_is_the_poorer(capsys: Capture, bush: list[Path], blurred: Path) -> None:
    clean = compared(capsys, bush[0], bush[1])
    poor = compared(capsys, bush[0], blurred)
    assert clean["sigma"][0] == pytest.approx(poor["sigma"][0], rel=0.05)  # type: ignore[index]
    assert poor["sigma"][1] > 1.05 * clean["sigma"][1]  # type: ignore[index]
    assert poor["sigma"][1] > poor["sigma"][0]  # type: ignore[index]
    assert poor["poorer"] == str(blurred)
    assert poor["similarity"] < clean["similarity"]  # type: ignore[operator]
    assert poor["mls"] < clean["mls"]  # type: ignore[operator]
    assert poor["photos"] == [str(bush[0]), str(blurred)]


def test_text(capsys: Capture, bush: list[Path], blurred: Path) -> None:
    assert main(["compare", str(bush[0]), str(blurred)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["similarity", "MLS", "sigma", "sigma"]
    assert lines[-1] == f"the poorer photo is {blurred}"


def test_equal_photos(capsys: Capture, bush: list[Path]) -> None:
    assert main(["compare", str(bush[0]), str(bush[0])]) == 0
    out = capsys.readouterr().out
    assert "+1.0000" in out
    assert "equally certain" in out


def test_aligned_json_has_null_for_nan(capsys: Capture, bush: list[Path]) -> None:
    found = compared(capsys, bush[0], bush[1], "--aligned")
    assert found["quality"][0]["face_size"] is None  # type: ignore[index]


def test_demo(tmp_path: Path, capsys: Capture) -> None:
    """The table's sigma rises with the severity of every kind (noise in it: ends and rank correlation)."""
    assert main(["demo", "-o", str(tmp_path / "new" / "demo.png")]) == 0
    with Image.open(tmp_path / "new" / "demo.png") as figure:
        assert figure.format == "PNG"
        assert min(figure.size) > 300
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    original = next(float(line[2]) for line in lines if line and line[0] == "original")
    for kind in DEMO_KINDS:
        sigma = [original, *(float(line[3]) for line in lines if line and line[0] == kind)]
        assert len(sigma) == 5
        assert sigma == sorted(sigma), kind


def test_demo_of_a_photo_of_your_own(tmp_path: Path, bush: list[Path]) -> None:
    assert main(["demo", "--photo", str(bush[0]), "-o", str(tmp_path / "own.png")]) == 0
    assert (tmp_path / "own.png").stat().st_size > 10_000


def test_demo_without_a_face(tmp_path: Path, capsys: Capture) -> None:
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "grey.png")
    assert main(["demo", "--photo", str(tmp_path / "grey.png"), "-o", str(tmp_path / "out.png")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("faceunc: error:")
    assert err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_demo_output_below_a_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["demo", "-o", str(tmp_path / "file" / "out.png")]) == 2
    assert "cannot write" in capsys.readouterr().err
