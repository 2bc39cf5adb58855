"""The tail of every known backbone gives the backbone's embedding, and whatever cannot be read is refused by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from faceunc.backbones.base import Backbone, TorchBackbone
from faceunc.backbones.dlib_resnet import load_dlib_resnet
from faceunc.backbones.facenet import facenet_spec, load_facenet
from faceunc.backbones.precision import ASTRONAUT_POINTS
from faceunc.backbones.spec import BackboneSpec
from faceunc.backbones.tail import Tail, backbone_tail
from faceunc.backbones.torch_module import module_backbone
from faceunc.errors import InputError
from faceunc.images.align import align_face

RNG = np.random.default_rng(0)
ARCFACE = Path(__file__).resolve().parents[2] / "eval" / "backbones" / "mobilefacenet_arcface.json"
SIDE, CHANNELS, DIM = 16, 6, 5


def chips_of(backbone: Backbone, astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    spec = backbone.spec
    face = align_face(astronaut, ASTRONAUT_POINTS, spec.template, spec.input_size)
    return np.stack([face, face[:, ::-1], RNG.integers(0, 256, face.shape, np.uint8)])


def check_against(backbone: Backbone, chips: NDArray[np.uint8]) -> Tail:
    """Frozen, in eval mode, and the backbone's embedding with its norm; returns the tail."""
    tail = backbone_tail(backbone)
    output = backbone(chips)
    reduced = tail.reduce(output.feature_map)
    raw = tail(output.feature_map)
    assert reduced.ndim == 2
    assert torch.equal(tail.last(reduced), raw)
    if backbone.precision == "float32":
        torch.testing.assert_close(raw, output.mean * output.norm[:, None], atol=1e-4, rtol=1e-4)
    assert F.cosine_similarity(raw, output.mean).min() > 0.9999
    assert not any(parameter.requires_grad for parameter in tail.parameters())
    assert not any(module.training for module in tail.modules())
    return tail


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_dlib(precision: str, astronaut: NDArray[np.uint8]) -> None:
    backbone = load_dlib_resnet(precision=precision)
    tail = check_against(backbone, chips_of(backbone, astronaut))
    assert tail.reduce(torch.zeros(2, 256, 2, 2)).shape == (2, 256)
    assert isinstance(tail.last, nn.Linear)


@pytest.fixture(scope="module")
def facenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(0)
    network = InceptionResnetV1()
    nn.init.normal_(network.last_bn.running_mean, 0.0, 0.1)
    nn.init.uniform_(network.last_bn.running_var, 0.5, 2.0)
    path = tmp_path_factory.mktemp("facenet") / "w.pt"
    torch.save(network.state_dict(), path)
    return path


def test_facenet(facenet_file: Path, astronaut: NDArray[np.uint8]) -> None:
    backbone = load_facenet("vggface2", facenet_file, "float32")
    tail = check_against(backbone, chips_of(backbone, astronaut))
    assert isinstance(tail.last, nn.Sequential)
    assert [type(layer) for layer in tail.last] == [nn.Linear, nn.BatchNorm1d]
    assert not any(layer._forward_hooks for layer in tail.modules())


def test_facenet_with_another_feature_map(facenet_file: Path) -> None:
    """Of the right shape, but one block earlier: the check at the end finds it."""
    from facenet_pytorch import InceptionResnetV1

    network = InceptionResnetV1()
    network.load_state_dict(torch.load(facenet_file))
    backbone = module_backbone(network, facenet_spec("early"), "repeat_3", "last_bn")
    with pytest.raises(InputError, match=r"early: .*cosine at least 0\.999\. Got"):
        backbone_tail(backbone)


def test_training_the_tail_leaves_the_backbone(astronaut: NDArray[np.uint8]) -> None:
    backbone = load_dlib_resnet(precision="float32")
    chips = chips_of(backbone, astronaut)
    before = backbone(chips).mean
    tail = backbone_tail(backbone).train()
    nn.init.zeros_(tail.last.weight)
    assert torch.equal(backbone(chips).mean, before)


def test_other_modules_are_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.Flatten(), nn.Linear(64, 6))
    spec = BackboneSpec("mine", 32, "RGB", (0.0,) * 3, 1.0, ((1.0, 1.0),) * 5, 6, (4, 4, 4))
    backbone: Any = module_backbone(module, spec, "0")
    with pytest.raises(InputError, match=r"mine: .*dlib, facenet-pytorch's .* Got Sequential instead"):
        backbone_tail(backbone)
    backbone = TorchBackbone(module, spec)
    with pytest.raises(InputError, match="Got Sequential instead"):
        backbone_tail(backbone)

    class Foreign:
        spec = backbone.spec

    with pytest.raises(InputError, match="Got Foreign instead"):
        backbone_tail(Foreign())  # type: ignore[arg-type]


def test_arcface(shared_data: Path, monkeypatch: pytest.MonkeyPatch, astronaut: NDArray[np.uint8]) -> None:
    onnx_backbone = onnx_modules()
    if not (shared_data / "backbones" / "mobilefacenet_arcface.onnx").is_file():
        pytest.skip("the ArcFace model is missing")
    monkeypatch.setenv("FACEUNC_DATA", str(shared_data))
    backbone = onnx_backbone(ARCFACE)
    tail = check_against(backbone, chips_of(backbone, astronaut))
    assert tail.reduce(torch.zeros(2, 512, 7, 7)).shape == (2, 512)
    assert isinstance(tail.last, nn.Sequential)
    assert [type(layer) for layer in tail.last] == [nn.Linear, nn.BatchNorm1d]


def onnx_modules() -> Callable[[Path], Any]:
    """``load_onnx``, or a skip where onnx or onnxruntime is missing."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from faceunc.backbones.onnx import load_onnx

    return load_onnx


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


class Graph:
    """Collects nodes and constants of a small model: a convolution gives the map (6, 4, 4), then what a test adds."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.top = "pixels"
        self.add("Conv", normal(CHANNELS, 3, 4, 4), strides=[4, 4], output="features")

    def add(self, op: str, *constants: NDArray[Any], output: str = "", inputs: Sequence[str] = (), **how: Any) -> str:
        """A node that reads the last one's output, ``inputs`` and constants."""
        from onnx import helper, numpy_helper

        names = [f"c{len(self.tensors) + i}" for i in range(len(constants))]
        self.tensors += [numpy_helper.from_array(value, name) for value, name in zip(constants, names, strict=True)]
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.top, *inputs, *names], [output], name=f"node_{output}", **how))
        self.top = output
        return output

    def load(self, folder: Path) -> Any:
        """The model's backbone; its last output is the embedding."""
        import onnx
        from onnx import TensorProto, helper

        load_onnx = onnx_modules()
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("features", self.top)]
        pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
        graph = helper.make_graph(self.nodes, "g", [pixels], outputs, self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, folder / "m.onnx")
        values = {
            "name": "toy",
            "model": "m.onnx",
            "input": "pixels",
            "embedding_output": self.top,
            "feature_output": "features",
            "input_size": SIDE,
            "colour": "RGB",
            "mean": [127, 127, 127],
            "scale": 0.01,
            "template": [[5, 5], [11, 5], [8, 8], [5, 11], [11, 11]],
            "dim": DIM,
            "feature_shape": [CHANNELS, 4, 4],
        }
        (folder / "spec.json").write_text(json.dumps(values))
        return load_onnx(folder / "spec.json")


@pytest.fixture
def graph() -> Graph:
    onnx_modules()
    return Graph()


def norm_values(count: int) -> list[NDArray[np.float32]]:
    return [normal(count), normal(count), normal(count), np.abs(normal(count)) + 0.5]


def insightface(g: Graph) -> None:
    """BatchNorm, dropout, flatten, Gemm, BatchNorm: insightface's ResNets."""
    g.add("BatchNormalization", *norm_values(CHANNELS), epsilon=2e-5)
    g.add("Dropout")
    g.add("Flatten")
    g.add("Gemm", normal(DIM, CHANNELS * 16), normal(DIM), transB=1)
    g.add("BatchNormalization", *norm_values(DIM), epsilon=2e-5)


def depthwise(g: Graph) -> None:
    g.add("Conv", normal(CHANNELS, 1, 4, 4), normal(CHANNELS), group=CHANNELS, kernel_shape=[4, 4])
    g.add("PRelu", normal(CHANNELS, 1, 1))
    g.add("Flatten", axis=1)
    g.add("MatMul", normal(CHANNELS, DIM))


def pooled(g: Graph) -> None:
    g.add("Relu")
    g.add("GlobalAveragePool")
    g.add("Flatten")
    g.add("Gemm", normal(CHANNELS, DIM), normal(1), alpha=0.5, beta=2.0)


@pytest.mark.parametrize("build", [insightface, depthwise, pooled])
def test_onnx_operators(build: Callable[[Graph], None], graph: Graph, tmp_path: Path) -> None:
    build(graph)
    check_against(graph.load(tmp_path), RNG.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8))


def test_onnx_last_layer_of_two(graph: Graph, tmp_path: Path) -> None:
    """The last Gemm or MatMul counts; uneven padding, stride and dilation; PRelu with one slope and with many."""
    graph.add("Conv", normal(4, 3, 2, 2), group=2, pads=[1, 0, 2, 1], strides=[2, 1], dilations=[2, 1])
    height, width = (4 + 3 - 3) // 2 + 1, (4 + 1 - 2) + 1
    graph.add("Flatten")
    graph.add("Gemm", normal(12, 4 * height * width), transB=1)
    graph.add("PRelu", normal(1))
    graph.add("PRelu", normal(12))
    graph.add("Identity")
    graph.add("MatMul", normal(12, DIM))
    tail = check_against(graph.load(tmp_path), RNG.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8))
    assert isinstance(tail.last, nn.Sequential)
    assert len(tail.last) == 1
    assert tail.last[0].in_features == 12


def test_onnx_constants_of_nodes(graph: Graph, tmp_path: Path) -> None:
    """A dropout's ratio and a weight that Constant nodes give."""
    from onnx import helper, numpy_helper

    for name, value in (("ratio", np.float32(0.5)), ("weight", normal(CHANNELS * 16, DIM))):
        tensor = numpy_helper.from_array(np.asarray(value))
        graph.nodes.insert(0, helper.make_node("Constant", [], [name], value=tensor))
    graph.add("Dropout", inputs=["ratio"])
    graph.add("Flatten")
    graph.add("Gemm", inputs=["weight"])
    check_against(graph.load(tmp_path), RNG.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8))


def flat(g: Graph) -> None:
    g.add("Flatten")
    g.add("Gemm", normal(DIM, CHANNELS * 16), transB=1)


def with_sigmoid(g: Graph) -> None:
    flat(g)
    g.add("Sigmoid")


def with_residual(g: Graph) -> None:
    skip = g.add("Relu")
    g.add("Conv", normal(CHANNELS, CHANNELS, 1, 1))
    g.add("PRelu", inputs=[skip])
    flat(g)


def from_pixels(g: Graph) -> None:
    g.top = "pixels"
    g.add("Conv", normal(CHANNELS, 3, 4, 4), strides=[4, 4])
    flat(g)


def without_linear(g: Graph) -> None:
    g.add("Conv", normal(DIM, CHANNELS, 4, 4))
    g.add("Flatten")


def same_padding(g: Graph) -> None:
    g.add("Conv", normal(CHANNELS, CHANNELS, 3, 3), auto_pad="SAME_UPPER")
    flat(g)


def flatten_elsewhere(g: Graph) -> None:
    g.add("Flatten", axis=-3)
    g.add("Gemm", normal(DIM, CHANNELS * 16), transB=1)


def slopes_a_column(g: Graph) -> None:
    g.add("PRelu", normal(4))
    flat(g)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (with_sigmoid, r"must be of Conv, .* Got Sigmoid instead"),
        (with_residual, r"PRelu 'node_n\d' must read one map and constants"),
        (from_pixels, r"must be computed from 'features' alone\. Got 'pixels' as well"),
        (without_linear, "expected a Gemm or MatMul between 'features' and"),
        (same_padding, r"ONNX Conv: auto_pad must be NOTSET\. Got SAME_UPPER instead"),
        (flatten_elsewhere, r"ONNX Flatten: axis must be 1\. Got -3 instead"),
        (slopes_a_column, r"ONNX PRelu: slopes must be one, or one a channel\. Got \(4,\) instead"),
    ],
)
def test_onnx_graphs_that_are_refused(
    build: Callable[[Graph], None], message: str, graph: Graph, tmp_path: Path
) -> None:
    build(graph)
    backbone = graph.load(tmp_path)
    with pytest.raises(InputError, match=rf"m\.onnx: .*{message}"):
        backbone_tail(backbone)


def test_tensors_in_another_file_are_refused(graph: Graph, tmp_path: Path) -> None:
    import onnx

    flat(graph)
    backbone = graph.load(tmp_path)
    model = onnx.load(tmp_path / "m.onnx")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(InputError, match=r"m\.onnx: tensors must lie in the file itself\. Got 'c1' in another file"):
        backbone_tail(backbone)


def test_a_file_that_has_changed(graph: Graph, tmp_path: Path) -> None:
    flat(graph)
    backbone = graph.load(tmp_path)
    other = Graph()
    flat(other)
    other.load(tmp_path)
    with pytest.raises(InputError, match="must turn its feature map into its embedding"):
        backbone_tail(backbone)
    (tmp_path / "m.onnx").write_bytes(b"\xff\xff no model")
    with pytest.raises(InputError, match="not a model that onnx can read"):
        backbone_tail(backbone)
    (tmp_path / "m.onnx").unlink()
    with pytest.raises(InputError, match="not a model that onnx can read"):
        backbone_tail(backbone)


def test_without_onnx(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat(graph)
    backbone = graph.load(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'faceunc\[onnx\]'"):
        backbone_tail(backbone)
