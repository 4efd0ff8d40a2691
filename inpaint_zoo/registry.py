"""Names: what can be built, and building it.

Models, discriminators and converters of authors' checkpoints register themselves; `inpaint_zoo.models` finds the family
folders by itself, and other packages may register more by importing this module.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.weights import WeightsError, WeightsFile, load_weights, shipped_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "ModelInfo",
    "Paper",
    "convert_official",
    "create_discriminator",
    "create_model",
    "list_combinators",
    "list_converters",
    "list_discriminators",
    "list_models",
    "model_info",
    "official_files",
    "register_combinator",
    "register_converter",
    "register_discriminator",
    "register_model",
]

Built = TypeVar("Built")
ModelBuilder = TypeVar("ModelBuilder", bound="Callable[..., InpaintingNetwork]")
ModuleBuilder = TypeVar("ModuleBuilder", bound="Callable[..., nn.Module]")
Converter = TypeVar("Converter", bound="Callable[..., dict[str, Tensor]]")


class Paper(NamedTuple):
    """Where a method was published."""

    title: str
    authors: str
    venue: str
    year: int | None = None
    url: str | None = None

    def __str__(self) -> str:
        first, *others = self.authors.split(", ")
        return ", ".join([f"{first} et al." if others else first, f"{self.venue} {self.year or ''}".strip()])


class ModelInfo(NamedTuple):
    """What is known of a registered model.

    Attributes:
        name: Registry name.
        family: The folder of `inpaint_zoo.models` that holds it.
        description: First line of its builder's docstring.
        paper: Where the method was published; None for a floor without one.
        source: The specification or code that the implementation follows.
        learned: Whether it has weights to train.
        parameters: How many trainable and frozen parameters, counted on the built network.
        options: Options of `create_model` with their defaults.
        weights: Weight files that ship with the package.
        weights_of: The model whose weight files it takes: itself, but for a combinator that learns nothing.
        takes_filling: Whether something can be put into the hole for it; see `InpaintingNetwork`.
    """

    name: str
    family: str
    description: str
    paper: Paper | None
    source: str
    learned: bool
    parameters: int
    options: dict[str, Any]
    weights: tuple[str, ...]
    weights_of: str
    takes_filling: bool

    @property
    def ready(self) -> bool:
        """Whether it can be scored as it comes: nothing to learn, or weights that ship."""
        return not self.learned or bool(self.weights)


class _Entry(NamedTuple):
    build: Callable[..., InpaintingNetwork]
    paper: Paper | None
    source: str
    learned: bool
    weights_of: str


class _Combinator(NamedTuple):
    combine: Callable[..., InpaintingNetwork]
    learned: bool


class _Conversion(NamedTuple):
    convert: Callable[..., dict[str, Tensor]]
    files: str | Mapping[str, str]


_models: dict[str, _Entry] = {}
_combinators: dict[str, _Combinator] = {}
_discriminators: dict[str, Callable[..., nn.Module]] = {}
_converters: dict[str, _Conversion] = {}


@functools.cache
def _discover() -> None:
    # by name: they stand to the right of this module, and register themselves in it
    importlib.import_module("inpaint_zoo.combinators")
    importlib.import_module("inpaint_zoo.models")


def _add(kind: str, table: dict[str, Any], name: str, entry: object) -> None:
    if name in table:
        raise ZooError(f"The {kind} name '{name}' is registered already.")
    table[name] = entry


def _matching(table: Mapping[str, object], pattern: str) -> list[str]:
    _discover()
    return sorted(fnmatch.filter(table, pattern), key=natural_key)


def _call(kind: str, name: str, build: Callable[..., Built], options: Mapping[str, Any]) -> Built:
    accepted = inspect.signature(build).parameters
    for option in options:
        if option not in accepted:
            hint = f"'{name}' takes: {', '.join(accepted)}." if accepted else f"'{name}' takes none."
            raise unknown_name(f"option of {kind} '{name}':", option, accepted, hint)
    return build(**options)


def register_model(
    *, source: str, paper: Paper | None = None, learned: bool = True
) -> Callable[[ModelBuilder], ModelBuilder]:
    """Register a builder: its name is the model's, its docstring the line that lists show, its arguments the options.

    Args:
        source: The specification or code that the implementation follows.
        paper: Where the method was published.
        learned: False for a method without weights.

    Raises:
        ZooError: The name is taken.
    """

    def register(build: ModelBuilder) -> ModelBuilder:
        _add("model", _models, build.__name__, _Entry(build, paper, source, learned, build.__name__))
        return build

    return register


def register_combinator(*, learned: bool = True) -> Callable[[ModelBuilder], ModelBuilder]:
    """Register a builder that takes a network: as a model it is called ``<builder's name>:<model>``.

    Its further arguments are options of that model, beside those of the network it takes.

    Args:
        learned: False where it has no weights: its state dict is the network's, and so are its weight files.
    """

    def register(build: ModelBuilder) -> ModelBuilder:
        _add("combinator", _combinators, build.__name__, _Combinator(build, learned))
        return build

    return register


def register_discriminator(name: str) -> Callable[[ModuleBuilder], ModuleBuilder]:
    """Register the builder of a discriminator; its docstring states the value range it expects.

    A model and a discriminator may share a name: they are asked for by different functions.
    """

    def register(build: ModuleBuilder) -> ModuleBuilder:
        _add("discriminator", _discriminators, name, build)
        return build

    return register


def register_converter(name: str, files: str | Mapping[str, str]) -> Callable[[Converter], Converter]:
    """Register the function that turns the authors' state dict (or several, by name) of ``name`` into ours.

    Args:
        name: A model, or "<name>_discriminator".
        files: Where the authors' folder holds the checkpoint, as a path relative to it; or the paths of all parts by
            their names.
    """

    def register(convert: Converter) -> Converter:
        _add("converter", _converters, name, _Conversion(convert, files))
        return convert

    return register


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered models that match a shell pattern, in natural order."""
    return _matching(_models, pattern)


def list_combinators(pattern: str = "*") -> list[str]:
    """Names that may stand before a model's, as in `local_global:autoencoder`, in natural order."""
    return _matching(_combinators, pattern)


def list_discriminators(pattern: str = "*") -> list[str]:
    """Names of the registered discriminators that match a shell pattern, in natural order."""
    return _matching(_discriminators, pattern)


def list_converters(pattern: str = "*") -> list[str]:
    """Names that `convert_official` knows, in natural order."""
    return _matching(_converters, pattern)


def _model(name: str) -> _Entry:
    _discover()
    if ":" in name:
        return _combined(*name.split(":", 1))
    if name not in _models:
        raise unknown_name("model", name, _models, "list_models() gives all names.")
    return _models[name]


def _combined(outer: str, inner: str) -> _Entry:
    """The entry of ``outer:inner``: options that both have are the combinator's."""
    if outer not in _combinators:
        raise unknown_name("combinator", outer, _combinators, "It stands before a model's name: local_global:lama.")
    (combine, learned), entry = _combinators[outer], _model(inner)
    _, *own = inspect.signature(combine).parameters.values()
    names = {option.name for option in own}
    others = [option for option in inspect.signature(entry.build).parameters.values() if option.name not in names]

    def build(**options: Any) -> InpaintingNetwork:
        mine = {name: options.pop(name) for name in names & set(options)}
        return combine(entry.build(**options), **mine)

    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what `inspect.signature` looks at first
        [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in (*own, *others)]
    )
    first_line = (inspect.getdoc(combine) or "").split("\n")[0].split(":")[0]
    build.__doc__ = f"{first_line}: `{inner}`."
    build.__module__ = entry.build.__module__
    weights_of = f"{outer}:{inner}" if learned else entry.weights_of
    return _Entry(build, entry.paper, entry.source, learned or entry.learned, weights_of)


def model_info(name: str) -> ModelInfo:
    """What is known of a model.

    Raises:
        UnknownNameError: No such model.
    """
    import torch

    entry = _model(name)
    with torch.device("meta"):  # shapes without memory
        net = entry.build()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    shipped = shipped_weights(entry.weights_of)
    return ModelInfo(
        name=name,
        family=entry.build.__module__.removeprefix("inpaint_zoo.models.").split(".")[0],
        description=(inspect.getdoc(entry.build) or "").split("\n")[0],
        paper=entry.paper,
        source=entry.source,
        learned=entry.learned,
        parameters=parameters,
        options={key: option.default for key, option in inspect.signature(entry.build).parameters.items()},
        weights=(shipped.name,) if shipped else (),
        weights_of=entry.weights_of,
        takes_filling=net.takes_filling,
    )


def create_model(name: str, weights: str | Path | None = None, **overrides: Any) -> InpaintingNetwork:
    """Build a network by its registry name: a plain `nn.Module` in eval mode.

    Args:
        name: One of `list_models()`, or with one of `list_combinators()` before it: "local_global:autoencoder".
        weights: A weight file, or "shipped" for those that come with the package; by default the weights are random. A
        file
            of ours also carries the options that its network was built with.
        overrides: Options of the model, beyond those of the file.

    Raises:
        UnknownNameError: No such model or option; the message suggests the nearest.
        WeightsError: The file is missing, damaged, unsafe, or does not fit.

    Example:
        >>> create_model("telea", radius=5).training
        False
    """
    from inpaint_zoo.interfaces import Origin

    entry = _model(name)
    file = _open_weights(name, entry, weights)
    options = {**(file.options if file else {}), **overrides}
    net = _call("model", name, entry.build, options)
    net.origin = Origin(name, options)
    if file:
        _load_strictly(net, file, f"{weights}")
    return net.eval()


def _open_weights(name: str, entry: _Entry, weights: str | Path | None) -> WeightsFile | None:
    if weights is None:
        return None
    if not entry.learned:
        raise WeightsError(f"'{name}' learns nothing, so it takes no weights; got {str(weights)!r}.")
    path = shipped_weights(entry.weights_of) if weights == "shipped" else weights
    if path is None:
        raise WeightsError(f"No weights of '{name}' ship with the package; give a file, or train one.")
    file = load_weights(path)
    if file.name not in (None, name, entry.weights_of):
        raise WeightsError(f"{path} holds weights of '{file.name}', not of '{name}'.")
    return file


def _load_strictly(net: InpaintingNetwork, file: WeightsFile, path: str) -> None:
    try:
        net.load_state_dict(file.state, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit '{net.origin.name if net.origin else net}': {error}") from error


def create_discriminator(name: str, **options: Any) -> nn.Module:
    """Build a discriminator by its registry name; it takes images in the value range of its authors (its docstring).

    Raises:
        UnknownNameError: No such discriminator or option.
    """
    from inpaint_zoo.interfaces import Origin

    _discover()
    if name not in _discriminators:
        raise unknown_name("discriminator", name, _discriminators, "list_discriminators() gives all names.")
    net = _call("discriminator", name, _discriminators[name], options)
    net.origin = Origin(f"{name}_discriminator", options)  # type: ignore[assignment]  # a plain attribute
    return net


def convert_official(name: str, state: Mapping[str, Tensor] | Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Turn the authors' state dict into ours: strict, every key accounted for.

    Args:
        name: A model, or "<name>_discriminator".
        state: The authors' state dict as their file holds it, or several by the names of their parts.

    Returns:
        A state dict that `create_model(name).load_state_dict` takes strictly.

    Raises:
        UnknownNameError: No converter of that name.
        ZooError: Keys are missing or left over; the message names the first ones.
    """
    return _conversion(name).convert(state)


def official_files(name: str) -> str | Mapping[str, str]:
    """Where the authors' folder holds what `convert_official` takes for ``name``: one path, or several by part.

    Raises:
        UnknownNameError: No converter of that name.
    """
    return _conversion(name).files


def _conversion(name: str) -> _Conversion:
    _discover()
    if name not in _converters:
        raise unknown_name("converter", name, _converters, "list_converters() gives all names.")
    return _converters[name]
