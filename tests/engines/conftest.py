"""What tests of engines share: real chips, clean and degraded, and pairs of backbone and head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceunc.backbones.base import Backbone, TorchBackbone
from faceunc.backbones.registry import load_backbone
from faceunc.backbones.spec import BackboneSpec
from faceunc.backbones.torch_module import module_backbone
from faceunc.engines import export
from faceunc.heads.build import build_head
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.store import StoredHead
from faceunc.images.align import align_face, centre_landmarks
from faceunc.images.degrade import degrade, draw_degradation
from faceunc.images.photos import identity_folder
from faceunc.images.read import read_image

POINTS = ((5.0, 5.0), (11.0, 5.0), (8.0, 8.0), (6.0, 11.0), (10.0, 11.0))


def _untrained(spec: BackboneSpec, config: PFEConfig) -> StoredHead:
    torch.manual_seed(0)
    head = build_head(config).eval().requires_grad_(False)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    kind = f"{type(config).__name__}-{config.architecture}-{config.variance}-{config.norm}"
    return StoredHead(head, "pfe", spec.name, spec.sha256, spec.alignment, {}, kind, "ab" * 32)


@pytest.fixture(scope="session", autouse=True)
def shared_bodies() -> Iterator[None]:
    """Every backbone goes through torch's exporter once (seconds); each export gets a copy of its graph."""
    original, known = export._body, dict[str, Any]()

    def body(backbone: Backbone) -> Any:
        key = f"{backbone.spec.name}-{backbone.spec.sha256}"
        if key not in known:
            known[key] = original(backbone)
        copy = type(known[key])()
        copy.CopyFrom(known[key])
        return copy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_body", body)
        yield


@pytest.fixture(scope="session")
def untrained() -> Callable[[BackboneSpec, PFEConfig], StoredHead]:
    """Makes a head of random numbers, which says something else of every chip."""
    return _untrained


@pytest.fixture(scope="session")
def lfw_chips(lfw: Path) -> Callable[[BackboneSpec, int], NDArray[np.uint8]]:
    """Makes chips of N photographs of LFW, each followed by a degraded version, uint8 (2 N, S, S, 3)."""
    photos = identity_folder(lfw)

    def make(spec: BackboneSpec, count: int) -> NDArray[np.uint8]:
        chips = []
        for row in range(0, len(photos), len(photos) // count)[:count]:
            points = centre_landmarks(250, 250)
            chip = align_face(read_image(photos.paths[row]), points, spec.template, spec.input_size)
            chips += [chip, degrade(chip, draw_degradation(7, photos.ids[row]))]
        return np.stack(chips)

    return make


class Tiny(nn.Module):
    """(N, 3, 16, 16) -> embedding (N, 6), by way of a feature map (N, 4, 7, 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3, stride=2), nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.last(torch.relu(self.conv(x)).mean((2, 3)))
        return embedding


@pytest.fixture(scope="session")
def tiny() -> TorchBackbone:
    """A small random backbone that wants BGR, a mean and a scale."""
    torch.manual_seed(0)
    spec = BackboneSpec("tiny", 16, "BGR", (10.0, 120.0, 200.0), 0.02, POINTS, 6, (4, 7, 7))
    return module_backbone(Tiny(), spec, "conv")


class TinyPair(Tiny):
    """The same, which gives its feature map as well, without hooks."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        features: Tensor = self.conv(x)
        return features, self.last(torch.relu(features).mean((2, 3)))


@pytest.fixture(scope="session")
def tiny_pair() -> TorchBackbone:
    """A small random backbone whose module gives (feature map, embedding) itself."""
    torch.manual_seed(0)
    spec = BackboneSpec("tiny-pair", 16, "RGB", (10.0, 120.0, 200.0), 0.02, POINTS, 6, (4, 7, 7), sha256="12" * 32)
    return TorchBackbone(TinyPair(), spec)


@pytest.fixture(scope="session")
def dlib() -> TorchBackbone:
    """dlib's backbone in float32."""
    backbone = load_backbone("dlib", "float32")
    assert isinstance(backbone, TorchBackbone)
    return backbone


@pytest.fixture(scope="session")
def faces(lfw_chips: Callable[[BackboneSpec, int], NDArray[np.uint8]], dlib: TorchBackbone) -> NDArray[np.uint8]:
    """32 chips for dlib's backbone: 16 photographs of LFW, clean and degraded."""
    return lfw_chips(dlib.spec, 16)
