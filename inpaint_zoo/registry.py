"""Registry of models, combinators, discriminators and converters, and functions that create them by name.

Models, discriminators and converters of the authors' checkpoints register themselves with the decorators of this module
when their package is imported, which `discover` does when the first network is built. Until then, models and
combinators are looked up in the recorded table, see `model_table`, which needs no PyTorch. Other packages can register
more: installed ones by an entry point, see `discovery`.
"""

from __future__ import annotations

import fnmatch
import functools
import inspect
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from inpaint_zoo.discovery import BrokenPluginWarning, broken_plugins, discover, has_plugins, loading_plugin
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.model_table import RecordedCombinator, RecordedModel, read_table
from inpaint_zoo.weights import (
    OtherModelError,
    WeightsError,
    WeightsFile,
    WeightsHeader,
    is_official,
    load_weights,
    official_weights,
    read_header,
    shipped_weights,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "Counts",
    "ModelInfo",
    "Paper",
    "convert_official",
    "count_on_meta",
    "create_discriminator",
    "create_model",
    "create_unfilled",
    "list_combinators",
    "list_converters",
    "list_discriminators",
    "list_models",
    "model_info",
    "model_infos",
    "official_files",
    "options_clash",
    "options_through",
    "ready_weights",
    "register_combinator",
    "register_converter",
    "register_discriminator",
    "register_model",
    "weights_path",
]

_logger = logging.getLogger(__name__)

DISCRIMINATOR = "_discriminator"  # suffix of discriminators' names where names of models are possible too

Built = TypeVar("Built")
ModelBuilder = TypeVar("ModelBuilder", bound="Callable[..., InpaintingNetwork]")
ModuleBuilder = TypeVar("ModuleBuilder", bound="Callable[..., nn.Module]")
Converter = TypeVar("Converter", bound="Callable[..., dict[str, Tensor]]")


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


class Counts(NamedTuple):
    """What is only known of a network that is built."""

    parameters: int
    takes_hole_fill: bool


@dataclass(frozen=True)
class ModelInfo:
    """Information about a registered model.

    Attributes:
        name: Registry name.
        family: Folder of the model in `inpaint_zoo.models`.
        description: First line of the builder's docstring.
        paper: Publication of the method; None for a baseline without a paper.
        source: Paper notes or code that the implementation follows.
        learned: Whether the model has weights to train.
        options: All options of `create_model` with the values that the network is created with: the given values, else
            the values in the weight file, else the defaults.
        weights: Names of the weight files that ship with the package.
        weights_of: Model whose weight files it takes: the wrapped model for a combinator without weights, else itself.
        plugin: Name and version of the distribution that registered it by an entry point; None for this package.
    """

    name: str
    family: str
    description: str
    paper: Paper | None
    source: str
    learned: bool
    options: dict[str, Any]
    weights: tuple[str, ...]
    weights_of: str
    plugin: str | None
    _count: Callable[[], Counts] = field(repr=False, compare=False)

    @property
    def parameters(self) -> int:
        """Number of trainable and frozen parameters. With other options than the defaults, the network is built."""
        return self._count().parameters

    @property
    def takes_hole_fill(self) -> bool:
        """Whether the network takes a filling of the hole, see `InpaintingNetwork`; found out like `parameters`."""
        return self._count().takes_hole_fill

    @property
    def ready(self) -> bool:
        """Whether the model works without training: it has no weights to train, or its weights ship."""
        return not self.learned or bool(self.weights)


class _Entry(NamedTuple):
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
        return _first_line(self.build)


def _defaults(build: Callable[..., object]) -> dict[str, Any]:
    return {key: option.default for key, option in inspect.signature(build).parameters.items()}


def _first_line(build: Callable[..., object]) -> str:
    return (inspect.getdoc(build) or "").split("\n")[0]


class _Combinator(NamedTuple):
    combine: Callable[..., InpaintingNetwork]
    learned: bool

    @property
    def defaults(self) -> dict[str, Any]:
        """Return all options with their defaults; the first argument is the network."""
        return dict(list(_defaults(self.combine).items())[1:])

    @property
    def description(self) -> str:
        """Return the first line of the docstring."""
        return _first_line(self.combine)


class _Conversion(NamedTuple):
    convert: Callable[..., dict[str, Tensor]]
    files: str | Mapping[str, str]


# Registered builders by name; complete after `discover()`. Delete an entry to register another builder under its name,
# for example in a notebook.
MODELS: dict[str, _Entry] = {}
DISCRIMINATORS: dict[str, Callable[..., nn.Module]] = {}
CONVERTERS: dict[str, _Conversion] = {}
COMBINATORS: dict[str, _Combinator] = {}


def _add(kind: str, table: dict[str, Any], name: str, entry: object) -> None:
    if name in table:
        raise ZooError(f"The {kind} name '{name}' is already registered.")
    table[name] = entry


def _matching(table: Mapping[str, object], pattern: str) -> list[str]:
    return sorted(fnmatch.filter(table, pattern), key=natural_key)


def _check_options(kind: str, name: str, build: Callable[..., object], options: Mapping[str, Any]) -> None:
    accepted = inspect.signature(build).parameters
    for option in options:
        if option not in accepted:
            hint = f"'{name}' takes: {', '.join(accepted)}." if accepted else f"'{name}' takes none."
            raise unknown_name(f"option of {kind} '{name}':", option, accepted, hint)


def _call(kind: str, name: str, build: Callable[..., Built], options: Mapping[str, Any]) -> Built:
    _check_options(kind, name, build, options)
    return build(**options)


def _models() -> Mapping[str, _Entry]:
    """Return all models: from the recorded table, or else by importing the packages that register them."""
    if _table_suffices():
        return _recorded_models()
    discover()
    return MODELS


def _all_combinators() -> Mapping[str, _Combinator]:
    """Return all combinators, in the same way as `_models`."""
    if _table_suffices():
        return _recorded_combinators()
    discover()
    return COMBINATORS


def _table_suffices() -> bool:
    """Return whether nothing is registered yet and no other package would register something."""
    return not (MODELS or COMBINATORS or has_plugins()) and read_table().is_current


@functools.cache
def _recorded_models() -> dict[str, _Entry]:
    return {name: _recorded_model(name, model) for name, model in read_table().models.items()}


def _recorded_model(name: str, model: RecordedModel) -> _Entry:
    """Return an entry whose builder imports the networks when it is called."""

    def build(**options: Any) -> InpaintingNetwork:
        discover()
        return MODELS[name].build(**options)

    build.__doc__ = model.description
    build.__module__ = f"inpaint_zoo.models.{model.family}"
    build.__signature__ = inspect.Signature(_keywords(model.options))  # type: ignore[attr-defined]
    paper = Paper(**model.paper) if model.paper else None
    return _Entry(build, paper, model.source, model.learned, name)


@functools.cache
def _recorded_combinators() -> dict[str, _Combinator]:
    return {name: _recorded_combinator(name, each) for name, each in read_table().combinators.items()}


def _recorded_combinator(name: str, recorded: RecordedCombinator) -> _Combinator:
    def combine(network: InpaintingNetwork, **options: Any) -> InpaintingNetwork:
        discover()
        return COMBINATORS[name].combine(network, **options)

    combine.__doc__ = recorded.description
    network = inspect.Parameter("network", inspect.Parameter.POSITIONAL_ONLY)
    combine.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [network, *_keywords(recorded.options)]
    )
    return _Combinator(combine, recorded.learned)


def _keywords(options: Mapping[str, Any]) -> list[inspect.Parameter]:
    return [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value) for key, value in options.items()]


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
        entry = _Entry(build, paper, source, learned, build.__name__, loading_plugin())
        _add("model", MODELS, build.__name__, entry)
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
        _add("combinator", COMBINATORS, build.__name__, _Combinator(build, learned))
        return build

    return register


def register_discriminator(name: str) -> Callable[[ModuleBuilder], ModuleBuilder]:
    """Register a function that builds a discriminator; its docstring states the value range of its input.

    A model and a discriminator may have the same name, because different functions create them.
    """

    def register(build: ModuleBuilder) -> ModuleBuilder:
        _add("discriminator", DISCRIMINATORS, name, build)
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
        _add("converter", CONVERTERS, name, _Conversion(convert, files))
        return convert

    return register


def list_models(pattern: str = "*", *, ready: bool = False) -> list[str]:
    """Return the names of the registered models that match a shell pattern, in natural order.

    Args:
        pattern: Shell pattern for the names, such as "*lama*".
        ready: Return only models that work without training, see `ModelInfo.ready`. No network is built.
    """
    models = _models()
    return [name for name in _matching(models, pattern) if not ready or _is_ready(models[name])]


def _is_ready(entry: _Entry) -> bool:
    return not entry.learned or shipped_weights(entry.weights_of) is not None


def ready_weights(name: str) -> str | None:
    """Return the argument ``weights`` of `create_model` for a model that works without training.

    Returns:
        "shipped" for a learned model, None for one that needs no training.

    Raises:
        ZooError: If there is no such model, or if it needs training and no weights are shipped.
    """
    entry = _model(name)
    if not _is_ready(entry):
        raise ZooError(f"'{name}' is a learned model and the package ships no weights for it: give a weight file.")
    return "shipped" if entry.learned else None


def list_combinators(pattern: str = "*") -> list[str]:
    """Return the names of the combinators, as in `local_global:autoencoder`, that match a shell pattern."""
    return _matching(_all_combinators(), pattern)


def list_discriminators(pattern: str = "*") -> list[str]:
    """Return the names of the registered discriminators that match a shell pattern, in natural order."""
    discover()
    return _matching(DISCRIMINATORS, pattern)


def list_converters(pattern: str = "*") -> list[str]:
    """Return the names that `convert_official` accepts and that match a shell pattern, in natural order."""
    discover()
    return _matching(CONVERTERS, pattern)


def _model(name: str) -> _Entry:
    if ":" in name:
        return _combined(*name.split(":", 1))
    models = _models()
    if name not in models:
        broken = [f"The plugin {plugin} cannot be imported ({reason})." for plugin, reason in broken_plugins().items()]
        raise unknown_name("model", name, models, " ".join(["list_models() gives all names.", *broken]))
    return models[name]


def _combined(outer: str, inner: str) -> _Entry:
    """Return the entry of ``outer:inner``."""
    combinators = _all_combinators()
    if outer not in combinators:
        raise unknown_name("combinator", outer, combinators, "Write it before a model's name: local_global:lama.")
    return _wrapped(outer, inner, combinators[outer], _model(inner))


@functools.lru_cache(maxsize=256)
def _wrapped(outer: str, inner: str, combinator: _Combinator, entry: _Entry) -> _Entry:
    """Return the entry of a network in a combinator; an option that both have belongs to the combinator."""
    combine, learned = combinator
    _, *own = inspect.signature(combine).parameters.values()
    names = {option.name for option in own}
    others = [option for option in inspect.signature(entry.build).parameters.values() if option.name not in names]

    def build(**options: Any) -> InpaintingNetwork:
        mine = {name: options.pop(name) for name in names & set(options)}
        return combine(entry.build(**options), **mine)

    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # read by `inspect.signature`
        [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in (*own, *others)]
    )
    build.__doc__ = f"{_first_line(combine).split(':')[0]}: `{inner}`."
    build.__module__ = entry.build.__module__
    weights_of = f"{outer}:{inner}" if learned else entry.weights_of
    return _Entry(build, entry.paper, entry.source, learned or entry.learned, weights_of, entry.plugin)


def options_through(name: str, inner: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of the model ``inner`` as options of ``name``, which is ``inner`` with combinators before it.

    Raises:
        ZooError: If a combinator has an option of the same name, which hides the network's option.
    """
    *outer, _ = name.removesuffix(inner).split(":")
    for combinator in outer:
        _, *own = inspect.signature(_all_combinators()[combinator].combine).parameters
        if hidden := [option for option in own if option in options]:
            option = hidden[0]
            raise ZooError(
                f"The option {option}={options[option]!r} of '{inner}' cannot be given to '{name}': the combinator has "
                f"an option of that name. In Python, wrap the network itself: inpaint_zoo.{combinator}(network)."
            )
    return dict(options)


def count_on_meta(build: Callable[[], InpaintingNetwork]) -> Counts:
    """Build a network on the meta device, without memory for its parameters, and return what is known only then."""
    import torch

    with torch.device("meta"):
        net = build()
    return Counts(sum(parameter.numel() for parameter in net.parameters()), net.takes_hole_fill)


@functools.lru_cache(maxsize=256)
def _count_built(name: str, build: Callable[..., InpaintingNetwork], options: str) -> Counts:
    """Return the counts of a network with ``options`` as JSON; only one that is not recorded is built."""
    recorded = read_table().models.get(name)
    if recorded and options == "{}" and build.__module__.startswith("inpaint_zoo.models."):
        return Counts(recorded.parameters, recorded.takes_hole_fill)  # building a network takes up to a second
    return count_on_meta(lambda: build(**json.loads(options)))


def _count(name: str, build: Callable[..., InpaintingNetwork], options: Mapping[str, Any]) -> Counts:
    try:
        return _count_built(name, build, json.dumps(options, sort_keys=True))
    except TypeError:  # options that JSON does not have, such as a function
        return count_on_meta(lambda: build(**options))


def model_info(name: str, weights: str | Path | None = None, **overrides: Any) -> ModelInfo:
    """Return information about a model, created as by `create_model` with the same arguments.

    Args:
        name: See `create_model`.
        weights: See `create_model`; only the file's metadata are read, not its tensors.
        overrides: See `create_model`.

    Raises:
        UnknownNameError: If the model or an option is unknown.
        WeightsError: If the file cannot be read, or belongs to another model.
    """
    entry = _model(name)
    path = _weights_path(name, entry, weights)
    stated = _stated_options(name, entry, path, read_header(path)) if path else {}
    options = {**stated, **overrides}
    _check_options("model", name, entry.build, options)
    shipped = shipped_weights(entry.weights_of)
    return ModelInfo(
        name=name,
        family=entry.family,
        description=entry.description,
        paper=entry.paper,
        source=entry.source,
        learned=entry.learned,
        options=entry.defaults | stated | overrides,
        weights=(shipped.name,) if shipped else (),
        weights_of=entry.weights_of,
        plugin=entry.plugin,
        _count=functools.partial(_count, name, entry.build, options),
    )


def model_infos(pattern: str = "*", *, ready: bool = False) -> list[ModelInfo]:
    """Return information about the registered models that match a shell pattern, in natural order.

    A model of a plugin that cannot be built is left out with a `BrokenPluginWarning`.

    Args:
        pattern: Shell pattern for the names, such as "*lama*".
        ready: Return only models that work without training, see `ModelInfo.ready`.
    """
    infos: list[ModelInfo] = []
    for name in list_models(pattern, ready=ready):
        info = model_info(name)
        try:
            if info.plugin:
                _ = info.parameters  # builds it
            infos.append(info)
        except Exception as error:  # another package's code may raise any error
            warnings.warn(
                f"The model '{name}' of the plugin {info.plugin} cannot be built: {type(error).__name__}: {error}",
                BrokenPluginWarning,
                stacklevel=2,
            )
    return infos


def create_model(name: str, weights: str | Path | None = None, **overrides: Any) -> InpaintingNetwork:
    """Create a network by its registry name, as an `nn.Module` in eval mode.

    Args:
        name: One of `list_models()`, optionally after one of `list_combinators()`: "local_global:autoencoder".
        weights: A weight file; "shipped" for the file that comes with the package; or "official" for the authors'
            released weights that `inpaint-zoo weights import` stored ("official:VARIANT" if there are several). None
            gives random weights. Weight files and training checkpoints of this package contain the model's name and
            options, and the network is created with them.
        overrides: Options of the model. They override the file's options as long as they do not change the parameters,
            such as GRIG's `steps`.

    Raises:
        UnknownNameError: If the model or an option is unknown; the message suggests similar names.
        WeightsError: If the file is missing, damaged or unsafe, belongs to another model, or its parameters do not fit.
            If an option is the cause, the message names its two values.

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
    _logger.debug("the model '%s' is built with %s", name, entry.defaults | options)
    net = _call("model", name, entry.build, options)
    net.origin = Origin(name, options)
    if path and file:
        try:
            net.load_state_dict(file.state, strict=True)
        except RuntimeError as error:
            clash = options_clash(name, stated, overrides) if file.name else ""
            raise WeightsError(f"{path} does not fit '{name}': {clash or error}") from error
    return net.eval()


def weights_path(name: str, weights: str | Path | None) -> Path | None:
    """Return the weight file that the argument ``weights`` of `create_model` refers to; None for random weights.

    Raises:
        WeightsError: If the model takes no weights, or the file is unknown here.
    """
    return _weights_path(name, _model(name), weights)


def _weights_path(name: str, entry: _Entry, weights: str | Path | None) -> Path | None:
    if weights is None:
        return None
    if not entry.learned:
        raise WeightsError(f"'{name}' has no trainable weights, so it takes no `weights`; got {str(weights)!r}.")
    if is_official(weights):
        return official_weights(entry.weights_of, str(weights))
    path = shipped_weights(entry.weights_of) if weights == "shipped" else Path(weights)
    if path is None:
        raise WeightsError(f"No weights of '{name}' ship with the package: give a weight file, or train the model.")
    return path


def _stated_options(name: str, entry: _Entry, path: Path, header: WeightsHeader | WeightsFile) -> dict[str, Any]:
    """Return the options stored in a weight file, if they are options of the model ``name``."""
    if header.name not in (None, name, entry.weights_of):
        raise OtherModelError(f"{path} holds weights of '{header.name}', not of '{name}'.")
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
    """Return a message that names the overrides which change the parameters of a weight file; empty if none does.

    Args:
        name: Registry name of the model.
        stated: Options stored in the weight file.
        overrides: Options that the caller gave.
    """
    entry = _model(name)
    theirs = entry.defaults | dict(stated)
    own = _shapes(entry, stated)
    clashing = [key for key, value in overrides.items() if _shapes(entry, {**stated, key: value}) != own]
    both = " and ".join(f"{key}={theirs[key]!r}, but {key}={overrides[key]!r} is asked for" for key in clashing)
    if not clashing:
        return ""
    return f"it was saved with {both}, which changes the parameters. Omit the option, or give matching weights."


def _shapes(entry: _Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    with torch.device("meta"):
        return {key: value.shape for key, value in entry.build(**options).state_dict().items()}


def create_discriminator(name: str, **options: Any) -> nn.Module:
    """Create a discriminator by its registry name.

    Its docstring states the value range of its input, which is that of its authors.

    Args:
        name: One of `list_discriminators()`.
        options: Options of the discriminator.

    Raises:
        UnknownNameError: If the discriminator or an option is unknown.
    """
    from inpaint_zoo.interfaces import Origin

    discover()
    if name not in DISCRIMINATORS:
        raise unknown_name("discriminator", name, DISCRIMINATORS, "list_discriminators() gives all names.")
    net = _call("discriminator", name, DISCRIMINATORS[name], options)
    net.origin = Origin(f"{name}{DISCRIMINATOR}", options)  # type: ignore[assignment]  # a plain attribute
    return net


def create_unfilled(name: str, **options: Any) -> nn.Module:
    """Create the network ``name`` on the meta device, without memory for its parameters, to be filled from a file.

    Args:
        name: Name of a model, or "<name>_discriminator".
        options: Options for `create_model` or `create_discriminator`.

    Raises:
        UnknownNameError: If the network or an option is unknown.
    """
    import torch

    with torch.device("meta"):  # does not initialize or load weights that the file will provide
        if name.endswith(DISCRIMINATOR):
            return create_discriminator(name.removesuffix(DISCRIMINATOR), **options)
        return create_model(name, **options)


def convert_official(
    name: str, state: Mapping[str, Tensor] | Mapping[str, Mapping[str, Tensor]], **options: Any
) -> dict[str, Tensor]:
    """Convert the authors' state dict to this package's keys, strictly: no key may be missing or left over.

    Args:
        name: Name of a model, or "<name>_discriminator".
        state: The authors' state dict as stored in their file, or several state dicts by the names of their parts.
        options: Options of the network, if the checkpoint needs other values than the defaults.

    Returns:
        A state dict that `create_model(name, **options).load_state_dict` accepts strictly.

    Raises:
        UnknownNameError: If there is no converter of that name, or an option is unknown.
        ZooError: If keys are missing or left over; the message names the first ones.
    """
    convert = _conversion(name).convert
    return convert(state, create_unfilled(name, **options))


def official_files(name: str) -> str | Mapping[str, str]:
    """Return the path in the authors' folder of the file that `convert_official` needs, or several paths by part.

    Raises:
        UnknownNameError: If there is no converter of that name.
    """
    return _conversion(name).files


def _conversion(name: str) -> _Conversion:
    discover()
    if name not in CONVERTERS:
        raise unknown_name("converter", name, CONVERTERS, "list_converters() gives all names.")
    return CONVERTERS[name]
