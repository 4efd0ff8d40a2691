"""What goes wrong with weight files."""

from __future__ import annotations

from inpaint_zoo.errors import ZooError

__all__ = ["WeightsError"]


class WeightsError(ZooError):
    """A weight file that cannot be used: missing, damaged, unsafe, or made for another model."""
