"""insightface's .bin files: everything that a real one is written with is read, everything else is refused."""

from __future__ import annotations

import collections
import io
import os
import pickle
import resource
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from faceunc.errors import InputError
from faceunc.protocols import insightface_bin
from faceunc.protocols.insightface_bin import read_bin

SAME = [True, False] * 6
ENCODED = [bytes([row, 0, 255, 10]) for row in range(24)]


def write(folder: Path, data: bytes) -> Path:
    path = folder / "set.bin"
    path.write_bytes(data)
    return path


def arrays() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (4, 5, 3), dtype=np.uint8) for _ in range(24)]
    images[3] = np.asfortranarray(images[3])
    images[4] = images[4][::-1]  # neither order: numpy writes it in C order
    return images


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "labels", [list, tuple, np.array, lambda same: list(np.array(same))], ids=["list", "tuple", "array", "numpy bools"]
)
def test_every_pickle_protocol(tmp_path: Path, protocol: int, labels: Callable[[list[bool]], Any]) -> None:
    encoded = read_bin(write(tmp_path, pickle.dumps((ENCODED, labels(SAME)), protocol)))
    assert encoded.images == ENCODED
    assert encoded.pairs.same.tolist() == SAME
    assert encoded.pairs.same.dtype == bool
    decoded = read_bin(write(tmp_path, pickle.dumps([arrays(), labels(SAME)], protocol)))
    for found, image in zip(decoded.images, arrays(), strict=True):
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, image)


def test_one_dimensional_arrays_are_encoded_files(tmp_path: Path) -> None:
    flat = [np.frombuffer(image, np.uint8) for image in ENCODED]
    assert read_bin(write(tmp_path, pickle.dumps((flat, SAME)))).images == ENCODED


def python2(protocol: int) -> bytes:
    """What Python 2 writes: str for bytes, numpy arrays with str inside, I01 for True."""

    def text(value: bytes) -> bytes:
        if protocol:
            return b"U" + bytes([len(value)]) + value
        return b"S" + repr(value)[1:].encode() + b"\n"

    dtype = b"cnumpy\ndtype\n(" + text(b"u1") + b"I0\nI1\ntR(I3\n" + text(b"|") + b"NNNI-1\nI-1\nI0\ntb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt" + text(b"b") + b"tR"
    array = empty + b"(I1\n(I1\nI2\nI3\nt" + dtype + b"I00\n" + text(bytes(range(250, 256))) + b"tb"
    head = b"\x80\x02" if protocol else b""
    images = b"(" + array + b"".join(text(image) for image in ENCODED[1:]) + b"l"
    return head + b"(" + images + b"(" + b"".join(b"I01\n" if same else b"I00\n" for same in SAME) + b"lt."


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_python_2(tmp_path: Path, protocol: int) -> None:
    found = read_bin(write(tmp_path, python2(protocol)))
    assert found.images[1:] == ENCODED[1:]
    np.testing.assert_array_equal(found.images[0], np.arange(250, 256, dtype=np.uint8).reshape(1, 2, 3))
    assert found.pairs.same.tolist() == SAME


@pytest.mark.parametrize("pairs", [10, 12, 19, 57])
def test_folds_are_those_of_sklearn(tmp_path: Path, pairs: int) -> None:
    found = read_bin(write(tmp_path, pickle.dumps(([b"x"] * (2 * pairs), [True] * pairs)))).pairs
    for number, (_, test) in enumerate(KFold(10, shuffle=False).split(np.arange(pairs))):
        assert np.flatnonzero(found.fold == number).tolist() == test.tolist()
    assert (found.first[0], found.second[0], found.first[-1]) == ("000000", "000001", f"{2 * pairs - 2:06d}")
    assert found.first_subject == ()


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "system"), (eval, "eval"), (getattr, "getattr"), (io.open, "open"), (np.load, "load")],
)
def test_calls_are_refused(tmp_path: Path, protocol: int, function: Callable[..., Any], name: str) -> None:
    marker = tmp_path / "marker"
    argument = f"touch {marker}" if name == "system" else f"open({str(marker)!r}, 'w')"
    for content in (Call(function, argument), ([Call(function, argument)] * 24, SAME)):
        path = write(tmp_path, pickle.dumps(content, protocol))
        with pytest.raises(InputError, match=rf"refused the global '\w+\.{name}'") as caught:
            read_bin(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not marker.exists()


DTYPE = b"cnumpy\ndtype\n(Vu1\nI0\nI1\ntR"
HOSTILE = {
    "global": b"cos\nsystem\n(S'true'\ntR.",
    "python 2 builtins": b"c__builtin__\neval\n(S'1'\ntR.",
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__new__\x93.",
    "new lines in a name": b"\x80\x04\x8c\x05a\nb\nc\x8c\x06system\x93.",
    "inst": b"(S'true'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'true'\no.",
    "obj of numpy": b"(cnumpy\ndtype\nVu1\no.",
    "newobj": b"cnumpy\nndarray\n)\x81.",
    "newobj_ex": b"\x80\x04cnumpy\ndtype\n)}\x92.",
    "ext1": b"\x82\x01.",
    "ext2": b"\x83\x01\x00.",
    "ext4": b"\x84\x01\x00\x00\x00.",
    "persistent": b"Pname\n.",
    "binary persistent": b"S'name'\nQ.",
    "buffer": b"\x97.",
    "build on a function": b"cnumpy\ndtype\nN}b.",
    "build with slots on a function": b"cnumpy\ndtype\n(N(S'_call'\nNdtb.",
    "build on a class": b"cnumpy\nndarray\n(S'a'\nNdb.",
    "build on a list": b"(l(S'a'\nNdb.",
    "dict": b"(S'a'\nNd.",
    "object array": b"cnumpy\ndtype\n(VO8\nI0\nI1\ntR.",
    "dtype with fields": DTYPE + b"(I3\nV|\nN(Va\nt(Va\nNdI-1\nI-1\nI0\ntb.",
    "dtype with names": DTYPE + b"(I3\nV|\nN(Va\ntNI-1\nI-1\nI0\ntb.",
    "memmap": b"cnumpy\nmemmap\n(V/etc/passwd\ntR.",
    "subclass of an array": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nmatrix\n(I0\ntVb\ntR.",
    "reconstruct another": b"cnumpy.core.multiarray\n_reconstruct\n(I7\n(I0\ntVb\ntR.",
    "string scalar": b"cnumpy.core.multiarray\nscalar\n(" + DTYPE + b"S'a'\ntR.",
    "encode to another codec": b"c_codecs\nencode\n(Va\nVzip\ntR.",
    "encode bytes": b"c_codecs\nencode\n(S'a'\nVlatin1\ntR.",
    "decode": b"c_codecs\ndecode\n(Va\nVlatin1\ntR.",
    "frombuffer of a list": b"cnumpy.core.numeric\n_frombuffer\n((l" + DTYPE + b"(I0\ntVC\ntR.",
    "unknown opcode": b"\xff.",
    "no opcode": b"",
    "no stop": b"N",
    "empty stack": b".",
    "newer protocol": b"\x80\x09N.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_opcodes(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, data)
    with pytest.raises(InputError, match="expected a pickle of images") as caught:
        read_bin(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_registered_extensions_are_refused(tmp_path: Path) -> None:
    import copyreg

    copyreg.add_extension("collections", "OrderedDict", 200)
    try:
        data = pickle.dumps(collections.OrderedDict, 2)
        assert pickle.loads(data) is collections.OrderedDict  # now in the cache of the process
        with pytest.raises(InputError, match="refused an opcode"):
            read_bin(write(tmp_path, data))
    finally:
        copyreg.remove_extension("collections", "OrderedDict", 200)


def bombs() -> dict[str, bytes]:
    """Small files that ask for much memory or time."""
    doubling = b"".join(b"(g%d\ng%d\ntp%d\n" % (level, level, level + 1) for level in range(60))
    tuples = b"(tp0\n" + doubling
    many = b"p1\n0" + b"(" + b"c_codecs\nencode\n(g1\nVlatin1\ntR" * 5000 + b"l."
    return {
        "nested tuples": tuples + b".",
        "hash of nested tuples": b"(" + tuples + b"Nd.",
        "nested lists": b"(lp0\n" + b"".join(b"(lg%d\nag%d\nap%d\n" % (k, k, k + 1) for k in range(60)) + b".",
        "list of itself": b"(lp0\ng0\nag0\na.",
        "deep lists": b"(l" * 200_000 + b"a" * 199_999 + b".",
        "many copies": b"V" + b"a" * 1_000_000 + b"\n" + many,
        "large memo index": b"\x80\x02Nr\xff\xff\xff\x7f.",
        "large bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"a.",
        "large bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"a.",
        "large frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
        "large string": b"T\xff\xff\xff\x7fa.",
        "large array": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I99999999999\ntVb\ntR.",
        "large number": b"I" + b"9" * 1_000_000 + b"\n.",
        "large shape": b"cnumpy.core.numeric\n_frombuffer\n(C\x01a" + DTYPE + b"(I65536\nI65536\nI65536\ntVC\ntR.",
    }


@pytest.mark.parametrize("name", bombs())
@pytest.mark.timeout(20)
def test_bombs(tmp_path: Path, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as caught:
        read_bin(write(tmp_path, bombs()[name]))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (7, "two parts"),
        ((ENCODED, SAME, 1), "two parts"),
        ((b"xy", SAME), "two parts"),
        ((np.zeros((24, 2), np.uint8), SAME), "two parts"),
        ((ENCODED, [1, 0] * 6), "booleans"),
        ((ENCODED, np.ones(12, np.uint8)), "booleans"),
        ((ENCODED, np.ones((12, 1), bool)), "booleans"),
        ((ENCODED, "yes"), "booleans"),
        ((ENCODED[:-1], SAME), "23 images and 12 labels"),
        ((ENCODED, SAME[:-1]), "24 images and 11 labels"),
        ((ENCODED[:4], SAME[:2]), "at least 10"),
        (([], []), "at least 10"),
        (([*ENCODED[:-1], "text"], SAME), "image 23 .* Got str"),
        (([*ENCODED[:-1], None], SAME), "image 23"),
        (([*ENCODED[:-1], np.zeros((4, 4), np.uint8)], SAME), r"image 23 .* Got u1 array \(4, 4\)"),
        (([*ENCODED[:-1], np.zeros((4, 4, 3), bool)], SAME), "image 23 .* Got b1"),
        (([*ENCODED[:-1], np.zeros((0, 4, 3), np.uint8)], SAME), "image 23"),
        (([*ENCODED[:-1], np.zeros((4, 4, 3), np.float32)], SAME), "'f4', only uint8"),
        ((np.array(ENCODED, object), SAME), "'O8', only uint8"),
    ],
)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_parts_that_do_not_fit(tmp_path: Path, content: object, message: str, protocol: int) -> None:
    with pytest.raises(InputError, match=message):
        read_bin(write(tmp_path, pickle.dumps(content, protocol)))


def test_truncated_files(tmp_path: Path) -> None:
    for data in (pickle.dumps((ENCODED, SAME)), pickle.dumps((arrays(), SAME), 5), python2(2)):
        for end in range(0, len(data), 7):
            with pytest.raises(InputError):
                read_bin(write(tmp_path, data[:end]))


def test_random_damage_never_raises_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for protocol in (0, 2, 4, 5):
        good = np.frombuffer(pickle.dumps((arrays()[:20], SAME[:10]), protocol), np.uint8)
        for _ in range(150):
            data = good.copy()
            data[rng.integers(0, len(data), 5)] = rng.integers(0, 256, 5)
            try:
                read_bin(write(tmp_path, data.tobytes()))
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017, most damage is in the images and goes unnoticed


def test_missing_folder_and_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_bin(tmp_path / "none.bin")
    with pytest.raises(InputError, match=r"\.bin file"):
        read_bin(tmp_path)
    monkeypatch.setattr(insightface_bin, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="at most 10 bytes"):
        read_bin(write(tmp_path, pickle.dumps((ENCODED, SAME))))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cnumpy\ndtype\nN" + b"2\x86" * 40 + b"\x85R.",  # a name of 2^40 parts
        b"\x80\x02cnumpy\ndtype\nB" + (5_000_000).to_bytes(4, "little") + bytes(5_000_000) + b"R.",
        b"\x80\x02" + b"]" * 3_000_000 + b"a" * 2_999_999 + b".",
    ],
    ids=["text that doubles", "bytes spread into arguments", "lists in lists"],
)
def test_a_small_file_cannot_take_time_or_memory(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "bomb.bin").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InputError, match="expected a pickle of images and labels"):
        read_bin(tmp_path / "bomb.bin")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(data) + 300_000_000


def test_one_image_listed_again_and_again(tmp_path: Path) -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    (tmp_path / "shared.bin").write_bytes(pickle.dumps(([image] * 40, [True, False] * 10)))
    with pytest.raises(InputError, match="listed again and again"):
        read_bin(tmp_path / "shared.bin")
