"""facenet-pytorch's InceptionResnetV1: 160 x 160 RGB -> 1792 x 3 x 3 feature map and 512 numbers."""

from __future__ import annotations

from pathlib import Path

import torch

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.spec import BackboneSpec
from faceunc.backbones.torch_module import module_backbone
from faceunc.errors import InputError
from faceunc.storage import sha256_file

TRAINING_SETS = ("vggface2", "casia-webface")
FEATURE_LAYER, EMBEDDING_LAYER = "block8", "last_bn"
# Median place of MTCNN's points in facenet-pytorch's own 160 x 160 crop (MTCNN's box, no margin) over 600 LFW
# photographs: scripts/facenet_template.py prints them.
TEMPLATE = ((45.29, 62.75), (118.84, 61.51), (82.38, 94.17), (51.09, 121.80), (116.54, 120.95))
_DOWNLOADS = "https://github.com/timesler/facenet-pytorch (release v2.2.9)"


def facenet_spec(name: str, sha256: str = "") -> BackboneSpec:
    """The spec of InceptionResnetV1 under ``name``."""
    return BackboneSpec(
        name=name,
        input_size=160,
        colour="RGB",
        mean=(127.5, 127.5, 127.5),
        scale=1.0 / 128.0,
        template=TEMPLATE,
        dim=512,
        feature_shape=(1792, 3, 3),
        licence="MIT (code); the weights follow the terms of their training set",
        origin=_DOWNLOADS,
        sha256=sha256,
    )


def load_facenet(trained_on: str, weight_file: str | Path | None = None, precision: str = "auto") -> TorchBackbone:
    """Load InceptionResnetV1 with the weights of ``trained_on`` ("vggface2" or "casia-webface").

    Without ``weight_file`` facenet-pytorch downloads them once to torch's cache.

    Raises:
        InputError: no internet and no file (the message says what to do), or a file that is not this network's.
    """
    if trained_on not in TRAINING_SETS:
        raise InputError(f"trained_on must be one of {', '.join(TRAINING_SETS)}. Got {trained_on!r} instead.")
    path = Path(weight_file) if weight_file else _downloaded(trained_on)
    if not path.is_file():
        raise InputError(f"{path}: expected a state dict of InceptionResnetV1, no such file")
    from facenet_pytorch import InceptionResnetV1

    network = InceptionResnetV1()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # the published files carry the classifier of their training set as well
        network.load_state_dict({k: v for k, v in state.items() if not k.startswith("logits.")})
    except Exception as error:  # unpicklers of foreign bytes raise nearly anything, some of it without a text
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: expected a state dict of InceptionResnetV1 ({reason})") from None
    spec = facenet_spec(f"facenet-{trained_on}", sha256_file(path))
    return module_backbone(network, spec, FEATURE_LAYER, EMBEDDING_LAYER, precision)


def _downloaded(trained_on: str) -> Path:
    """Have facenet-pytorch fetch the weights (once) and return the file."""
    from facenet_pytorch import InceptionResnetV1

    folder = Path(torch.hub.get_dir()).parent / "checkpoints"
    try:
        InceptionResnetV1(pretrained=trained_on)
        return max(folder.glob(f"*{trained_on}*.pt"))
    except Exception as error:  # no network, or a damaged file in the cache: see load_facenet
        raise InputError(
            f"facenet-{trained_on}: the weights are not in {folder} and could not be downloaded ({error}). "
            f"With internet, fetch the *-{trained_on}.pt of {_DOWNLOADS} and put it into that folder."
        ) from None
