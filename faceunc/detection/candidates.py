"""The candidates that MTCNN's last stage gets: what its first two stages leave of one image, before the last NMS."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.detection.branch import VarianceBranch
from faceunc.detection.features import LastStage, to_pixels
from faceunc.detection.voting import Candidates
from faceunc.images.face_score import FOUND

_NO_FACES = Candidates(torch.empty(0, 14).double(), torch.empty(0, 14).double(), torch.empty(0).double())


class CandidateFinder:
    """MTCNN's proposal and refinement stages, and its last stage with a variance branch on what they leave.

    Args:
        min_face_size: smallest face side that is looked for, in pixels.
    """

    def __init__(self, stage: LastStage, min_face_size: int = 40) -> None:
        from facenet_pytorch import MTCNN

        self._mtcnn, self.stage = MTCNN(min_face_size=min_face_size, device="cpu").eval(), stage

    @torch.no_grad()
    def squares(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Upper left corners (N, 2) and sides (N,) of the squares that would go to the last stage, in whole pixels.

        facenet-pytorch does not hand them out. A stand-in for the last stage answers so that the whole detector returns
        them: it turns every box inside out, so that none overlaps another in the last NMS, and puts two of the "points"
        on the corners of the square itself.
        """
        from facenet_pytorch.models.utils.detect_face import detect_face

        nets = (self._mtcnn.pnet, self._mtcnn.rnet, _tell_squares)
        smallest, factor = self._mtcnn.min_face_size, self._mtcnn.factor
        found = detect_face(image, smallest, *nets, self._mtcnn.thresholds, factor, torch.device("cpu"))[1][0]
        points = np.asarray(found, np.float64).reshape(-1, 5, 2)
        corner = np.round(points[:, 0])
        return corner, np.maximum(np.round(points[:, 1, 0]) - corner[:, 0], 1.0)

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8], branch: VarianceBranch) -> Candidates:
        """Candidates of an RGB uint8 image (H, W, 3) that MTCNN would report, before its last NMS; often none."""
        corner, side = self.squares(image)
        return judged(self.stage, branch, image, corner, side) if len(side) else _NO_FACES


@torch.no_grad()
def judged(
    stage: LastStage,
    branch: VarianceBranch,
    image: NDArray[np.uint8],
    corner: NDArray[np.float64],
    side: NDArray[np.float64],
) -> Candidates:
    """What the last stage makes of squares of one image (corners (N, 2), sides (N,), whole pixels): those above .7."""
    output = stage.look([image] * len(side), corner, side)
    good = output.probability > FOUND
    log_var = branch(output.features).double() + 2.0 * torch.from_numpy(np.log(side))[:, None]
    places = to_pixels(output.places, corner, side)
    return Candidates(places[good], log_var[good], output.probability[good].double())


def _tell_squares(patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In the place of the last stage: no crop is refused, none suppresses another, and each tells its square."""
    inside_out = torch.tensor([10.0, 10.0, 0.0, 0.0]).expand(len(patches), 4)
    points = torch.zeros(len(patches), 10)
    points[:, [1, 6]] = 1.0
    return inside_out, points, torch.ones(len(patches), 2)
