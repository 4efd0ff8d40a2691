"""Errors about configurations, which know the part of the configuration that they concern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from inpaint_zoo.errors import UnknownNameError, ZooError, unknown_name

__all__ = ["ConfigError", "UnknownKeyError", "inside", "unknown"]


class ConfigError(ZooError):
    """A configuration has a wrong key or value.

    Attributes:
        keys: Position in the configuration: mapping keys and list positions from the top level down.
    """

    keys: tuple[str | int, ...] = ()


class UnknownKeyError(ConfigError, UnknownNameError):
    """A key or choice does not exist; the message suggests similar names and lists the valid ones."""


def unknown(what: str, name: object, choices: Iterable[str], hint: str = "") -> UnknownKeyError:
    """Return the error for a ``name`` that is not in ``choices``; by default the message lists all choices."""
    choices = list(choices)
    return UnknownKeyError(str(unknown_name(what, name, choices, hint or f"Allowed: {', '.join(choices) or 'none'}.")))


@contextmanager
def inside(*keys: str | int) -> Iterator[None]:
    """Add ``keys`` to errors raised in the block, so that they tell which part of the configuration they concern.

    Example:
        >>> try:
        ...     with inside("components", 0), inside("weight"):
        ...         raise ConfigError("the weight is too small")
        ... except ConfigError as error:
        ...     print(error.keys)
        ('components', 0, 'weight')
    """
    try:
        yield
    except ConfigError as error:
        error.keys = (*keys, *error.keys)
        raise
