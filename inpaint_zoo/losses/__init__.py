"""Losses that more than one model family uses: one loss per file, as functions and modules. Configs set the weights."""

from inpaint_zoo.losses.adversarial import AdversarialLoss, GANName, MaskMode, mask_to_logits
from inpaint_zoo.losses.feature_matching import Distance, FeatureMatching, feature_distance
from inpaint_zoo.losses.focal_frequency import FocalFrequencyLoss, FrequencyReduction, focal_frequency
from inpaint_zoo.losses.gradient_penalty import (
    critic_gradient_norms,
    distance_from_one,
    r1_penalty,
    wgan_gradient_penalty,
)
from inpaint_zoo.losses.lpips import LPIPS_TAPS, LPIPSLoss, lpips_distance
from inpaint_zoo.losses.masked_l1 import L1Divisor, MaskedL1, masked_l1, weighted_l1
from inpaint_zoo.losses.missing import MissingWeightsWarning, OnMissing, unless_missing
from inpaint_zoo.losses.perceptual import PERCEPTUAL_TAPS, POOL_TAPS, STYLE_TAPS, PerceptualLoss
from inpaint_zoo.losses.soft_patch import SoftPatchLoss, soft_label
from inpaint_zoo.losses.style import StyleLoss, gram_matrix
from inpaint_zoo.losses.total_variation import TotalVariation, TVReduction, total_variation
from inpaint_zoo.ops.discount import spatial_discount

__all__ = [
    "LPIPS_TAPS",
    "PERCEPTUAL_TAPS",
    "POOL_TAPS",
    "STYLE_TAPS",
    "AdversarialLoss",
    "Distance",
    "FeatureMatching",
    "FocalFrequencyLoss",
    "FrequencyReduction",
    "GANName",
    "L1Divisor",
    "LPIPSLoss",
    "MaskMode",
    "MaskedL1",
    "MissingWeightsWarning",
    "OnMissing",
    "PerceptualLoss",
    "SoftPatchLoss",
    "StyleLoss",
    "TVReduction",
    "TotalVariation",
    "critic_gradient_norms",
    "distance_from_one",
    "feature_distance",
    "focal_frequency",
    "gram_matrix",
    "lpips_distance",
    "mask_to_logits",
    "masked_l1",
    "r1_penalty",
    "soft_label",
    "spatial_discount",
    "total_variation",
    "unless_missing",
    "weighted_l1",
    "wgan_gradient_penalty",
]
