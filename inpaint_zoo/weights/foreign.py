"""Checkpoints of other projects: their tensors, without running any of the code that they name or carry."""

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

MOST_NAMES = 4  # of keys, in one message


def load_foreign(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name of any checkpoint, also one that needs code to load: that code is left out, not run.

    A mapping of tensors at the top is taken as it is, one under ``state_dict`` (Lightning's) is taken out; of nested
    parts the names are joined by dots, those in lists are numbers, and what is no tensor is left out. The modules of a
    TorchScript archive are such nested parts: the names are those of its state dict.

    Raises:
        WeightsError: Missing, damaged, without tensors, or with names that only its own code knows.
    """
    path = Path(path)
    if path.suffix == ".safetensors" or not path.is_file():
        return load_state(path)
    content = read_inert(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    return tensors_by_name(content, path)


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries without the name of a DataParallel around the network."""
    return {key.removeprefix("module."): value for key, value in state.items()}


def match_state(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The tensors of ``state``, if they are exactly those of ``wanted``: a converter's last step.

    Args:
        state: By our names.
        wanted: The state dict of our network; its shapes count, its values don't.
        source: What was converted, for the message.

    Raises:
        ZooError: Keys are missing or left over, or shapes differ; the first ones are named.
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
