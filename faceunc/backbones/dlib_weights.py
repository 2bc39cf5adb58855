"""Read dlib's serialised ResNet-29 (``dlib_face_recognition_resnet_model_v1.dat``) without dlib.

The format, as far as it is needed: an integer is one control byte (low 4 bits: how many bytes follow; 0x80: negative)
and its little-endian bytes; a string is its length and its bytes; a tensor is the integer 2, four sizes, float32 data.
Layers stand from input to output, each behind its name: ``con_4``, ``affine_``, ``fc_2``. Every read is bounds-checked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError

Floats = NDArray[np.float32]
_HEADER = b"\x01\x01\x01\x0dloss_metric_2"
_MAX_FLOATS = 16_000_000


@dataclass(frozen=True)
class ConvLayer:
    """One convolution with its affine layer folded in: weight (out, in, kh, kw), bias (out,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class DlibWeights:
    """All parameters of the network: 29 convolutions in order, and the last linear layer (128, 256)."""

    convs: list[ConvLayer]
    linear: Floats


def parse_dlib_resnet(data: bytes, source: str) -> DlibWeights:
    """Parse the bytes of the weight file; ``source`` names it in errors.

    Raises:
        InputError: when the file is truncated, foreign, or holds another network.
    """
    reader = _Reader(data, source)
    if not data.startswith(_HEADER):
        raise InputError(
            f"{source}: expected dlib's face recognition ResNet, got a file that begins with {data[:12]!r}"
        )
    convs, channels = [], 3
    for index in range(29):
        layer = _read_conv(reader, channels, index)
        channels = layer.weight.shape[0]
        convs.append(layer)
    reader.seek_name(b"fc_2")
    outputs, inputs = reader.integer(), reader.integer()
    linear = reader.tensor()
    if (outputs, inputs) != (128, channels) or linear.size != outputs * inputs:
        raise InputError(f"{source}: expected a last layer 128 x {channels}, got {outputs} x {inputs}")
    return DlibWeights(convs, linear.reshape(inputs, outputs).T.copy())


def _read_conv(reader: _Reader, channels: int, index: int) -> ConvLayer:
    reader.seek_name(b"con_4")
    params = reader.tensor()
    filters, rows, columns = reader.integer(), reader.integer(), reader.integer()
    if min(filters, rows, columns) < 1 or params.size != filters * (channels * rows * columns + 1):
        raise reader.error(f"layer {index}: {params.size} parameters do not fit {filters} filters {rows} x {columns}")
    reader.seek_name(b"affine_")
    affine = reader.tensor()
    if affine.size != 2 * filters:
        raise reader.error(f"layer {index}: expected {2 * filters} affine parameters, got {affine.size}")
    gamma, beta = affine[:filters], affine[filters:]
    weight = params[:-filters].reshape(filters, channels, rows, columns)
    return ConvLayer(weight * gamma[:, None, None, None], params[-filters:] * gamma + beta)


class _Reader:
    def __init__(self, data: bytes, source: str) -> None:
        self.data, self.source, self.position = data, source, 0

    def error(self, what: str) -> InputError:
        return InputError(f"{self.source}: damaged dlib weight file at byte {self.position}: {what}")

    def take(self, count: int) -> bytes:
        if self.position + count > len(self.data):
            raise self.error(f"expected {count} more bytes, the file has {len(self.data) - self.position} (truncated?)")
        chunk = self.data[self.position : self.position + count]
        self.position += count
        return chunk

    def integer(self) -> int:
        control = self.take(1)[0]
        length = control & 0x0F
        if not 1 <= length <= 8 or control & 0x70:
            raise self.error(f"not an integer (control byte {control:#x})")
        value = int.from_bytes(self.take(length), "little")
        return -value if control & 0x80 else value

    def tensor(self) -> Floats:
        version = self.integer()
        sizes = [self.integer() for _ in range(4)]
        count = int(np.prod([max(size, 0) for size in sizes], dtype=object))
        if version != 2 or count > _MAX_FLOATS:
            raise self.error(f"not a tensor (version {version}, sizes {sizes})")
        values = np.frombuffer(self.take(4 * count), "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise self.error("a tensor with values that are not finite")
        return values

    def seek_name(self, name: bytes) -> None:
        """Move behind the next serialised string ``name``."""
        marker = struct.pack("<BB", 1, len(name)) + name
        found = self.data.find(marker, self.position)
        if found < 0:
            raise self.error(f"no further layer {name.decode()} (truncated?)")
        self.position = found + len(marker)
