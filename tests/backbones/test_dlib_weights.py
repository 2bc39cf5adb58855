"""Whatever a weight file holds, the parser gives weights or an InputError."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceunc.backbones import dlib_weights
from faceunc.backbones.dlib_resnet import packaged_weight_file
from faceunc.backbones.dlib_weights import DlibWeights, parse_dlib_resnet
from faceunc.errors import InputError

FILE_SIZE = 22_466_066
TAIL = 72  # bytes after the last tensor, which hold no weights
LAYER = re.compile(rb"\x01\x05con_4|\x01\x07affine_|\x01\x04fc_2")


@pytest.fixture(scope="module")
def data() -> bytes:
    return packaged_weight_file().read_bytes()


@pytest.fixture(scope="module")
def weights(data: bytes) -> DlibWeights:
    return parse_dlib_resnet(data, "packaged")


@pytest.fixture(scope="module")
def control(data: bytes) -> list[int]:
    """Positions of the bytes that steer the parser: the header, every layer's name and the integers behind it."""
    steering = set(range(16))
    for match in LAYER.finditer(data):
        steering.update(range(match.start(), match.end() + 24))
    return sorted(steering)


def test_shapes(weights: DlibWeights) -> None:
    assert len(weights.convs) == 29
    assert weights.convs[0].weight.shape == (32, 3, 7, 7)
    assert weights.convs[-1].weight.shape == (256, 256, 3, 3)
    assert weights.linear.shape == (128, 256)
    for layer in weights.convs:
        assert layer.bias.shape == layer.weight.shape[:1]
        assert np.isfinite(layer.weight).all()


@pytest.mark.parametrize("length", [0, 1, 12, 15, 16, 17, 100, 300, 352, 20_000, 1_000_000, FILE_SIZE - TAIL - 1])
def test_truncated(length: int, data: bytes) -> None:
    assert len(data) == FILE_SIZE
    with pytest.raises(InputError, match="packaged"):
        parse_dlib_resnet(data[:length], "packaged")


@settings(max_examples=40, deadline=None)
@given(length=st.integers(0, FILE_SIZE - TAIL - 1))
def test_truncated_anywhere(length: int, data: bytes) -> None:
    with pytest.raises(InputError):
        parse_dlib_resnet(data[:length], "packaged")


@pytest.mark.parametrize("content", [b"text", b"\x89PNG\r\n\x1a\n" + bytes(100), b"\x01\x01\x01\x0dloss_metric_2"])
def test_foreign(content: bytes) -> None:
    with pytest.raises(InputError, match=r"foreign\.dat"):
        parse_dlib_resnet(content, "foreign.dat")


@settings(max_examples=120, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_corrupted_control_bytes(changes: list[tuple[int, int]], data: bytes, control: list[int]) -> None:
    damaged = bytearray(data)
    for index, value in changes:
        damaged[control[index % len(control)]] = value
    try:
        weights = parse_dlib_resnet(bytes(damaged), "damaged")
    except InputError as error:
        assert str(error).startswith("damaged: ")  # noqa: PT017
    else:
        assert len(weights.convs) == 29
        assert weights.linear.shape[0] == 128


@pytest.mark.parametrize("value", [0x00, 0x09, 0x0F, 0x14, 0x71, 0x84, 0xFF])
def test_every_bad_control_byte_of_the_first_tensor_is_noticed(value: int, data: bytes) -> None:
    start = data.index(b"\x01\x05con_4") + len(b"\x01\x05con_4")
    damaged = data[:start] + bytes([value]) + data[start + 1 : 20_000]
    with pytest.raises(InputError, match="damaged dlib weight file"):
        parse_dlib_resnet(damaged, "damaged")


def test_values_that_are_not_finite(data: bytes) -> None:
    damaged = bytearray(data)
    damaged[400:404] = np.float32("nan").tobytes()
    with pytest.raises(InputError, match="not finite"):
        parse_dlib_resnet(bytes(damaged), "damaged")


@pytest.mark.parametrize(
    ("encoded", "value"),
    [(b"\x01\x05", 5), (b"\x02\x00\x01", 256), (b"\x81\x05", -5), (b"\x08" + b"\xff" * 8, 2**64 - 1), (b"\x01\x00", 0)],
)
def test_integers(encoded: bytes, value: int) -> None:
    reader = dlib_weights._Reader(encoded, "test")
    assert reader.integer() == value
    assert reader.position == len(encoded)


def test_huge_tensor_is_refused_before_it_is_read() -> None:
    sizes = b"\x08" + b"\xff" * 8
    with pytest.raises(InputError, match="not a tensor"):
        dlib_weights._Reader(b"\x01\x02" + sizes * 4 + bytes(100), "test").tensor()
