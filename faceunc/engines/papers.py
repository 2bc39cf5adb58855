"""What an exported model says of itself: backbone, head, method, with hashes. Written into the ONNX file's metadata.

The last entry of the metadata is the sha256 of all bytes before it: a file that was damaged or edited on its way is
found out. It proves no origin: who edits a file can write another hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceunc.backbones.spec import BackboneSpec, spec_from_dict, spec_to_json
from faceunc.errors import InputError
from faceunc.heads.store import StoredHead
from faceunc.provenance import version

FORMAT = "faceunc-engine-2"
SEAL = "file_sha256"
_LONGEST = 200  # characters of a name


@dataclass(frozen=True)
class Papers:
    """Origin of a model that embeds.

    Attributes:
        spec: of the backbone. head, head_sha256, method: of the head. moves_mean: whether the head moves the mean.
    """

    spec: BackboneSpec
    head: str
    head_sha256: str
    method: str
    moves_mean: bool

    @staticmethod
    def of(spec: BackboneSpec, head: StoredHead) -> Papers:
        """The papers of this pair. Raises IncompatibleError when the head belongs to another backbone."""
        head.check_backbone(spec)
        return Papers(spec, head.name, head.sha256, head.method, bool(head.head.moves_mean))

    def meta(self, precision: str, engine: str) -> dict[str, str]:
        """``Embeddings.meta`` of aligned chips; agrees with an embedder's in all that scores compare."""
        return {
            "backbone": self.spec.name,
            "backbone_sha256": self.spec.sha256,
            "alignment": self.spec.alignment,
            "precision": precision,
            "engine": engine,
            "detector": "none (chips given)",
            "head": self.head,
            "head_sha256": self.head_sha256,
            "method": self.method,
            "mean": self.head_sha256 if self.moves_mean else "",
            "epistemic": "none",
            "detector_sigma": "",
            "faceunc": version(),
        }

    def to_properties(self) -> dict[str, str]:
        """As the key-value texts of an ONNX file; :func:`papers_of` reads them."""
        values = {name: value for name, value in asdict(self).items() if name not in ("spec", "moves_mean")}
        return {
            **values,
            "format": FORMAT,
            "spec": spec_to_json(self.spec),
            "moves_mean": str(self.moves_mean).lower(),
            "backbone": self.spec.name,
            "backbone_sha256": self.spec.sha256,
            "alignment": self.spec.alignment,
            "faceunc": version(),
        }


def papers_of(properties: Mapping[str, str], source: str | Path) -> Papers:
    """Read what :meth:`Papers.to_properties` wrote.

    Raises:
        InputError: metadata of another program, or damaged ones; the message names ``source``.
    """
    if properties.get("format") != FORMAT:
        found = properties.get("format", "no such entry")
        raise InputError(f"{source}: expected a model written by faceunc export ({FORMAT}), got {found[:80]!r}")
    try:
        spec = spec_from_dict(json.loads(properties["spec"]), source)
        texts = (properties["head"], properties["head_sha256"], properties["method"])
        moves = {"true": True, "false": False}[properties["moves_mean"]]
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{source}: damaged metadata of an exported model ({repr(error)[:80]})") from None
    bad = [text for text in texts if not text.isprintable() or len(text) > _LONGEST]
    if bad:
        raise InputError(f"{source}: damaged metadata of an exported model (head, hash or method {bad[0][:80]!r})")
    return Papers(spec, *texts, moves)


def sealed(data: bytes) -> bytes:
    """A serialized ``onnx.ModelProto`` with its seal behind it (protobuf joins messages that follow each other)."""
    return data + _seal(data)


def _seal(data: bytes) -> bytes:
    import onnx

    model = onnx.ModelProto()
    entry = model.metadata_props.add()
    entry.key, entry.value = SEAL, hashlib.sha256(data).hexdigest()
    return bytes(model.SerializeToString(deterministic=True))


def read_papers(path: Path) -> Papers:
    """The papers of an exported ONNX file. Raises what :func:`read_exported` raises."""
    return read_exported(path)[0]


def read_exported(path: Path) -> tuple[Papers, bytes]:
    """The papers of an exported ONNX file, and all of its bytes: what was checked is what should be run.

    Raises:
        InputError: no such file, no ONNX, no file of faceunc's, not as it was written, numbers that lie in other files,
            or the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise InputError("exported models are read with onnx: pip install 'faceunc[onnx]'") from None
    if not path.is_file():
        raise InputError(f"{path}: expected a model written by faceunc export (.onnx), no such file")
    try:
        data = path.read_bytes()
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own kinds, directly below Exception
        raise InputError(f"{path}: not a model that onnx can read ({reason_of(error)})") from None
    papers = papers_of({entry.key: entry.value for entry in model.metadata_props}, path)
    size = len(_seal(b""))
    if data[-size:] != _seal(data[:-size]):
        raise InputError(f"{path}: damaged or edited since faceunc export wrote it (its sha256 does not fit)")
    if _outside(model):
        raise InputError(f"{path}: expected all numbers inside of the file, got some that lie in other files")
    return papers, data


def _outside(message: Any) -> bool:
    """Whether a tensor anywhere in a model (weights, attributes, functions; sparse or not) names a file."""
    from onnx import TensorProto

    if isinstance(message, TensorProto):
        return bool(message.external_data) or message.data_location != TensorProto.DEFAULT
    inner = [value for field, value in message.ListFields() if field.message_type is not None]
    parts = [[value] if hasattr(value, "ListFields") else value for value in inner]
    return any(_outside(part) for each in parts for part in each)


def reason_of(error: Exception) -> str:
    """The first line of a foreign library's message, for use inside of ours."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
