"""Fixtures of all tests: two threads, a cache of our own, and the data sets where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Threads that wait should sleep: spinning ones, on a machine where others work too, make tests a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

torch.set_num_threads(2)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """FACEUNC_CACHE points to a folder of this session, so that no test reads or fills the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEUNC_CACHE", str(folder))
        yield folder


def _require(path: Path) -> Path:
    """The path, or a skip that names it (a failure under FACEUNC_REQUIRE_DATA=1)."""
    if not path.exists():
        reason = f"{path} is missing (set FACEUNC_DATA to the folder that holds lfw/, ijba/ and backbones/)"
        if os.environ.get("FACEUNC_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data sets: FACEUNC_DATA, else ../shared/data beside the repository."""
    return _require(Path(os.environ.get("FACEUNC_DATA") or ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def lfw(shared_data: Path) -> Path:
    """LFW: one folder a person, and its pair files."""
    return _require(shared_data / "lfw")


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """scikit-image's astronaut (public domain), RGB uint8 (512, 512, 3), read-only."""
    from skimage import data

    image = np.asarray(data.astronaut(), np.uint8)
    image.flags.writeable = False
    return image


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not permitted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def tiny_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained head of dlib's backbone, whose card says that it knows George W Bush."""
    from faceunc.backbones.registry import load_backbone
    from faceunc.heads.pfe import PFEConfig, PFEHead
    from faceunc.heads.store import save_head
    from faceunc.training.crossfit import hash_identities

    spec = load_backbone("dlib", "float32").spec
    head = PFEHead(PFEConfig(spec.feature_shape, spec.dim, hidden=8, members=1))
    path = tmp_path_factory.mktemp("head") / "tiny.safetensors"
    save_head(path, head, spec, {"identity_hashes": hash_identities(["George_W_Bush"])})
    return path


@pytest.fixture(scope="session")
def bush(lfw: Path) -> list[Path]:
    """Photographs of one person of LFW."""
    return sorted((lfw / "George_W_Bush").glob("*.jpg"))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Grows by every figure that is written."""
    written: list[Figure] = []
    original = Figure.savefig

    def kept(figure: Figure, *words: Any, **options: Any) -> None:
        written.append(figure)
        original(figure, *words, **options)

    monkeypatch.setattr(Figure, "savefig", kept)
    return written


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of every photograph file that an embedder reads."""
    import faceunc.photo_batches as module

    names: list[str] = []
    original = module.read_image

    def counted(path: str | Path) -> NDArray[np.uint8]:
        names.append(str(path))
        return original(path)

    monkeypatch.setattr(module, "read_image", counted)
    return names
