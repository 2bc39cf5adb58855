"""SCF's loss: how likely the class centre is under the von Mises-Fisher distribution of a photograph."""

from __future__ import annotations

from torch import Tensor

from faceunc.scoring.vmf import log_vmf_normaliser


def vmf_loss(cosine: Tensor, log_kappa: Tensor, dim: int) -> Tensor:
    """``-k cos - (D/2-1) log k + log I_(D/2-1)(k) + (D/2) log 2 pi`` of every row, in nats: (B,); may be NEGATIVE.

    The negative log-density of the class centre on the unit sphere (radius 1) of D dimensions. Its least value over k
    is at about ``cos (D - cos^2) / (1 - cos^2)`` for a positive cosine. Computed in float64 with nothing added inside
    a logarithm: 1e-6 there, as in the released code, makes the normaliser constant below k = 3,000 at D = 512.

    Args:
        cosine: (B,), between the embedding and the centre of its class, both L2-normalised.
        log_kappa: (B,), natural log of the concentration k; higher = more certain. In [-80, 80].
        dim: D >= 2.

    Raises:
        ValueError: shapes that differ, dim below 2.

    Source: Li et al., CVPR 2021 (SCF), eq. 8.
    """
    if cosine.shape != log_kappa.shape:
        shapes = f"{tuple(cosine.shape)} and {tuple(log_kappa.shape)}"
        raise ValueError(f"cosine and log_kappa must both be (B,). Got {shapes} instead.")
    wide = log_kappa.double()
    loss = wide.exp() * (1.0 - cosine.double()) - log_vmf_normaliser(wide, dim)
    return loss.to(cosine.dtype)
