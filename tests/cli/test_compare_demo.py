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
from faceunc.heads.shipped import shipped_folder, shipped_names

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


def test_blurred_photo_limits(capsys: Capture, bush: list[Path], blurred: Path) -> None:
    clean = compared(capsys, bush[0], bush[1])
    poor = compared(capsys, bush[0], blurred)
    (sharp, _), (same, soft) = clean["sides"], poor["sides"]  # type: ignore[misc]
    assert sharp["sigma"] == pytest.approx(same["sigma"], rel=0.05)
    assert soft["sigma"] > 1.05 * same["sigma"]
    assert poor["limited by"] == str(blurred)
    assert soft["photos"][0]["flaws"][0]["kind"] == "blurred"
    assert poor["similarity"] < clean["similarity"]  # type: ignore[operator]
    assert poor["mls"] < clean["mls"]  # type: ignore[operator]
    assert poor["log_odds"] < clean["log_odds"]  # type: ignore[operator]
    assert clean["decision"] == "accept"
    assert clean["confidence"] > 0.95  # type: ignore[operator]
    assert [side["photos"][0]["photo"] for side in poor["sides"]] == [str(bush[0]), str(blurred)]  # type: ignore[attr-defined]


def test_five_lines(capsys: Capture, bush: list[Path], blurred: Path) -> None:
    assert main(["compare", str(bush[0]), str(blurred)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["similarity", "confidence", "decision", "limited", "likely"]
    assert str(blurred) in lines[3]
    assert "blurred" in lines[4]


def test_equal_photos(capsys: Capture, bush: list[Path]) -> None:
    assert main(["compare", str(bush[0]), str(bush[0])]) == 0
    out = capsys.readouterr().out
    assert "100.0%" in out
    assert "equally certain" in out
    assert compared(capsys, bush[0], bush[0])["limited by"] is None


def test_aligned_json_has_null_for_nan(capsys: Capture, bush: list[Path]) -> None:
    found = compared(capsys, bush[0], bush[1], "--aligned")
    assert found["sides"][0]["photos"][0]["face_size"] is None  # type: ignore[index]


def test_templates_are_surer_than_one_photograph(
    capsys: Capture, bush: list[Path], blurred: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "person"
    folder.mkdir()
    for number, path in enumerate([*bush[:2], blurred]):
        (folder / f"{number}{path.suffix}").write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"no image")
    one, many = compared(capsys, bush[0], bush[1]), compared(capsys, bush[0], folder)
    assert many["sides"][1]["sigma"] < one["sides"][1]["sigma"]  # type: ignore[index]
    assert len(many["sides"][1]["photos"]) == 3  # type: ignore[index]
    assert many["failures"][0]["kind"] == "not_an_image"  # type: ignore[index]


def test_the_operator_is_heard(capsys: Capture, bush: list[Path], blurred: Path) -> None:
    assert compared(capsys, bush[0], blurred, "--refuse-share", "0.9")["decision"] == "refuse"
    strict, loose = (compared(capsys, bush[0], bush[1], "--fmr", fmr)["policy"] for fmr in ("0.001", "0.1"))
    assert strict["FMR"]["threshold"] > loose["FMR"]["threshold"]  # type: ignore[index]
    assert strict["similarity threshold"] > loose["similarity threshold"]  # type: ignore[index]
    rare, common = (compared(capsys, bush[0], blurred, "--prior", prior)["same"] for prior in ("0.01", "0.5"))
    assert rare < common  # type: ignore[operator]
    assert main(["compare", str(bush[0]), str(bush[1]), "--fmr", "1e-7"]) == 2
    assert "cannot promise an FMR of 1e-07" in capsys.readouterr().err


def test_a_stranger_in_a_folder_is_named(capsys: Capture, bush: list[Path], lfw: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    other = lfw / "Tony_Blair" / "Tony_Blair_0001.jpg"
    for path in (*bush[:3], other):
        (folder / path.name).write_bytes(path.read_bytes())
    assert main(["compare", str(bush[0]), str(folder)]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "another person" in line]
    assert len(warnings) == 1
    assert other.name in warnings[0]


def test_figure(capsys: Capture, bush: list[Path], blurred: Path, tmp_path: Path) -> None:
    words = ["compare", str(bush[0]), str(blurred), "--figure"]
    assert main([*words, str(tmp_path / "c.png")]) == 0
    with Image.open(tmp_path / "c.png") as figure:
        assert min(figure.size) > 300
    assert main([*words, str(tmp_path / "c.txt")]) == 2
    assert "expected a file *.png" in capsys.readouterr().err


def test_a_foreign_calibrator_is_refused(capsys: Capture, bush: list[Path]) -> None:
    foreign = shipped_folder() / "dlib-pfe-scalar.calibrator.safetensors"
    assert main(["compare", str(bush[0]), str(bush[1]), "--calibrator", str(foreign)]) == 2
    assert "this calibrator belongs to head 'dlib-pfe-scalar'" in capsys.readouterr().err


def test_a_head_without_calibrator(capsys: Capture, bush: list[Path], tiny_head: Path) -> None:
    assert main(["compare", str(bush[0]), str(bush[1]), "--head", str(tiny_head)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "faceunc calibrate" in lines[1]
    assert len(lines) == 5
    assert compared(capsys, bush[0], bush[1], "--head", tiny_head)["decision"] is None
    assert main(["compare", str(bush[0]), str(bush[1]), "--head", str(tiny_head), "--fmr", "0.1"]) == 2
    assert "needs a calibrator" in capsys.readouterr().err


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
