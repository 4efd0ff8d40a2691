"""What can be wrong with a mask configuration, said so that the reader can put it right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from inpaint_zoo.errors import UnknownNameError, ZooError, unknown_name

__all__ = ["MaskConfigError", "MaskWarning", "UnknownMaskError", "inside", "unknown"]


class MaskConfigError(ZooError):
    """A mask that cannot be made as asked: a wrong key or value, a size that does not fit, or no acceptable draw.

    Attributes:
        keys: Where in the configuration: keys and list positions from the top down.
    """

    keys: tuple[str | int, ...] = ()


class UnknownMaskError(MaskConfigError, UnknownNameError):
    """A mask, kind, key or choice that does not exist; the message suggests the nearest and lists what does."""


class MaskWarning(UserWarning):
    """A mask that works but is probably not what was meant: empty, very large, or grey."""


def unknown(what: str, name: object, choices: Iterable[str], hint: str = "") -> UnknownMaskError:
    """Build the error for ``name``, which is none of ``choices``; by default the message lists them all."""
    choices = list(choices)
    return UnknownMaskError(str(unknown_name(what, name, choices, hint or f"Allowed: {', '.join(choices) or 'none'}.")))


@contextmanager
def inside(*keys: str | int) -> Iterator[None]:
    """Note in errors of the block that they are about this part of the configuration.

    Example:
        >>> try:
        ...     with inside("components", 0), inside("weight"):
        ...         raise MaskConfigError("too light")
        ... except MaskConfigError as error:
        ...     print(error.keys)
        ('components', 0, 'weight')
    """
    try:
        yield
    except MaskConfigError as error:
        error.keys = (*keys, *error.keys)
        raise
