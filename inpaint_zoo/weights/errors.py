"""Errors about weight files."""

from __future__ import annotations

from inpaint_zoo.errors import ZooError

__all__ = ["OtherModelError", "WeightsError"]


class WeightsError(ZooError):
    """A weight file cannot be used: it is missing, damaged, unsafe, or made for another model."""


class OtherModelError(WeightsError):
    """A weight file states that its weights belong to another model."""
