"""Training losses, as pure functions of tensors."""

from faceunc.losses.mutual_likelihood import genuine_pairs, mutual_likelihood_loss

__all__ = ["genuine_pairs", "mutual_likelihood_loss"]
