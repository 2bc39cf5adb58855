"""A reader of pickles that hold nothing but lists, numbers, bytes and numpy arrays of uint8 or bool.

A pickle is a program: it can call any function of any module. This reader knows no module at all. The few names that
pickles of such arrays mention stand for functions of this file, which only store what they are given, and every
opcode that is not needed is refused. It is built on Python's own reader in Python, since the one in C answers a
seven-byte file (a large memo index) by filling gigabytes of memory.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError

_CODES = {"u1": "u1", "uint8": "u1", "b1": "b1", "bool": "b1", "?": "b1"}
_NDARRAY = object()  # stands for the class numpy.ndarray
_MOST_OPCODES = 2_000_000  # some 20 an image; each may make an object a hundred times its size
_MOST_ARGUMENTS = 8


def load_plain(data: bytes, path: Path) -> Any:
    """What a pickle holds, each numpy array in it as a :class:`PlainArray`, each string of Python 2 as bytes.

    Raises:
        InputError: in one line that names ``path``, for everything else that a pickle can be or ask for.
    """
    try:
        return _Reader(data).load()
    except Exception as error:  # hostile bytes raise nearly anything
        kind = "" if isinstance(error, pickle.UnpicklingError) else f"{type(error).__name__}: "
        reason = kind + " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected a pickle of images and labels ({reason})") from None


class _DType:
    """A numpy dtype of one byte, "u1" or "b1"."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("refused a dtype that is not plain")


@dataclass
class PlainArray:
    """A numpy array as the pickle described it: ``code`` "u1" or "b1", shape, order and bytes, checked to fit."""

    code: str = "u1"
    shape: tuple[int, ...] = (0,)
    raw: bytes = b""
    order: str = "C"

    def array(self) -> NDArray[np.uint8]:
        """The array as uint8, a copy in C order."""
        flat = np.frombuffer(self.raw, np.uint8)
        return flat.reshape(self.shape, order="F" if self.order == "F" else "C").copy(order="C")

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("refused an array's state")
        _, shape, dtype, fortran, raw = state
        self._set(shape, dtype, raw, "F" if fortran is True or fortran == 1 else "C")

    def _set(self, shape: object, dtype: object, raw: object, order: str) -> None:
        sizes = shape if isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**31 for n in shape) else None
        if sizes is None or len(sizes) > 8 or type(dtype) is not _DType or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("refused an array that is not of plain uint8 or bool")
        if math.prod(sizes) != len(raw):
            raise pickle.UnpicklingError(f"an array promises {math.prod(sizes)} values and has {len(raw)}")
        self.code, self.shape, self.raw, self.order = dtype.code, sizes, raw, order


class _Function:
    """Something that a pickle may call. It takes no state, so a pickle cannot change it."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, *args: object) -> object:
        return self._call(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("refused to change a function")


def _dtype(name: object, *flags: object) -> _DType:
    text = name.decode("latin1") if isinstance(name, bytes) else name
    code = _CODES.get(text.removeprefix("|")) if isinstance(text, str) else None
    if code is None or len(flags) > 2:
        # Never an object's own text: that of nested tuples doubles with every level.
        what = repr(text[:20]) if isinstance(text, str) else type(text).__name__
        raise pickle.UnpicklingError(f"refused an array of {what}, only uint8 and bool are read")
    return _DType(code)


def _reconstruct(kind: object, shape: object, code: object) -> PlainArray:
    """numpy's empty array, whose state comes after: whatever shape is asked for, nothing is allocated."""
    if kind is not _NDARRAY:
        raise pickle.UnpicklingError("refused an array of another class than numpy.ndarray")
    return PlainArray()


def _frombuffer(raw: object, dtype: object, shape: object, order: object) -> PlainArray:
    result = PlainArray()
    result._set(shape, dtype, raw, "F" if order == "F" else "C")
    return result


def _scalar(dtype: object, raw: object) -> bool:
    if type(dtype) is not _DType or dtype.code != "b1" or not isinstance(raw, bytes) or len(raw) != 1:
        raise pickle.UnpicklingError("refused a scalar that is no bool")
    return raw != b"\0"


def _refuse_opcode(reader: object) -> NoReturn:
    raise pickle.UnpicklingError("refused an opcode that images and labels do not need")


_REFUSED = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER),
    *(pickle.READONLY_BUFFER, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
    *(pickle.DICT, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),  # keys of nested tuples hash for ever
    *(pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET),
)


def _reduce(reader: Any) -> None:
    """A call, of a few arguments: the base class would spread bytes of any length into single numbers."""
    if not isinstance(reader.stack[-1], tuple) or len(reader.stack[-1]) > _MOST_ARGUMENTS:
        raise pickle.UnpicklingError("refused a call with other arguments than a short tuple")
    pickle._Unpickler.dispatch[pickle.REDUCE[0]](reader)


def _counted(opcode: Callable[[Any], None]) -> Callable[[Any], None]:
    def run(reader: Any) -> None:
        reader.steps += 1
        if reader.steps > _MOST_OPCODES:
            raise pickle.UnpicklingError(f"refused more than {_MOST_OPCODES:,} instructions")
        opcode(reader)

    return run


_OPCODES = {
    **pickle._Unpickler.dispatch,
    **dict.fromkeys((code[0] for code in _REFUSED), _refuse_opcode),
    pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],  # which allocates no more than there is
    pickle.REDUCE[0]: _reduce,
}


class _Reader(pickle._Unpickler):
    dispatch = {code: _counted(opcode) for code, opcode in _OPCODES.items()}  # noqa: RUF012, as the base class has it

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._left, self.steps = len(data), 0

    def find_class(self, module_name: str, global_name: str) -> object:
        """What stands for a global name. Raises UnpicklingError for all but the few that arrays and bytes need."""
        if module_name in ("numpy.core.multiarray", "numpy._core.multiarray"):
            if global_name == "_reconstruct":
                return _Function(_reconstruct)
            if global_name == "scalar":
                return _Function(_scalar)
        if module_name in ("numpy.core.numeric", "numpy._core.numeric") and global_name == "_frombuffer":
            return _Function(_frombuffer)
        if (module_name, global_name) == ("numpy", "ndarray"):
            return _NDARRAY
        if (module_name, global_name) == ("numpy", "dtype"):
            return _Function(_dtype)
        if (module_name, global_name) == ("_codecs", "encode"):
            return _Function(self._encode)
        raise pickle.UnpicklingError(f"refused the global {f'{module_name}.{global_name}'[:100]!r}")

    def _encode(self, text: object, codec: object) -> bytes:
        """Bytes as Python 3 writes them for old protocols. In sum no more than the file has: no text counts twice."""
        if not isinstance(text, str) or codec != "latin1":
            raise pickle.UnpicklingError("refused _codecs.encode of anything but text to latin1")
        self._left -= len(text)
        if self._left < 0:
            raise pickle.UnpicklingError("refused to expand more bytes than the file has")
        return text.encode("latin1")
