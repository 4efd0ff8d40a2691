"""Decorators that register models, combinators, discriminators and converters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from inpaint_zoo.discovery import loading_plugin
from inpaint_zoo.registry.tables import (
    COMBINATORS,
    CONVERTERS,
    DISCRIMINATORS,
    MODELS,
    Combinator,
    Conversion,
    Entry,
    Paper,
    add,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "register_combinator",
    "register_converter",
    "register_discriminator",
    "register_model",
]

ModelBuilder = TypeVar("ModelBuilder", bound="Callable[..., InpaintingNetwork]")
ModuleBuilder = TypeVar("ModuleBuilder", bound="Callable[..., nn.Module]")
Converter = TypeVar("Converter", bound="Callable[..., dict[str, Tensor]]")


def register_model(
    *, source: str, paper: Paper | None = None, learned: bool = True
) -> Callable[[ModelBuilder], ModelBuilder]:
    """Register a function that builds a model.

    The function's name becomes the model's name, the first line of its docstring the description in lists, and its
    arguments the model's options.

    Args:
        source: Paper notes or code that the implementation follows.
        paper: Publication of the method.
        learned: False for a method without weights.

    Raises:
        ZooError: If the name is already registered.
    """

    def register(build: ModelBuilder) -> ModelBuilder:
        entry = Entry(build, paper, source, learned, build.__name__, loading_plugin())
        add("model", MODELS, build.__name__, entry)
        return build

    return register


def register_combinator(*, learned: bool = True) -> Callable[[ModelBuilder], ModelBuilder]:
    """Register a function that builds a network around another network, as model ``<function's name>:<model>``.

    The function's first argument is the other network. Its further arguments become options of the new model, in
    addition to the options of the other network.

    Args:
        learned: False for a combinator without weights, whose state dict and weight files are those of the network.

    Raises:
        ZooError: If the name is already registered.
    """

    def register(build: ModelBuilder) -> ModelBuilder:
        add("combinator", COMBINATORS, build.__name__, Combinator(build, learned))
        return build

    return register


def register_discriminator(name: str) -> Callable[[ModuleBuilder], ModuleBuilder]:
    """Register a function that builds a discriminator; its docstring states the value range of its input.

    A model and a discriminator may have the same name, because different functions create them.
    """

    def register(build: ModuleBuilder) -> ModuleBuilder:
        add("discriminator", DISCRIMINATORS, name, build)
        return build

    return register


def register_converter(name: str, files: str | Mapping[str, str]) -> Callable[[Converter], Converter]:
    """Register a function that converts the authors' state dict of ``name`` into a state dict of this package.

    The function takes the authors' state dict (or several, by name) and the network on the meta device, created with
    the options that the caller chose. Its result must fit this network strictly.

    Args:
        name: Name of a model, or "<name>_discriminator".
        files: Path of the checkpoint relative to the authors' folder, or the paths of all parts by their names.
    """

    def register(convert: Converter) -> Converter:
        add("converter", CONVERTERS, name, Conversion(convert, files))
        return convert

    return register
