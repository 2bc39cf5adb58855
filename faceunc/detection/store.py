"""Variance branches on disk: safetensors with the configuration, the weights that they belong to, and their papers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from faceunc.detection.branch import BranchConfig, VarianceBranch
from faceunc.detection.features import LastStage
from faceunc.errors import IncompatibleError, InputError
from faceunc.heads.shipped import DETECTOR_PREFIX, shipped_folder
from faceunc.storage import atomic_write, sha256_file
from faceunc.weights import read_weights

FORMAT = "faceunc-detector-sigma-1"
SHIPPED = f"{DETECTOR_PREFIX}sigma"
_MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class StoredBranch:
    """A branch and its papers.

    Attributes:
        branch: in eval mode, without gradients.
        stage_sha256: hash of the last stage's weights that it was trained on, and must be used with.
        card: free JSON: training data, whom it knows (hashed), seed, options, history, calibration.
        name, sha256: file name without ending, and hash of the file.
    """

    branch: VarianceBranch
    stage_sha256: str
    card: dict[str, Any]
    name: str
    sha256: str

    def check_stage(self, stage: LastStage) -> None:
        """Raise IncompatibleError unless ``stage`` has the weights that this branch was trained on."""
        found = stage.sha256
        if found != self.stage_sha256:
            mine = self.stage_sha256[:16]
            raise IncompatibleError(f"{self.name} was trained on an O-Net of sha256 {mine}, this is {found[:16]}")


def save_branch(path: str | Path, branch: VarianceBranch, stage: LastStage, card: dict[str, Any]) -> None:
    """Write a branch, whole or not at all. Raises OutputError."""
    metadata = {
        "format": FORMAT,
        "config": json.dumps(branch.config.to_dict()),
        "onet_sha256": stage.sha256,
        "card": json.dumps(card),
    }
    state = {name: value.detach().contiguous() for name, value in branch.state_dict().items()}
    atomic_write(path, save(state, metadata))


def load_branch(path: str | Path) -> StoredBranch:
    """Read a branch that :func:`save_branch` wrote.

    Raises:
        InputError: missing, truncated or foreign file, or tensors that do not fit the stated configuration.
    """
    path = Path(path)
    metadata, state = read_weights(path, FORMAT, "detector sigma", _MAX_BYTES)
    try:
        config = BranchConfig(**json.loads(metadata["config"]))
        with torch.device("meta"):  # sizes come from the file's tensors, not from what its text promises
            branch = VarianceBranch(config)
        branch.load_state_dict(state, assign=True)
        if not all(value.dtype == torch.float32 for value in state.values()):
            raise TypeError("expected float32 throughout")
        card = json.loads(metadata.get("card", "{}"))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: damaged or foreign detector sigma ({str(error).splitlines()[0]})") from None
    branch = branch.eval().requires_grad_(False)
    return StoredBranch(branch, metadata.get("onet_sha256", ""), card, path.stem, sha256_file(path))


def branch_path(name: str | Path = SHIPPED) -> Path:
    """The file of the shipped branch ("mtcnn-sigma"), or ``name`` itself when it is the path of one.

    Raises:
        InputError: neither.
    """
    if str(name) == SHIPPED:
        return shipped_folder() / f"{SHIPPED}.safetensors"
    path = Path(name)
    if path.suffix == ".safetensors":
        return path
    raise InputError(f"detector sigma must be {SHIPPED}, or a path *.safetensors. Got {str(name)!r} instead.")
