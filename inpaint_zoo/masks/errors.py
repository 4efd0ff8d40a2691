"""Errors and warnings about masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from inpaint_zoo.config import ConfigError
from inpaint_zoo.config import unknown as unknown_key
from inpaint_zoo.errors import MissingError, UnknownNameError

__all__ = [
    "MaskConfigError",
    "MaskFilesNotFoundError",
    "MaskWarning",
    "UnknownMaskError",
    "as_mask_errors",
    "unknown",
]


class MaskConfigError(ConfigError):
    """A mask cannot be made: a wrong key or value, a size that does not fit, or no accepted attempt."""


class MaskFilesNotFoundError(MaskConfigError, MissingError):
    """The folder of a mask's files does not exist."""


class UnknownMaskError(MaskConfigError, UnknownNameError):
    """A mask, kind, key or choice does not exist; the message suggests similar names and lists the valid ones."""


class MaskWarning(UserWarning):
    """A mask that works but is probably a mistake: empty, very large, or gray."""


def unknown(what: str, name: object, choices: Iterable[str], hint: str = "") -> UnknownMaskError:
    """Return the error for a ``name`` that is not in ``choices``; by default the message lists all choices."""
    return UnknownMaskError(str(unknown_key(what, name, choices, hint)))


@contextmanager
def as_mask_errors() -> Iterator[None]:
    """Turn errors about configurations that the block raises into errors about masks."""
    try:
        yield
    except MaskConfigError:
        raise
    except ConfigError as error:
        kind = UnknownMaskError if isinstance(error, UnknownNameError) else MaskConfigError
        found = kind(str(error))
        found.keys = error.keys
        raise found from None
