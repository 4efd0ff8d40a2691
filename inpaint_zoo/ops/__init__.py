"""Stateless functions on tensors."""

from inpaint_zoo.ops.composite import composite
from inpaint_zoo.ops.describe import describe
from inpaint_zoo.ops.diff_augment import AugmentStep, check_augment_steps, diff_augment
from inpaint_zoo.ops.discount import discount_from_mask, spatial_discount
from inpaint_zoo.ops.mask_resize import area_coverage, field_coverage
from inpaint_zoo.ops.mosaic import hole_ns, mosaic
from inpaint_zoo.ops.padding import crop_to, pad_to_multiple
from inpaint_zoo.ops.precision import without_autocast
from inpaint_zoo.ops.ranges import change_range, from_range, to_range, to_uint8
from inpaint_zoo.ops.ranks import copy_from_first, max_over_ranks, mean_over_ranks, own_samples, rank_and_count
from inpaint_zoo.ops.spread import spread_known

__all__ = [
    "AugmentStep",
    "area_coverage",
    "change_range",
    "check_augment_steps",
    "composite",
    "copy_from_first",
    "crop_to",
    "describe",
    "diff_augment",
    "discount_from_mask",
    "field_coverage",
    "from_range",
    "hole_ns",
    "max_over_ranks",
    "mean_over_ranks",
    "mosaic",
    "own_samples",
    "pad_to_multiple",
    "rank_and_count",
    "spatial_discount",
    "spread_known",
    "to_range",
    "to_uint8",
    "without_autocast",
]
