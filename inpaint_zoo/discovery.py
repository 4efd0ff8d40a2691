"""Packages that register things by name when they are imported.

The registry does not import these packages by name. The root package, which is imported before any other
module, names them here; they are imported when a name is looked up for the first time.
"""

from __future__ import annotations

import functools
import importlib

__all__ = ["PROVIDERS", "discover"]

PROVIDERS: list[str] = []
"""Full names of the packages."""


@functools.cache
def discover() -> None:
    """Import the packages, once."""
    for name in PROVIDERS:
        importlib.import_module(name)
