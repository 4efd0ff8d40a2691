"""The constructor arguments that a checkpoint stores, so that `load_from_checkpoint` builds an equal module.

Checkpoints are loaded with `weights_only=True`. Therefore they hold plain values only: numbers, strings, and lists and
dictionaries of them. Optimizers and schedules are functions. A checkpoint lists the names of these arguments, and they
must be passed again to continue training.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork, Origin
from inpaint_zoo.registry import model_info, options_clash

__all__ = ["build_stated", "built_by", "check_same_network", "origin_of", "stated_form", "storable_arguments"]


class _NotPlainError(ZooError):
    """A value that a checkpoint cannot hold."""


def storable_arguments(
    instance: object, network: InpaintingNetwork, leave_out: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Split the arguments of the running constructor into those that a checkpoint can hold, and the others.

    Call it in `__init__`, before the constructor of a derived class assigns to its own arguments.

    Args:
        instance: The object under construction.
        network: Its network. Its name and options are stored as `network` and `network_options`; options that came
            from a weight file are included.
        leave_out: Names of arguments to ignore.

    Returns:
        The arguments of the outermost constructor that are plain values, by name, defaults included; and the names of
        the other arguments whose value is not the default.

    Raises:
        ZooError: An option of the network is not a plain value.
    """
    stored: dict[str, Any] = {}
    others = []
    defaults: dict[str, Any] = {}
    for kind in reversed(type(instance).__mro__):  # a class passes arguments that it does not name to its base
        if function := vars(kind).get("__init__"):
            defaults |= {name: entry.default for name, entry in inspect.signature(function).parameters.items()}
    for name, value in _constructor_arguments(instance).items():
        if name in leave_out:
            continue
        try:
            stored[name] = _plain(value)
        except _NotPlainError:
            if name not in defaults or not _same_function(value, defaults[name]):
                others.append(name)
    origin = origin_of(network)
    return stored | {"network": origin.name, "network_options": _plain(origin.options)}, others


def built_by(function: object) -> tuple[type, dict[str, Any]] | None:
    """Return what a function of a configuration builds, such as a default optimizer; None if that is unknown.

    Args:
        function: A class, or a ``functools.partial`` of a class.

    Returns:
        The class and its arguments with their values, defaults included.
    """
    kind, given = function, {}
    if isinstance(function, partial):
        # jsonargparse passes the class as the argument of a function of its own
        kind, given = function.args[0] if function.args else function.func, function.keywords
    if not isinstance(kind, type):
        return None
    defaults = {name: entry.default for name, entry in inspect.signature(kind).parameters.items()}
    return kind, {name: value for name, value in (defaults | given).items() if value is not inspect.Parameter.empty}


def _same_function(value: object, default: object) -> bool:
    """Return whether both are the same function, or build objects of the same class with the same arguments."""
    return value is default or ((built := built_by(value)) is not None and built == built_by(default))


def _constructor_arguments(instance: object) -> dict[str, Any]:
    """Return the arguments by name that the outermost running `__init__` of ``instance`` was called with."""
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
    """Return the value in a form that `torch.load` reads with `weights_only=True`; a path becomes a string."""
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
        f"A checkpoint can hold numbers, strings, and lists and dictionaries of them, but not {type(value).__name__} "
        f"{value!r}."
    )


def stated_form(instance: object, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module within another one as a plain value: its ``class_path`` and ``init_args``, as in YAML."""
    return {"class_path": f"{type(instance).__module__}.{type(instance).__name__}", "init_args": dict(arguments)}


def build_stated(stated: Mapping[str, Any]) -> object:
    """Build what `stated_form` returned.

    Raises:
        ZooError: There is no class of this name.
    """
    module, _, name = str(stated.get("class_path", "")).rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ZooError(f"The class {stated.get('class_path')!r} cannot be imported: {error}") from error
    return kind(**stated.get("init_args", {}))


def origin_of(network: InpaintingNetwork) -> Origin:
    """Return the registry name and options of a network that `create_model` built."""
    assert network.origin is not None
    return network.origin


def check_same_network(network: InpaintingNetwork, stored: Mapping[str, Any]) -> None:
    """Check that a network matches the hyperparameters of a checkpoint before the checkpoint is loaded into it.

    Options that were passed explicitly override those of the checkpoint, unless they change the parameters.

    Args:
        network: A network that `create_model` built.
        stored: The ``hyper_parameters`` of the checkpoint.

    Raises:
        ZooError: The checkpoint is of another network; or an option has another value in it and was not passed
            explicitly; or an option that was passed changes the parameters.
    """
    origin = origin_of(network)
    name = stored.get("network", origin.name)
    if name != origin.name:
        raise ZooError(
            f"The checkpoint holds the network '{name}', but the network to load it into is '{origin.name}'."
        )
    stated = stored.get("network_options") or {}
    built = model_info(origin.name, **origin.options).options
    for key, value in stated.items():
        if key not in origin.options and value != built.get(key):
            raise ZooError(
                f"The checkpoint was trained with the network option {key}={value!r}, but the network to load it into "
                f"has the default {key}={built.get(key)!r}. Set the option in `network_options`, for example "
                f"--model.init_args.network_options.{key}={value!r}."
            )
    if built != model_info(origin.name, **stated).options and (clash := options_clash(name, stated, origin.options)):
        raise ZooError(f"The checkpoint does not fit '{name}': {clash}")
