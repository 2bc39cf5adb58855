"""CFP on small folders of the real layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceunc.errors import InputError
from faceunc.protocols.cfp import read_cfp


def image_list(folder: str, count: int) -> str:
    """Two images a person: 1 and 2 are of 001, 3 and 4 of 002 ..."""
    lines = (f"{n} ../Data/Images/{(n + 1) // 2:03d}/{folder}/{2 - n % 2:02d}.jpg" for n in range(1, count + 1))
    return "\n".join(lines) + " \n"


@pytest.fixture
def cfp(tmp_path: Path) -> Path:
    protocol = tmp_path / "Protocol"
    for kind, same, diff in (("FP", "1,2\n3,4\n", "1,3\n4,1\n"), ("FF", "1,2\n4,3\n", "2,3\n1,4\n")):
        for fold in range(1, 11):
            split = protocol / "Split" / kind / f"{fold:02d}"
            split.mkdir(parents=True)
            (split / "same.txt").write_text(same if fold < 10 else "5,6\n6,5\n")
            (split / "diff.txt").write_text(diff)
    (protocol / "Pair_list_F.txt").write_text(image_list("frontal", 6))
    (protocol / "Pair_list_P.txt").write_text(image_list("profile", 6))
    return tmp_path


def test_frontal_to_profile(cfp: Path) -> None:
    protocol = read_cfp(cfp, "FP")
    assert (len(protocol), protocol.num_folds, int(protocol.same.sum())) == (40, 10, 20)
    assert protocol.same[:4].tolist() == [True, True, False, False]
    assert protocol.fold.tolist() == [fold for fold in range(10) for _ in range(4)]
    assert (protocol.first[0], protocol.second[0]) == (
        "Data/Images/001/frontal/01.jpg",
        "Data/Images/001/profile/02.jpg",
    )
    assert (protocol.first[3], protocol.second[3]) == (
        "Data/Images/002/frontal/02.jpg",
        "Data/Images/001/profile/01.jpg",
    )
    assert (protocol.first_subject[3], protocol.second_subject[3]) == ("002", "001")
    assert protocol.first_subject[36] == "003"
    assert protocol.identities_of_folds({9}) == {"001", "002", "003"}


def test_frontal_to_frontal(cfp: Path) -> None:
    protocol = read_cfp(cfp, "FF")
    assert (protocol.first[1], protocol.second[1]) == (
        "Data/Images/002/frontal/02.jpg",
        "Data/Images/002/frontal/01.jpg",
    )
    assert all("/frontal/" in image for image in protocol.images)
    (cfp / "Protocol" / "Pair_list_P.txt").unlink()  # not needed for FF
    assert len(read_cfp(cfp, "FF")) == 40


SPLIT = "Split/FP/03/same.txt"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (SPLIT, "1,2\n3,7\n", "line 2: expected 'a,b' in 1..6 and 1..6. Got '3,7'"),
        (SPLIT, "1,2\n\n0,1\n", "line 3: expected 'a,b'"),
        (SPLIT, "-1,2\n3,4\n", "line 1: expected 'a,b'"),
        (SPLIT, "1 2\n3,4\n", "line 1: expected 'a,b'"),
        (SPLIT, "1,2,3\n3,4\n", "line 1: expected 'a,b'"),
        (SPLIT, "1,²\n3,4\n", "line 1: expected 'a,b'"),
        (SPLIT, "1,2\n1,3\n", "line 2: expected images of one person"),
        (SPLIT, "1,2\n", "expected 2 pairs as in the other splits, found 1"),
        (SPLIT, "", "expected 2 pairs as in the other splits, found 0"),
        ("Split/FP/01/same.txt", "", "expected 350 pairs"),
        ("Split/FP/10/diff.txt", "1,3\n1,1\n", "line 2: expected images of two people"),
        (
            "Pair_list_F.txt",
            "1 ../Data/Images/001/frontal/01.jpg\n1 ../Data/Images/001/frontal/02.jpg\n",
            "line 2: .*once",
        ),
        ("Pair_list_F.txt", "one ../Data/Images/001/frontal/01.jpg\n", "line 1: expected 'index"),
        ("Pair_list_P.txt", "1\n", "line 1: expected 'index"),
        ("Pair_list_P.txt", "1 ../01.jpg\n", "line 1: expected 'index"),
        ("Pair_list_P.txt", "1 ../../../etc/a/b/c\n", "line 1: expected 'index"),
        ("Pair_list_P.txt", "1 /Data/Images/001/01.jpg\n", "line 1: expected 'index"),
    ],
)
def test_damaged_files_name_file_and_line(cfp: Path, file: str, text: str, message: str) -> None:
    path = cfp / "Protocol" / file
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_cfp(cfp, "FP")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["Pair_list_F.txt", "Pair_list_P.txt", "Split/FP/10/diff.txt"])
def test_missing_and_binary_files(cfp: Path, file: str) -> None:
    path = cfp / "Protocol" / file
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_cfp(cfp, "FP")
    path.unlink()
    with pytest.raises(InputError, match=f"{path.name}: expected .*no such file"):
        read_cfp(cfp, "FP")


def test_kind(cfp: Path) -> None:
    with pytest.raises(InputError, match="FP or FF"):
        read_cfp(cfp, "PP")
