"""The one contract of the house: an embedding and its variance, for N photographs, with where they came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import IncompatibleError, InputError
from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = "faceunc-embeddings-1"
# What must agree before two embeddings may be compared: by cosine, and by a score that reads the variance.
MEAN_KEYS = ("backbone", "backbone_sha256", "alignment", "mean")  # mean: hash of the head that moved it, else ""
VARIANCE_KEYS = (*MEAN_KEYS, "head", "head_sha256")
_AND = " + "
_TYPES = {"mean": np.float32, "log_var": np.float32, "epistemic": np.float32, "ids": np.uint8, "id_ends": np.int64}


@dataclass(frozen=True)
class Embeddings:
    """N uncertain embeddings.

    Attributes:
        mean: float32 (N, D), L2-normalised.
        log_var: float32 (N, D) or (N, 1), natural log of the variance on the same unit sphere; higher = less certain.
        ids: names of the photographs, N.
        epistemic: optional float32 (N,), uncertainty of the model about this photograph: variance a dimension of the
            mean over sampled models. ``meta["epistemic"]`` says where it comes from, and whether log_var holds it too.
        meta: backbone, head, alignment, version, hashes: texts that say where the numbers came from.

    Raises:
        ValueError: when shapes do not fit each other.
    """

    mean: NDArray[np.float32]
    log_var: NDArray[np.float32]
    ids: Sequence[str]
    epistemic: NDArray[np.float32] | None = None
    meta: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, dim = self.mean.shape if self.mean.ndim == 2 else (-1, -1)
        if count < 0 or self.log_var.ndim != 2 or self.log_var.shape not in ((count, dim), (count, 1)):
            raise ValueError(
                f"mean (N, D) and log_var (N, D or 1). Got {self.mean.shape} and {self.log_var.shape} instead."
            )
        if len(self.ids) != count:
            raise ValueError(f"ids must name all {count} rows. Got {len(self.ids)} instead.")
        if self.epistemic is not None and self.epistemic.shape != (count,):
            raise ValueError(f"epistemic must be ({count},). Got {self.epistemic.shape} instead.")

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        origin = ", ".join(f"{key}={self.meta[key]!r}" for key in ("backbone", "head") if key in self.meta)
        return f"Embeddings({len(self)} photographs, D={self.dim}, log_var {tuple(self.log_var.shape)}, {origin})"

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[Any]) -> Embeddings:
        """The rows of a slice, a list of positions, or a boolean mask; always Embeddings, never a single row bare."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        if not isinstance(index, slice):
            if index.ndim != 1:
                raise TypeError("index with a slice, a list of positions or a mask; for one row use e[i : i + 1]")
            if index.dtype == bool and len(index) != len(self):
                raise IndexError(f"a mask must have {len(self)} entries. Got {len(index)} instead.")
            if len(index) and index.dtype.kind not in "biu":
                raise TypeError(f"positions must be integers. Got {index.dtype} instead.")
            index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        ids = self.ids[index] if isinstance(index, slice) else [self.ids[int(i)] for i in index]
        epistemic = None if self.epistemic is None else self.epistemic[index]
        return Embeddings(self.mean[index], self.log_var[index], ids, epistemic, self.meta)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.mean.shape[1])

    @property
    def sigma(self) -> NDArray[np.float32]:
        """One number a photograph (N,): the standard deviation, square root of the harmonic mean of the variances over
        dimensions (DUL's summary). On the unit sphere; higher = less certain."""
        sigma: NDArray[np.float32] = np.exp(0.5 * harmonic_log_var(self.log_var)).astype(np.float32)
        return sigma

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, whole or not at all. Raises OutputError."""
        from safetensors.numpy import save_file

        arrays: dict[str, NDArray[Any]] = {
            "mean": np.ascontiguousarray(self.mean, np.float32),
            "log_var": np.ascontiguousarray(self.log_var, np.float32),
            **_pack_ids(self.ids),
        }
        if self.epistemic is not None:
            arrays["epistemic"] = np.ascontiguousarray(self.epistemic, np.float32)
        with atomic_path(path) as temporary:
            _checked(lambda: save_file(arrays, temporary, {"format": FORMAT, "meta": json.dumps(dict(self.meta))}))

    @staticmethod
    def load(path: str | Path) -> Embeddings:
        """Open a file that :meth:`save` wrote. Arrays are memory-mapped, read-only: nothing is read before it is used.

        Raises:
            InputError: missing, foreign or damaged file.
        """
        return load_embeddings(Path(path))


def harmonic_log_var(log_var: NDArray[np.floating]) -> NDArray[np.float64]:
    """One uncertainty an image: log of the harmonic mean of the variances over dimensions, (N, D or 1) -> (N,)."""
    values = -np.asarray(log_var, np.float64)
    top = values.max(axis=1)
    return np.asarray(-(top + np.log(np.exp(values - top[:, None]).mean(axis=1))))


def concatenate(parts: Iterable[Embeddings]) -> Embeddings:
    """Join embeddings of one backbone and head. Where their ``meta`` differ otherwise (another engine, another version)
    the result's names all of them: ``"torch-bf16 + openvino-bf16"``.

    Raises:
        InputError: no part at all. IncompatibleError: parts of different backbone, alignment or head.
    """
    parts = list(parts)
    if not parts:
        raise InputError("concatenate needs at least one Embeddings, got none")
    for part in parts[1:]:
        check_compatible(parts[0], part, (*VARIANCE_KEYS, "epistemic"))
        if part.log_var.shape[1] != parts[0].log_var.shape[1]:
            widths = f"{parts[0].log_var.shape[1]} and {part.log_var.shape[1]}"
            raise IncompatibleError(f"embeddings that cannot be joined: log_var with {widths} columns")
    epistemic = [part.epistemic for part in parts if part.epistemic is not None]
    if 0 < len(epistemic) < len(parts):
        raise IncompatibleError(
            f"{len(epistemic)} of {len(parts)} parts carry an epistemic uncertainty, expected all or none"
        )
    return Embeddings(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.log_var for part in parts]),
        [name for part in parts for name in part.ids],
        np.concatenate(epistemic) if len(epistemic) == len(parts) else None,
        _joined_meta([part.meta for part in parts]),
    )


def _joined_meta(metas: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Every key with its text, or with each of its texts once where they differ; "unknown": a part says nothing."""
    keys = dict.fromkeys(key for meta in metas for key in meta)
    return {key: _AND.join(_distinct({meta.get(key, "unknown"): None for meta in metas})) for key in keys}


def _distinct(texts: Iterable[str]) -> Iterable[str]:
    """Texts that were joined before come apart first, so that none is named twice."""
    texts = list(texts)
    return texts if len(texts) == 1 else dict.fromkeys(one for text in texts for one in text.split(_AND))


def check_compatible(first: Embeddings, second: Embeddings, keys: Sequence[str] = VARIANCE_KEYS) -> None:
    """Raise IncompatibleError unless both are embeddings that agree in these keys of ``meta`` and in shape."""
    for side in (first, second):
        if not isinstance(side, Embeddings):
            raise IncompatibleError(
                f"expected Embeddings, such as Embeddings(mean, log_var, ids). Got {type(side).__name__} instead."
            )
    for key in keys:
        a, b = first.meta.get(key, ""), second.meta.get(key, "")
        if a != b:
            raise IncompatibleError(
                f"embeddings do not belong together: {key} is {a!r} on one side, {b!r} on the other"
            )
    if first.dim != second.dim:
        raise IncompatibleError(f"embeddings do not belong together: {first.dim} and {second.dim} dimensions")


def _pack_ids(ids: Sequence[str]) -> dict[str, NDArray[Any]]:
    encoded = [name.encode("utf-8", "surrogateescape") for name in ids]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return {"ids": np.frombuffer(b"".join(encoded), np.uint8), "id_ends": ends.astype(np.int64)}


class _PackedIds(Sequence[str]):
    """Names that lie end to end in a memory-mapped array; decoded one by one when asked for."""

    def __init__(self, data: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self._data, self._ends = data, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        start = int(self._ends[position - 1]) if position else 0
        return bytes(self._data[start : int(self._ends[position])]).decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


def load_embeddings(path: Path) -> Embeddings:
    """See :meth:`Embeddings.load`."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        got = "a folder; its embeddings.safetensors?" if path.is_dir() else "no such file"
        raise InputError(f"{path}: expected an embeddings file (.safetensors), {got}")
    try:
        # torch's view of the file is a memory map; its numpy twin would copy
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise InputError(f"{path}: expected {FORMAT}, got format {header.get('format')!r}")
            arrays = {name: file.get_tensor(name).numpy() for name in file.keys()}  # noqa: SIM118
        for array in arrays.values():
            array.flags.writeable = False
        _check_types(arrays)
        ids = _PackedIds(arrays["ids"], arrays["id_ends"])
        _check_ends(arrays["ids"], arrays["id_ends"])
        meta = {str(k): str(v) for k, v in json.loads(header["meta"]).items()}
        return Embeddings(arrays["mean"], arrays["log_var"], ids, arrays.get("epistemic"), meta)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged or foreign embeddings file ({error})") from None


def _check_types(arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, expected in _TYPES.items():
        if name in arrays and arrays[name].dtype != expected:
            raise ValueError(f"{name} must be {np.dtype(expected)}, got {arrays[name].dtype}")


def _check_ends(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
    flat = data.ndim == 1 and ends.ndim == 1
    if not flat or (len(ends) and (ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] != len(data))):
        raise ValueError("the table of names does not fit the names")


def _checked(write: Any) -> None:
    """safetensors reports a full disk as an error of its own; make it the system's again."""
    from safetensors import SafetensorError

    try:
        write()
    except SafetensorError as error:
        raise OSError(str(error)) from error
