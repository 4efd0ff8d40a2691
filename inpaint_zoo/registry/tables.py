"""The tables of the registry: what is known of each registered model, combinator, discriminator and converter."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.listing import natural_key

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "COMBINATORS",
    "CONVERTERS",
    "DISCRIMINATOR",
    "DISCRIMINATORS",
    "MODELS",
    "Combinator",
    "Conversion",
    "Entry",
    "Paper",
    "add",
    "call",
    "check_options",
    "first_line",
    "matching",
]

DISCRIMINATOR = "_discriminator"  # suffix of discriminators' names where names of models are possible too

Built = TypeVar("Built")


class Paper(NamedTuple):
    """Publication of a method."""

    title: str
    authors: str
    venue: str
    year: int | None = None
    url: str | None = None

    def __str__(self) -> str:
        first, *others = self.authors.split(", ")
        return ", ".join([f"{first} et al." if others else first, f"{self.venue} {self.year or ''}".strip()])


class Entry(NamedTuple):
    """A registered model; see `ModelInfo` for its attributes."""

    build: Callable[..., InpaintingNetwork]
    paper: Paper | None
    source: str
    learned: bool
    weights_of: str
    plugin: str | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """Return all options with their defaults."""
        return _defaults(self.build)

    @property
    def family(self) -> str:
        """Return the folder in `inpaint_zoo.models`, or a plugin's package."""
        return self.build.__module__.removeprefix("inpaint_zoo.models.").split(".")[0]

    @property
    def description(self) -> str:
        """Return the first line of the builder's docstring."""
        return first_line(self.build)


class Combinator(NamedTuple):
    """A registered function that builds a network around another network."""

    combine: Callable[..., InpaintingNetwork]
    learned: bool

    @property
    def defaults(self) -> dict[str, Any]:
        """Return all options with their defaults; the first argument is the network."""
        return dict(list(_defaults(self.combine).items())[1:])

    @property
    def description(self) -> str:
        """Return the first line of the docstring."""
        return first_line(self.combine)


class Conversion(NamedTuple):
    """A registered converter and the files that it needs, see `register_converter`."""

    convert: Callable[..., dict[str, Tensor]]
    files: str | Mapping[str, str]


def _defaults(build: Callable[..., object]) -> dict[str, Any]:
    return {key: option.default for key, option in inspect.signature(build).parameters.items()}


def first_line(build: Callable[..., object]) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(build) or "").split("\n")[0]


# Registered builders by name; complete after `discover()`. Delete an entry to register another builder under its name,
# for example in a notebook.
MODELS: dict[str, Entry] = {}
DISCRIMINATORS: dict[str, Callable[..., nn.Module]] = {}
CONVERTERS: dict[str, Conversion] = {}
COMBINATORS: dict[str, Combinator] = {}


def add(kind: str, table: dict[str, Any], name: str, entry: object) -> None:
    """Add an entry to one of the tables.

    Raises:
        ZooError: If the name is already registered.
    """
    if name in table:
        raise ZooError(f"The {kind} name '{name}' is already registered.")
    table[name] = entry


def matching(table: Mapping[str, object], pattern: str) -> list[str]:
    """Return the names in a table that match a shell pattern, in natural order."""
    return sorted(fnmatch.filter(table, pattern), key=natural_key)


class _Plain(NamedTuple):
    """A plain type of an option, and what it is called in messages."""

    type: type
    words: str


_PLAIN = {
    bool: _Plain(bool, "true or false"),
    int: _Plain(Integral, "a whole number"),
    float: _Plain(Real, "a number"),
    str: _Plain(str, "a text"),
}


def _is_plain(value: object, expected: _Plain) -> bool:
    return isinstance(value, expected.type) and (expected.type is bool or not isinstance(value, bool))


def check_options(kind: str, name: str, build: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Check that a builder takes the options, and that truth values, numbers and texts are of the default's type.

    Args:
        kind: What is built, for the message: "model" or "discriminator".
        name: Registry name of what is built.
        build: The builder.
        options: Options that a caller gave.

    Raises:
        UnknownNameError: If the builder does not take an option.
        ZooError: If a value is of another type. Values of options without a plain default or type are not checked.
    """
    accepted = inspect.signature(build).parameters
    for option in options:
        if option not in accepted:
            hint = f"'{name}' takes: {', '.join(accepted)}." if accepted else f"'{name}' takes none."
            raise unknown_name(f"option of {kind} '{name}':", option, accepted, hint)
    for option, value in options.items():
        parameter = accepted[option]
        kind_of = type(parameter.default)
        expected = _PLAIN.get(kind_of)
        stated = parameter.annotation in (inspect.Parameter.empty, kind_of, kind_of.__name__)
        # a truth value is a number in Python, and every text is true: `difference=maybe` would mean True
        if expected and stated and value is not None and not _is_plain(value, expected):
            raise ZooError(f"The option {option} of {kind} '{name}' must be {expected.words}, got {value!r}.")


def call(kind: str, name: str, build: Callable[..., Built], options: Mapping[str, Any]) -> Built:
    """Call a builder with options that `check_options` accepts."""
    check_options(kind, name, build, options)
    return build(**options)
