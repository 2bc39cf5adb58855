"""A protocol made of a few photographs of LFW: read back, resumed, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from faceunc.errors import InputError, OutputError
from faceunc.images.detect import FaceDetector
from faceunc.images.face_score import FaceScorer
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import PhotoSet, identity_folder
from faceunc.images.read import read_image
from faceunc.protocols import make_ijb as module
from faceunc.protocols.check import check_protocol
from faceunc.protocols.findings import PROBLEM
from faceunc.protocols.ijb_plan import Plan, PlanOptions, plan_ijb
from faceunc.protocols.ijbc import counts, read_ijb
from faceunc.protocols.make_ijb import CROP_SIDE, make_ijb

PEOPLE, EACH, SINGLES = 6, 5, 2
OPTIONS = PlanOptions(seed=3)
CHUNK = 16


@dataclass(frozen=True)
class Made:
    """What the manifest says, and the plan that the protocol follows."""

    facts: dict[str, Any]
    plan: Plan

    @property
    def no_face(self) -> int:
        return int(self.facts["crops without a face found (score 0)"])

    @property
    def left_out(self) -> dict[str, int]:
        return dict(self.facts["photographs left out"])


def make(
    photos: PhotoSet, out: Path, cache: Path, options: PlanOptions | None = None, show: bool | None = None
) -> Made:
    """Make the protocol, and plan it again from the photographs that can be used."""
    facts = make_ijb(photos, out, cache, options, show)
    usable = np.flatnonzero(find_landmarks(photos, FaceDetector("central"), cache).state == 0)
    kept = photos.subset(usable.tolist())
    return Made(facts, plan_ijb(kept.identities, kept.ids, options))


@pytest.fixture(scope="module")
def photos(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    """Five photographs each of six people, and one each of two."""
    folder = tmp_path_factory.mktemp("mini")
    sizes = {p: len(list(p.glob("*.jpg"))) for p in sorted(lfw.iterdir())[:400] if p.is_dir()}
    several = [person for person, size in sizes.items() if size >= EACH][:PEOPLE]
    for person in [*several, *[person for person, size in sizes.items() if size == 1][:SINGLES]]:
        (folder / person.name).mkdir()
        for photo in sorted(person.glob("*.jpg"))[:EACH]:
            (folder / person.name / photo.name).symlink_to(photo)
    return identity_folder(folder)


@pytest.fixture(scope="module")
def small_chunks() -> Any:
    """Several parts in a small protocol; the last stage sees the same batches in every run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", CHUNK)
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "deeper" / "ijb"


@pytest.fixture(scope="module")
def made(photos: PhotoSet, out: Path, cache: Path, small_chunks: None) -> Made:
    return make(photos, out, cache, OPTIONS, show=False)


def several(photos: PhotoSet) -> list[str]:
    """Two people who have several photographs."""
    return [name for name in dict.fromkeys(photos.identities) if photos.identities.count(name) == EACH][:2]


def files(folder: Path) -> dict[str, bytes]:
    """Everything but the origin."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def count_crops(monkeypatch: pytest.MonkeyPatch, most: int | None = None) -> list[int]:
    """Grows by the image that a crop is made of; the process dies when ``most`` are done."""
    done: list[int] = []
    original: Callable[..., Any] = module._crop

    def counted(row: Any, *rest: Any) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        if most is not None and len(done) >= most:
            raise KeyboardInterrupt
        done.append(row.photo)
        result: tuple[NDArray[np.uint8], NDArray[np.float32]] = original(row, *rest)
        return result

    monkeypatch.setattr(module, "_crop", counted)
    return done


def test_read_back(made: Made, photos: PhotoSet, out: Path) -> None:
    """What the reader of IJB-C finds is the plan."""
    plan = made.plan
    protocol = read_ijb(out, "ijbc")
    templates, pairs = protocol.templates, protocol.pairs
    assert counts(protocol) == (len(plan.rows), len(plan.subject), len(plan.same), int(plan.same.sum()))
    assert templates.images == tuple(f"loose_crop/{number}.jpg" for number in range(1, len(plan.rows) + 1))
    assert templates.template_ids.tolist() == list(range(1, len(plan.subject) + 1))
    assert templates.template.tolist() == [row.template for row in plan.rows]
    assert (templates.media - 1).tolist() == [row.medium for row in plan.rows]
    np.testing.assert_array_equal(templates.subject, plan.subject + 1)
    np.testing.assert_array_equal(pairs.first, plan.first)
    np.testing.assert_array_equal(pairs.second, plan.second)
    np.testing.assert_array_equal(pairs.same, plan.same)
    assert [search.name for search in protocol.searches] == ["G1", "G2"]
    for number, search in enumerate(protocol.searches):
        np.testing.assert_array_equal(search.gallery, np.flatnonzero(plan.part == number))
        np.testing.assert_array_equal(search.probe, np.flatnonzero(plan.part < 0))
    assert plan.names == sorted(set(photos.identities))
    assert not [finding for finding in check_protocol(out, show=False) if finding.level == PROBLEM]


def test_the_plan_is_that_of_the_photographs(made: Made, photos: PhotoSet) -> None:
    assert made.left_out == {"no_face": 0, "unreadable": 0}
    assert made.plan.rows == plan_ijb(photos.identities, photos.ids, OPTIONS).rows


def test_names(made: Made, out: Path) -> None:
    lines = (out / "meta" / "subjects.csv").read_text("utf-8").splitlines()
    assert lines == ["SUBJECT_ID,NAME", *(f"{i},{name}" for i, name in enumerate(made.plan.names, 1))]


def test_crops(made: Made, out: Path) -> None:
    names = {path.name for path in (out / "loose_crop").iterdir()}
    assert names == {f"{number}.jpg" for number in range(1, len(made.plan.rows) + 1)}
    for name in names:
        with Image.open(out / "loose_crop" / name) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (CROP_SIDE, CROP_SIDE))


def test_stills_show_the_photograph(made: Made, photos: PhotoSet, out: Path) -> None:
    """Pillow cuts the same square: the face's points in the middle, its box 45% of the side; points are found in it."""
    stills = [(number, row) for number, row in enumerate(made.plan.rows, 1) if row.frame < 0][:8]
    detections = FaceDetector("central")([read_image(photos.paths[row.photo]) for _, row in stills])
    points = read_ijb(out, "ijbc").templates.points
    assert points is not None
    for (number, row), detection in zip(stills, detections, strict=True):
        assert detection is not None
        zoom = detection.size / (0.45 * CROP_SIDE)  # pixels of the photograph for one of the crop
        x, y = detection.landmarks.mean(axis=0) + 0.5 - (CROP_SIDE / 2 + 0.5) * zoom
        with Image.open(photos.paths[row.photo]) as photo:
            square = photo.transform(
                (CROP_SIDE, CROP_SIDE), Image.Transform.AFFINE, (zoom, 0, x, 0, zoom, y), Image.Resampling.BILINEAR
            )
        crop = read_image(out / "loose_crop" / f"{number}.jpg")
        middle = slice(40, -40)
        assert np.abs(crop[middle, middle].astype(float) - np.asarray(square)[middle, middle]).mean() < 4
        moved = (detection.landmarks - detection.landmarks.mean(axis=0)) / zoom + CROP_SIDE / 2
        _, seen = FaceScorer()([crop], moved[None])
        np.testing.assert_allclose(points[number - 1], seen[0], atol=1)  # the last stage's, not those that were moved


def test_points_lie_on_the_face(made: Made, out: Path) -> None:
    """Against the whole detector on the stills; all points lie inside the crop, near to its middle."""
    templates = read_ijb(out, "ijbc").templates
    assert templates.points is not None
    assert templates.score is not None
    assert np.abs(templates.points.mean(axis=1) - CROP_SIDE / 2).max() < 25
    stills = [row for row, what in enumerate(made.plan.rows) if what.frame < 0][:8]
    detections = FaceDetector("central")([read_image(out / templates.images[row]) for row in stills])
    assert None not in detections
    found = np.stack([detection.landmarks for detection in detections if detection is not None])
    error = np.linalg.norm(found - templates.points[stills], axis=2)
    assert np.median(error) < 3
    assert error.max() < 12
    sizes = [detection.size for detection in detections if detection is not None]
    assert np.median(sizes) == pytest.approx(0.45 * CROP_SIDE, rel=0.1)


def test_scores(made: Made, out: Path) -> None:
    """Clean stills are found; what is not found has the score 0 and is counted."""
    score = read_ijb(out, "ijbc").templates.score
    assert score is not None
    stills = np.array([row.frame < 0 for row in made.plan.rows])
    assert (score[stills] > 0.9).all()
    assert ((score == 0) | (score >= 0.7)).all()
    assert (score == 0).sum() == made.no_face


def test_manifest(made: Made, photos: PhotoSet, out: Path) -> None:
    facts = json.loads((out / "manifest.json").read_text())
    plan = made.plan
    assert json.loads(json.dumps(made.facts)) == facts
    assert facts["images"] == len(list((out / "loose_crop").iterdir()))
    assert facts["subjects"] == PEOPLE + SINGLES
    assert facts["galleries"] == {"G1": (PEOPLE + SINGLES) // 2, "G2": (PEOPLE + SINGLES) // 2}
    assert facts["templates"] == facts["probes"] + PEOPLE + SINGLES
    assert (facts["pairs"], facts["genuine"]) == (facts["probes"] * (PEOPLE + SINGLES), facts["probes"])
    assert facts["frames of videos"] == sum(row.frame >= 0 for row in plan.rows) > 0
    assert facts["source"] == photos.root.name
    assert (facts["options"]["seed"], facts["options"]["video_share"]) == (3, 0.5)
    assert facts["provenance"]
    assert not (out / "parts").exists()


def test_a_second_run_changes_nothing(made: Made, photos: PhotoSet, out: Path, cache: Path) -> None:
    before, facts = files(out), json.loads((out / "manifest.json").read_text())
    make(photos, out, cache, OPTIONS, show=False)
    assert files(out) == before
    again = json.loads((out / "manifest.json").read_text())
    assert {k: v for k, v in again.items() if k != "provenance"} == {
        k: v for k, v in facts.items() if k != "provenance"
    }


def test_a_killed_run_goes_on(
    made: Made, photos: PhotoSet, out: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the third part; the second run makes that part and those after it, and the result is the same."""
    own = tmp_path / "ijb"
    with monkeypatch.context() as patch:
        count_crops(patch, most=2 * CHUNK + 3)
        with pytest.raises(KeyboardInterrupt):
            make(photos, own, cache, OPTIONS, show=False)
    assert not (own / "meta").exists()
    done = count_crops(monkeypatch)
    make(photos, own, cache, OPTIONS, show=False)
    assert len(done) == len(made.plan.rows) - 2 * CHUNK
    assert files(own) == files(out)


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_part_is_made_anew(
    made: Made,
    photos: PhotoSet,
    out: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: bytes | None,
) -> None:
    own = tmp_path / "ijb"
    with monkeypatch.context() as patch:
        count_crops(patch, most=CHUNK)
        with pytest.raises(KeyboardInterrupt):
            make(photos, own, cache, OPTIONS, show=False)
    (part,) = (own / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:-7] if damage is None else damage)
    make(photos, own, cache, OPTIONS, show=False)
    assert files(own) == files(out)


@pytest.mark.parametrize("other", ["seed", "pairs", "photographs"])
def test_other_options_or_photographs_are_refused(
    made: Made, photos: PhotoSet, out: Path, cache: Path, other: str
) -> None:
    before = files(out)
    options = {"seed": PlanOptions(seed=4), "pairs": PlanOptions(seed=3, pairs=9)}.get(other, OPTIONS)
    few = [row for name in several(photos) for row, who in enumerate(photos.identities) if who == name]
    chosen = photos.subset(few) if other == "photographs" else photos
    with pytest.raises(InputError, match="other photographs or options") as caught:
        make(chosen, out, cache, options, show=False)
    assert str(out) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(out) == before


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_foreign_place_is_refused(photos: PhotoSet, cache: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "mine"
    if kind == "folder":
        place.mkdir()
        (place / "letter.txt").write_text("mine")
    else:
        place.write_text("mine")
    with pytest.raises(InputError, match="expected a new or an empty folder") as caught:
        make(photos, place, cache, OPTIONS, show=False)
    assert str(place) in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == (["mine", "letter.txt"] if kind == "folder" else ["mine"])


def test_below_a_file(photos: PhotoSet, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file"):
        make(photos, tmp_path / "file" / "ijb", cache, OPTIONS, show=False)


def test_a_foreign_place_is_refused_before_any_work(
    photos: PhotoSet, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*args: object) -> None:
        raise AssertionError("looked for faces first")

    monkeypatch.setattr(module, "find_landmarks", worked)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        make(photos, tmp_path, cache, OPTIONS, show=False)


def test_a_damaged_mark_is_refused(photos: PhotoSet, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "making.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="choose another OUT"):
        make(photos, tmp_path, cache, OPTIONS, show=False)


def test_photographs_that_cannot_be_used(photos: PhotoSet, cache: Path, tmp_path: Path) -> None:
    """One is a text, one is grey: left out and counted, the others make the same protocol as without them."""
    people = several(photos)
    for name in people:
        (tmp_path / "in" / name).mkdir(parents=True)
        for path in sorted((photos.root / name).iterdir())[:2]:
            (tmp_path / "in" / name / path.name).symlink_to(path)
    good = identity_folder(tmp_path / "in")
    first = make(good, tmp_path / "good", cache, OPTIONS, show=False)
    (tmp_path / "in" / people[0] / "bad.jpg").write_text("no photograph")
    Image.new("RGB", (250, 250), (127, 127, 127)).save(tmp_path / "in" / people[1] / "a.png")
    made = make(identity_folder(tmp_path / "in"), tmp_path / "out", cache, OPTIONS, show=False)
    assert made.left_out == {"no_face": 1, "unreadable": 1}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["photographs left out"] == made.left_out
    assert [row.degradation for row in made.plan.rows] == [row.degradation for row in first.plan.rows]
    both = files(tmp_path / "good"), files(tmp_path / "out")
    crops = [{name: data for name, data in found.items() if name.startswith("loose_crop")} for found in both]
    assert crops[0] == crops[1]


def test_too_few_people(photos: PhotoSet, cache: Path, tmp_path: Path) -> None:
    """Nothing is written."""
    one = [row for row, who in enumerate(photos.identities) if who == several(photos)[0]]
    with pytest.raises(InputError, match="two people with two photographs"):
        make(photos.subset(one), tmp_path / "out", cache, OPTIONS, show=False)
    assert not (tmp_path / "out").exists()


def test_a_photograph_that_vanishes_during_the_run(
    photos: PhotoSet, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanished(path: Path) -> NDArray[np.uint8]:
        return read_image(path.with_name("gone.jpg"))

    monkeypatch.setattr(module, "read_image", vanished)
    with pytest.raises(InputError, match=r"no such file; the photographs changed during the run"):
        make(photos, tmp_path / "out", cache, OPTIONS, show=False)
