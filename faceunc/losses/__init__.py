"""Training losses, as pure functions of tensors."""

from faceunc.losses.class_centre import class_centre_loss
from faceunc.losses.classification import heteroscedastic_classification_loss, mean_of_losses_classification_loss
from faceunc.losses.focal import sigmoid_focal_loss, softmax_focal_loss
from faceunc.losses.gaussian import beta_nll_loss, gaussian_loss, smooth_l1_gaussian_loss
from faceunc.losses.kl import kl_to_standard_normal
from faceunc.losses.margin import (
    MARGINS,
    MarginHead,
    arcface_logits,
    cosface_logits,
    margin_logits,
    softmax_logits,
)
from faceunc.losses.mutual_likelihood import genuine_pairs, mutual_likelihood_loss
from faceunc.losses.probface import probface_pair_loss, uncertainty_triplet_loss, variance_regulariser
from faceunc.losses.reduction import REDUCTIONS
from faceunc.losses.vmf import vmf_loss

__all__ = [
    "MARGINS",
    "REDUCTIONS",
    "MarginHead",
    "arcface_logits",
    "beta_nll_loss",
    "class_centre_loss",
    "cosface_logits",
    "gaussian_loss",
    "genuine_pairs",
    "heteroscedastic_classification_loss",
    "kl_to_standard_normal",
    "margin_logits",
    "mean_of_losses_classification_loss",
    "mutual_likelihood_loss",
    "probface_pair_loss",
    "sigmoid_focal_loss",
    "smooth_l1_gaussian_loss",
    "softmax_focal_loss",
    "softmax_logits",
    "uncertainty_triplet_loss",
    "variance_regulariser",
    "vmf_loss",
]
