"""Errors and warnings about mask configurations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from inpaint_zoo.errors import UnknownNameError, ZooError, unknown_name

__all__ = ["MaskConfigError", "MaskWarning", "UnknownMaskError", "inside", "unknown"]


class MaskConfigError(ZooError):
    """A mask cannot be made: a wrong key or value, a size that does not fit, or no accepted attempt.

    Attributes:
        keys: Position in the configuration: mapping keys and list positions from the top level down.
    """

    keys: tuple[str | int, ...] = ()


class UnknownMaskError(MaskConfigError, UnknownNameError):
    """A mask, kind, key or choice does not exist; the message suggests similar names and lists the valid ones."""


class MaskWarning(UserWarning):
    """A mask that works but is probably a mistake: empty, very large, or gray."""


def unknown(what: str, name: object, choices: Iterable[str], hint: str = "") -> UnknownMaskError:
    """Return the error for a ``name`` that is not in ``choices``; by default the message lists all choices."""
    choices = list(choices)
    return UnknownMaskError(str(unknown_name(what, name, choices, hint or f"Allowed: {', '.join(choices) or 'none'}.")))


@contextmanager
def inside(*keys: str | int) -> Iterator[None]:
    """Add ``keys`` to errors raised in the block, so that they tell which part of the configuration they concern.

    Example:
        >>> try:
        ...     with inside("components", 0), inside("weight"):
        ...         raise MaskConfigError("the weight is too small")
        ... except MaskConfigError as error:
        ...     print(error.keys)
        ('components', 0, 'weight')
    """
    try:
        yield
    except MaskConfigError as error:
        error.keys = (*keys, *error.keys)
        raise
