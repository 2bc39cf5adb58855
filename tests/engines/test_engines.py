"""Every engine says what torch says in float32, of real faces, clean and degraded, in batches of any size."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import faceunc
from faceunc.backbones.base import BackboneOutput, TorchBackbone
from faceunc.backbones.cut import cut_backbone
from faceunc.backbones.facenet import facenet_spec
from faceunc.backbones.onnx import OnnxBackbone, load_onnx
from faceunc.backbones.spec import BackboneSpec
from faceunc.backbones.torch_module import module_backbone
from faceunc.embedder import Embedder
from faceunc.engines import registry
from faceunc.engines.base import Engine, embeddings
from faceunc.engines.names import ENGINES, EngineKind
from faceunc.engines.parity import parity
from faceunc.engines.registry import default_engine, find_engine, load_engine, unavailable
from faceunc.errors import IncompatibleError, InputError
from faceunc.heads.moving import MovingConfig
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.shipped import head_path
from faceunc.heads.store import StoredHead, load_head
from faceunc.scoring.embedded import score_pairs
from faceunc.threads import in_order

QUICK = [name for name, kind in ENGINES.items() if kind.runtime != "compile"]
ON_FILES = [name for name, kind in ENGINES.items() if kind.runtime in ("onnxruntime", "openvino")]
HEADS = ("dlib-pfe", "dlib-pfe-scalar")
SPEC_FILE = Path(__file__).resolve().parents[2] / "eval" / "backbones" / "mobilefacenet_arcface.json"
TIGHT = {"float32": (1e-6, 1e-4), "bfloat16": (1e-4, 0.05)}  # cosine distance, log_var
Load = Callable[[str, str], Engine]
MakeChips = Callable[[BackboneSpec, int], NDArray[np.uint8]]
MakeHead = Callable[[BackboneSpec, PFEConfig], StoredHead]


@pytest.fixture(scope="module")
def load(dlib: TorchBackbone) -> Load:
    """Engines by name and head; skips where the machine does not have them."""
    heads = {name: load_head(head_path(name)) for name in HEADS}
    known: dict[tuple[str, str], Engine] = {}

    def get(name: str, head: str) -> Engine:
        reason = unavailable(find_engine(name))
        if reason:
            pytest.skip(f"{name} {reason}")
        if (name, head) not in known:
            known[name, head] = load_engine(name, heads[head], dlib)
        return known[name, head]

    return get


def agree(engine: Engine, reference: Engine, chips: NDArray[np.uint8]) -> None:
    found = parity(engine.embed(chips), reference.embed(chips), engine.precision)
    distance, log_var = TIGHT[engine.precision]
    assert found.cosine_distance <= distance
    assert found.log_var <= log_var
    assert found.passes


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", QUICK)
def test_parity(name: str, head: str, load: Load, faces: NDArray[np.uint8]) -> None:
    engine, reference = load(name, head), load("torch", head)
    for count in (1, 3, 32):
        agree(engine, reference, faces[:count])
    norm = reference.embed(faces).norm
    np.testing.assert_allclose(engine.embed(faces).norm, norm, rtol=1e-5 if engine.precision == "float32" else 5e-3)


@pytest.mark.parametrize("name", QUICK)
def test_it_is_a_backbone(name: str, load: Load, faces: NDArray[np.uint8], dlib: TorchBackbone) -> None:
    engine = load(name, "dlib-pfe")
    assert isinstance(engine, Engine)
    assert engine.spec == dlib.spec
    assert engine.precision == ENGINES[name].precision
    assert engine.own_threads == (name in ON_FILES)
    mine, theirs = engine(faces[:5]), dlib(faces[:5])
    tolerance = 1e-4 if engine.precision == "float32" else 0.2
    torch.testing.assert_close(mine.feature_map, theirs.feature_map, atol=tolerance, rtol=0.0)
    torch.testing.assert_close(mine.mean.norm(dim=1), torch.ones(5))
    assert float((mine.mean * theirs.mean).sum(1).min()) >= 0.9999
    assert {mine.feature_map.dtype, mine.mean.dtype, mine.norm.dtype} == {torch.float32}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", QUICK)
def test_no_chips(name: str, head: str, load: Load) -> None:
    engine, none = load(name, head), np.empty((0, 150, 150, 3), np.uint8)
    output = engine.embed(none)
    assert output.mean.shape == (0, 128)
    assert output.log_var.shape == (0, 128 if head == "dlib-pfe" else 1)
    assert output.norm.shape == (0,)
    assert engine(none).feature_map.shape == (0, 256, 2, 2)


@pytest.mark.parametrize("name", QUICK)
def test_wrong_chips(name: str, load: Load) -> None:
    for chips in (np.zeros((2, 160, 160, 3), np.uint8), np.zeros((2, 150, 150, 3), np.float32)):
        with pytest.raises(InputError, match=r"\(N, 150, 150, 3\)"):
            load(name, "dlib-pfe").embed(chips)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", QUICK)
def test_chips_in_any_memory(name: str, load: Load, faces: NDArray[np.uint8]) -> None:
    engine, chips = load(name, "dlib-pfe"), faces[:4].copy()
    expected = engine.embed(chips)
    turned = np.ascontiguousarray(chips[..., ::-1])[..., ::-1]
    chips.flags.writeable = False
    for given in (chips, turned, np.asfortranarray(chips)):
        np.testing.assert_array_equal(engine.embed(given).log_var, expected.log_var)


@pytest.mark.parametrize("name", QUICK)
def test_many_threads_and_repeats_give_the_same(name: str, load: Load, faces: NDArray[np.uint8]) -> None:
    engine = load(name, "dlib-pfe")
    parts = [faces[start : start + 8] for start in range(0, 32, 8)]
    alone = [engine.embed(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(engine.embed, parts * 2))
    for one, other in zip(alone * 2, together, strict=True):
        assert parity(other, one, "float32").cosine_distance <= 1e-5
        np.testing.assert_allclose(other.norm, one.norm, rtol=1e-2)


@pytest.mark.parametrize("name", QUICK)
def test_embeddings_can_be_mixed_with_an_embedders(
    name: str, load: Load, faces: NDArray[np.uint8], dlib: TorchBackbone
) -> None:
    engine, ids = load(name, "dlib-pfe"), [str(i) for i in range(8)]
    plain = Embedder(dlib, load_head(head_path("dlib-pfe")), aligned=True)
    theirs, mine = plain.embed_chips(faces[:8], ids), embeddings(engine, faces[:8], ids)
    assert {key: value for key, value in mine.meta.items() if key not in ("precision", "engine")} == {
        key: value for key, value in theirs.meta.items() if key in mine.meta and key not in ("precision", "engine")
    }
    assert mine.meta["engine"] == name
    mixed, expected = score_pairs(mine, theirs, "mls"), score_pairs(theirs, theirs, "mls")
    np.testing.assert_allclose(mixed, expected, rtol=2e-2)


@pytest.mark.parametrize("name", QUICK)
def test_an_embedder_takes_it(name: str, load: Load, faces: NDArray[np.uint8], dlib: TorchBackbone) -> None:
    head, ids = load_head(head_path("dlib-pfe")), list("abcd")
    engine = load(name, "dlib-pfe")
    mine = Embedder(engine, head, aligned=True).embed_chips(faces[:4], ids)
    np.testing.assert_allclose(mine.log_var, engine.embed(faces[:4]).log_var, atol=1e-4)
    assert mine.meta["precision"] == engine.precision


@pytest.mark.parametrize("name", ON_FILES)
def test_a_head_that_moves_the_mean(
    name: str, dlib: TorchBackbone, faces: NDArray[np.uint8], load: Load, untrained: MakeHead
) -> None:
    load(name, "dlib-pfe")
    head = untrained(dlib.spec, MovingConfig(dlib.spec.feature_shape, dlib.spec.dim))
    reference, engine = load_engine("torch", head, dlib), load_engine(name, head, dlib)
    agree(engine, reference, faces)
    frozen, moved = engine(faces).mean.numpy(), engine.embed(faces).mean
    assert float((frozen * moved).sum(1).max()) < 0.999
    assert engine.papers.meta("float32", name)["mean"] == head.sha256


@pytest.fixture(scope="module")
def arcface(shared_data: Path) -> OnnxBackbone:
    """An ONNX backbone."""
    pytest.importorskip("onnxruntime")
    if not (shared_data / "backbones" / "mobilefacenet_arcface.onnx").is_file():
        pytest.skip("mobilefacenet_arcface.onnx is missing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEUNC_DATA", str(shared_data))
        return load_onnx(SPEC_FILE)


@pytest.fixture(scope="module")
def arcface_faces(arcface: OnnxBackbone, lfw_chips: MakeChips) -> NDArray[np.uint8]:
    """32 chips for it."""
    return lfw_chips(arcface.spec, 16)


@pytest.mark.parametrize("name", ON_FILES)
def test_an_onnx_backbone_gets_its_head(
    name: str, load: Load, arcface: OnnxBackbone, arcface_faces: NDArray[np.uint8], untrained: MakeHead
) -> None:
    load(name, "dlib-pfe")
    backbone, chips = arcface, arcface_faces
    head = untrained(backbone.spec, PFEConfig(backbone.spec.feature_shape, backbone.spec.dim, norm=True))
    engine, reference = load_engine(name, head, backbone), load_engine("torch", head, backbone)
    if name == "openvino-bf16":  # this network loses more: faceunc bench says so and does not choose it
        found = parity(engine.embed(chips), reference.embed(chips), "bfloat16")
        assert 1e-4 < found.cosine_distance < 1e-2
        assert not found.passes
        return
    for count in (1, 3, 32):
        agree(engine, reference, chips[:count])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch-bf16", *ON_FILES])
def test_facenet_without_weights(name: str, load: Load, lfw_chips: MakeChips, untrained: MakeHead) -> None:
    from facenet_pytorch import InceptionResnetV1

    load(name, "dlib-pfe")
    torch.manual_seed(0)
    backbone = module_backbone(InceptionResnetV1(), facenet_spec("facenet-random"), "block8", "last_bn")
    head = untrained(backbone.spec, PFEConfig(backbone.spec.feature_shape, backbone.spec.dim))
    chips = lfw_chips(backbone.spec, 4)
    agree(load_engine(name, head, backbone), load_engine("torch", head, backbone), chips)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, kind in ENGINES.items() if kind.runtime == "compile"])
def test_compiled(name: str, load: Load, faces: NDArray[np.uint8]) -> None:
    engine, reference = load(name, "dlib-pfe"), load("torch", "dlib-pfe")
    assert not engine.own_threads
    embedder, ids = Embedder(engine, load_head(head_path("dlib-pfe")), aligned=True), [str(i) for i in range(32)]
    for found in in_order(lambda chips: embedder.embed_chips(chips, ids), [faces] * 4):  # compiled in a worker
        np.testing.assert_allclose(found.mean, reference.embed(faces).mean, atol=2e-2)
    programs = set(engine.backbone._ready)  # type: ignore[attr-defined]
    assert programs == {(32, 1)}
    list(in_order(lambda chips: embedder.embed_chips(chips, ids), [faces] * 4))
    assert engine.backbone._ready == programs  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="Got list instead"):
        engine.backbone(list(faces[:3]))  # type: ignore[attr-defined]
    for chips in (faces[:0], faces[:1], faces[:3], faces, np.concatenate([faces, faces[:3]])):
        assert len(engine.embed(chips).mean) == len(chips)
        if len(chips):
            agree(engine, reference, chips)


@pytest.mark.parametrize(
    ("fast", "precision", "name"),
    [
        (True, "auto", "torch-fused-bf16"),
        (True, "bfloat16", "torch-fused-bf16"),
        (True, "float32", "torch-fused"),
        (False, "auto", "torch-fused"),
        (False, "float32", "torch-fused"),
        (False, "bfloat16", "torch-bf16"),
    ],
)
def test_the_default(
    fast: bool, precision: str, name: str, dlib: TorchBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "has_fast_bfloat16", lambda: fast)
    assert default_engine(dlib, precision) == name
    half = TorchBackbone(dlib.module, dlib.spec, "bfloat16")
    assert default_engine(half, precision) == name
    assert (dlib.precision, half.precision) == ("float32", "bfloat16")


def test_the_default_of_other_backbones(
    dlib: TorchBackbone, tiny: TorchBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "has_fast_bfloat16", lambda: True)
    assert default_engine(cut_backbone(dlib, 13)) == "torch-bf16"
    assert default_engine(cut_backbone(dlib, 13), "float32") == "torch"
    assert default_engine(Wrapped(tiny)) == "torch"
    with pytest.raises(InputError, match=r"one of auto, float32, bfloat16\. Got 'half'"):
        default_engine(dlib, "half")


class Wrapped:
    """A backbone that is no torch module, such as an ONNX one."""

    def __init__(self, backbone: TorchBackbone) -> None:
        self.spec, self.precision, self._backbone = backbone.spec, backbone.precision, backbone

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        return self._backbone(chips)


def test_the_default_where_fused_convolutions_fail(dlib: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too far from float32 for ``--precision auto``; operators that are gone; a torch without oneDNN."""
    monkeypatch.setattr(registry, "has_fast_bfloat16", lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "MIN_COSINE", 0.999999)
        assert default_engine(dlib) == "torch-fused"
    with monkeypatch.context() as patch:
        patch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        assert default_engine(dlib) == "torch-bf16"
        assert default_engine(dlib, "float32") == "torch"
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        assert default_engine(dlib, "float32") == "torch"


def test_unknown_name(dlib: TorchBackbone) -> None:
    with pytest.raises(InputError, match=r"engine must be one of torch, .*Got 'tensorrt'"):
        load_engine("tensorrt", load_head(head_path("dlib-pfe")), dlib)


@pytest.mark.parametrize("name", ON_FILES)
def test_a_missing_package_names_the_extra(name: str, dlib: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    package, extra = ENGINES[name].modules[-1], ENGINES[name].extra
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *more: None if n == package else original(n, *more))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"engine {name} needs {package}: pip install 'faceunc\[{extra}\]'"):
        load_engine(name, load_head(head_path("dlib-pfe")), dlib)


@pytest.mark.parametrize("name", ON_FILES)
def test_a_package_that_cannot_be_imported(name: str, dlib: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ENGINES[name].modules[-1]
    monkeypatch.setitem(sys.modules, package, None)  # found, and its import fails
    monkeypatch.setattr(EngineKind, "not_installed", "")
    with pytest.raises(InputError, match=rf"engine {name} cannot import {package} \(import of {package} halted"):
        load_engine(name, load_head(head_path("dlib-pfe")), dlib)


@pytest.mark.parametrize("name", [name for name, kind in ENGINES.items() if kind.precision == "bfloat16"])
def test_a_processor_without_bfloat16(name: str, dlib: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "has_fast_bfloat16", lambda: False)
    monkeypatch.setattr(EngineKind, "not_installed", "")
    with pytest.raises(InputError, match=f"engine {name} needs a processor with bfloat16"):
        load_engine(name, load_head(head_path("dlib-pfe")), dlib)


@pytest.mark.parametrize("name", ["torch", "torch-fused"])
def test_a_head_of_another_backbone(name: str, dlib: TorchBackbone, tiny: TorchBackbone, untrained: MakeHead) -> None:
    head = untrained(tiny.spec, PFEConfig(tiny.spec.feature_shape, tiny.spec.dim))
    with pytest.raises(IncompatibleError, match="was trained on backbone 'tiny'"):
        load_engine(name, head, dlib)


def test_the_front_door_takes_an_engine(faces: NDArray[np.uint8]) -> None:
    embedder = faceunc.load("dlib-pfe", engine="torch-fused", aligned=True)
    plain = faceunc.load("dlib-pfe", engine="torch", aligned=True)
    ids = list("abcd")
    mine, theirs = embedder.embed_chips(faces[:4], ids), plain.embed_chips(faces[:4], ids)
    assert (mine.meta["engine"], theirs.meta["engine"]) == ("torch-fused", "torch")
    np.testing.assert_allclose(mine.mean, theirs.mean, atol=1e-4)
    np.testing.assert_allclose(mine.log_var, theirs.log_var, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "bfloat16"}, "engine torch-fused computes in float32"),
        ({"mc_dropout": 10}, "MC dropout is run by engine torch or torch-bf16, or none named. Got torch-fused"),
    ],
)
def test_an_engine_has_its_own_precision(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        faceunc.load("dlib-pfe", engine="torch-fused", **options)
