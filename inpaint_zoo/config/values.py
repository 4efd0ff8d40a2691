"""Parsers of single values, and the check that uses them.

A parser returns the value in its final type, or raises ValueError with a text of what it expects, such as "at least 1".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, TypeVar

from inpaint_zoo.config.errors import ConfigError

__all__ = [
    "Parser",
    "boolean",
    "checked",
    "increasing",
    "interval",
    "list_of",
    "listing",
    "mapping",
    "number",
    "one_of",
    "or_null",
    "string",
    "whole",
]

T = TypeVar("T")
Parser = Callable[[Any], T]


def checked(what: str, value: object, parse: Parser[T]) -> T:
    """Return ``parse(value)``.

    Args:
        what: Name of the value in the error message, such as "`seed`".
        value: The value as it was given.
        parse: The parser.

    Raises:
        ConfigError: If the parser does not accept the value.

    Example:
        >>> checked("`batch_size`", 0, whole(1))
        Traceback (most recent call last):
        inpaint_zoo.config.errors.ConfigError: `batch_size` must be at least 1, got 0.
    """
    try:
        return parse(value)
    except ConfigError:
        raise
    except ValueError as error:
        got = "nothing" if value is None or (isinstance(value, str | list | dict) and not value) else repr(value)
        raise ConfigError(f"{what} must be {error}, got {got}.") from None


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""


def _check(value: float, good: bool, kind: str, low: float | None, high: float | None) -> None:
    """Raise ValueError if a value has the wrong type (not ``good``) or is outside of its range."""
    expected = _range(low, high)
    if not good:
        of = "" if low is not None and high is not None else "of "
        raise ValueError(f"{kind} {of}{expected}" if expected else kind)
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(expected)


def whole(low: int | None = None, high: int | None = None) -> Parser[int]:
    """Return a parser of integers in a range, both bounds included; it accepts 3.0 for 3."""

    def parse(value: Any) -> int:  # noqa: ANN401 - any plain value
        good = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
        _check(value, good and not isinstance(value, bool), "an integer", low, high)
        return int(value)

    return parse


def number(low: float | None = None, high: float | None = None) -> Parser[float]:
    """Return a parser of finite numbers in a range, both bounds included."""

    def parse(value: Any) -> float:  # noqa: ANN401
        good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        _check(value, good, "a number", low, high)
        return float(value)

    return parse


def boolean(value: Any) -> bool:  # noqa: ANN401
    """Parse true or false; 1 and 0 mean the same."""
    if value not in (0, 1):
        raise ValueError("true or false")
    return bool(value)


def string(value: Any) -> str:  # noqa: ANN401
    """Parse a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("text")
    return value


def mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """Parse a mapping."""
    if not isinstance(value, Mapping):
        raise ValueError("a mapping")
    return value


def listing(value: Any) -> Sequence[Any]:  # noqa: ANN401
    """Parse a non-empty list."""
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("a list")
    return value


def one_of(choices: Sequence[Any]) -> Parser[Any]:
    """Return a parser of the given values."""

    def parse(value: Any) -> Any:  # noqa: ANN401
        for choice in choices:
            if value == choice and isinstance(value, bool) == isinstance(choice, bool):
                return choice
        raise ValueError(f"one of {', '.join('null' if choice is None else str(choice) for choice in choices)}")

    return parse


def or_null(parse: Parser[T]) -> Parser[T | None]:
    """Return a parser that also accepts null."""

    def parse_or_null(value: Any) -> T | None:  # noqa: ANN401
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValueError(f"{error} or null") from None

    return parse_or_null


def list_of(parse: Parser[T], count: int) -> Parser[tuple[T, ...]]:
    """Return a parser of lists with ``count`` items."""

    def parse_all(value: Any) -> tuple[T, ...]:  # noqa: ANN401
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
            raise ValueError(f"a list of {count}")
        try:
            return tuple(parse(item) for item in value)
        except ValueError as error:
            raise ValueError(f"a list of {count}, each {error}") from None

    return parse_all


def increasing(low: float, high: float) -> Parser[tuple[float, ...]]:
    """Return a parser of lists of at least two increasing numbers in a range, such as the edges of bins."""
    parse = number(low, high)

    def parse_all(value: Any) -> tuple[float, ...]:  # noqa: ANN401
        try:
            edges = tuple(parse(item) for item in listing(value))
        except ValueError:
            edges = ()
        if len(edges) < 2 or any(first >= second for first, second in pairwise(edges)):
            raise ValueError(f"a list of at least two increasing numbers {_range(low, high)}")
        return edges

    return parse_all


def interval(parse: Parser[float], *, strict: bool = False) -> Parser[tuple[float, float]]:
    """Return a parser of [low, high]; both may be equal, unless ``strict`` is set."""
    pair = list_of(parse, 2)

    def parse_interval(value: Any) -> tuple[float, float]:  # noqa: ANN401
        low, high = pair(value)
        if low > high or (strict and low == high):
            raise ValueError(f"[low, high] with low {'<' if strict else '<='} high")
        return low, high

    return parse_interval
