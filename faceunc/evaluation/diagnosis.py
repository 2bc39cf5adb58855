"""Faces of LFW measured as they are and degraded: for the reference of the diagnosis, and for its test on others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceunc.images.align import align_face
from faceunc.images.degrade import Degradation, degrade, image_seed
from faceunc.images.detect import FaceDetector
from faceunc.images.diagnose_fit import Faces, Sample
from faceunc.images.landmarks import Landmarks, find_landmarks
from faceunc.images.measures import STANDARD_SIDE, STANDARD_TEMPLATE, Measures, measure_chip, measure_face
from faceunc.images.photos import PhotoSet, identity_folder
from faceunc.images.read import read_image
from faceunc.progress import bar
from faceunc.storage import cache_dir

CAUSE_KINDS = ("blur", "motion", "downsample", "noise", "jpeg", "brightness", "contrast", "occlusion")
SMALLEST, LARGEST = 12.0, 110.0  # face sizes of reduced photographs, pixels
MISPLACED = 0.15  # landmarks off by this much of the distance of the eyes
_SEARCHED = 600  # photographs that are turned and searched again
_CUT = 0.5  # share of the face that the edge of the photograph takes at severity 1

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Face:
    """One photograph with its name, landmarks (5, 2) and face size in pixels."""

    name: str
    photo: Pixels
    points: NDArray[np.float32]
    size: float

    @property
    def chip(self) -> Pixels:
        """The standard chip."""
        return align_face(self.photo, self.points, STANDARD_TEMPLATE, STANDARD_SIDE)

    def cropped(self) -> Face:
        """The same face, of a photograph that shows it and little more."""
        reach = 1.5 * float(np.ptp(self.points, axis=0).max())
        left, top = np.maximum(self.points.mean(axis=0) - reach, 0).astype(int)
        right, bottom = (self.points.mean(axis=0) + reach).astype(int) + 1
        photo = np.ascontiguousarray(self.photo[top:bottom, left:right])
        return replace(self, photo=photo, points=self.points - np.array([left, top], np.float32))

    def measured(self) -> Measures:
        """Measurements of the photograph as it is."""
        return measure_face(self.photo, self.points, self.size)

    def reduced(self, size: float) -> Measures:
        """Measurements of the photograph reduced until the face has this size."""
        height, width = self.photo.shape[:2]
        new = (max(1, round(width * size / self.size)), max(1, round(height * size / self.size)))
        ratio = np.array(new) / (width, height)
        small = np.asarray(cv2.resize(self.photo, new, interpolation=cv2.INTER_AREA), np.uint8)
        return measure_face(small, (self.points + 0.5) * ratio - 0.5, size)


def lfw_faces(data: Path, part: int, count: int) -> list[Face]:
    """``count`` random photographs with a face, of the people of one half of a folder: 0 = reference, 1 = held out."""
    photos = identity_folder(data)
    landmarks: Landmarks = find_landmarks(photos, FaceDetector("central"), cache_dir())
    half = np.array([image_seed(0, person) % 2 == part for person in photos.identities])
    rows = np.random.default_rng(part).permutation(np.flatnonzero(half & (landmarks.state == 0)))[:count]
    return [_face(photos, landmarks, int(row)) for row in rows]


def reference_faces(data: Path, count: int) -> Faces:
    """Measured faces of the people of the reference half: see :class:`Faces`."""
    faces = lfw_faces(data, 0, count)
    samples: list[Sample] = []
    sizes, blurs = np.random.default_rng(1).uniform(SMALLEST, LARGEST, len(faces)), []
    progress = bar("measure", len(faces))
    for face, size in zip(faces, sizes, strict=True):
        samples += [Sample("none", 0.0, face.measured()), *degraded_samples(face)]
        blurs.append(face.reduced(size).blur)
        progress.update(1)
    samples += cut_samples(faces)
    return Faces(samples, (sizes, np.array(blurs)), turned_faces(faces[:_SEARCHED]))


def degraded_samples(face: Face, severity: float | None = None) -> Iterator[Sample]:
    """The face under every degradation, its severity drawn per image where none is given.

    By turns the aligned chip is degraded, and the part of the photograph that shows the face.
    """
    rng = np.random.default_rng([image_seed(2, face.name)])
    chip, crop = face.chip, face.cropped()
    for kind in CAUSE_KINDS:
        amount = float(rng.uniform()) if severity is None else severity
        how = Degradation(kind, amount, image_seed(3, face.name + kind))
        whole = rng.uniform() < 0.5
        before = crop.photo if whole else chip
        worse = degrade(before, how)
        cause = ("darker" if worse.mean() < before.mean() else "brighter") if kind == "brightness" else kind
        yield Sample(cause, amount, replace(crop, photo=worse).measured() if whole else measure_chip(worse))


def _face(photos: PhotoSet, landmarks: Landmarks, row: int) -> Face:
    photo = read_image(photos.root / photos.ids[row])
    return Face(photos.ids[row], photo, landmarks.points[row], float(landmarks.face_size[row]))


def cut_samples(faces: list[Face], severity: float | None = None) -> list[Sample]:
    """Photographs whose edge runs through the face, from a random side, searched anew; those in which the detector
    finds none are left out."""
    rng, detector = np.random.default_rng(5), FaceDetector("largest")
    samples = []
    progress = bar("cut", len(faces))
    for face in faces:
        amount, side = float(rng.uniform()) if severity is None else severity, int(rng.integers(4))
        turned = np.ascontiguousarray(np.rot90(_cut(np.rot90(face.photo, side), face, side, amount), -side))
        found = detector([turned])[0]
        if found is not None:
            samples.append(Sample("cut", amount, measure_face(turned, found.landmarks, found.size)))
        progress.update(1)
    return samples


def _cut(photo: Pixels, face: Face, side: int, amount: float) -> Pixels:
    """``photo``, turned by ``side`` quarters counter-clockwise, without the left part of the face."""
    height, width = face.photo.shape[:2]
    middle = np.asarray(face.points.mean(axis=0), np.float64) - [(width - 1) / 2, (height - 1) / 2]
    for _ in range(side):
        middle = np.array([middle[1], -middle[0]])
    centre = middle[0] + (photo.shape[1] - 1) / 2
    reach = 1.1 * float(np.ptp(face.points, axis=0).max())  # half of the face's width, about
    return photo[:, max(0, round(centre - reach + 2 * reach * _CUT * amount)) :]


def turned_faces(faces: list[Face]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Every photograph turned by a random angle, and whether the detector missed or misplaced the face then."""
    angles = np.random.default_rng(4).uniform(0.0, 90.0, len(faces))
    detector = FaceDetector("central")
    failed = []
    progress = bar("turn", len(faces))
    for face, angle in zip(faces, angles, strict=True):
        height, width = face.photo.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -float(angle), 1.0)
        photo = cv2.warpAffine(face.photo, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        found = detector([np.asarray(photo, np.uint8)])[0]
        truth = face.points @ matrix[:, :2].T + matrix[:, 2]
        eyes = float(np.linalg.norm(truth[1] - truth[0]))
        failed.append(
            found is None or float(np.sqrt(((found.landmarks - truth) ** 2).sum(1).mean())) > MISPLACED * eyes
        )
        progress.update(1)
    return angles, np.array(failed)
