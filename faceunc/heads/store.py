"""Heads on disk: safetensors with the configuration, the backbone that they belong to, and how they were trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import IncompatibleError, InputError
from faceunc.heads.build import Head, build_head, read_config
from faceunc.storage import atomic_write, sha256_file
from faceunc.weights import read_weights

FORMAT = "faceunc-head-1"


@dataclass(frozen=True)
class StoredHead:
    """A head and its papers.

    Attributes:
        head: in eval mode, without gradients.
        method: name in the registry of methods ("pfe").
        backbone, backbone_sha256, alignment: what it was trained on, and must be used with.
        card: free JSON: training data, seed, command, metrics, licence.
        name, sha256: file name without ending, and hash of the file.
    """

    head: Head
    method: str
    backbone: str
    backbone_sha256: str
    alignment: str
    card: dict[str, Any]
    name: str
    sha256: str

    @property
    def warnings(self) -> list[str]:
        """Why its sigma may carry nothing, as its training found."""
        collapse = self.card.get("collapse")
        found = collapse.get("warnings") if isinstance(collapse, dict) else None
        return [f"head {self.name}: {line}" for line in found] if isinstance(found, list) else []

    def check_backbone(self, spec: BackboneSpec) -> None:
        """Raise IncompatibleError unless ``spec`` is the backbone that this head was trained on."""
        for what, mine, theirs in (
            ("backbone", self.backbone, spec.name),
            ("backbone sha256", self.backbone_sha256, spec.sha256),
            ("alignment", self.alignment, spec.alignment),
        ):
            if mine != theirs:
                raise IncompatibleError(f"head {self.name} was trained on {what} {mine!r}, this is {theirs!r}")


def save_head(path: str | Path, head: Head, spec: BackboneSpec, card: dict[str, Any], method: str = "pfe") -> None:
    """Write a head, whole or not at all. Raises OutputError."""
    metadata = {
        "format": FORMAT,
        "method": method,
        "config": json.dumps(head.config.to_dict()),
        "backbone": spec.name,
        "backbone_sha256": spec.sha256,
        "alignment": spec.alignment,
        "card": json.dumps(card),
    }
    state = {name: value.detach().contiguous() for name, value in head.state_dict().items()}
    atomic_write(path, save(state, metadata))


def load_head(path: str | Path) -> StoredHead:
    """Read a head that :func:`save_head` wrote.

    Raises:
        InputError: missing, truncated or foreign file, or tensors that do not fit the stated configuration.
    """
    path = Path(path)
    metadata, state = read_weights(path, FORMAT, "head")
    try:
        config = read_config(json.loads(metadata["config"]))
        with torch.device("meta"):  # sizes come from the file's tensors, not from what its text promises
            head = build_head(config)
        head.load_state_dict(state, assign=True)
        card = json.loads(metadata.get("card", "{}"))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: damaged or foreign head ({str(error).splitlines()[0]})") from None
    return StoredHead(
        head.eval().requires_grad_(False),
        metadata.get("method", ""),
        metadata.get("backbone", ""),
        metadata.get("backbone_sha256", ""),
        metadata.get("alignment", ""),
        card,
        path.stem,
        sha256_file(path),
    )
