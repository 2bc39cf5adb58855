"""Scores between embeddings, and fusion of templates. Everything here is a differentiable function of torch tensors
that takes numpy arrays as well (and then returns numpy)."""

from faceunc.scoring.cosine import cosine_score
from faceunc.scoring.fusion import POSTERIORS, effective_number, fuse, fuse_mean
from faceunc.scoring.mls import mutual_likelihood_score

__all__ = ["POSTERIORS", "cosine_score", "effective_number", "fuse", "fuse_mean", "mutual_likelihood_score"]
