"""Weight files of registered models: which file a model takes, and the options that it states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inpaint_zoo.errors import ZooError
from inpaint_zoo.registry.lookup import find_model, options_through
from inpaint_zoo.registry.tables import Entry
from inpaint_zoo.weights import (
    OtherModelError,
    WeightsError,
    WeightsFile,
    WeightsHeader,
    is_official,
    official_weights,
    shipped_weights,
)

__all__ = [
    "options_clash",
    "path_for",
    "stated_options",
    "weights_path",
]


def weights_path(name: str, weights: str | Path | None) -> Path | None:
    """Return the weight file that the argument ``weights`` of `create_model` refers to; None for random weights.

    Raises:
        WeightsError: If the model takes no weights, or the file is unknown here.
    """
    return path_for(name, find_model(name), weights)


def path_for(name: str, entry: Entry, weights: str | Path | None) -> Path | None:
    """Return the weight file of the model ``name`` with a given entry, see `weights_path`."""
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


def stated_options(name: str, entry: Entry, path: Path, header: WeightsHeader | WeightsFile) -> dict[str, Any]:
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
    entry = find_model(name)
    theirs = entry.defaults | dict(stated)
    own = _shapes(entry, stated)
    clashing = [key for key, value in overrides.items() if _shapes(entry, {**stated, key: value}) != own]
    both = " and ".join(f"{key}={theirs[key]!r}, but {key}={overrides[key]!r} is asked for" for key in clashing)
    if not clashing:
        return ""
    return f"it was saved with {both}, which changes the parameters. Omit the option, or give matching weights."


def _shapes(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    with torch.device("meta"):
        return {key: value.shape for key, value in entry.build(**options).state_dict().items()}
