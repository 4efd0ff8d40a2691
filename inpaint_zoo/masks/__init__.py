"""Masks of every protocol, each a pure function of (seed, stream, index, size). No torch here.

Polarity everywhere: 1 = hole, 0 = known; uint8 (H, W). In files: 255 = hole. The rules are specs/masks.md's; a new kind
is one frozen dataclass in one file (`masks.kind`), a new preset one entry of `masks.presets`.
"""

from inpaint_zoo.masks import boxes, brush, files, fixed, lama, mixture, nested, ntire, walk  # noqa: F401 - kinds
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning, UnknownMaskError
from inpaint_zoo.masks.generator import (
    MaskGenerator,
    MaskInfo,
    create_generator,
    create_mask,
    list_masks,
    mask_info,
    parse_size,
)
from inpaint_zoo.masks.read import binary_mask, read_mask

__all__ = [
    "MaskConfigError",
    "MaskGenerator",
    "MaskInfo",
    "MaskWarning",
    "UnknownMaskError",
    "binary_mask",
    "create_generator",
    "create_mask",
    "list_masks",
    "mask_info",
    "parse_size",
    "read_mask",
]
