"""Mask generators of every protocol. Each mask is a pure function of (seed, stream, index, size); torch is not needed.

Masks are uint8 arrays of shape (H, W) with 1 = hole and 0 = known; in files, 255 = hole. docs/papers/masks.md specifies
every mask. A new kind is one frozen dataclass in `masks.kinds` (see `masks.kind`); a new preset is one entry of
`masks.presets`.
"""

from inpaint_zoo.masks import kinds  # noqa: F401 - registers the kinds
from inpaint_zoo.masks.catalogue import MaskInfo, list_masks, mask_info
from inpaint_zoo.masks.create import create_generator, create_mask
from inpaint_zoo.masks.errors import MaskConfigError, MaskFilesNotFoundError, MaskWarning, UnknownMaskError
from inpaint_zoo.masks.generator import MaskGenerator, parse_size
from inpaint_zoo.masks.lists import MASK_SUITES, EvalMask, MaskFiles, MaskList, mask_list, mask_suite
from inpaint_zoo.masks.read import binary_mask, read_mask

__all__ = [
    "MASK_SUITES",
    "EvalMask",
    "MaskConfigError",
    "MaskFiles",
    "MaskFilesNotFoundError",
    "MaskGenerator",
    "MaskInfo",
    "MaskList",
    "MaskWarning",
    "UnknownMaskError",
    "binary_mask",
    "create_generator",
    "create_mask",
    "list_masks",
    "mask_info",
    "mask_list",
    "mask_suite",
    "parse_size",
    "read_mask",
]
