"""Limits that protect the machine of the page from its visitors."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Limits"]


class Limits(NamedTuple):
    """Limits of the page.

    Attributes:
        upload_mb: Largest request body in units of 10^6 bytes, and so the largest uploaded file.
        pixels: Largest number of pixels of an image or a mask. A larger file is refused before it is decoded.
        queue: Largest number of waiting jobs of all visitors.
        seconds: Longest time for one model on one image. The process that computes is then stopped.
    """

    upload_mb: int = 20
    pixels: int = 4_000_000
    queue: int = 16
    seconds: int = 120
