"""Information about registered models."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo.discovery import BrokenPluginWarning
from inpaint_zoo.model_table import read_table
from inpaint_zoo.registry.lookup import find_model, list_models
from inpaint_zoo.registry.stored import path_for, stated_options
from inpaint_zoo.registry.tables import Paper, check_options
from inpaint_zoo.weights import read_header, shipped_weights

if TYPE_CHECKING:
    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "Counts",
    "ModelInfo",
    "count_on_meta",
    "model_info",
    "model_infos",
]


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
    entry = find_model(name)
    path = path_for(name, entry, weights)
    stated = stated_options(name, entry, path, read_header(path)) if path else {}
    options = {**stated, **overrides}
    check_options("model", name, entry.build, options)
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
