"""Statistics for comparing masks: hole ratios, where the holes are, and the amount of edges.

Source: docs/papers/masks.md, "Statistics".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from inpaint_zoo.masks.kind import Mask
from inpaint_zoo.random import Floats

__all__ = ["Measures", "crc32", "measure", "summarise"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Measures:
    """Statistics of N masks; each attribute is an array (N,).

    Attributes:
        ratio: Share of hole pixels in [0, 1].
        centre: Share of hole pixels inside the centered rectangle of half the height and half the width.
        border: Share of hole pixels outside that rectangle.
        edge: Number of differing pairs of adjacent pixels (horizontal and vertical) per pixel; thin shapes have more.
    """

    ratio: Floats
    centre: Floats
    border: Floats
    edge: Floats


def measure(batches: Iterable[Mask]) -> Measures:
    """Measure batches of masks (B, H, W); the size may differ between batches."""
    columns = [_measure(batch) for batch in batches]
    return Measures(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def _measure(masks: Mask) -> tuple[Floats, ...]:
    H, W = masks.shape[1:]
    total = np.count_nonzero(masks, axis=(1, 2))
    inner = masks[:, H // 4 : 3 * H // 4, W // 4 : 3 * W // 4]
    inside = np.count_nonzero(inner, axis=(1, 2))
    area = inner.shape[1] * inner.shape[2]
    flips = np.count_nonzero(masks[:, 1:] != masks[:, :-1], axis=(1, 2))
    flips += np.count_nonzero(masks[:, :, 1:] != masks[:, :, :-1], axis=(1, 2))
    pixels = H * W
    return total / pixels, inside / max(area, 1), (total - inside) / max(pixels - area, 1), flips / pixels


def summarise(measures: Measures) -> dict[str, float]:
    """Return a table row: mean, std (n - 1), min, quantiles, max, c, b, edge, and shares of empty and full masks."""
    ratio = measures.ratio
    quantiles = zip(_QUANTILES, np.quantile(ratio, _QUANTILES).tolist(), strict=True)
    return {
        "mean": float(ratio.mean()),
        "std": float(ratio.std(ddof=1)) if len(ratio) > 1 else 0.0,
        "min": float(ratio.min()),
        **{f"{100 * q:g}%": value for q, value in quantiles},
        "max": float(ratio.max()),
        "c": float(measures.centre.mean()),
        "b": float(measures.border.mean()),
        "edge": float(measures.edge.mean()),
        "empty": float((ratio == 0).mean()),
        "all hole": float((ratio == 1).mean()),
    }


def crc32(mask: Mask) -> int:
    """Return a checksum: the CRC-32 of the mask's bits, packed in C order.

    Example:
        >>> crc32(np.eye(8, dtype=np.uint8))
        2463264601
    """
    return zlib.crc32(np.packbits(mask.reshape(-1).astype(bool)).tobytes())
