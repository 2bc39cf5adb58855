"""bfloat16 agrees with float32, and "auto" takes it only where it may."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from faceunc.backbones import precision as module
from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.dlib_resnet import SPEC, load_dlib_resnet
from faceunc.backbones.precision import MIN_COSINE, PRECISIONS, agreement, choose_precision
from faceunc.errors import InputError
from faceunc.images.align import align_face, centre_landmarks
from faceunc.images.read import read_image


@pytest.fixture
def backbone() -> TorchBackbone:
    return load_dlib_resnet(precision="float32")


def test_bfloat16_agrees_on_lfw(backbone: TorchBackbone, lfw: Path) -> None:
    photos = [read_image(next(folder.glob("*.jpg"))) for folder in sorted(lfw.iterdir())[:2000:200]]
    points = centre_landmarks(250, 250)
    chips = np.stack([align_face(photo, points, SPEC.template, SPEC.input_size) for photo in photos])
    full = backbone(chips)
    half = choose_precision(backbone, "bfloat16")(chips)
    assert float((full.mean * half.mean).sum(1).min()) >= 0.9999
    assert not torch.equal(full.mean, half.mean)
    assert {half.mean.dtype, half.norm.dtype, half.feature_map.dtype} == {torch.float32}


def test_agreement_keeps_the_precision(backbone: TorchBackbone) -> None:
    assert MIN_COSINE <= agreement(backbone) < 1.0
    assert backbone.precision == "float32"


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("cosine", [0.99, 0.99995])
def test_auto(fast: bool, cosine: float, backbone: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda: fast)
    monkeypatch.setattr(module, "agreement", lambda backbone: cosine)
    expected = "bfloat16" if fast and cosine >= MIN_COSINE else "float32"
    assert choose_precision(backbone, "auto").precision == expected


@pytest.mark.parametrize("precision", PRECISIONS)
def test_known_names(precision: str, backbone: TorchBackbone) -> None:
    assert choose_precision(backbone, precision).precision in ("float32", "bfloat16")


def test_unknown_name(backbone: TorchBackbone) -> None:
    with pytest.raises(InputError, match="float16"):
        choose_precision(backbone, "float16")
    assert backbone.precision == "float32"
