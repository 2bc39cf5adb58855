"""InceptionResnetV1 with random weights, and every way in which its weights can be missing or foreign."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from facenet_pytorch.models import inception_resnet_v1

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.facenet import facenet_spec, load_facenet
from faceunc.errors import InputError
from faceunc.storage import sha256_file

CHIPS = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), np.uint8)


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the published form: with the classifier of the training set."""
    torch.manual_seed(0)
    network = inception_resnet_v1.InceptionResnetV1(classify=True, num_classes=7)
    path = tmp_path_factory.mktemp("facenet") / "20180402-114759-vggface2.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def backbone(weight_file: Path) -> TorchBackbone:
    return load_facenet("vggface2", weight_file, "float32")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache and no internet; returns the folder where weights would lie."""

    def no_internet(*args: Any, **kwargs: Any) -> None:
        raise URLError("no internet")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(inception_resnet_v1, "download_url_to_file", no_internet)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_shapes_and_spec(backbone: TorchBackbone, weight_file: Path) -> None:
    output = backbone(CHIPS)
    assert backbone.spec == facenet_spec("facenet-vggface2", sha256_file(weight_file))
    assert output.feature_map.shape == (3, 1792, 3, 3)
    assert output.mean.shape == (3, 512)
    torch.testing.assert_close(output.mean.norm(dim=1), torch.ones(3))


def test_norm_is_that_before_normalisation(backbone: TorchBackbone) -> None:
    assert (backbone(CHIPS).norm - 1.0).abs().min() > 0.01


def test_mean_is_the_networks_own_output(backbone: TorchBackbone, weight_file: Path) -> None:
    network = inception_resnet_v1.InceptionResnetV1(classify=False).eval()
    network.load_state_dict({k: v for k, v in torch.load(weight_file).items() if not k.startswith("logits")})
    pixels = torch.from_numpy(CHIPS).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        expected = network((pixels - 127.5) / 128.0)
    torch.testing.assert_close(backbone(CHIPS).mean, expected, atol=1e-4, rtol=0.0)


def test_no_internet(offline: Path) -> None:
    with pytest.raises(
        InputError, match=r"facenet-casia-webface: .*could not be downloaded .*no internet.*put it into"
    ):
        load_facenet("casia-webface")


def test_file_in_torchs_cache_needs_no_internet(offline: Path) -> None:
    network = inception_resnet_v1.InceptionResnetV1(classify=True, num_classes=8631)
    torch.save(network.state_dict(), offline / "20180402-114759-vggface2.pt")
    assert load_facenet("vggface2", precision="float32").spec.name == "facenet-vggface2"


def test_damaged_file_in_torchs_cache(offline: Path) -> None:
    (offline / "20180402-114759-vggface2.pt").write_bytes(b"\x80\x02")
    with pytest.raises(InputError, match="facenet-vggface2"):
        load_facenet("vggface2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage, no weights",
        b"\x80\x02",
        b"\x80\x02X\xff",
        b"PK\x03\x04 no zip",
        pickle.dumps([1, 2]),
        pickle.dumps({"a": Path()}),
    ],
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_foreign_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pt: expected a state dict"):
        load_facenet("vggface2", tmp_path / "w.pt")


@pytest.mark.parametrize("value", [[1, 2], {"a": torch.ones(2)}, {1: torch.ones(2)}, torch.ones(2), {}])
def test_foreign_contents(value: Any, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"w\.pt: expected a state dict"):
        load_facenet("vggface2", tmp_path / "w.pt")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_truncated(share: float, weight_file: Path, tmp_path: Path) -> None:
    data = weight_file.read_bytes()
    (tmp_path / "w.pt").write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"w\.pt"):
        load_facenet("vggface2", tmp_path / "w.pt")


def test_unknown_training_set_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vggface2, casia-webface"):
        load_facenet("imagenet")
    with pytest.raises(InputError, match="no such file"):
        load_facenet("vggface2", tmp_path / "none.pt")
