"""Arguments that only masks have: attributes that are chosen at random, and lengths in pixels that can be scaled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from inpaint_zoo.config import Parser, custom, one_of
from inpaint_zoo.random import Floats

__all__ = ["Attribute", "attribute", "constant", "scale_pixels"]

T = TypeVar("T")


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


def _parse_attribute(one: Parser[Any], interval: bool) -> Parser[Attribute]:
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
    default: Attribute | Any = dataclasses.MISSING,  # noqa: ANN401
    *,
    one: Parser[Any] | Sequence[Any],
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
    parse_one = one if callable(one) else one_of(one)
    if default is not dataclasses.MISSING and not isinstance(default, Attribute):
        default = Attribute((default,))
    return custom(default, _parse_attribute(parse_one, interval), pixels=pixels, write=Attribute.resolved)


def constant(value: int) -> Any:  # noqa: ANN401
    """Declare a fixed length in pixels. It is not an argument, but `scale_with_size` scales it."""
    return dataclasses.field(default=value, metadata={"pixels": True})


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
        if item.metadata.get("pixels")
    }
    return dataclasses.replace(instance, **lengths) if lengths else instance  # type: ignore[type-var]
