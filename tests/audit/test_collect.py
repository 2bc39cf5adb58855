"""What an audit collects: who and which set a photograph belongs to, failures, degraded versions, resuming."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import faceunc
from faceunc.audit.collect import chips_of, collect, place
from faceunc.errors import InputError
from faceunc.images.degrade import draw_degradation


@pytest.fixture(scope="module")
def embedder(tiny_head: Path) -> faceunc.Embedder:
    return faceunc.load(tiny_head, precision="float32", min_face_size=60)


@pytest.fixture
def people(tmp_path: Path, bush: list[Path], lfw: Path) -> Path:
    folder = tmp_path / "people"
    for person, paths in {"bush": bush[:3], "other": sorted((lfw / "Tony_Blair").glob("*.jpg"))[:2]}.items():
        (folder / person).mkdir(parents=True)
        for path in paths:
            shutil.copy(path, folder / person / path.name)
    (folder / "bush" / "text.jpg").write_text("no image")
    return folder


def test_place(tmp_path: Path) -> None:
    one = tmp_path / "one"
    (one / "ann").mkdir(parents=True)
    (one / "bob" / "2020").mkdir(parents=True)
    names = [one / "ann" / "1.jpg", one / "bob" / "2020" / "2.jpg", one / "3.jpg", tmp_path / "carl" / "4.jpg"]
    group, person = place([str(name) for name in names], [one, tmp_path / "carl" / "4.jpg"])
    assert group == ["ann", "bob", str(one), "files"]
    assert person == ["ann", "bob/2020", "", "carl"]
    two = tmp_path / "two"
    two.mkdir()
    group, _ = place([str(names[0]), str(two / "5.jpg")], [one, two])
    assert group == [str(one), str(two)]


def test_many_people_are_one_group(tmp_path: Path) -> None:
    names = [str(tmp_path / f"person{number}" / "1.jpg") for number in range(9)]
    group, person = place(names, [tmp_path])
    assert set(group) == {str(tmp_path)}
    assert len(set(person)) == 9


def test_collect_and_resume(tmp_path: Path, embedder: faceunc.Embedder, people: Path, count_reads: list[str]) -> None:
    audit = collect(embedder, [people], tmp_path / "work", degrade_seed=3, show=False)
    assert len(audit.photos) == len(audit.quality) == 5
    assert audit.person == audit.group == ["bush"] * 3 + ["other"] * 2
    assert [failure.kind for failure in audit.failures] == ["not_an_image"]
    assert audit.failed_person == ["bush"]
    assert audit.degraded is not None
    assert audit.degraded.how == [draw_degradation(3, name) for name in audit.photos]
    assert audit.degraded.sigma.shape == (5,)
    count_reads.clear()
    part = collect(embedder, [people / "bush"], tmp_path / "work", show=False)
    assert not count_reads
    assert len(part.photos) == 3
    assert part.degraded is None
    np.testing.assert_array_equal(part.embeddings.mean, audit.embeddings.mean[:3])


def test_no_usable_photograph(tmp_path: Path, embedder: faceunc.Embedder) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_text("no image")
    with pytest.raises(InputError, match=r"none of 1 photographs .* nothing to report, first: .*a\.jpg"):
        collect(embedder, [tmp_path / "in"], tmp_path / "work", show=False)


def test_chips_of_what_is_still_there(embedder: faceunc.Embedder, bush: list[Path], tmp_path: Path) -> None:
    chips = chips_of(embedder, [str(bush[0]), str(tmp_path / "gone.jpg")])
    assert list(chips) == [str(bush[0])]
    assert chips[str(bush[0])].shape == (150, 150, 3)
    np.testing.assert_array_equal(embedder.embed_chips(chips[str(bush[0])][None], ["x"]).mean, embedder(bush[0]).mean)
