"""The peers of ``speed_extraction.py``, each from JPEG files to a stored result."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from faceunc.images.detect import Detection

BATCH = 40
Pipeline = Callable[[Sequence[Path], Path], object]


def plain_pipeline(**options: int) -> Pipeline:
    """facenet-pytorch's two networks, see the top of this file."""
    from facenet_pytorch import MTCNN, InceptionResnetV1

    mtcnn, network = MTCNN(**options), InceptionResnetV1(pretrained=None).eval()

    def crops_of(batch: list[Image.Image]) -> list[torch.Tensor | None]:
        try:
            return list(mtcnn(batch))
        except ValueError:  # its batch mode cannot say that one of several photographs holds no face
            return [mtcnn(photo) for photo in batch]

    def run(paths: Sequence[Path], out: Path) -> None:
        embeddings = []
        for start in range(0, len(paths), BATCH):
            batch = [Image.open(path) for path in paths[start : start + BATCH]]
            crops = [crop for crop in crops_of(batch) if crop is not None]
            with torch.no_grad():
                embeddings.append(network(torch.stack(crops)).numpy())
        np.save(out / "embeddings.npy", np.concatenate(embeddings))

    return run


def face_recognition_pipeline() -> Pipeline | None:
    """None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library = importlib.import_module("face_recognition")
    except (ImportError, SystemExit):  # it quits where its models cannot be imported
        return None

    def run(paths: Sequence[Path], out: Path) -> None:
        encodings: list[Any] = []
        for path in paths:
            photo = library.load_image_file(path)
            encodings += library.face_encodings(photo, library.face_locations(photo))
        np.save(out / "encodings.npy", np.stack(encodings))

    return run


def plain_detector(smallest: int) -> Callable[[Sequence[NDArray[np.uint8]]], list[Detection | None]]:
    """facenet-pytorch's MTCNN, see :func:`plain_detections`."""
    from facenet_pytorch import MTCNN

    mtcnn = MTCNN(keep_all=True, min_face_size=smallest)
    return lambda photos: _largest(mtcnn, photos)


def plain_detections(photos: Sequence[NDArray[np.uint8]], smallest: int) -> list[Detection | None]:
    """The largest face that facenet-pytorch's MTCNN finds in each of some photographs of one size."""
    return plain_detector(smallest)(photos)


def _largest(mtcnn: Any, photos: Sequence[NDArray[np.uint8]]) -> list[Detection | None]:
    found: list[Detection | None] = []
    for start in range(0, len(photos), BATCH):
        faces = mtcnn.detect(np.stack(photos[start : start + BATCH]), landmarks=True)
        for boxes, scores, points in zip(*faces, strict=True):  # the largest comes first
            if boxes is None:
                found.append(None)
                continue
            box, places = np.asarray(boxes[0], np.float32), np.asarray(points[0], np.float32)
            found.append(Detection(places, box, float(scores[0]), len(boxes)))
    return found
