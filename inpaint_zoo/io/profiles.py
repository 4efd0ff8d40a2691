"""Colour profiles: which of them describes the pixels that are written, and the one of sRGB.

A profile says in its header which colour space it is for. One of CMYK, Lab or grey beside RGB pixels makes viewers show
wrong colours or refuse the file. Source: ICC.1:2022, section 7.2.
"""

from __future__ import annotations

import struct
from functools import cache

__all__ = ["profile_of_space", "srgb_profile"]

_HEADER = 128
_DEVICE_CLASSES = {b"scnr", b"mntr", b"prtr", b"spac"}  # not device links, abstract profiles and named colours


def profile_of_space(profile: bytes | None, grey: bool) -> bytes | None:
    """Return ``profile`` if it can describe grey or else RGB pixels, None if it declares something else.

    Example:
        >>> profile_of_space(srgb_profile(), grey=False) == srgb_profile(), profile_of_space(srgb_profile(), grey=True)
        (True, None)
    """
    if not profile:
        return None
    if len(profile) < _HEADER or profile[36:40] != b"acsp":  # declares nothing
        return None if grey else profile
    fits = profile[16:20] == (b"GRAY" if grey else b"RGB ") and profile[12:16] in _DEVICE_CLASSES
    return profile if fits else None


@cache
def srgb_profile() -> bytes:
    """The profile of sRGB, the same bytes at any time."""
    from PIL import ImageCms

    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + data[36:]  # instead of the time at which it was made
