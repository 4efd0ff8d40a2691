"""What a checkpoint remembers of a module's constructor, so that `load_from_checkpoint` builds an equal module.

Checkpoints load with `weights_only=True`, so they hold plain values alone: numbers, texts, and lists and mappings of
them. Optimizers and schedules are functions: a checkpoint lists the names of these arguments, and whoever goes on
training gives them again.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Mapping
from typing import Any

from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork, Origin
from inpaint_zoo.registry import model_info, options_clash

__all__ = ["check_same_network", "origin_of", "storable_arguments"]


class _NotPlainError(ZooError):
    """A value that a checkpoint cannot hold."""


def storable_arguments(
    instance: object, network: InpaintingNetwork, leave_out: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Split the arguments of the running constructor into those that a checkpoint can hold, and the others.

    Call it in `__init__`, before the constructor of a derived class assigns to its own arguments.

    Args:
        instance: What is constructed.
        network: Its network, whose name and options are stored as `network` and `network_options`, weight files'
            options included.
        leave_out: Arguments that are in neither part.

    Returns:
        The arguments of the outermost constructor that are plain values, by name and with the defaults; and the names
        of the others, except for those that have their default.

    Raises:
        ZooError: An option of the network is no plain value.
    """
    stored: dict[str, Any] = {}
    others = []
    defaults = inspect.signature(type(instance)).parameters
    for name, value in _constructor_arguments(instance).items():
        if name in leave_out:
            continue
        try:
            stored[name] = _plain(value)
        except _NotPlainError:
            if name not in defaults or value is not defaults[name].default:
                others.append(name)
    origin = origin_of(network)
    return stored | {"network": origin.name, "network_options": _plain(origin.options)}, others


def _constructor_arguments(instance: object) -> dict[str, Any]:
    """What the outermost `__init__` of ``instance`` that is running was called with, by name."""
    found: dict[str, Any] = {}
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "__init__":
            names, _, keywords, values = inspect.getargvalues(frame)
            if names and values.get(names[0]) is instance:
                found = {name: values[name] for name in names[1:]} | (values[keywords] if keywords else {})
        frame = frame.f_back
    return found


def _plain(value: object) -> Any:  # noqa: ANN401 - any plain value
    """The value as `torch.load` reads it with `weights_only=True`; a path becomes text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, Mapping) and all(type(key) is str for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise _NotPlainError(
        f"A checkpoint holds numbers, texts, and lists and mappings of them, but not {type(value).__name__} {value!r}."
    )


def origin_of(network: InpaintingNetwork) -> Origin:
    """The name and options of a network that `create_model` built."""
    assert network.origin is not None
    return network.origin


def check_same_network(network: InpaintingNetwork, stored: Mapping[str, Any]) -> None:
    """Compare a network with the hyperparameters of the checkpoint that is about to fill it.

    An option that the network was given may differ from the checkpoint's: it overrides, and where it changes the
    parameters, they do not fit.

    Raises:
        ZooError: The checkpoint is of another network, or an option that was not given has another value in it.
    """
    origin = origin_of(network)
    name = stored.get("network", origin.name)
    if name != origin.name:
        raise ZooError(f"The checkpoint holds the network '{name}', but '{origin.name}' is to be filled with it.")
    stated = stored.get("network_options") or {}
    built = model_info(origin.name, **origin.options).options
    for key, value in stated.items():
        if key not in origin.options and value != built.get(key):
            raise ZooError(
                f"The network of the checkpoint has the option {key}={value!r}, the one to be filled has the default "
                f"{key}={built.get(key)!r}. State which one is meant in `network_options`: "
                f"--model.init_args.network_options.{key}={value!r}."
            )
    if built != model_info(origin.name, **stated).options and (clash := options_clash(name, stated, origin.options)):
        raise ZooError(f"The checkpoint does not fit '{name}': {clash}")
