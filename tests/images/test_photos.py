"""What a user names becomes a list of photographs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceunc.errors import InputError
from faceunc.images.photos import PhotoSet, find_photos, identity_folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two persons with photographs, and things that are none."""
    for name in ("Bea/2.PNG", "Bea/1.jpg", "Al/1.jpeg", "Al/notes.txt", "Al/.hidden.jpg", "top.jpg", "Al/deep/3.jpg"):
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "people" / "Bea" / "folder.jpg").mkdir()
    return tmp_path / "people"


def test_identity_folder(people: Path) -> None:
    photos = identity_folder(str(people))
    assert photos.ids == ("Al/1.jpeg", "Bea/1.jpg", "Bea/2.PNG")
    assert photos.identities == ["Al", "Bea", "Bea"]
    assert photos.paths == [people / name for name in photos.ids]
    assert photos.index == {"Al/1.jpeg": 0, "Bea/1.jpg": 1, "Bea/2.PNG": 2}
    assert len(photos) == 3


def test_identity_folder_refuses(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="no photograph in sub-folders"):
        identity_folder(tmp_path)
    for path in (tmp_path / "none", tmp_path / "photo.jpg"):
        with pytest.raises(InputError, match="no such folder"):
            identity_folder(path)


def test_subset(people: Path) -> None:
    photos = identity_folder(people)
    assert photos.subset(iter([2, 0])).ids == ("Bea/2.PNG", "Al/1.jpeg")


def test_hash_covers_names_contents_and_order(people: Path) -> None:
    photos = identity_folder(people)
    assert identity_folder(people).sha256 == photos.sha256
    assert photos.subset([1, 0, 2]).sha256 != photos.sha256
    (people / "Bea" / "1.jpg").write_bytes(b"changed")
    changed = identity_folder(people).sha256
    assert changed != photos.sha256
    (people / "Bea" / "1.jpg").rename(people / "Bea" / "0.jpg")
    assert identity_folder(people).sha256 not in (changed, photos.sha256)


def test_hash_of_files_that_cannot_be_read_and_odd_names(tmp_path: Path) -> None:
    odd = os.fsdecode(b"A/\xff.jpg")
    assert PhotoSet(tmp_path, (odd,)).sha256 != PhotoSet(tmp_path, ("A/1.jpg",)).sha256
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "1.jpg").write_bytes(b"")
    present = PhotoSet(tmp_path, ("A/1.jpg",)).sha256
    (tmp_path / "A" / "1.jpg").unlink()
    assert PhotoSet(tmp_path, ("A/1.jpg",)).sha256 != present


def test_find_photos(people: Path) -> None:
    everything = ["Al/1.jpeg", "Al/deep/3.jpg", "Bea/1.jpg", "Bea/2.PNG", "top.jpg"]
    assert find_photos([people]) == [people / name for name in everything]
    assert find_photos([str(people / "*" / "1.jp*")]) == [people / "Al" / "1.jpeg", people / "Bea" / "1.jpg"]
    assert find_photos([str(people / "**" / "3.jpg")]) == [people / "Al" / "deep" / "3.jpg"]


def test_find_photos_takes_a_named_file_whatever_its_ending(people: Path) -> None:
    assert find_photos([people / "Al" / "notes.txt"]) == [people / "Al" / "notes.txt"]


def test_find_photos_does_not_repeat(people: Path) -> None:
    named = [people / "Bea" / "1.jpg", people / "Bea", str(people / "Bea" / "*.jpg")]
    assert find_photos(named) == [people / "Bea" / "1.jpg", people / "Bea" / "2.PNG"]


def test_find_photos_of_a_name_with_brackets(tmp_path: Path) -> None:
    path = tmp_path / "me [1].jpg"
    path.write_bytes(b"")
    assert find_photos([str(path)]) == [path]


def test_find_photos_refuses(people: Path) -> None:
    (people / "empty").mkdir()
    for inputs, message in [
        ([], "got none"),
        ([people / "none.jpg"], "no such file or folder"),
        ([people / "*.gif"], "no file matches"),
        ([people / "empty"], "holds none"),
    ]:
        with pytest.raises(InputError, match=message):
            find_photos(inputs)
