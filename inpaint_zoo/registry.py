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
from inpaint_zoo.weights import WeightsError, WeightsFile, WeightsHeader, load_weights, read_header, shipped_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "ModelInfo",
    "Paper",
    "convert_official",
    "create_discriminator",
    "create_model",
    "create_unfilled",
    "list_combinators",
    "list_converters",
    "list_discriminators",
    "list_models",
    "model_info",
    "official_files",
    "options_clash",
    "options_through",
    "register_combinator",
    "register_converter",
    "register_discriminator",
    "register_model",
]

DISCRIMINATOR = "_discriminator"  # ends the names of discriminators where those of models stand beside them

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
        options: All options of `create_model` with the values that the network is built with: those given, else those
            that the weight file states, else the defaults.
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

    @property
    def defaults(self) -> dict[str, Any]:
        """All options with their defaults."""
        return {key: option.default for key, option in inspect.signature(self.build).parameters.items()}


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

    The function gets the state dict, and the network that the result must fit strictly: built with the options that the
    caller chose, on the meta device.

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


def options_through(name: str, inner: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the model ``inner`` as options of ``name``, which is ``inner`` with combinators before it.

    Raises:
        ZooError: A combinator has an option of the same name, which hides the network's.
    """
    _discover()
    *outer, _ = name.removesuffix(inner).split(":")
    for combinator in outer:
        _, *own = inspect.signature(_combinators[combinator].combine).parameters
        if hidden := [option for option in own if option in options]:
            option = hidden[0]
            raise ZooError(
                f"The option {option}={options[option]!r} of '{inner}' cannot be given to '{name}': the combinator has "
                f"an option of that name. In Python, wrap the network itself: inpaint_zoo.{combinator}(network)."
            )
    return dict(options)


def model_info(name: str, weights: str | Path | None = None, **overrides: Any) -> ModelInfo:
    """What is known of a model, built as `create_model` builds it with the same arguments.

    Args:
        name: As `create_model`.
        weights: As `create_model`; only what the file says of itself is read, not its tensors.
        overrides: As `create_model`.

    Raises:
        UnknownNameError: No such model or option.
        WeightsError: The file cannot be read, or states another model.
    """
    import torch

    entry = _model(name)
    path = _weights_path(name, entry, weights)
    stated = _stated_options(name, entry, path, read_header(path)) if path else {}
    with torch.device("meta"):  # shapes without memory
        net = _call("model", name, entry.build, {**stated, **overrides})
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
        options=entry.defaults | stated | overrides,
        weights=(shipped.name,) if shipped else (),
        weights_of=entry.weights_of,
        takes_filling=net.takes_filling,
    )


def create_model(name: str, weights: str | Path | None = None, **overrides: Any) -> InpaintingNetwork:
    """Build a network by its registry name: a plain `nn.Module` in eval mode.

    Args:
        name: One of `list_models()`, or with one of `list_combinators()` before it: "local_global:autoencoder".
        weights: A weight file, or "shipped" for those that come with the package; by default the weights are random.
            Our own files and the checkpoints of our training state the model and its options, and the network is built
            with them.
        overrides: Options of the model. They override those of the file where the parameters stay the same, as those
            of GRIG do for any number of `steps`.

    Raises:
        UnknownNameError: No such model or option; the message suggests the nearest.
        WeightsError: The file is missing, damaged or unsafe, states another model, or its parameters do not fit; where
            an option is to blame, the message names its two values.

    Example:
        >>> create_model("telea", radius=5).training
        False
    """
    from inpaint_zoo.interfaces import Origin

    entry = _model(name)
    path = _weights_path(name, entry, weights)
    file = load_weights(path) if path else None
    stated = _stated_options(name, entry, path, file) if path and file else {}
    options = {**stated, **overrides}
    net = _call("model", name, entry.build, options)
    net.origin = Origin(name, options)
    if path and file:
        try:
            net.load_state_dict(file.state, strict=True)
        except RuntimeError as error:
            clash = options_clash(name, stated, overrides) if file.name else ""
            raise WeightsError(f"{path} does not fit '{name}': {clash or error}") from error
    return net.eval()


def _weights_path(name: str, entry: _Entry, weights: str | Path | None) -> Path | None:
    """The weight file that ``weights`` means; None where the weights are random or there are none."""
    if weights is None:
        return None
    if not entry.learned:
        raise WeightsError(f"'{name}' learns nothing, so it takes no weights; got {str(weights)!r}.")
    path = shipped_weights(entry.weights_of) if weights == "shipped" else Path(weights)
    if path is None:
        raise WeightsError(f"No weights of '{name}' ship with the package; give a file, or train one.")
    return path


def _stated_options(name: str, entry: _Entry, path: Path, header: WeightsHeader | WeightsFile) -> dict[str, Any]:
    """The options that a file states, if they are options of the model ``name``."""
    if header.name not in (None, name, entry.weights_of):
        raise WeightsError(f"{path} holds weights of '{header.name}', not of '{name}'.")
    accepted = entry.defaults
    for option, value in header.options.items():
        if option not in accepted:
            raise WeightsError(
                f"{path} states the option {option}={value!r}, which '{name}' does not take. "
                f"It takes: {', '.join(accepted) or 'none'}."
            )
    try:
        return options_through(name, header.name or name, header.options)
    except ZooError as error:
        raise WeightsError(f"{path}: {error}") from error


def options_clash(name: str, stated: Mapping[str, Any], overrides: Mapping[str, Any]) -> str:
    """Say which overrides change the parameters of the model ``name`` as a weight file states it; empty if none does.

    Args:
        name: A model.
        stated: The options that the file states.
        overrides: The options that are asked for.
    """
    entry = _model(name)
    theirs = entry.defaults | dict(stated)
    own = _shapes(entry, stated)
    clashing = [key for key, value in overrides.items() if _shapes(entry, {**stated, key: value}) != own]
    both = " and ".join(f"{key}={theirs[key]!r}, but {key}={overrides[key]!r} is asked for" for key in clashing)
    if not clashing:
        return ""
    return f"it was saved with {both}, which changes the parameters. Leave it out, or give weights of such a network."


def _shapes(entry: _Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    with torch.device("meta"):
        return {key: value.shape for key, value in entry.build(**options).state_dict().items()}


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
    net.origin = Origin(f"{name}{DISCRIMINATOR}", options)  # type: ignore[assignment]  # a plain attribute
    return net


def create_unfilled(name: str, **options: Any) -> nn.Module:
    """Build the network that a weight file called ``name`` fills, without memory for its parameters (device "meta").

    Args:
        name: A model, or "<name>_discriminator".
        options: Of `create_model` or `create_discriminator`.

    Raises:
        UnknownNameError: No such network or option.
    """
    import torch

    with torch.device("meta"):  # nothing is drawn or looked up that the file holds
        if name.endswith(DISCRIMINATOR):
            return create_discriminator(name.removesuffix(DISCRIMINATOR), **options)
        return create_model(name, **options)


def convert_official(
    name: str, state: Mapping[str, Tensor] | Mapping[str, Mapping[str, Tensor]], **options: Any
) -> dict[str, Tensor]:
    """Turn the authors' state dict into ours: strict, every key accounted for.

    Args:
        name: A model, or "<name>_discriminator".
        state: The authors' state dict as their file holds it, or several by the names of their parts.
        options: Options of the network, where the checkpoint needs others than the defaults.

    Returns:
        A state dict that `create_model(name, **options).load_state_dict` takes strictly.

    Raises:
        UnknownNameError: No converter of that name, or no such option.
        ZooError: Keys are missing or left over; the message names the first ones.
    """
    convert = _conversion(name).convert
    return convert(state, create_unfilled(name, **options))


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
