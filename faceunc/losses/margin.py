"""Margin softmax on cosines: logits for cross-entropy, with the margin on the target class alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scale = float | Tensor


def softmax_logits(cosine: Tensor, scale: Scale) -> Tensor:
    """``scale * cosine``: no margin.

    Args:
        cosine: (B, C), between embeddings and class weights, both L2-normalised. scale: positive, a number or one for
            every row, (B,) (ScaleFace learns it from the photograph, Kail et al., 2022).

    Returns:
        (B, C), higher = more likely that class.

    Raises:
        ValueError: scale that is not positive (numbers only) or not (B,).
    """
    if isinstance(scale, Tensor):
        if scale.ndim and scale.shape != cosine.shape[:1]:
            raise ValueError(f"scale must be a number or ({len(cosine)},). Got shape {tuple(scale.shape)} instead.")
        return cosine * scale.reshape(-1, 1)
    if not scale > 0.0:
        raise ValueError(f"scale must be positive. Got {scale} instead.")
    return cosine * scale


def cosface_logits(cosine: Tensor, target: Tensor, margin_cosine: float, scale: Scale) -> Tensor:
    """``scale * (cosine - margin)`` for the target class, ``scale * cosine`` for all others: (B, C).

    Args:
        cosine, scale: as in :func:`softmax_logits`. target: (B,) integers in 0..C-1.
        margin_cosine: in units of the cosine, in [0, 2]; 0.35 to 0.4 are usual.

    Raises:
        ValueError: margin outside [0, 2], shapes that do not fit, scale that is not positive.

    Source: Wang et al., CVPR 2018 (CosFace).
    """
    if not 0.0 <= margin_cosine <= 2.0:
        raise ValueError(f"margin_cosine must be in [0, 2]. Got {margin_cosine} instead.")
    own = _own(cosine, target)
    return softmax_logits(cosine.scatter(1, target[:, None], own - margin_cosine), scale)


def arcface_logits(cosine: Tensor, target: Tensor, margin_radians: float, scale: Scale) -> Tensor:
    """``scale * cos(theta + margin)`` for the target class, ``scale * cosine`` for all others: (B, C).

    Beyond ``theta + margin = pi``, where the cosine would rise again, it goes on as ``cosine + cos(margin) - 1``:
    continuous, ever falling with theta, of slope 1 in the cosine. (Common code goes on as ``cosine - margin
    sin(margin)``, with a jump.) No arc cosine is taken; the sine's square is kept above the type's epsilon, so that
    gradients are finite at cosine = 1 and -1, where the true one is infinite; the value there errs by 3.5e-4
    sin(margin) in float32.

    Args:
        cosine, scale: as in :func:`softmax_logits`. target: (B,) integers in 0..C-1.
        margin_radians: an angle, in [0, pi); 0.5 is usual (28.6 degrees).

    Raises:
        ValueError: margin outside [0, pi), shapes that do not fit, scale that is not positive.

    Source: Deng et al., CVPR 2019 (ArcFace).
    """
    if not 0.0 <= margin_radians < math.pi:
        raise ValueError(f"margin_radians must be in [0, pi). Got {margin_radians} instead.")
    own = _own(cosine, target)
    sine = (1.0 - own.square()).clamp_min(torch.finfo(own.dtype).eps).sqrt()
    turned = own * math.cos(margin_radians) - sine * math.sin(margin_radians)
    beyond = own + (math.cos(margin_radians) - 1.0)
    moved = torch.where(own > -math.cos(margin_radians), turned, beyond)
    return softmax_logits(cosine.scatter(1, target[:, None], moved), scale)


def _own(cosine: Tensor, target: Tensor) -> Tensor:
    """(B, 1): the cosine to the target class."""
    if cosine.ndim != 2 or target.shape != cosine.shape[:1]:
        shapes = f"{tuple(cosine.shape)} and {tuple(target.shape)}"
        raise ValueError(f"cosine and target must be (B, C) and (B,). Got {shapes} instead.")
    return cosine.gather(1, target[:, None])


_LOGITS: dict[str, Callable[[Tensor, Tensor, float, Scale], Tensor]] = {
    "softmax": lambda cosine, target, margin, scale: softmax_logits(cosine, scale),
    "cosface": cosface_logits,
    "arcface": arcface_logits,
}
MARGINS = tuple(_LOGITS)


def margin_logits(cosine: Tensor, target: Tensor, kind: str, margin: float, scale: Scale) -> Tensor:
    """The logits of one of :data:`MARGINS`, by its name: (B, C).

    Args:
        cosine, target, scale: as in :func:`cosface_logits`.
        kind: "softmax" (margin is ignored), "cosface" (margin in units of the cosine), "arcface" (in radians).

    Raises:
        ValueError: unknown kind, and what the function of that name raises.
    """
    _check_kind(kind)
    return _LOGITS[kind](cosine, target, margin, scale)


def _check_kind(kind: str) -> None:
    if kind not in MARGINS:
        raise ValueError(f"kind must be one of {', '.join(MARGINS)}. Got {kind!r} instead.")


class MarginHead(nn.Module):
    """A classifier on the unit sphere: one weight a class, L2-normalised in forward; it delegates to the functions.

    Args:
        dim, classes: D and C. kind: one of :data:`MARGINS`.
        margin: cosface: in units of the cosine; arcface: in radians; softmax: ignored.
        scale: positive; used when forward is given none.

    Attributes:
        weight: (C, D), not normalised; its rows, normalised, are class centres.

    Raises:
        ValueError: unknown kind.
    """

    def __init__(self, dim: int, classes: int, kind: str, margin: float = 0.0, scale: float = 64.0) -> None:
        super().__init__()
        _check_kind(kind)
        self.kind, self.margin, self.scale = kind, margin, scale
        self.weight = nn.Parameter(torch.empty(classes, dim))
        nn.init.normal_(self.weight, std=0.01)  # short: only directions count, and short weights turn faster

    def forward(self, embedding: Tensor, target: Tensor, scale: Scale | None = None) -> Tensor:
        """Logits (B, C) of embeddings (B, D), which need not be normalised; ``scale`` as in :func:`softmax_logits`."""
        cosine = F.linear(F.normalize(embedding, dim=1), F.normalize(self.weight, dim=1))
        return margin_logits(cosine, target, self.kind, self.margin, self.scale if scale is None else scale)

    def extra_repr(self) -> str:
        """What the module's print shows."""
        classes, dim = self.weight.shape
        return f"dim={dim}, classes={classes}, kind={self.kind!r}, margin={self.margin}, scale={self.scale}"
