"""Declare the arguments of mask kinds and transforms: default, type, range, and whether they are lengths in pixels.

A kind is a frozen dataclass whose fields are created by the functions below. `parse_args` builds it from a mapping and
is the only place where unknown names and invalid values are detected. `scale_pixels` implements `scale_with_size`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from inpaint_zoo.masks.errors import MaskConfigError, inside, unknown
from inpaint_zoo.random import Floats

__all__ = [
    "Attribute",
    "arg_names",
    "args_dict",
    "attribute",
    "constant",
    "custom",
    "flag",
    "integer",
    "integers_of",
    "option",
    "parse_args",
    "real",
    "reals_of",
    "required_names",
    "scale_pixels",
    "text",
]

T = TypeVar("T")
_MISSING = dataclasses.MISSING


@dataclass(frozen=True)
class _Arg:
    """How one argument is parsed: ``parse`` returns the value, or raises ValueError with a text of what it expects."""

    parse: Callable[[Any], Any]
    pixels: bool = False
    constant: bool = False


def _field(default: Any, arg: _Arg) -> Any:  # noqa: ANN401 - a dataclass field, typed by its annotation
    return field(default=default, metadata={"arg": arg})


def _bounded(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    return f" >= {low:g}" if low is not None else f" <= {high:g}" if high is not None else ""


def _parse_integer(low: int | None, high: int | None, optional: bool) -> Callable[[Any], int | None]:
    def parse(value: Any) -> int | None:  # noqa: ANN401
        if value is None and optional:
            return None
        whole = isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer())
        if (
            isinstance(value, bool)
            or not whole
            or (low is not None and value < low)
            or (high is not None and value > high)
        ):
            raise ValueError(f"an integer{_bounded(low, high)}{' or null' if optional else ''}")
        return int(value)

    return parse


def _parse_real(low: float | None, high: float | None, optional: bool = False) -> Callable[[Any], float | None]:
    def parse(value: Any) -> float | None:  # noqa: ANN401
        if value is None and optional:
            return None
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if (
            not number
            or not math.isfinite(value)
            or (low is not None and value < low)
            or (high is not None and value > high)
        ):
            raise ValueError(f"a number{_bounded(low, high)}{' or null' if optional else ''}")
        return float(value)

    return parse


def _parse_many(parse: Callable[[Any], T], count: int, optional: bool = False) -> Callable[[Any], tuple[T, ...] | None]:
    def parse_all(value: Any) -> tuple[T, ...] | None:  # noqa: ANN401
        if value is None and optional:
            return None
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
            raise ValueError(f"a list of {count}{' or null' if optional else ''}")
        try:
            return tuple(parse(item) for item in value)
        except ValueError as error:
            raise ValueError(f"a list of {count}, each {error}") from None

    return parse_all


def _parse_flag(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, bool | np.bool_) and value not in (0, 1):
        raise ValueError("true or false")
    return bool(value)


def _parse_option(choices: Sequence[Any]) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:  # noqa: ANN401
        for choice in choices:
            if value == choice and isinstance(value, bool) == isinstance(choice, bool):
                return choice
        raise ValueError(f"one of {', '.join('null' if choice is None else str(choice) for choice in choices)}")

    return parse


def _parse_text(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or not value:
        raise ValueError("a non-empty string")
    return value


def integer(
    default: Any = _MISSING,  # noqa: ANN401
    *,
    low: int | None = None,
    high: int | None = None,
    pixels: bool = False,
    optional: bool = False,
) -> Any:  # noqa: ANN401
    """Declare an integer argument."""
    return _field(default, _Arg(_parse_integer(low, high, optional), pixels))


def real(
    default: Any = _MISSING,  # noqa: ANN401
    *,
    low: float | None = None,
    high: float | None = None,
    optional: bool = False,
) -> Any:  # noqa: ANN401
    """Declare a real argument."""
    return _field(default, _Arg(_parse_real(low, high, optional)))


def integers_of(default: tuple[int, ...] | int, *, low: int | None = None, pixels: bool = False) -> Any:  # noqa: ANN401
    """Declare a list of integers as long as ``default``. An int is the length of a required list without default."""
    count = default if isinstance(default, int) else len(default)
    parse = _parse_many(_parse_integer(low, None, False), count)
    return _field(_MISSING if isinstance(default, int) else default, _Arg(parse, pixels))


def reals_of(
    default: tuple[float, ...],
    *,
    low: float | None = None,
    high: float | None = None,
    optional: bool = False,
) -> Any:  # noqa: ANN401
    """Declare a list of real numbers as long as ``default``."""
    return _field(default, _Arg(_parse_many(_parse_real(low, high), len(default), optional)))


def flag(default: bool) -> Any:  # noqa: ANN401
    """Declare a boolean argument."""
    return _field(default, _Arg(_parse_flag))


def option(default: Any, choices: Sequence[Any]) -> Any:  # noqa: ANN401
    """Declare an argument that must be one of ``choices``."""
    return _field(default, _Arg(_parse_option(choices)))


def text(default: Any = _MISSING) -> Any:  # noqa: ANN401
    """Declare a string argument, such as a path."""
    return _field(default, _Arg(_parse_text))


def custom(default: Any, parse: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Declare an argument with its own parser, which returns the value or raises ValueError with what it expects."""
    return _field(default, _Arg(parse))


def constant(value: int) -> Any:  # noqa: ANN401
    """Declare a fixed length in pixels. It is not an argument, but `scale_with_size` scales it."""
    return _field(value, _Arg(_parse_integer(0, None, False), pixels=True, constant=True))


@dataclass(frozen=True)
class Attribute:
    """An attribute that is fixed, chosen at random from a list, or uniform on an interval.

    Attributes:
        choices: The possible values, equally likely; a fixed attribute has exactly one.
        interval: Bounds (a, b) of a uniform real number; `choices` is then empty.
    """

    choices: tuple[Any, ...] = ()
    interval: tuple[float, float] | None = None

    @property
    def fixed(self) -> bool:
        """Whether the attribute has exactly one value."""
        return len(self.choices) == 1

    def pick(self, u: Floats) -> list[Any]:
        """Return one value for each sample, given uniform random numbers ``u`` of shape (B,) in [0, 1)."""
        if self.interval is not None:
            a, b = self.interval
            return (a + u * (b - a)).tolist()
        n = len(self.choices)
        return [self.choices[int(value * n)] for value in u.tolist()]

    def resolved(self) -> Any:  # noqa: ANN401
        """Return the attribute as it is written in a configuration."""
        if self.interval is not None:
            return {"uniform": list(self.interval)}
        return self.choices[0] if self.fixed else {"choice": list(self.choices)}

    def map(self, function: Callable[[Any], Any]) -> Attribute:
        """Return a copy with ``function`` applied to each possible value."""
        return Attribute(tuple(function(choice) for choice in self.choices), self.interval)


def _parse_attribute(one: Callable[[Any], Any], interval: bool) -> Callable[[Any], Attribute]:
    ways = "{choice: [..]} of such values" + (" or {uniform: [a, b]}" if interval else "")

    def parse(value: Any) -> Attribute:  # noqa: ANN401
        try:
            if isinstance(value, Mapping):
                if set(value) == {"choice"} and isinstance(value["choice"], Sequence) and value["choice"]:
                    return Attribute(tuple(one(item) for item in value["choice"]))
                if interval and set(value) == {"uniform"} and len(value["uniform"]) == 2:
                    a, b = (one(item) for item in value["uniform"])
                    if a < b:
                        return Attribute(interval=(a, b))
                raise ValueError("a value")
            return Attribute((one(value),))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{error}, or {ways}") from None

    return parse


def attribute(
    default: Attribute | Any = _MISSING,  # noqa: ANN401
    *,
    one: Callable[[Any], Any] | Sequence[Any],
    interval: bool = False,
    pixels: bool = False,
) -> Any:  # noqa: ANN401
    """Declare an attribute that may be a value, ``{choice: [..]}`` or, with ``interval``, ``{uniform: [a, b]}``.

    Args:
        default: An `Attribute`, or a single value.
        one: The allowed values, or a function that parses one value and raises ValueError with what it expects.
        interval: Whether a uniform interval is allowed.
        pixels: Whether integer values are lengths in pixels.
    """
    parse_one = one if callable(one) else _parse_option(one)
    if default is not _MISSING and not isinstance(default, Attribute):
        default = Attribute((default,))
    return _field(default, _Arg(_parse_attribute(parse_one, interval), pixels))


def _declared(cls: type) -> dict[str, dataclasses.Field[Any]]:
    found = {item.name: item for item in dataclasses.fields(cls) if "arg" in item.metadata}
    return {name: item for name, item in found.items() if not item.metadata["arg"].constant}


def arg_names(cls: type) -> list[str]:
    """Return the argument names of a kind or transform, in declaration order."""
    return list(_declared(cls))


def required_names(cls: type) -> list[str]:
    """Return the argument names of a kind or transform that have no default."""
    return [name for name, item in _declared(cls).items() if item.default is _MISSING]


def parse_args(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build ``cls`` from a mapping of arguments.

    Args:
        cls: A dataclass whose fields are declared with the functions of this module.
        values: Arguments by name; omitted ones take their defaults.
        where: The object's name in error messages, such as "lama_box".

    Raises:
        MaskConfigError: If a name is unknown, a required argument is missing, or a value has a wrong type or range.
    """
    declared = _declared(cls)
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        with inside(name):
            if name not in declared:
                raise unknown(f"argument of {where}:", name, declared)
            try:
                parsed[name] = declared[name].metadata["arg"].parse(value)
            except ValueError as error:
                raise MaskConfigError(f"`{name}` of {where} must be {error}, got {value!r}.") from None
    missing = [name for name in required_names(cls) if name not in parsed]
    if missing:
        raise MaskConfigError(f"{where} needs {' and '.join(f'`{name}`' for name in missing)}.")
    return cls(**parsed)


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Attribute):
        return value.resolved()
    return list(value) if isinstance(value, tuple) else value


def args_dict(instance: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return all arguments of a kind or transform as plain values that JSON and YAML can store."""
    return {name: _plain(getattr(instance, name)) for name in _declared(type(instance))}


def _scale(value: Any, factor: float) -> Any:  # noqa: ANN401
    if isinstance(value, Attribute):
        return value.map(lambda item: _scale(item, factor))
    if isinstance(value, tuple):
        return tuple(_scale(item, factor) for item in value)
    if not isinstance(value, int) or value == 0:
        return value
    return max(1, math.floor(value * factor + 0.5))


def scale_pixels(instance: T, factor: float) -> T:
    """Return a copy whose lengths in pixels are scaled: floor(v * factor + 0.5), at least 1; 0 stays 0."""
    lengths = {
        item.name: _scale(getattr(instance, item.name), factor)
        for item in dataclasses.fields(instance)  # type: ignore[arg-type]
        if "arg" in item.metadata and item.metadata["arg"].pixels
    }
    return dataclasses.replace(instance, **lengths) if lengths else instance  # type: ignore[type-var]
