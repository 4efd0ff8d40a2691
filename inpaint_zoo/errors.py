"""Errors whose text is written for the person at the keyboard.

A `ZooError` says what was wrong, where, and what to do. The command line prints it as one line and exits with 2; in
Python it is a `ValueError`. Anything else that escapes a command is a fault of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["UnknownNameError", "ZooError", "unknown_name"]


class ZooError(ValueError):
    """Wrong input: the message names the argument or file, what it got and what it wants."""


class UnknownNameError(ZooError):
    """A name that no registry holds; the message suggests the nearest ones."""


def unknown_name(kind: str, name: object, choices: Iterable[str], hint: str = "") -> UnknownNameError:
    """Build the error for ``name``, which is not among ``choices``.

    Args:
        kind: What the name should have named, in the singular: "model", "mask", "metric", "key".
        name: What was given.
        choices: The names that exist.
        hint: A sentence that ends the message; by default up to eight of the names.

    Example:
        >>> print(unknown_name("model", "lamma", ["lama", "lgnet"]))
        Unknown model 'lamma'. Did you mean 'lama'? Known: lama, lgnet.
    """
    choices = list(choices)
    lowered = {choice.lower(): choice for choice in choices}
    close = [lowered[match] for match in difflib.get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.6)]
    message = f"Unknown {kind} {name!r}."
    if close:
        message += f" Did you mean {' or '.join(repr(match) for match in close)}?"
    if not hint and choices:
        hint = f"Known: {', '.join(choices[:8])}{', ...' if len(choices) > 8 else ''}."
    return UnknownNameError(f"{message} {hint}".strip())
