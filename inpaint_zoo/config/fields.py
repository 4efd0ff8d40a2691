"""Declare the arguments of a dataclass: default, type and range.

The fields of mask kinds, transforms and augmentation steps are created by the functions below. `parse_args` builds such
a dataclass from a mapping, and is the only place where unknown names and invalid values are detected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from inpaint_zoo.config.errors import ConfigError, inside, unknown
from inpaint_zoo.config.values import (
    Parser,
    boolean,
    checked,
    interval,
    list_of,
    number,
    one_of,
    or_null,
    string,
    whole,
)

__all__ = [
    "arg_names",
    "args_dict",
    "custom",
    "flag",
    "integer",
    "integers_of",
    "interval_of",
    "option",
    "parse_args",
    "real",
    "reals_of",
    "required_names",
    "text",
]

T = TypeVar("T")
_MISSING = dataclasses.MISSING


def _plain(value: Any) -> Any:  # noqa: ANN401
    return list(value) if isinstance(value, tuple) else value


def custom(
    default: Any,  # noqa: ANN401
    parse: Parser[Any],
    *,
    pixels: bool = False,
    write: Callable[[Any], Any] = _plain,
) -> Any:  # noqa: ANN401 - a dataclass field, typed by its annotation
    """Declare an argument with its own parser.

    Args:
        default: Default value, or `dataclasses.MISSING`.
        parse: The parser, as in `config.values`.
        pixels: Whether integers in the value are lengths in pixels, which masks can scale with the image's size.
        write: Returns the value as it is written in a configuration.
    """
    return dataclasses.field(default=default, metadata={"parse": parse, "pixels": pixels, "write": write})


def integer(
    default: Any = _MISSING,  # noqa: ANN401
    *,
    low: int | None = None,
    high: int | None = None,
    pixels: bool = False,
    optional: bool = False,
) -> Any:  # noqa: ANN401
    """Declare an integer argument."""
    parse = whole(low, high)
    return custom(default, or_null(parse) if optional else parse, pixels=pixels)


def real(
    default: Any = _MISSING,  # noqa: ANN401
    *,
    low: float | None = None,
    high: float | None = None,
    optional: bool = False,
) -> Any:  # noqa: ANN401
    """Declare a real argument."""
    parse = number(low, high)
    return custom(default, or_null(parse) if optional else parse)


def integers_of(default: tuple[int, ...] | int, *, low: int | None = None, pixels: bool = False) -> Any:  # noqa: ANN401
    """Declare a list of integers as long as ``default``.

    If ``default`` is an int, the argument is required, and the int is the length of the list.
    """
    count = default if isinstance(default, int) else len(default)
    return custom(_MISSING if isinstance(default, int) else default, list_of(whole(low), count), pixels=pixels)


def reals_of(default: tuple[float, ...], *, low: float | None = None, high: float | None = None) -> Any:  # noqa: ANN401
    """Declare a list of real numbers as long as ``default``."""
    return custom(default, list_of(number(low, high), len(default)))


def interval_of(
    default: tuple[float, float],
    *,
    low: float | None = None,
    high: float | None = None,
    strict: bool = False,
    optional: bool = False,
) -> Any:  # noqa: ANN401
    """Declare a real interval [low, high]; it has two different ends if ``strict`` is set."""
    parse = interval(number(low, high), strict=strict)
    return custom(default, or_null(parse) if optional else parse)


def flag(default: bool) -> Any:  # noqa: ANN401
    """Declare a boolean argument."""
    return custom(default, boolean)


def option(default: Any, choices: Sequence[Any]) -> Any:  # noqa: ANN401
    """Declare an argument that must be one of ``choices``."""
    return custom(default, one_of(choices))


def text(default: Any = _MISSING) -> Any:  # noqa: ANN401
    """Declare a string argument, such as a path."""
    return custom(default, string)


def _declared(cls: type) -> dict[str, dataclasses.Field[Any]]:
    return {item.name: item for item in dataclasses.fields(cls) if "parse" in item.metadata}


def arg_names(cls: type) -> list[str]:
    """Return the names of the arguments, in declaration order."""
    return list(_declared(cls))


def required_names(cls: type) -> list[str]:
    """Return the names of the arguments that have no default."""
    return [name for name, item in _declared(cls).items() if item.default is _MISSING]


def parse_args(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build ``cls`` from a mapping of arguments.

    Args:
        cls: A dataclass whose fields are declared with the functions of this module.
        values: Arguments by name; omitted ones take their defaults.
        where: The object's name in error messages, such as "lama_box".

    Raises:
        ConfigError: If a name is unknown, a required argument is missing, or a value has a wrong type or range.
    """
    declared = _declared(cls)
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        with inside(name):
            if name not in declared:
                raise unknown(f"argument of {where}:", name, declared)
            parsed[name] = checked(f"`{name}` of {where}", value, declared[name].metadata["parse"])
    missing = [name for name in required_names(cls) if name not in parsed]
    if missing:
        raise ConfigError(f"{where} needs {' and '.join(f'`{name}`' for name in missing)}.")
    return cls(**parsed)


def args_dict(instance: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return all arguments as plain values that JSON and YAML can store."""
    return {name: item.metadata["write"](getattr(instance, name)) for name, item in _declared(type(instance)).items()}
