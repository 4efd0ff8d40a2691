"""ICC color profiles: check whether a profile fits the pixels that are written, and create the sRGB profile.

The header of a profile states its color space. If a profile for CMYK, Lab or grayscale is written with RGB pixels,
viewers show wrong colors or refuse the file. Source: ICC.1:2022, section 7.2.
"""

from __future__ import annotations

import struct
from functools import cache

__all__ = ["profile_of_space", "srgb_profile"]

_HEADER = 128
_DEVICE_CLASSES = {b"scnr", b"mntr", b"prtr", b"spac"}  # not device links, abstract profiles and named colors


def profile_of_space(profile: bytes | None, gray: bool) -> bytes | None:
    """Return ``profile`` if it fits the pixels, else None.

    Args:
        profile: Bytes of an ICC profile, or None.
        gray: Whether the pixels are grayscale; otherwise they are RGB.

    Example:
        >>> profile_of_space(srgb_profile(), gray=False) == srgb_profile(), profile_of_space(srgb_profile(), gray=True)
        (True, None)
    """
    if not profile:
        return None
    if len(profile) < _HEADER or profile[36:40] != b"acsp":  # no valid header, so the color space is unknown
        return None if gray else profile
    fits = profile[16:20] == (b"GRAY" if gray else b"RGB ") and profile[12:16] in _DEVICE_CLASSES
    return profile if fits else None


@cache
def srgb_profile() -> bytes:
    """Return the sRGB profile. The bytes are always the same, because the creation time is fixed."""
    from PIL import ImageCms

    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + data[36:]  # replaces the creation time
