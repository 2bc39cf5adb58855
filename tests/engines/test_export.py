"""The exported file: what is in it, that onnx finds it good; foreign and damaged files are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.dlib_resnet import SPEC as DLIB
from faceunc.backbones.spec import BackboneSpec, spec_to_json
from faceunc.engines import export, registry
from faceunc.engines.base import Engine
from faceunc.engines.export import EXPORTER, export_onnx
from faceunc.engines.papers import FORMAT, SEAL, Papers, papers_of, read_papers, reason_of, sealed
from faceunc.engines.parity import parity
from faceunc.engines.registry import exported_file, load_engine, open_engine
from faceunc.errors import IncompatibleError, InputError, OutputError
from faceunc.heads.ensemble import EnsembleConfig
from faceunc.heads.moving import MovingConfig
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.quality import QualityConfig
from faceunc.heads.store import StoredHead

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
CHIPS = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
RUNTIMES = ("onnxruntime", "openvino")
MakeHead = Callable[[BackboneSpec, PFEConfig], StoredHead]
Edit = Callable[[Any], None]


@pytest.fixture(scope="module")
def head(tiny: TorchBackbone, untrained: MakeHead) -> StoredHead:
    return untrained(tiny.spec, PFEConfig(tiny.spec.feature_shape, tiny.spec.dim, members=2))


@pytest.fixture(scope="module")
def exported(tiny: TorchBackbone, head: StoredHead, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "tiny.onnx"
    export_onnx(tiny, head, path)
    return path


def opened(path: Path, name: str) -> Engine:
    pytest.importorskip(name.partition("-")[0])
    return open_engine(path, name)


def changed(path: Path, folder: Path, edit: Edit | None = None, **changes: str | None) -> Path:
    """A copy with some of its metadata changed, or taken away (None), and its graph edited; sealed anew."""
    model = onnx.load(str(path))
    values = {entry.key: entry.value for entry in model.metadata_props if entry.key != SEAL} | changes
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in values.items() if value is not None})
    if edit is not None:
        edit(model)
    out = folder / "changed.onnx"
    out.write_bytes(sealed(model.SerializeToString()))
    return out


def test_the_file(exported: Path, tiny: TorchBackbone, head: StoredHead) -> None:
    model = onnx.load(str(exported))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.output] == ["mean", "log_var", "norm", "feature_map", "embedding"]
    (chips,) = model.graph.input
    shape = [dim.dim_param or dim.dim_value for dim in chips.type.tensor_type.shape.dim]
    assert chips.name == "chips"
    assert chips.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert shape[1:] == [16, 16, 3]
    assert isinstance(shape[0], str)
    assert {node.domain for node in model.graph.node} == {""}
    assert read_papers(exported) == Papers.of(tiny.spec, head)
    values = {entry.key: entry.value for entry in model.metadata_props}
    assert (values["head"], values["head_sha256"], values["method"]) == (head.name, head.sha256, head.method)
    assert (values["backbone"], values["backbone_sha256"]) == (tiny.spec.name, tiny.spec.sha256)
    assert values["exporter"] == EXPORTER
    assert model.metadata_props[-1].key == SEAL


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_file_alone_says_what_torch_says(
    name: str, exported: Path, tiny: TorchBackbone, head: StoredHead, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere.onnx"
    moved.write_bytes(exported.read_bytes())
    engine, reference = opened(moved, name), load_engine("torch", head, tiny)
    for count in range(6):
        output = engine.embed(CHIPS[:count])
        assert len(output.mean) == len(output.log_var) == len(output.norm) == count
        if count:
            found = parity(output, reference.embed(CHIPS[:count]), "float32")
            assert max(found.cosine_distance, found.log_var) < 1e-5
    assert engine.papers == reference.papers


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize(
    "make",
    [
        lambda shape, dim: PFEConfig(shape, dim, variance="scalar", norm=True),
        lambda shape, dim: PFEConfig(shape, dim, architecture="paper"),
        lambda shape, dim: MovingConfig(shape, dim, start="scratch", norm=True),
        lambda shape, dim: QualityConfig(shape, dim, measure="norm"),
        lambda shape, dim: EnsembleConfig.of([MovingConfig(shape, dim)] * 2),
    ],
    ids=["scalar-norm", "paper", "scratch", "quality", "moving-ensemble"],
)
def test_every_kind_of_head(
    make: Callable[[Any, int], PFEConfig], name: str, tiny: TorchBackbone, untrained: MakeHead
) -> None:
    config = make(tiny.spec.feature_shape, tiny.spec.dim)
    head = replace(untrained(tiny.spec, config), name=repr(config)[:40].replace("/", "-"), sha256=f"{hash(config):x}")
    pytest.importorskip(name)
    engine, reference = load_engine(name, head, tiny), load_engine("torch", head, tiny)
    found = parity(engine.embed(CHIPS), reference.embed(CHIPS), "float32")
    assert found.cosine_distance < 1e-6
    assert found.log_var < 1e-4


def test_ser_fiq_is_refused(tiny: TorchBackbone, untrained: MakeHead, tmp_path: Path) -> None:
    head = untrained(tiny.spec, QualityConfig(tiny.spec.feature_shape, tiny.spec.dim, measure="serfiq"))
    with pytest.raises(InputError, match="SER-FIQ draws random numbers"):
        export_onnx(tiny, head, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
    assert "that of SER-FIQ, which draws random numbers" in str(export.__doc__)


def test_a_head_of_another_backbone(dlib: TorchBackbone, head: StoredHead, tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match="trained on backbone 'tiny', this is 'dlib'"):
        export_onnx(dlib, head, tmp_path / "x.onnx")


def test_a_backbone_without_hooks(tiny_pair: TorchBackbone, untrained: MakeHead, tmp_path: Path) -> None:
    head = untrained(tiny_pair.spec, PFEConfig(tiny_pair.spec.feature_shape, tiny_pair.spec.dim, hidden=4))
    export_onnx(tiny_pair, head, tmp_path / "m.onnx")
    found = parity(
        opened(tmp_path / "m.onnx", "onnxruntime").embed(CHIPS),
        load_engine("torch", head, tiny_pair).embed(CHIPS),
        "float32",
    )
    assert max(found.cosine_distance, found.log_var) < 1e-5


def test_a_folder_in_the_way(tiny: TorchBackbone, head: StoredHead, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder"):
        export_onnx(tiny, head, tmp_path)


def test_the_cache_is_used_and_mended(tiny: TorchBackbone, head: StoredHead, exported: Path) -> None:
    path = exported_file(head, tiny)
    before = path.stat().st_mtime_ns
    assert exported_file(head, tiny).stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes()[:1000])
    assert read_papers(exported_file(head, tiny)) == read_papers(exported)


def test_the_cache_knows_pair_and_exporter(
    tiny: TorchBackbone, head: StoredHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that another exporter left in the cache is not used."""
    written: list[Path] = []
    monkeypatch.setattr(registry, "export_onnx", lambda _backbone, _head, path: written.append(path))
    other = replace(head, sha256="cd" * 32)
    paths = [exported_file(other, tiny)]
    monkeypatch.setattr(registry, "EXPORTER", "another")
    paths += [exported_file(other, tiny), exported_file(head, tiny)]
    assert len(set(paths)) == 3
    assert written == paths


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x07\x12\x00"])
def test_garbage(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.onnx: ") as error:
        opened(path, name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", RUNTIMES)
def test_missing_and_truncated(name: str, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        opened(tmp_path / "none.onnx", name)
    cut = tmp_path / "cut.onnx"
    data = exported.read_bytes()
    for length in (len(data) // 3, len(data) - 40):
        cut.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut\.onnx: ") as error:
            opened(cut, name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", RUNTIMES)
def test_damaged_or_edited(name: str, exported: Path, tmp_path: Path) -> None:
    """A flipped bit anywhere, an edit by onnx, a seal of another file, something behind the seal."""
    data, path = exported.read_bytes(), tmp_path / "m.onnx"
    rng = np.random.default_rng(0)
    weights = data.index(onnx.load(str(exported)).graph.initializer[0].raw_data[:8])
    for place in (weights, *rng.integers(0, len(data), 40)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(InputError, match=r"m\.onnx: ") as error:
            read_papers(path)
        assert "\n" not in str(error.value)
    path.write_bytes(data[:weights] + bytes([data[weights] ^ 1]) + data[weights + 1 :])
    with pytest.raises(InputError, match=r"^.*m\.onnx: damaged or edited since faceunc export wrote it"):
        opened(path, name)
    model = onnx.load(str(exported))
    model.graph.node[-1].name += "x"
    onnx.save(model, str(path))
    with pytest.raises(InputError, match="damaged or edited"):
        opened(path, name)
    for others in (data + b"\x72\x00", data[: len(data) - len(SEAL) - 70] + data[-10:]):
        path.write_bytes(others)
        with pytest.raises(InputError, match=r"m\.onnx: (damaged or edited|not a model)"):
            read_papers(path)


def _store_outside(model: Any) -> None:
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "../../secret")
    tensor.ClearField("raw_data")


def _store_sparse_outside(model: Any) -> None:
    """Weights that onnx's own list of tensors leaves out."""
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name, sparse.values.data_type = "sparse", onnx.TensorProto.FLOAT
    sparse.values.dims.append(1)
    sparse.values.raw_data = bytes(4)
    onnx.external_data_helper.set_external_data(sparse.values, "secret")


def _store_an_attribute_outside(model: Any) -> None:
    tensor = onnx.helper.make_tensor("constant", onnx.TensorProto.FLOAT, [1], bytes(4), raw=True)
    onnx.external_data_helper.set_external_data(tensor, "secret")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["constant"], value=tensor))


@pytest.mark.parametrize("edit", [_store_outside, _store_sparse_outside, _store_an_attribute_outside])
def test_numbers_in_other_files_are_refused(edit: Edit, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"changed\.onnx: expected all numbers inside of the file"):
        read_papers(changed(exported, tmp_path, edit))


def _in_place_of(output: str, operator: str, **attributes: Any) -> Edit:
    """Puts an operator behind an output."""

    def edit(model: Any) -> None:
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = [f"{output}_before" if name == output else name for name in names]
        model.graph.node.append(onnx.helper.make_node(operator, [f"{output}_before"], [output], **attributes))
        value = next(value for value in model.graph.output if value.name == output)
        value.type.tensor_type.ClearField("shape")
        if operator == "Cast":
            value.type.tensor_type.elem_type = attributes["to"]

    return edit


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize(
    ("output", "operator", "attributes"),
    [
        ("log_var", "ReduceMean", {"keepdims": 1}),
        ("norm", "ReduceMax", {"keepdims": 1}),
        ("mean", "Transpose", {"perm": [1, 0]}),
        ("log_var", "Cast", {"to": onnx.TensorProto.DOUBLE}),
        ("norm", "Cast", {"to": onnx.TensorProto.DOUBLE}),
        ("embedding", "Transpose", {"perm": [1, 0]}),
        ("feature_map", "Cast", {"to": onnx.TensorProto.FLOAT16}),
    ],
)
def test_a_graph_whose_outputs_are_not_as_promised(
    output: str, operator: str, attributes: dict[str, Any], name: str, exported: Path, tmp_path: Path
) -> None:
    """A file that was sealed anew: one row for the whole batch, axes exchanged, other types."""
    path = changed(exported, tmp_path, _in_place_of(output, operator, **attributes))
    with pytest.raises(InputError, match=r"changed\.onnx: ") as error:
        opened(path, name)
    assert "\n" not in str(error.value)


def test_one_line_of_a_foreign_message() -> None:
    assert reason_of(ValueError("\n first\nsecond")) == " first"
    assert reason_of(AssertionError()) == "AssertionError"


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_foreign_model(name: str, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"expected a model written by faceunc export \\({FORMAT}\\), got 'no such"):
        opened(changed(exported, tmp_path, format=None), name)
    with pytest.raises(InputError, match="got 'faceunc-engine-99'"):
        opened(changed(exported, tmp_path, format="faceunc-engine-99"), name)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize(("field", "value"), [("dim", 7), ("input_size", 32), ("feature_shape", [4, 7, 6])])
def test_metadata_that_promise_another_graph(
    field: str, value: object, name: str, exported: Path, tmp_path: Path
) -> None:
    spec = json.loads({e.key: e.value for e in onnx.load(str(exported)).metadata_props}["spec"])
    path = changed(exported, tmp_path, spec=json.dumps({**spec, field: value}))
    with pytest.raises(InputError, match=r"changed\.onnx: the (graph does not fit its metadata|metadata say)"):
        opened(path, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"head": None},
        {"head": "two\nlines"},
        {"moves_mean": "perhaps"},
        {"spec": "{"},
        {"spec": "{}"},
        {"spec": None},
        {"spec": "null"},
        {"spec": "[" * 100_000},
        {"spec": "9" * 5000},
        {"spec": spec_to_json(DLIB).replace("150", "1e999")},
        {"spec": spec_to_json(DLIB).replace("150", "150000")},
    ],
)
def test_damaged_metadata(changes: dict[str, str | None], exported: Path) -> None:
    values = {e.key: e.value for e in onnx.load(str(exported)).metadata_props} | changes
    with pytest.raises(InputError, match=r"^a\.onnx: ") as error:
        papers_of({key: value for key, value in values.items() if value is not None}, "a.onnx")
    assert "\n" not in str(error.value)


def test_engines_that_read_no_files(exported: Path) -> None:
    with pytest.raises(InputError, match=r"run by onnxruntime, openvino, openvino-bf16\. Got engine torch instead"):
        open_engine(exported, "torch")


@pytest.mark.parametrize("threads", [1, 2])
def test_openvinos_hints(threads: int, exported: Path) -> None:
    pytest.importorskip("openvino")
    from faceunc.engines.openvino_engine import HINTS, open_openvino

    outputs = [open_openvino("openvino", exported, threads, hint).embed(CHIPS) for hint in HINTS]
    np.testing.assert_allclose(outputs[0].log_var, outputs[1].log_var, atol=1e-5)
    with pytest.raises(InputError, match=r"hint must be one of THROUGHPUT, LATENCY\. Got 'FAST'"):
        open_openvino("openvino", exported, threads, "FAST")
