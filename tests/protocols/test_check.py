"""The check of protocol folders: real ones, and small ones with everything that can be wrong."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from PIL import Image

from faceunc.errors import InputError
from faceunc.protocols.check import check_protocol
from faceunc.protocols.findings import GOOD, NOTE, PROBLEM, Finding

FACES = ["1.jpg 1 5", "2.jpg 1 5", "3.jpg 2 6", "4.jpg 10 7", "5.jpg 11 8"]
LABELS = ["1 10 1", "2 11 1", "1 11 0", "2 10 0"]


def check(root: Path, images: Path | None = None, read_images: bool = True) -> list[Finding]:
    found = list(check_protocol(root, images, read_images, show=False))
    assert all(finding.level in (GOOD, NOTE, PROBLEM) for finding in found)
    assert all("\n" not in finding.text + finding.meaning for finding in found)
    assert not any("np." in finding.text for finding in found)  # plain texts, no numpy reprs
    assert all(finding.meaning for finding in found if finding.level == PROBLEM)
    return found


def texts(found: list[Finding], level: str) -> list[str]:
    return [finding.text for finding in found if finding.level == level]


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("\n".join(lines) + "\n")


def picture(path: Path, shade: int = 90) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.effect_noise((40, 40), shade).convert("RGB").save(path, format="JPEG")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Four templates of five images in insightface's layout, said to be made by us."""
    root = tmp_path / "made"
    write(root / "meta" / "ijbc_face_tid_mid.txt", FACES)
    write(root / "meta" / "ijbc_name_5pts_score.txt", [f"{f.split()[0]} {'1 2 ' * 5}0.9" for f in FACES])
    write(root / "meta" / "ijbc_template_pair_label.txt", LABELS)
    for face in FACES:
        picture(root / "loose_crop" / face.split()[0])
    counted = {"images": 5, "templates": 4, "pairs": 4, "genuine": 2, "galleries": {}}
    (root / "manifest.json").write_text(json.dumps(counted))
    (root / "meta" / "subjects.csv").write_text("SUBJECT_ID,NAME\n1,Ann\n")
    return root


@pytest.fixture
def view(tmp_path: Path) -> Path:
    """A folder of three people with a pair file of one fold."""
    root = tmp_path / "lfw"
    for name, number in (("Ann", 1), ("Ann", 2), ("Ann", 3), ("Bob", 1), ("Cid", 1)):
        picture(root / name / f"{name}_{number:04d}.jpg")
    write(root / "pairsDevTest.txt", ["2", "Ann\t1\t2", "Ann\t2\t3", "Ann\t1\tBob\t1", "Bob\t1\tCid\t1"])
    return root


def test_real_ijba(shared_data: Path) -> None:
    """Counts by another program; the images are elsewhere."""
    root = shared_data / "ijba" / "IJB-A_11_sets"
    if not root.exists() and os.environ.get("FACEUNC_REQUIRE_DATA") != "1":
        pytest.skip(f"{root} is missing")
    found = check(root, read_images=False)
    good, names = texts(found, GOOD), set()
    for split in (1, 2):
        rows = pandas.read_csv(root / f"split{split}" / f"verify_metadata_{split}.csv")
        pairs = len(pandas.read_csv(root / f"split{split}" / f"verify_comparisons_{split}.csv", header=None))
        media = len(rows[["TEMPLATE_ID", "MEDIA_ID"]].drop_duplicates())
        facts = f"{len(rows)} images in {media} media of {rows.TEMPLATE_ID.nunique()} templates; {pairs} pairs"
        assert sum(text.startswith(f"IJB-A split {split}: {facts}") for text in good) == 1
        twice = int((rows.groupby(["FILE", "TEMPLATE_ID"]).size() > 1).sum())
        repeated = f"{twice} images inside one template are listed more than once"
        assert any(text.startswith(repeated) for text in texts(found, NOTE)) == (twice > 0)
        names |= set(rows.FILE)
    assert "2 of IJB-A's 10 splits are here" in texts(found, NOTE)
    assert f"0 of {len(names)} images are there" in texts(found, NOTE)
    (problem,) = texts(found, PROBLEM)
    assert problem.startswith(f"{len(names)} images missing, first {root}")


def test_real_lfw(lfw: Path) -> None:
    """View 1, View 2 and the folder: all as published."""
    found = check(lfw, read_images=False)
    assert texts(found, PROBLEM) == []
    good = texts(found, GOOD)
    for text in ("6,000 pairs", "2,200 pairs", "1,000 pairs", "13,233 photographs", "5,749 people"):
        assert f"{text}, as published" in good
    assert any(text.startswith("LFW View 2: 6000 pairs (3000 genuine), 10 fold(s), ") for text in good)


def test_made_protocol(made: Path) -> None:
    found = check(made)
    assert texts(found, PROBLEM) == []
    assert texts(found, NOTE) == ["made by 'faceunc protocol make-ijb'"]
    assert texts(found, GOOD) == [
        "IJB-C: 5 images in 4 media of 4 templates; 4 pairs, 2 genuine",
        "5 of 5 images can be read",
    ]


def test_a_made_protocol_that_was_changed(made: Path) -> None:
    counted = json.loads((made / "manifest.json").read_text())
    changed = {**counted, "pairs": 9, "galleries": {"G1": 1, "G2": 1}}
    (made / "manifest.json").write_text(json.dumps(changed))
    (made / "meta" / "subjects.csv").unlink()
    problems = texts(check(made), PROBLEM)
    assert problems[0] == "4 pairs, the manifest has 9"
    assert problems[1].startswith("galleries none, the manifest has {'G1': 1")
    assert problems[2].endswith("subjects.csv: no such file")
    (made / "manifest.json").write_text("garbage")
    assert "manifest.json: damaged" in texts(check(made), PROBLEM)[0]
    (made / "manifest.json").unlink()
    (made / "making.json").write_text("{}")
    assert texts(check(made), PROBLEM) == [f"{made}: unfinished"]


def test_without_a_manifest_counts_are_held_against_the_published(made: Path) -> None:
    (made / "manifest.json").unlink()
    assert texts(check(made), PROBLEM) == [
        "5 images, published: 469,375",
        "4 templates, published: 23,124",
        "4 pairs, published: 15,658,489",
        "2 genuine, published: 19,557",
    ]


def test_failed_detections_are_noted(made: Path) -> None:
    path = made / "meta" / "ijbc_name_5pts_score.txt"
    path.write_text(path.read_text().replace("0.9", "0", 2))
    assert "2 images with a detector score of 0" in texts(check(made), NOTE)


def test_an_image_twice_in_a_template(made: Path) -> None:
    for name in ("ijbc_face_tid_mid.txt", "ijbc_name_5pts_score.txt"):
        path = made / "meta" / name
        path.write_text(path.read_text().replace("2.jpg", "1.jpg"))
    found = check(made)
    repeated = "1 images inside one template are listed more than once, first 1.jpg in template 1 (2 times)"
    assert repeated.replace("1.jpg", "loose_crop/1.jpg") in texts(found, NOTE)
    assert texts(found, PROBLEM) == []


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("damage", "kind", "meaning"),
    [
        (Path.unlink, "missing", "fail to enrol"),
        (truncate, "truncated", "broke off"),
        (lambda path: path.write_text("<html>404</html>"), "not an image", "error page"),
        (lambda path: Image.new("RGB", (4, 4)).save(path), "too small", "fails to enrol"),
    ],
)
@pytest.mark.parametrize("kind_of_protocol", ["made", "view"])
def test_damaged_images(
    request: pytest.FixtureRequest,
    kind_of_protocol: str,
    damage: Callable[[Path], None],
    kind: str,
    meaning: str,
) -> None:
    root: Path = request.getfixturevalue(kind_of_protocol)
    hurt = root / ("loose_crop/3.jpg" if kind_of_protocol == "made" else "Bob/Bob_0001.jpg")
    damage(hurt)
    found = check(root)
    (problem,) = [f for f in found if f.level == PROBLEM and "published" not in f.text]
    assert problem.text.startswith(f"1 images {kind}, first {hurt}: ")
    assert meaning in problem.meaning
    assert "4 of 5 images can be read" in texts(found, GOOD)
    quick = [text for text in texts(check(root, read_images=False), PROBLEM) if "published" not in text]
    assert len(quick) == (kind == "missing")


def test_images_elsewhere(made: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.move(made / "loose_crop", tmp_path / "elsewhere" / "loose_crop")
    assert texts(check(made), PROBLEM)[0].startswith("5 images missing")
    assert texts(check(made, tmp_path / "elsewhere"), PROBLEM) == []


def test_wrong_count(view: Path) -> None:
    found = check(view)
    assert "LFW View 1, test part: 4 pairs (2 genuine), 1 fold(s), 5 images" in texts(found, GOOD)
    assert texts(found, PROBLEM) == ["4 pairs, published: 1,000"]


def test_duplicate_pairs(view: Path) -> None:
    """The same two images in either order."""
    lines = ["3", "Ann\t1\t2", "Ann\t2\t1", "Ann\t3\t1", "Ann\t1\tBob\t1", "Bob\t1\tAnn\t1", "Bob\t1\tCid\t1"]
    write(view / "pairsDevTest.txt", lines)
    found = check(view)
    (note,) = texts(found, NOTE)
    assert note.startswith("2 pairs are listed more than once, first ('Ann/Ann_0001.jpg', 'Ann/Ann_0002.jpg') (2 ")


def test_an_image_against_itself(view: Path) -> None:
    """LFW's reader refuses the line, and so does the check."""
    write(view / "pairsDevTest.txt", ["2", "Ann\t1\t2", "Ann\t3\t3", "Ann\t1\tBob\t1", "Bob\t1\tCid\t1"])
    (problem,) = texts(check(view), PROBLEM)
    assert "line 3: expected two photographs" in problem


def test_template_pairs_that_are_repeated_or_of_one_template(made: Path) -> None:
    """Named by the protocol's own numbers, in either order."""
    write(made / "meta" / "ijbc_template_pair_label.txt", [*LABELS, "11 2 1", "2 11 1", "10 2 0", "11 11 1", "10 10 1"])
    found = check(made)
    assert "2 pairs are listed more than once, first templates 2 and 10 (2 times)" in texts(found, NOTE)
    assert texts(found, PROBLEM)[0] == "2 pairs compare a template with itself, first template 11"


def test_a_damaged_pair_file_does_not_hide_the_others(view: Path) -> None:
    write(view / "pairsDevTrain.txt", ["2", "Ann\t1\t2"])
    found = check(view)
    assert any("pairsDevTrain.txt, line 2" in text for text in texts(found, PROBLEM))
    assert any(text.startswith("LFW View 1, test part") for text in texts(found, GOOD))


def test_cfp_and_ytf_that_are_incomplete(tmp_path: Path) -> None:
    (tmp_path / "cfp" / "Protocol").mkdir(parents=True)
    problems = texts(check(tmp_path / "cfp"), PROBLEM)
    assert len(problems) == 2
    assert all("no such file" in text for text in problems)
    write(tmp_path / "ytf" / "splits.txt", ["nothing"])
    (problem,) = texts(check(tmp_path / "ytf"), PROBLEM)
    assert "splits.txt, line 1" in problem


def test_ytf_without_some_frames(tmp_path: Path) -> None:
    """Ten splits of a genuine and an impostor pair; one video has no frames, one frame is damaged."""
    lines = ["split number, first name, second name, is same"]
    for split in range(1, 11):
        lines += [f"{split}, A{split}/0, A{split}/1, 1", f"{split}, A{split}/0, B/0, 0"]
        for video in (0, 1):
            picture(tmp_path / "frame_images_DB" / f"A{split}" / str(video) / f"{video}.7.jpg")
    write(tmp_path / "splits.txt", lines)
    truncate(tmp_path / "frame_images_DB" / "A3" / "1" / "1.7.jpg")
    found = check(tmp_path)
    problems = texts(found, PROBLEM)
    assert problems[:2] == ["20 pairs, published: 5,000", "1 of 21 videos have no frames, first B/0"]
    assert problems[2].startswith(f"1 images truncated, first {tmp_path / 'frame_images_DB' / 'A3'}")
    assert "19 of 20 images can be read" in texts(found, GOOD)


def test_bin(tmp_path: Path) -> None:
    """Its images are decoded as those of a folder are."""
    picture(tmp_path / "1.jpg")
    good = (tmp_path / "1.jpg").read_bytes()
    images, same = [bytes([*good]) for _ in range(40)], [True, False] * 10
    (tmp_path / "mine.bin").write_bytes(pickle.dumps((images, same)))
    assert [(f.level, f.text) for f in check(tmp_path / "mine.bin")] == [
        (GOOD, "mine.bin: 20 pairs, 10 genuine, read without running anything"),
        (GOOD, "40 of 40 images can be read"),
    ]
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((images, same)))
    assert texts(check(tmp_path / "lfw.bin"), PROBLEM) == ["20 pairs, published: 6,000"]


def test_bin_with_images_that_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "1.jpg")
    good = (tmp_path / "1.jpg").read_bytes()
    path = tmp_path / "mine.bin"
    path.write_bytes(pickle.dumps(([b"x"] * 40, [True, False] * 10)))
    found = check(path)
    assert texts(found, NOTE) == ["0 of 40 images can be read"]
    (problem,) = texts(found, PROBLEM)
    assert problem.startswith("40 images not an image, first ")
    images = [bytes([*good]) for _ in range(37)] + [b"<html>", b"x", good[:300]]
    path.write_bytes(pickle.dumps((images, [True, False] * 10)))
    found = check(path)
    assert "37 of 40 images can be read" in texts(found, GOOD)
    assert [text.split(",")[0] for text in texts(found, PROBLEM)] == ["2 images not an image", "1 images truncated"]


class Call:
    """Pickles as a call of ``os.system``."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def test_hostile_bin(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps(([Call(f"touch {marker}")] * 24, [True] * 12)))
    (finding,) = check(path)
    assert finding.level == PROBLEM
    assert "refused the global" in finding.text
    assert str(path) in finding.text
    assert "do not unpickle" in finding.meaning
    assert not marker.exists()


@pytest.mark.parametrize("what", ["missing", "empty", "photographs"])
def test_nothing_known(tmp_path: Path, what: str) -> None:
    root = tmp_path / "in"
    if what != "missing":
        root.mkdir()
    if what == "photographs":
        picture(root / "Ann" / "1.jpg")
    with pytest.raises(InputError, match="no such file or folder" if what == "missing" else "nothing of a known"):
        check(root)


def test_found_lazily(made: Path) -> None:
    """The first finding comes before any image is read."""
    shutil.rmtree(made / "loose_crop")
    first = next(iter(check_protocol(made, show=False)))
    assert first.text.startswith("IJB-C: 5 images")


def test_pair_file_apart_from_the_photographs(view: Path, tmp_path: Path) -> None:
    apart = tmp_path / "pairs"
    lines = ["10\t1", *(["Ann\t1\t2", "Ann\t1\tBob\t1"] * 10)]
    write(apart / "pairs.txt", lines)
    found = check(apart, view)
    assert "3 of 3 images can be read" in texts(found, GOOD)
    assert "5 photographs, published: 13,233" in texts(found, PROBLEM)


def test_bin_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.bin").write_bytes(pickle.dumps(([b"x"] * 40, [True, False] * 10)))
    assert texts(check(tmp_path), GOOD)[0].startswith("mine.bin: 20 pairs")
