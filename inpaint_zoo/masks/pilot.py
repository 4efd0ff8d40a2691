"""Trial masks that show whether the range in `accept` is reachable.

Source: docs/papers/masks.md, "Transforms and acceptance".
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from inpaint_zoo.masks.accept import Limits
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning
from inpaint_zoo.masks.kind import Size
from inpaint_zoo.masks.mixture import Mixture
from inpaint_zoo.random import Draws

__all__ = ["warn_if_rare"]

_MASKS, _BATCH = 256, 32
_RARE = 0.01


def warn_if_rare(mixture: Mixture, name: str, seed: int, size: Size) -> None:
    """Make 256 trial masks in the stream `pilot` and warn if less than 1 % of them would be accepted.

    Warns:
        MaskWarning: The message gives the range of the observed hole ratios.
    """
    accept = mixture.accept
    if accept is None:
        return
    free = dataclasses.replace(mixture, accept=None, limits=Limits(min_hole=0))
    shape = mixture.out_size(size)
    area = shape[0] * shape[1]
    holes: list[int] = []
    try:
        for first in range(0, _MASKS, _BATCH):
            batch = np.zeros((_BATCH, *shape), dtype=np.uint8)
            numbers = np.arange(first, first + _BATCH, dtype=np.uint64)
            free.draw(Draws(seed, "pilot", numbers), list(batch), size, None)
            holes += np.count_nonzero(batch, axis=(1, 2)).tolist()
    except MaskConfigError:
        return  # a component that fails by itself raises this error again when the masks are made
    kept = sum(mixture.limits.keeps(hole, area) and accept.keeps(hole / area) for hole in holes)
    if kept < _RARE * _MASKS:
        warnings.warn(
            f"{name}: of {_MASKS} trial masks at size {size[0]} x {size[1]}, {kept} have a hole ratio in {accept}, all "
            f"lie from {min(holes) / area:.4g} to {max(holes) / area:.4g}. Making masks will be slow or fail.",
            MaskWarning,
            stacklevel=4,
        )
