"""What eval/recipes.md tells people to type works."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "eval" / "recipes.md").read_text("utf-8")
PEOPLE, EACH = 8, 4


@pytest.fixture(scope="module")
def scope(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Everything that the document's blocks define, run on photographs of 8 people: two as they are, two blurred."""
    folder = tmp_path_factory.mktemp("document")
    several = [p for p in sorted(lfw.iterdir()) if p.is_dir() and len(list(p.glob("*.jpg"))) >= EACH][:PEOPLE]
    for person in several:
        (folder / "people" / person.name).mkdir(parents=True)
        for number, photo in enumerate(sorted(person.glob("*.jpg"))[:EACH]):
            image = np.asarray(cv2.imread(str(photo)))
            poor = cv2.GaussianBlur(image, (0, 0), 3.0) if number >= EACH // 2 else image
            cv2.imwrite(str(folder / "people" / person.name / photo.name), poor)
    found: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
            exec(compile(code, "recipes.md", "exec"), found)
    return found


def test_two_photographs_of_one_person_are_kept(scope: dict[str, object]) -> None:
    kept, person = np.asarray(scope["kept"]), np.asarray(scope["person"])
    assert len(set(kept.tolist())) == 2
    assert len(set(person[kept])) == 1
    assert np.asarray(scope["mean"]).shape == (128,)


def test_errors_come_early_in_the_review(scope: dict[str, object]) -> None:
    person, i, j = (np.asarray(scope[name]) for name in ("person", "i", "j"))
    wrong = np.asarray(scope["accepted"]) != (person[i] == person[j])
    order = np.asarray(scope["order"])
    assert sorted(order.tolist()) == list(range(len(i)))
    assert wrong.any()
    places = np.flatnonzero(wrong[order])
    assert places.mean() < 0.25 * len(order)


def test_the_wall_is_strange_and_faces_are_not(scope: dict[str, object]) -> None:
    assert np.asarray(scope["strange"]).tolist() == [True]
    assert np.asarray(scope["strange_by_both"]).tolist() == [True]
    assert np.asarray(scope["strange_faces"]).mean() < 0.2


def test_files_and_commands_that_are_named_exist() -> None:
    assert "python eval/recipes.py" in TEXT
    for name in re.findall(r"`(recipes-\w+)`", TEXT):
        assert name.removeprefix("recipes-") in ("gallery", "review", "strange")
    assert not re.search(r"^[A-Z]+$", TEXT, re.MULTILINE)
