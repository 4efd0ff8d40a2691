"""Errors of exports."""

from __future__ import annotations

from inpaint_zoo.errors import ZooError

__all__ = ["ExportError", "SizeError"]


class ExportError(ZooError):
    """A network cannot be exported as asked, or its file does not compute what the network computes."""


class SizeError(ExportError):
    """A network cannot be exported for some of the sizes, or its file fails for one of them."""
