"""Where do MTCNN's five points lie in facenet-pytorch's own crop? ``python scripts/facenet_template.py LFW`` prints it.

facenet-pytorch cuts MTCNN's box and resizes it to 160 x 160, without regard to the landmarks. The median place of the
landmarks in that crop is the template to which ``faceunc`` aligns for InceptionResnetV1.
"""

from __future__ import annotations

import argparse

import numpy as np

from faceunc.images.detect import FaceDetector
from faceunc.images.photos import identity_folder
from faceunc.images.read import read_image

SIDE, PHOTOS = 160, 600


def main() -> None:
    """Detect on every 22nd or so photograph and print the median points."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="folder of identities")
    photos = identity_folder(parser.parse_args().data)
    paths = photos.paths[:: max(1, len(photos) // PHOTOS)]
    found = FaceDetector("central")([read_image(path) for path in paths])
    places = [(d.landmarks - d.box[:2]) / (d.box[2:] - d.box[:2]) * SIDE for d in found if d is not None]
    for x, y in np.median(places, axis=0):
        print(f"({x:.2f}, {y:.2f})")


if __name__ == "__main__":
    main()
