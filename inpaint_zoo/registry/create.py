"""Create networks and discriminators by their registry names, and convert the authors' checkpoints to them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo.discovery import discover
from inpaint_zoo.errors import unknown_name
from inpaint_zoo.registry.lookup import find_model
from inpaint_zoo.registry.stored import options_clash, path_for, stated_options
from inpaint_zoo.registry.tables import CONVERTERS, DISCRIMINATOR, DISCRIMINATORS, Conversion, call
from inpaint_zoo.weights import WeightsError, load_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "convert_official",
    "create_discriminator",
    "create_model",
    "create_unfilled",
    "official_files",
]

_logger = logging.getLogger(__name__)


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

    entry = find_model(name)
    path = path_for(name, entry, weights)
    file = load_weights(path) if path else None
    stated = stated_options(name, entry, path, file) if path and file else {}
    options = {**stated, **overrides}
    _logger.debug("the model '%s' is built with %s", name, entry.defaults | options)
    net = call("model", name, entry.build, options)
    net.origin = Origin(name, options)
    if path and file:
        try:
            net.load_state_dict(file.state, strict=True)
        except RuntimeError as error:
            clash = options_clash(name, stated, overrides) if file.name else ""
            raise WeightsError(f"{path} does not fit '{name}': {clash or error}") from error
    return net.eval()


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
    net = call("discriminator", name, DISCRIMINATORS[name], options)
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


def _conversion(name: str) -> Conversion:
    discover()
    if name not in CONVERTERS:
        raise unknown_name("converter", name, CONVERTERS, "list_converters() gives all names.")
    return CONVERTERS[name]
