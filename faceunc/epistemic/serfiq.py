"""SER-FIQ: an image is good when dropout in the last layer hardly moves its embedding.

Source: Terhörst et al., CVPR 2020, the variant without training ("on the embedding network, last layer only").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from faceunc.epistemic.dropout import dropout_masks, rows_a_block, stochastic_last


@torch.no_grad()
def serfiq_score(
    reduced: Tensor, last: Callable[[Tensor], Tensor], passes: int = 100, rate: float = 0.5, seed: int = 0
) -> Tensor:
    """Quality (N,) in (0, 1]: ``2 sigmoid(-d)``, d the mean Euclidean distance of the T (T - 1) / 2 pairs of stochastic
    embeddings, L2-normalised; higher = better.

    The paper divides the sum over pairs by T^2 / 2, not by their number: a factor (T - 1) / T on d. All images share
    the T masks of ``seed``, so a score does not depend on the other images, and differences between images are not
    blurred by different draws.

    Args:
        reduced: (N, P), inputs of the last layer, such as ``tail.reduce(feature_map)``.
        last: that layer, (N, P) -> (N, D), such as ``tail.last``; of a weight and a bias,
            ``functools.partial(torch.nn.functional.linear, weight=weight, bias=bias)``.
        passes: T, at least 2. rate: share of the inputs that is dropped, in [0, 1).

    Raises:
        ValueError: fewer than two passes, a rate outside [0, 1), inputs that are no matrix, or a layer in training mode
            (its BatchNorm would mix the images).
    """
    if reduced.ndim != 2:
        raise ValueError(f"reduced must be (N, P). Got {tuple(reduced.shape)} instead.")
    if passes < 2:
        raise ValueError(f"passes must be at least 2. Got {passes} instead.")
    if isinstance(last, nn.Module) and last.training:
        raise ValueError("last must be in eval mode. Got a layer in training mode instead.")
    masks = dropout_masks(passes, reduced.shape[1], rate, seed).to(reduced.dtype)
    rows = rows_a_block(passes, max(reduced.shape[1], passes))
    return torch.cat([_quality(stochastic_last(block, last, masks)) for block in torch.split(reduced, rows)])


def _quality(members: Tensor) -> Tensor:
    """(T, n, D) -> (n,)."""
    by_image = members.transpose(0, 1).contiguous()
    # differences, not products: 2 - 2 cos has no digits left for embeddings that nearly agree
    distance = torch.cdist(by_image, by_image, compute_mode="donot_use_mm_for_euclid_dist")
    count = len(members)
    return 2.0 * torch.sigmoid(-distance.sum((1, 2)) / (count * (count - 1)))
