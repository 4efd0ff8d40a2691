"""Errors with messages for users.

The message of a `ZooError` says what is wrong, where, and what to do. The command line prints it as one line and exits
with code 2; in Python it is a `ValueError`. Any other exception from a command is a bug in this package.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["MissingError", "UnknownNameError", "ZooError", "unknown_name"]


class ZooError(ValueError):
    """Error for invalid input: the message names the argument or file, what it got and what was expected."""


class MissingError(ZooError):
    """Error for a dataset, weight file, backbone or mask files that the user has to provide and that are not there.

    A benchmark leaves out the cells that need it, and computes the others.
    """


class UnknownNameError(ZooError):
    """Error for an unknown name; the message suggests similar names."""


def unknown_name(kind: str, name: object, choices: Iterable[str], hint: str = "") -> UnknownNameError:
    """Build the error for ``name``, which is not among ``choices``.

    Args:
        kind: Kind of the named thing, in the singular: "model", "mask", "metric", "key".
        name: The given name.
        choices: The existing names.
        hint: Last sentence of the message; by default it lists up to eight of the names.

    Example:
        >>> print(unknown_name("model", "lamma", ["lama", "lgnet"]))
        Unknown model 'lamma'. Did you mean 'lama'? Known: lama, lgnet.
    """
    choices = list(choices)
    lowered = {choice.lower(): choice for choice in choices}
    close = [lowered[match] for match in difflib.get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.6)]
    message = f"Unknown {kind} {name!r}."
    if str(name).endswith(("/", "\\")):
        message = f"Unknown {kind} {name!r}, and there is no such folder."
    elif close:
        message += f" Did you mean {' or '.join(repr(match) for match in close)}?"
    if not hint and choices:
        hint = f"Known: {', '.join(choices[:8])}{', ...' if len(choices) > 8 else ''}."
    return UnknownNameError(f"{message} {hint}".strip())
