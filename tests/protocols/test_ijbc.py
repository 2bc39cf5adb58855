"""IJB-B and IJB-C on small files of both layouts."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.protocols.ijbc import PUBLISHED, counts, read_ijb, read_insightface, read_nist
from faceunc.protocols.template_set import TemplatePairs, complete_subjects

# templates 1 (subject 50) and 2 (60) are the galleries; 10 and 11 (50), 12 (60) and 13 (70, in no gallery) are probes
FACES = ["1.jpg 1 5", "2.jpg 1 5", "3.jpg 2 6", "4.jpg 10 7", "5.jpg 11 8", "6.jpg 12 9", "7.jpg 12 10", "8.jpg 13 11"]
LABELS = ["1 10 1", "1 11 1", "2 12 1", "1 12 0", "2 13 0"]
G1 = ["TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"]
G1 += ["1,50,img/1.png,1,1,2,3,4", "1,50,img/2.png,2,1,2,3,4"]
G2 = [G1[0], "2,60,frames/3_17.png,3,5,6,7,8", "2,60,frames/3_18.png,4,5,6,7,8"]
PROBE = [
    G1[0],
    "10,50,frames/3_19.png,5,1,2,3,4",
    "11,50,frames/30_19.png,6,1,2,3,4",
    "12,60,img/1.png,7,0,0,0.5,1",
    "13,70,img/9.png,8,1,2,3,4",
]


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("\n".join(lines) + "\n")


def write_1n(folder: Path, name: str = "ijbc", letter: str = "G") -> None:
    for part, lines in ((f"gallery_{letter}1", G1), (f"gallery_{letter}2", G2), ("probe_mixed", PROBE)):
        write(folder / f"{name}_1N_{part}.csv", lines)


@pytest.fixture
def insightface(tmp_path: Path) -> Path:
    meta = tmp_path / "meta"
    points = [f"{line.split()[0]} " + " ".join(f"{row + k / 10}" for k in range(11)) for row, line in enumerate(FACES)]
    write(meta / "ijbc_face_tid_mid.txt", FACES)
    write(meta / "ijbc_name_5pts_score.txt", points)
    write(meta / "ijbc_template_pair_label.txt", LABELS)
    return tmp_path


@pytest.fixture
def nist(tmp_path: Path) -> Path:
    write_1n(tmp_path / "protocols")
    write(tmp_path / "protocols" / "ijbc_11_G1_G2_matches.csv", ["1,10", "1,12", "2,12", "2,13"])
    return tmp_path


def test_insightface_without_1n(insightface: Path) -> None:
    protocol = read_ijb(insightface, "ijbc")
    templates = protocol.templates
    assert counts(protocol) == (8, 6, 5, 3)
    assert templates.template_ids.tolist() == [1, 2, 10, 11, 12, 13]
    assert templates.template.tolist() == [0, 0, 1, 2, 3, 4, 4, 5]
    assert templates.media.tolist() == [5, 5, 6, 7, 8, 9, 10, 11]
    assert templates.images[0] == "loose_crop/1.jpg"
    assert templates.points is not None
    assert templates.score is not None
    np.testing.assert_allclose(templates.points[2], 2 + np.arange(10).reshape(5, 2) / 10, rtol=1e-6)
    np.testing.assert_allclose(templates.score, np.arange(8) + 1, rtol=1e-6)
    one, two, *probes = templates.subject.tolist()
    assert probes[:3] == [one, one, two]
    assert len({one, two, probes[3]}) == 3
    assert protocol.pairs.same.tolist() == [True, True, True, False, False]
    assert protocol.pairs.second.tolist() == [2, 3, 4, 4, 5]
    assert protocol.searches == ()


def test_insightface_with_1n(insightface: Path) -> None:
    write_1n(insightface / "meta")
    protocol = read_insightface(insightface, "ijbc")
    assert protocol.templates.subject.tolist() == [50, 60, 50, 50, 60, 70]
    assert [search.name for search in protocol.searches] == ["G1", "G2"]
    assert [search.gallery.tolist() for search in protocol.searches] == [[0], [1]]
    assert all(search.probe.tolist() == [2, 3, 4, 5] for search in protocol.searches)


def test_insightface_with_1n_that_does_not_fit(insightface: Path) -> None:
    meta = insightface / "meta"
    write_1n(meta)
    write(meta / "ijbc_template_pair_label.txt", [*LABELS, "1 13 1"])
    with pytest.raises(InputError, match=r"ijbc_template_pair_label\.txt: the labels contradict"):
        read_insightface(insightface, "ijbc")
    write(meta / "ijbc_template_pair_label.txt", LABELS)
    write(meta / "ijbc_1N_gallery_G2.csv", [*G2, "99,80,img/1.png,1,1,2,3,4"])
    with pytest.raises(InputError, match=r"gallery_G2\.csv: no image belongs to template 99"):
        read_insightface(insightface, "ijbc")
    write(meta / "ijbc_1N_gallery_G2.csv", [*G2, "2,61,img/1.png,1,1,2,3,4"])
    with pytest.raises(InputError, match="template 2 has two subjects, 60 and 61"):
        read_insightface(insightface, "ijbc")
    (meta / "ijbc_1N_gallery_G2.csv").unlink()
    with pytest.raises(InputError, match=r"gallery_G2\.csv: .*no such file"):
        read_insightface(insightface, "ijbc")


@pytest.mark.parametrize("file", ["face_tid_mid", "name_5pts_score", "template_pair_label"])
@pytest.mark.parametrize("change", ["missing", "empty", "binary", "word", "short", "long", "nan"])
def test_damaged_insightface_files(insightface: Path, file: str, change: str) -> None:
    path = insightface / "meta" / f"ijbc_{file}.txt"
    lines = path.read_text().splitlines()
    middle = lines[3].split()
    line = "line 4: "
    if change == "missing":
        path.unlink()
        line = "no such file"
    elif change == "empty":
        path.write_text("")
        line = "empty"
    elif change == "binary":
        path.write_bytes(b"\xff\xfe\n")
        line = "UTF-8|line 1"
    else:
        new = {"word": [*middle[:-1], "x"], "short": middle[:-1], "long": [*middle, "1"], "nan": [*middle[:-1], "nan"]}
        lines[3] = " ".join(new[change])
        write(path, lines)
    with pytest.raises(InputError, match=f"{path.name}.*({line})") as caught:
        read_insightface(insightface, "ijbc")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        ("face_tid_mid", 2, "3.jpg 1.5 5", "line 3: expected 'image template media'"),
        ("face_tid_mid", 2, "\n3.jpg 1e300 5", "line 4: expected 'image template media', two integers"),
        ("face_tid_mid", 2, "3.jpg 2 -1e300", "line 3: expected 'image template media', two integers"),
        ("name_5pts_score", 2, "\nx.jpg 0 0 0 0 0 0 0 0 0 0 1", r"name_5pts_score\.txt, line 4: expected the images"),
        (
            "face_tid_mid",
            2,
            "x.jpg 2 6",
            r"name_5pts_score\.txt, line 3: expected the images of ijbc_face_tid_mid\.txt",
        ),
        ("template_pair_label", 2, "\n1 10 2", "line 4: expected a label 0 or 1. Got 2"),
        ("template_pair_label", 2, "1 14 0", "line 3: template 14 is compared"),
    ],
)
def test_contradicting_insightface_files(insightface: Path, file: str, line: int, text: str, message: str) -> None:
    path = insightface / "meta" / f"ijbc_{file}.txt"
    lines = path.read_text().splitlines()
    lines[line] = text
    write(path, lines)
    with pytest.raises(InputError, match=message):
        read_insightface(insightface, "ijbc")


def test_lists_of_different_length(insightface: Path) -> None:
    write(insightface / "meta" / "ijbc_face_tid_mid.txt", FACES[:-1])
    with pytest.raises(InputError, match=r"name_5pts_score\.txt, line 8: expected the images"):
        read_insightface(insightface, "ijbc")
    write(insightface / "meta" / "ijbc_face_tid_mid.txt", [*FACES, "9.jpg 14 12"])
    with pytest.raises(InputError, match=r"name_5pts_score\.txt, line 9: expected the images"):
        read_insightface(insightface, "ijbc")


def test_blank_lines_are_skipped(insightface: Path) -> None:
    before = read_insightface(insightface, "ijbc").templates
    for path in (insightface / "meta").iterdir():
        path.write_text("\n" + path.read_text() + "\n \n")
    after = read_insightface(insightface, "ijbc").templates
    assert after.images == before.images
    assert after.template.tolist() == before.template.tolist()


def test_a_gallery_template_that_is_a_probe_too(insightface: Path) -> None:
    """As in NIST's layout."""
    write_1n(insightface / "meta")
    write(insightface / "meta" / "ijbc_1N_probe_mixed.csv", [*PROBE, "1,50,img/1.png,9,1,2,3,4"])
    with pytest.raises(InputError, match="meta: template 1 is in two of the 1N files"):
        read_insightface(insightface, "ijbc")


def test_templates_that_no_table_names_get_subjects(insightface: Path) -> None:
    """Template 11 is linked to one of subject 50; 13 to nobody, and is somebody new."""
    write_1n(insightface / "meta")
    probes = [row for row in PROBE if not row.startswith(("11,", "13,"))]
    write(insightface / "meta" / "ijbc_1N_probe_mixed.csv", probes)
    subject = read_insightface(insightface, "ijbc").templates.subject.tolist()
    assert subject[:5] == [50, 60, 50, 50, 60]
    assert subject[5] > 60
    write(insightface / "meta" / "ijbc_template_pair_label.txt", [*LABELS, "2 11 1"])  # 11 cannot be both
    with pytest.raises(InputError, match="the labels contradict"):
        read_insightface(insightface, "ijbc")


def test_unknown_subjects_are_never_one() -> None:
    """Templates 3 and 4 are one person, 5 and 6 are two more."""
    pairs = TemplatePairs(np.array([0, 1, 3, 5, 0]), np.array([1, 2, 4, 6, 3]), np.array([1, 1, 1, 0, 0], bool))
    subject = complete_subjects(np.array([8, -1, -1, -1, -1, -1, -1, 9]), pairs).tolist()
    assert subject[:3] == [8, 8, 8]
    assert subject[3] == subject[4]
    assert len({8, 9, subject[3], subject[5], subject[6]}) == 5
    assert min(subject[3:7]) > 9
    nobody = complete_subjects(np.full(8, -1), pairs)
    assert len(np.unique(nobody)) == 5
    assert nobody.min() >= 0


def test_nist(nist: Path) -> None:
    protocol = read_ijb(nist, "ijbc")
    templates = protocol.templates
    assert counts(protocol) == (8, 6, 4, 2)
    assert templates.template_ids.tolist() == [1, 2, 10, 11, 12, 13]
    assert templates.subject.tolist() == [50, 60, 50, 50, 60, 70]
    assert templates.images[2:4] == ("frames/3_17.png", "frames/3_18.png")
    assert templates.media.tolist() == [0, 1, 2, 2, 2, 3, 0, 4]
    assert templates.box is not None
    assert templates.box[6].tolist() == [0, 0, 0.5, 1]
    assert templates.points is None
    assert protocol.pairs.same.tolist() == [True, False, True, False]
    assert [(s.name, s.gallery.tolist(), s.probe.tolist()) for s in protocol.searches] == [
        ("G1", [0], [2, 3, 4, 5]),
        ("G2", [1], [2, 3, 4, 5]),
    ]


@pytest.mark.parametrize("folder", [".", "protocol", "protocols"])
def test_nist_folders_and_names_of_ijbb(tmp_path: Path, folder: str) -> None:
    write_1n(tmp_path / folder, "ijbb", "S")
    write(tmp_path / folder / "ijbb_11_S1_S2_matches.csv", ["1,10"])
    protocol = read_ijb(tmp_path, "ijbb")
    assert [search.name for search in protocol.searches] == ["S1", "S2"]
    with pytest.raises(InputError, match="found none of"):
        read_ijb(tmp_path, "ijbc")


def test_nist_without_boxes_and_with_media(tmp_path: Path) -> None:
    header = "template_id,Subject_Id,file,MEDIA_ID"
    write(tmp_path / "ijbc_1N_gallery_G1.csv", [header, "1,50,img/1.png,30"])
    write(tmp_path / "ijbc_1N_gallery_G2.csv", [header, "2,60,img/2.png,30"])
    write(tmp_path / "ijbc_1N_probe_mixed.csv", [header, "3,50,frames/1_1.png,31", "3,50,frames/1_2.png,32"])
    write(tmp_path / "ijbc_11_G1_G2_matches.csv", ["1,3", "2,3"])
    templates = read_nist(tmp_path, "ijbc").templates
    assert templates.media.tolist() == [30, 30, 31, 32]
    assert templates.box is None


@pytest.mark.parametrize(
    ("file", "lines", "message"),
    [
        ("1N_probe_mixed", [*PROBE, "10,51,img/2.png,1,1,2,3,4"], "template 10 has two subjects, 50 and 51"),
        ("1N_probe_mixed", [*PROBE, "1,50,img/2.png,1,1,2,3,4"], "template 1 is in two of the 1N files"),
        ("1N_probe_mixed", [*PROBE, "x,50,img/2.png,1,1,2,3,4"], r"probe_mixed\.csv, line 6: .*TEMPLATE_ID. Got 'x'"),
        ("1N_probe_mixed", [*PROBE, "14,50,img/2.png,1,1,,3,4"], "line 6: .*FACE_Y"),
        ("1N_gallery_G1", ["TEMPLATE_ID,SUBJECT_ID", "1,50"], r"gallery_G1\.csv, line 1: expected the columns FILE"),
        ("11_G1_G2_matches", ["1,10", "1,77"], r"matches\.csv, line 2: template 77"),
        ("11_G1_G2_matches", ["1,10", "1"], r"matches\.csv, line 2: expected 2 integers"),
    ],
)
def test_damaged_nist_files(nist: Path, file: str, lines: list[str], message: str) -> None:
    write(nist / "protocols" / f"ijbc_{file}.csv", lines)
    with pytest.raises(InputError, match=message) as caught:
        read_nist(nist, "ijbc")
    assert str(nist) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["1N_gallery_G1", "1N_gallery_G2", "1N_probe_mixed", "11_G1_G2_matches"])
def test_missing_nist_files(nist: Path, file: str) -> None:
    (nist / "protocols" / f"ijbc_{file}.csv").unlink()
    with pytest.raises(InputError, match=f"ijbc_{file}.csv: .*no such file"):
        read_nist(nist, "ijbc")


def test_nothing_there_lists_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"meta/ijbc_face_tid_mid\.txt.*protocols/ijbc_1N_probe_mixed\.csv"):
        read_ijb(tmp_path, "ijbc")
    with pytest.raises(InputError, match=r"protocols/ijbc_1N_gallery_G1\.csv"):
        read_nist(tmp_path, "ijbc")
    for reader in (read_ijb, read_nist, read_insightface):
        with pytest.raises(InputError, match=r"ijbb, ijbc\. Got 'IJBC'"):
            reader(tmp_path, "IJBC")


def test_published_counts() -> None:
    assert PUBLISHED["ijbb"].pairs - PUBLISHED["ijbb"].genuine == 8_000_000
    assert PUBLISHED["ijbc"].pairs - PUBLISHED["ijbc"].genuine == 15_638_932


def test_a_million_pairs_take_a_moment(insightface: Path) -> None:
    numbers = np.random.default_rng(0).choice([1, 2, 10, 11, 12, 13], (1_000_000, 2))
    lines = [f"{a} {b} 0" for a, b in numbers.tolist()]
    write(insightface / "meta" / "ijbc_template_pair_label.txt", lines)
    start = time.perf_counter()
    protocol = read_insightface(insightface, "ijbc")
    assert time.perf_counter() - start < 3  # measured 0.2 s
    assert len(protocol.pairs) == 1_000_000
    np.testing.assert_array_equal(protocol.templates.template_ids[protocol.pairs.first], numbers[:, 0])
