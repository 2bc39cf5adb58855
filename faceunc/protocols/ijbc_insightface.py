"""IJB-B and IJB-C in insightface's layout: ``meta/`` with lists of images, pairs and landmarks, and ``loose_crop/``."""

from __future__ import annotations

import math
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.protocols.csv_table import line_of, pair_positions, read_integers
from faceunc.protocols.ijb_1n import check_name, read_1n, searches_of, subjects_of
from faceunc.protocols.template_set import (
    TemplatePairs,
    TemplateProtocol,
    TemplateSet,
    complete_subjects,
    subjects_from_pairs,
)


def face_file(root: Path, name: str) -> Path:
    """The file that this layout is known by."""
    return root / "meta" / f"{name}_face_tid_mid.txt"


def read_insightface(root: Path, name: str) -> TemplateProtocol:
    """Read ``meta/{name}_face_tid_mid.txt``, ``_name_5pts_score.txt`` and ``_template_pair_label.txt``.

    Images are ``loose_crop/<image>``, with five landmarks and the detector's score. With the three 1N csv files in
    ``meta/`` (all or none) templates have their subjects and there is a search for each gallery; without them
    templates that genuine pairs link count as one subject. So do templates that the csv files do not name: theirs is
    the subject of a template that a genuine pair links them to, else a new one with a number above the others.

    Args:
        root: the folder that holds ``meta`` and ``loose_crop``. name: "ijbb" or "ijbc".

    Raises:
        InputError: a missing file, a line that does not fit, two lists of images that differ, a pair of an unknown
            template, a template of two subjects or in two 1N files, or a label that the subjects contradict.
    """
    check_name(name)
    meta = root / "meta"
    templates = _templates(face_file(root, name), meta / f"{name}_name_5pts_score.txt")
    path = meta / f"{name}_template_pair_label.txt"
    pairs = _labelled_pairs(templates, path)
    tables = read_1n([meta], name, ("TEMPLATE_ID", "SUBJECT_ID"))
    if not tables:
        return TemplateProtocol(replace(templates, subject=subjects_from_pairs(len(templates), pairs)), pairs)
    subject = complete_subjects(subjects_of(templates, tables), pairs)
    if ((subject[pairs.first] == subject[pairs.second]) != pairs.same).any():
        raise InputError(f"{path}: the labels contradict the subjects of the 1N csv files beside it")
    return TemplateProtocol(replace(templates, subject=subject), pairs, searches_of(templates, tables))


def _templates(faces: Path, landmarks: Path) -> TemplateSet:
    """Templates that have no subjects yet."""
    images, numbers = _image_lines(faces, 2)
    again, points = _image_lines(landmarks, 11)
    if images != again:
        together = enumerate(zip(images, again, strict=False))
        row = next((row for row, (a, b) in together if a != b), min(len(images), len(again)))
        line = line_of(landmarks, min(row, len(again) - 1)) + int(row >= len(again))
        raise InputError(f"{landmarks}, line {line}: expected the images of {faces.name} in the same order")
    wrong = ((numbers % 1 != 0) | (np.abs(numbers) >= 2**53)).any(axis=1)  # above, float64 merges integers
    if wrong.any():
        line = line_of(faces, int(wrong.argmax()))
        raise InputError(f"{faces}, line {line}: expected 'image template media', two integers")
    ids, template = np.unique(numbers[:, 0].astype(np.int64), return_inverse=True)
    return TemplateSet(
        images=tuple(f"loose_crop/{image}" for image in images),
        template=template.astype(np.int64),
        media=numbers[:, 1].astype(np.int64),
        template_ids=ids,
        subject=np.full(len(ids), -1, np.int64),
        points=points[:, :10].reshape(-1, 5, 2).astype(np.float32),
        score=points[:, 10].astype(np.float32),
    )


def _image_lines(path: Path, numbers: int) -> tuple[list[str], NDArray[np.float64]]:
    """Lines of an image's name and some numbers: the R names, and the numbers as float64 (R, ``numbers``).

    Blank lines are skipped.
    """
    names, values = [], array("d")
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    image, *texts = line.split()
                    row = [float(text) for text in texts]
                    fits = len(row) == numbers and math.isfinite(sum(row))
                except ValueError:
                    fits = False
                if not fits:
                    got = f"Got {line.strip()[:80]!r} instead."
                    raise InputError(f"{path}, line {number}: expected an image and {numbers} numbers. {got}")
                names.append(image)
                values.extend(row)
    except FileNotFoundError:
        raise InputError(f"{path}: expected a list of images, no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a list of images in UTF-8 ({error})") from None
    if not names:
        raise InputError(f"{path}: expected a list of images, the file is empty")
    return names, np.frombuffer(values, np.float64).reshape(-1, numbers)


def _labelled_pairs(templates: TemplateSet, path: Path) -> TemplatePairs:
    rows = read_integers(path, 3, None)
    label = rows[:, 2]
    wrong = (label != 0) & (label != 1)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{path}, line {line_of(path, row)}: expected a label 0 or 1. Got {label[row]} instead.")
    first, second = pair_positions(templates, rows, path)
    return TemplatePairs(first, second, label == 1)
