"""IJB-A: the two real splits, counted a second time by pandas, and damaged ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.protocols.ijba import ijba_splits, read_ijba_split

HEADER = "TEMPLATE_ID,SUBJECT_ID,FILE,MEDIA_ID,SIGHTING_ID,FRAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"
ROWS = [
    "7,100,img/1.jpg,5,1,,1.5,2,30,40",
    "7,100,frame/5_00000.png,5,2,0,1,2,30,40",
    "7,100,frame/5_00060.png,5,3,60,1,2,30,40",
    "3,100,img/1.jpg,5,1,,1.5,2,30,40",
    "20,200,img/9.jpg,9,4,,0,0,10,10",
    "20,200,img/9.jpg,9,5,,50,0,10,10",
]


def write(root: Path, rows: list[str], comparisons: str = "7,3\n20,7\n", header: str = HEADER) -> Path:
    folder = root / "split4"
    folder.mkdir(exist_ok=True)
    (folder / "verify_metadata_4.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "verify_comparisons_4.csv").write_text(comparisons)
    return root


@pytest.fixture(scope="session")
def ijba(shared_data: Path) -> Path:
    root = shared_data / "ijba" / "IJB-A_11_sets"
    if not root.exists() and os.environ.get("FACEUNC_REQUIRE_DATA") != "1":
        pytest.skip(f"{root} is missing")
    return root


def test_real_splits(ijba: Path) -> None:
    """Counts by another program, and every row against the file."""
    import pandas

    assert ijba_splits(ijba) == [1, 2]
    for split in ijba_splits(ijba):
        protocol = read_ijba_split(ijba, split)
        templates, pairs = protocol.templates, protocol.pairs
        rows = pandas.read_csv(ijba / f"split{split}" / f"verify_metadata_{split}.csv")
        listed = pandas.read_csv(ijba / f"split{split}" / f"verify_comparisons_{split}.csv", header=None)
        subject = rows.groupby("TEMPLATE_ID").SUBJECT_ID.first()
        genuine = int((subject[listed[0]].to_numpy() == subject[listed[1]].to_numpy()).sum())
        assert len(templates) == rows.TEMPLATE_ID.nunique()
        assert len(np.unique(templates.subject)) == rows.SUBJECT_ID.nunique()
        assert len(np.unique(templates.media)) == rows.MEDIA_ID.nunique()
        assert len(set(templates.images)) == rows.FILE.nunique()
        inside = np.unique(np.stack([templates.template, templates.media]), axis=1).shape[1]
        assert inside == len(rows[["TEMPLATE_ID", "MEDIA_ID"]].drop_duplicates())
        assert (len(pairs), int(pairs.same.sum())) == (len(listed), genuine)
        assert list(templates.images) == rows.FILE.tolist()
        np.testing.assert_array_equal(templates.template_ids[templates.template], rows.TEMPLATE_ID)
        np.testing.assert_array_equal(templates.subject[templates.template], rows.SUBJECT_ID)
        box = rows[["FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT"]].to_numpy(np.float32)
        assert templates.box is not None
        np.testing.assert_array_equal(templates.box, box)
        np.testing.assert_array_equal(templates.template_ids[pairs.first], listed[0])
        np.testing.assert_array_equal(templates.template_ids[pairs.second], listed[1])


@pytest.mark.parametrize(
    ("split", "expected"), [(1, (17997, 1970, 167, 11787, 1803)), (2, (18715, 1952, 167, 11779, 1779))]
)
def test_real_counts(ijba: Path, split: int, expected: tuple[int, ...]) -> None:
    protocol = read_ijba_split(ijba, split)
    templates, pairs = protocol.templates, protocol.pairs
    sizes = len(templates.images), len(templates), len(np.unique(templates.subject)), len(pairs)
    assert (*sizes, int(pairs.same.sum())) == expected


def test_rows_of_a_small_split(tmp_path: Path) -> None:
    protocol = read_ijba_split(write(tmp_path, ROWS), 4)
    templates = protocol.templates
    assert templates.template_ids.tolist() == [3, 7, 20]
    assert templates.subject.tolist() == [100, 100, 200]
    assert templates.template.tolist() == [1, 1, 1, 0, 2, 2]
    still, video, again, shared, *two_faces = templates.media.tolist()
    assert still != video  # one MEDIA_ID for both, and yet two media
    assert (video, still) == (again, shared)
    assert len(set(two_faces)) == 1
    assert templates.box is not None
    assert templates.box[[0, 5]].tolist() == [[1.5, 2, 30, 40], [50, 0, 10, 10]]
    assert (protocol.pairs.first.tolist(), protocol.pairs.second.tolist()) == ([1, 2], [0, 1])
    assert protocol.pairs.same.tolist() == [True, False]
    assert protocol.searches == ()


def test_columns_in_another_order_and_case(tmp_path: Path) -> None:
    names = [
        "\ufeffface_x",
        "Face_Y",
        "FACE_WIDTH",
        "FACE_HEIGHT",
        "media_id",
        " FILENAME",
        "subject_id",
        "template_id",
    ]
    rows = ["1,2,3,4,5,img/1.jpg,100,7", "1,2,3,4,6,img/2.jpg,100,8", ""]
    protocol = read_ijba_split(write(tmp_path, rows, "7,8\n", ",".join(names)), 4)
    assert protocol.templates.images == ("img/1.jpg", "img/2.jpg")
    assert protocol.pairs.same.tolist() == [True]


@pytest.mark.parametrize(
    ("rows", "comparisons", "message"),
    [
        (
            [*ROWS[:1], "seven,100,img/1.jpg,5,1,,1,2,3,4"],
            "7,7\n",
            r"metadata_4.csv, line 3: .*TEMPLATE_ID. Got 'seven'",
        ),
        ([*ROWS[:1], "7,1e2,img/1.jpg,5,1,,1,2,3,4"], "7,7\n", "line 3: expected an integer as SUBJECT_ID"),
        ([*ROWS[:1], "7,100,img/1.jpg,,1,,1,2,3,4"], "7,7\n", "line 3: expected an integer as MEDIA_ID. Got ''"),
        ([*ROWS[:1], "7,100,img/1.jpg,5,1,,1,,3,4"], "7,7\n", "line 3: expected a number as FACE_Y. Got ''"),
        ([*ROWS[:1], "7,100,img/1.jpg,5,1,,1,nan,3,4"], "7,7\n", "line 3: expected a number as FACE_Y"),
        ([*ROWS[:1], "9" * 30 + ",100,img/1.jpg,5,1,,1,2,3,4"], "7,7\n", "line 3: expected an integer"),
        ([*ROWS[:1], "", "7,100,img/1.jpg"], "7,7\n", "line 4: expected MEDIA_ID in field 4"),
        ([*ROWS, "7,101,img/3.jpg,6,1,,1,2,3,4"], "7,7\n", "metadata_4.csv: template 7 has two subjects, 100 and 101"),
        ([*ROWS, "7,100,img/3.jpg,6,1,,1,2,0,4"], "7,7\n", "line 8: expected a box with width .* Got 1, 2, 0, 4 ins"),
        ([*ROWS, "7,100,img/3.jpg,6,1,,1,2,3,-4"], "7,7\n", "line 8: expected a box"),
        ([*ROWS, "7,100,img/3.jpg,6,1,,1,2,100000,4"], "7,7\n", "line 8: expected a box"),
        ([*ROWS, "7,100,img/3.jpg,6,1,,-1e5,2,3,4"], "7,7\n", "line 8: expected a box"),
        ([*ROWS, "7,100,img/3.jpg,6,1,,1,inf,3,4"], "7,7\n", "line 8: expected a number as FACE_Y"),
        ([], "7,7\n", "at least one line"),
        (ROWS, "7,3\n\n7,8\n", "comparisons_4.csv, line 3: template 8 is compared"),
        (ROWS, "8,3\n7,9\n", "line 1: template 8"),
        (ROWS, "7,3\n7,x\n", "comparisons_4.csv, line 2: expected 2 integers. Got '7,x'"),
        (ROWS, "7,3\n7.0,3\n", "line 2: expected 2 integers"),
        (ROWS, "7,3\n7\n", "line 2: expected 2 integers"),
        (ROWS, "7,3,1\n7,3,1\n", "line 1: expected 2 integers"),
        (ROWS, "7,99999999999\n", "line 1: expected 2 integers"),
        (ROWS, "1234567890,3\n7,x\n", "line 2: expected 2 integers"),
        (ROWS, "-0000000000001,+3\n7,2147483648\n", "line 2: expected 2 integers"),
        (ROWS, "\n", "the file is empty"),
        (ROWS, "7,3\n\x00\n", "line 2: expected 2 integers"),
    ],
)
def test_damaged_splits(tmp_path: Path, rows: list[str], comparisons: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_ijba_split(write(tmp_path, rows, comparisons), 4)
    assert str(tmp_path / "split4") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("column", ["TEMPLATE_ID", "SUBJECT_ID", "FILE", "MEDIA_ID", "FACE_X", "FACE_HEIGHT"])
def test_missing_columns(tmp_path: Path, column: str) -> None:
    with pytest.raises(InputError, match=f"line 1: expected the columns {column}. Got "):
        read_ijba_split(write(tmp_path, ROWS, header=HEADER.replace(column, "OTHER")), 4)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    assert ijba_splits(tmp_path) == ijba_splits(tmp_path / "none") == []
    with pytest.raises(InputError, match=r"verify_metadata_4\.csv: .*no such file"):
        read_ijba_split(tmp_path, 4)
    write(tmp_path, ROWS)
    (tmp_path / "split10").mkdir()
    (tmp_path / "split_x").mkdir()
    assert ijba_splits(tmp_path) == [4]
    comparisons = tmp_path / "split4" / "verify_comparisons_4.csv"
    comparisons.write_bytes(b"\xff\xfe,1\n")
    with pytest.raises(InputError, match="line 1: expected 2 integers"):
        read_ijba_split(tmp_path, 4)
    comparisons.unlink()
    with pytest.raises(InputError, match=r"verify_comparisons_4\.csv: .*no such file"):
        read_ijba_split(tmp_path, 4)
    (tmp_path / "split4" / "verify_metadata_4.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_ijba_split(tmp_path, 4)
