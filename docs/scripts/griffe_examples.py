"""Reads a docstring's section `Example:`, as this package names it, as Griffe's section `Examples:` of doctests."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

__all__ = ["ExampleSections"]


class ExampleSections(Extension):
    """Extension of Griffe, which reads the package for the API reference."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rename the section in the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
