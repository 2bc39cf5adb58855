"""The feature cache on a dozen real photographs, with a backbone small enough to compute by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import BackboneOutput, output_of
from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import OutputError
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.images.align import align_face, centre_landmarks
from faceunc.images.landmarks import Landmarks
from faceunc.images.photos import PhotoSet
from faceunc.images.read import read_image
from faceunc.images.views import View, sharpness
from faceunc.training import cache
from faceunc.training.cache import Features, FeatureSource
from faceunc.training.data import KIND_NAMES, pool_features, training_data

POINTS = ((10.0, 11.0), (22.0, 11.0), (16.0, 18.0), (11.0, 24.0), (21.0, 24.0))
SPEC = BackboneSpec("tiny", 32, "RGB", (127.5,) * 3, 1 / 128, POINTS, 12, (3, 4, 4), sha256="abc")
VIEWS = [View(), View(mix_seed=1), View(mix_seed=1, flip=True)]


class Tiny:
    """Mean colours of a 4 x 4 grid are the features.

    Counts the chips it sees, and how many calls run at once; fails once, after ``fail_after`` calls.
    """

    precision, seconds = "float32", 0.0

    def __init__(self, spec: BackboneSpec = SPEC, fail_after: int | None = None) -> None:
        self.spec, self.fail_after, self.calls, self.chips, self.lock = spec, fail_after, 0, 0, Lock()
        self.running = self.most = 0

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        with self.lock:
            if self.calls == self.fail_after:
                raise RuntimeError("the machine is on fire")
            self.calls += 1
            self.chips += len(chips)
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(self.seconds)
        with self.lock:
            self.running -= 1
        grid = torch.from_numpy(chips.astype(np.float32) / 255).permute(0, 3, 1, 2)
        grid = torch.nn.functional.avg_pool2d(grid, 8)
        return output_of(grid, grid.flatten(1)[:, ::4])


@pytest.fixture
def photos(lfw: Path) -> PhotoSet:
    names = ["Abdullah_Gul", "Abel_Pacheco", "Akhmed_Zakayev"]
    ids = [f"{name}/{name}_{number:04d}.jpg" for name in names for number in range(1, 5)]
    return PhotoSet(lfw, tuple(name for name in ids if (lfw / name).is_file()))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_BATCH", 4)


def source_of(photos: PhotoSet, folder: Path, backbone: Tiny) -> FeatureSource:
    points = np.stack([centre_landmarks(250, 250)] * len(photos))
    state = np.zeros(len(photos), np.uint8)
    size = np.full(len(photos), 100, np.float32)
    return FeatureSource(photos, Landmarks(points, state, size, size / 100), "centre", backbone, folder)


def same(one: Features, other: Features) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in Features.__dataclass_fields__)


def test_rows_equal_direct_computation(photos: PhotoSet, tmp_path: Path) -> None:
    source = source_of(photos, tmp_path, Tiny())
    found = source.features(VIEWS)
    assert list(found) == VIEWS
    for view, features in found.items():
        assert len(features) == len(photos) >= 10
        assert features.feature_map.dtype == np.float16
        for row, name in enumerate(photos.ids):
            chip = align_face(read_image(photos.root / name), source.landmarks.points[row], SPEC.template, 32)
            chip = view.apply(chip, name)
            output = Tiny()(chip[None])
            assert np.allclose(features.mean[row], output.mean[0], atol=1e-6)
            assert np.allclose(features.feature_map[row], output.feature_map[0], atol=1e-3)
            assert features.norm[row] == pytest.approx(float(output.norm[0]), rel=1e-5)
            assert features.sharpness[row] == pytest.approx(sharpness(chip), rel=1e-6)


def test_a_second_call_computes_nothing(photos: PhotoSet, tmp_path: Path) -> None:
    first = source_of(photos, tmp_path, Tiny()).features(VIEWS)
    idle = Tiny(fail_after=0)
    second = source_of(photos, tmp_path, idle).features(VIEWS)
    assert idle.chips == 0
    assert all(same(first[view], second[view]) for view in VIEWS)


def test_only_a_new_view_is_computed(photos: PhotoSet, tmp_path: Path) -> None:
    source_of(photos, tmp_path, Tiny()).features(VIEWS[:2])
    backbone = Tiny()
    source_of(photos, tmp_path, backbone).features(VIEWS)
    assert backbone.chips == len(photos)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Batches one after the other; a test may set another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("views", [VIEWS[:1], VIEWS])
def test_threads_change_nothing(photos: PhotoSet, tmp_path: Path, views: list[View], one_thread: None) -> None:
    expected = source_of(photos, tmp_path / "one", Tiny()).features(views)
    torch.set_num_threads(3)
    found = source_of(photos, tmp_path / "three", Tiny()).features(views)
    assert all(same(found[view], expected[view]) for view in views)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("fail_after", [0, 1, 2, 4, 5])
def test_goes_on_after_a_failure_without_computing_stored_rows_again(
    photos: PhotoSet, tmp_path: Path, fail_after: int, threads: int, one_thread: None
) -> None:
    views = VIEWS[:2]
    expected = source_of(photos, tmp_path / "whole", Tiny()).features(views)
    torch.set_num_threads(threads)
    with pytest.raises(RuntimeError, match="on fire"):
        source_of(photos, tmp_path / "part", Tiny(fail_after=fail_after)).features(views)
    stored = sum(json.loads(path.read_text())["done"] for path in (tmp_path / "part").rglob("progress.json"))
    if threads == 1:
        assert stored == 2 * 4 * (fail_after // 2)
    rest = Tiny()
    found = source_of(photos, tmp_path / "part", rest).features(views)
    assert rest.chips == 2 * len(photos) - stored
    assert all(same(found[view], expected[view]) for view in views)


@pytest.mark.parametrize("done", [3, 5, 10])
def test_a_batch_cut_in_two_is_computed_as_a_whole(photos: PhotoSet, tmp_path: Path, done: int) -> None:
    """As a cache of another batch size may have left it; rows behind the last whole batch are not trusted."""
    source = source_of(photos, tmp_path, Tiny())
    expected = {view: np.array(found.mean) for view, found in source.features(VIEWS[:2]).items()}
    for view in VIEWS[:2]:
        folder = source.folder(view)
        mean = np.load(folder / "mean.npy", mmap_mode="r+")
        mean[done if view == VIEWS[0] else 4 :] = np.nan
        mean.flush()
        (folder / "progress.json").write_text(json.dumps({"done": done if view == VIEWS[0] else 4}))
    rest = Tiny()
    found = source_of(photos, tmp_path, rest).features(VIEWS[:2])
    assert rest.chips == 2 * len(photos) - done // 4 * 4 - 4
    assert all(np.array_equal(found[view].mean, expected[view]) for view in expected)


@pytest.mark.parametrize(("own_threads", "most"), [(True, 1), (None, 1), (False, 3)])
def test_a_backbone_with_threads_of_its_own_works_on_one_batch_at_a_time(
    photos: PhotoSet, tmp_path: Path, one_thread: None, own_threads: bool | None, most: int
) -> None:
    backbone = Tiny()
    backbone.seconds = 0.05
    if own_threads is not None:
        backbone.own_threads = own_threads  # type: ignore[attr-defined]
    torch.set_num_threads(3)
    source_of(photos, tmp_path, backbone).features(VIEWS)
    assert backbone.most <= most
    assert (backbone.most > 1) == (most > 1)


@pytest.mark.parametrize("damage", ["empty", "short", "junk", "missing", "other shape"])
@pytest.mark.parametrize("name", ["mean.npy", "feature_map.npy"])
def test_damaged_arrays_are_made_anew(photos: PhotoSet, tmp_path: Path, damage: str, name: str) -> None:
    source = source_of(photos, tmp_path, Tiny())
    expected = {key: np.array(value) for key, value in vars(source.features(VIEWS[:1])[VIEWS[0]]).items()}
    path = source.folder(VIEWS[0]) / name
    content = path.read_bytes()
    path.unlink()
    if damage == "other shape":
        np.save(path, np.zeros((2, 2), np.float32))
    elif damage != "missing":
        path.write_bytes({"empty": b"", "short": content[:-50], "junk": b"junk" * 50}[damage])
    found = source_of(photos, tmp_path, Tiny()).features(VIEWS[:1])[VIEWS[0]]
    assert all(np.array_equal(getattr(found, key), value) for key, value in expected.items())


def test_an_old_count_does_not_vouch_for_new_arrays(
    photos: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = source_of(photos, tmp_path / "whole", Tiny()).features(VIEWS[:1])[VIEWS[0]]
    source = source_of(photos, tmp_path / "part", Tiny())
    source.features(VIEWS[:1])
    (source.folder(VIEWS[0]) / "mean.npy").unlink()
    with monkeypatch.context() as killed:  # a killed process commits nothing
        killed.setattr(cache._ViewWriter, "commit", lambda self: None)
        with pytest.raises(RuntimeError, match="on fire"):
            source_of(photos, tmp_path / "part", Tiny(fail_after=1)).features(VIEWS[:1])
    found = source_of(photos, tmp_path / "part", Tiny()).features(VIEWS[:1])[VIEWS[0]]
    assert same(found, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "abd"},
        {"name": "other"},
        {"template": ((11.0, 11.0), *POINTS[1:])},
        {"colour": "BGR"},
        {"scale": 1.0},
    ],
)
def test_another_backbone_has_another_folder(photos: PhotoSet, tmp_path: Path, change: dict[str, object]) -> None:
    mine, other = source_of(photos, tmp_path, Tiny()), source_of(photos, tmp_path, Tiny(replace(SPEC, **change)))
    assert mine.folder(VIEWS[0]) != other.folder(VIEWS[0])
    assert mine.folder(VIEWS[0]) == source_of(photos, tmp_path, Tiny()).folder(VIEWS[0])


def test_other_photographs_detector_precision_or_view_have_another_folder(photos: PhotoSet, tmp_path: Path) -> None:
    source = source_of(photos, tmp_path, Tiny())
    low = Tiny()
    low.precision = "bfloat16"
    folders = [
        source.folder(VIEWS[0]),
        source.folder(VIEWS[1]),
        replace(source, photos=photos.subset(range(5))).folder(VIEWS[0]),
        replace(source, detector_name="other").folder(VIEWS[0]),
        replace(source, backbone=low).folder(VIEWS[0]),
    ]
    assert len(set(folders)) == len(folders)


def test_an_unreadable_photograph_keeps_its_row(tmp_path: Path, photos: PhotoSet) -> None:
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "1.jpg").write_bytes(b"no photograph")
    (tmp_path / "Ann" / "2.jpg").write_bytes(photos.paths[0].read_bytes())
    broken = PhotoSet(tmp_path, ("Ann/1.jpg", "Ann/2.jpg"))
    found = source_of(broken, tmp_path / "cache", Tiny()).features(VIEWS[:1])[VIEWS[0]]
    grey = Tiny()(np.full((1, 32, 32, 3), 127, np.uint8))
    assert np.allclose(found.mean[0], grey.mean[0], atol=1e-6)
    assert not np.allclose(found.mean[1], grey.mean[0], atol=1e-3)


def test_training_data_has_the_rows_in_order(photos: PhotoSet, tmp_path: Path) -> None:
    source, head = source_of(photos, tmp_path, Tiny()), PFEHead(PFEConfig(SPEC.feature_shape, SPEC.dim))
    source.landmarks.state[3] = 1
    data, features = training_data(source, VIEWS, head), source.features(VIEWS)
    for index, view in enumerate(VIEWS):
        maps = torch.from_numpy(features[view].feature_map.astype(np.float32))
        assert torch.allclose(data.pooled[index], head.pool(maps))
        assert np.array_equal(data.mean[index], features[view].mean)
        for row, name in enumerate(photos.ids):
            drawn = view.degradation(name)
            assert (data.severity[index, row], KIND_NAMES[data.kind[index, row]]) == (drawn.severity, drawn.kind)
    assert [data.people[code] for code in data.person] == photos.identities
    own = [row for row, name in enumerate(photos.identities) if name == photos.identities[0]]
    assert data.rows_of({photos.identities[0]}).tolist() == [row for row in own if row != 3]


def test_pooling_of_the_paper_keeps_the_map_in_half_precision(photos: PhotoSet, tmp_path: Path) -> None:
    features = source_of(photos, tmp_path, Tiny()).features(VIEWS[:1])[VIEWS[0]]
    pooled = pool_features(features, PFEHead(PFEConfig(SPEC.feature_shape, SPEC.dim, "paper")))
    assert pooled.dtype == torch.float16
    assert np.array_equal(pooled.numpy(), features.feature_map.reshape(len(photos), -1))


def test_a_full_disk_is_an_error_and_not_a_dead_process(photos: PhotoSet, small_disk: Path) -> None:
    many = PhotoSet(photos.root, photos.ids * 3000)
    with pytest.raises(OutputError, match="No space left"):
        source_of(many, small_disk, Tiny()).features(VIEWS)


def test_two_writers_of_one_view_wait_for_each_other(photos: PhotoSet, tmp_path: Path) -> None:
    first, second = Tiny(), Tiny()
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda b: source_of(photos, tmp_path, b).features(VIEWS), (first, second)))
    assert sorted((first.chips, second.chips)) == [0, len(photos) * len(VIEWS)]
    assert all(same(both[0][view], both[1][view]) for view in VIEWS)
