"""The spec: what is refused, and its way to JSON and back; chips into the model's input."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import check_chips, output_of, to_input
from faceunc.backbones.dlib_resnet import SPEC as DLIB
from faceunc.backbones.facenet import facenet_spec
from faceunc.backbones.registry import BACKBONES, load_backbone
from faceunc.backbones.spec import BackboneSpec, spec_from_dict, spec_to_json
from faceunc.errors import InputError


@pytest.mark.parametrize("spec", [DLIB, facenet_spec("facenet", "ab")])
def test_json_round_trip(spec: BackboneSpec) -> None:
    assert spec_from_dict(json.loads(spec_to_json(spec)), "test") == spec


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": "GRB"}, "colour"),
        ({"input_size": 7}, "input_size"),
        ({"mean": (0.0, 0.0)}, "mean"),
        ({"template": DLIB.template[:4]}, "template"),
        ({"template": ((0.0, 0.0, 0.0), *DLIB.template[1:])}, "template"),
        ({"feature_shape": (256, 2)}, "feature_shape"),
        ({"dim": 0}, "dim"),
        ({"dim": 65_537}, "dim"),
        ({"input_size": 1025}, "input_size"),
        ({"mean": (0.0, float("nan"), 0.0)}, "mean"),
        ({"scale": float("inf")}, "scale"),
        ({"template": ((0.0, float("-inf")), *DLIB.template[1:])}, "template"),
        ({"feature_shape": (256, 0, 2)}, "feature_shape"),
        ({"feature_shape": (-256, -2, 2)}, "feature_shape"),
        ({"feature_shape": (65_537, 1, 1)}, "feature_shape"),
        ({"feature_shape": (1, 1, 1025)}, "feature_shape"),
        ({"feature_shape": (65_536, 1024, 1024)}, "feature_shape"),
    ],
)
def test_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"dlib: {named} must be"):
        replace(DLIB, **change)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"dim": None}, r"missing fields \['dim'\]"),
        ({"size": 3}, r"unknown fields \['size'\]"),
        ({"dim": "many"}, "many"),
        ({"scale": []}, "bad value"),
        ({"mean": 3}, "bad value"),
        ({"template": [[1, 2, 3]] * 5}, "bad value"),
        ({"colour": "grey"}, "colour"),
        ({"dim": float("inf")}, "bad value"),
        ({"dim": 10**400, "scale": 10**400}, "bad value"),
        ({"dim": 128.5}, "expected a whole number, got 128.5"),
        ({"dim": 10**9}, "dim must be"),
        ({"feature_shape": [256, 2, float("nan")]}, "bad value"),
        ({"scale": float("nan")}, "scale must be"),
        ({"name": "two\nlines"}, "printable"),
        ({"name": "x" * 201}, "printable"),
        ({"name": ""}, "printable"),
        ({"feature_shape": [1] * 10_000}, "feature_shape must be"),
    ],
)
def test_bad_json_values(change: dict[str, Any], named: str) -> None:
    values = {name: value for name, value in {**asdict(DLIB), **change}.items() if value is not None}
    with pytest.raises(InputError, match=rf"^spec\.json: .*{named}") as error:
        spec_from_dict(values, "spec.json")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_the_largest_that_are_allowed() -> None:
    spec = replace(DLIB, input_size=1024, dim=65_536, feature_shape=(16, 1024, 1024))
    assert spec_from_dict(json.loads(spec_to_json(spec)), "test") == spec


def test_optional_fields_may_be_left_out() -> None:
    values = {name: value for name, value in asdict(DLIB).items() if name not in ("licence", "origin", "sha256")}
    spec = spec_from_dict(values, "spec.json")
    assert (spec.licence, spec.origin, spec.sha256) == ("unknown", "unknown", "")


def test_alignment_names_size_and_template() -> None:
    moved = replace(DLIB, template=((48.6, 46.62), *DLIB.template[1:]))
    assert replace(DLIB, name="other").alignment == DLIB.alignment
    assert len({DLIB.alignment, moved.alignment, replace(DLIB, input_size=151).alignment}) == 3


@pytest.mark.parametrize(
    "chips",
    [
        np.zeros((1, 150, 150, 3), np.float32),
        np.zeros((150, 150, 3), np.uint8),
        np.zeros((1, 149, 150, 3), np.uint8),
        np.zeros((1, 3, 150, 150), np.uint8),
    ],
)
def test_chips_of_another_shape(chips: NDArray[Any]) -> None:
    with pytest.raises(InputError, match=r"\(N, 150, 150, 3\)"):
        check_chips(chips, DLIB)


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["plain", "read-only", "mirrored", "sliced"])
def test_to_input(colour: str, layout: str) -> None:
    spec = replace(DLIB, colour=colour, input_size=8, mean=(10.0, 20.0, 30.0), scale=0.5)
    chips = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    if layout == "read-only":
        chips.flags.writeable = False
    chips = {"mirrored": chips[:, :, ::-1], "sliced": chips[::2]}.get(layout, chips)
    before = chips.copy()
    ordered = chips if colour == "RGB" else chips[..., ::-1]
    expected = (ordered.astype(np.float32) - np.array(spec.mean, np.float32)) * np.float32(0.5)
    tensor = to_input(chips, spec)
    np.testing.assert_array_equal(tensor.numpy(), expected.transpose(0, 3, 1, 2))
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(chips, before)


def test_output_is_normalised_and_keeps_its_length() -> None:
    raw = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    output = output_of(torch.zeros(2, 1, 1, 1, dtype=torch.bfloat16), raw)
    torch.testing.assert_close(output.mean, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    torch.testing.assert_close(output.norm, torch.tensor([5.0, 0.0]))
    assert output.feature_map.dtype == torch.float32


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match="resnet50") as caught:
        load_backbone("resnet50")
    assert all(name in str(caught.value) for name in BACKBONES)


def test_default_is_dlib() -> None:
    assert load_backbone(precision="float32").spec.name == "dlib"
