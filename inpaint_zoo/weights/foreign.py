"""Load the tensors of other projects' checkpoints without running code that they refer to or contain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inpaint_zoo.errors import ZooError
from inpaint_zoo.weights.files import load_state
from inpaint_zoo.weights.inert import read_inert, tensors_by_name

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["load_foreign", "match_state", "unwrapped"]

MOST_NAMES = 4  # maximum number of keys listed in one message


def load_foreign(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of any checkpoint by name; code that the file needs is ignored and not run.

    A mapping of tensors at the top level is returned as is; a mapping under ``state_dict`` (as in Lightning
    checkpoints) is used instead if present. Names of nested parts are joined by dots, list items are numbered, and
    values that are not tensors are dropped. The modules of a TorchScript archive are treated as nested parts, which
    gives the names of its state dict.

    Raises:
        WeightsError: If the file is missing, damaged, has no tensors, or has names that only its own code knows.
    """
    path = Path(path)
    if path.suffix == ".safetensors" or not path.is_file():
        return load_state(path)
    content = read_inert(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    return tensors_by_name(content, path)


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the entries without the prefix that DataParallel adds to their names."""
    return {key.removeprefix("module."): value for key, value in state.items()}


def match_state(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Return the tensors of ``state`` if they are exactly those of ``wanted``: the last step of a converter.

    Args:
        state: Tensors by the names of our network.
        wanted: State dict of our network; its names and shapes are compared, its values are not.
        source: What was converted, for the error message.

    Raises:
        ZooError: If keys are missing or left over, or shapes differ; the message lists the first ones.
    """
    missing = [key for key in wanted if key not in state]
    extra = [key for key in state if key not in wanted]
    shapes = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:MOST_NAMES])}{', ...' if len(names) > MOST_NAMES else ''}"
        for what, names in (("missing", missing), ("left over", extra), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise ZooError(f"The checkpoint does not fit {source}: {'; '.join(problems)}.")
    return {key: state[key] for key in wanted}
