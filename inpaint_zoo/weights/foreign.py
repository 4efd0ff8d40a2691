"""Checkpoints of other projects: their tensors, without running any of the code that their pickles name."""

from __future__ import annotations

import pickle
import types
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from inpaint_zoo.errors import ZooError
from inpaint_zoo.weights.files import WeightsError, load_state

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["load_foreign", "match_state", "unwrapped"]

MOST_NAMES = 4  # of keys, in one message


class Inert:
    """Stands where a pickle names a class or function: takes anything, does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """As of a list."""

    def extend(self, values: object) -> None:
        """As of a list."""


class _InertUnpickler(pickle.Unpickler):
    """Finds what rebuilds tensors, and `Inert` for every other name."""

    def find_class(self, module: str, name: str) -> object:
        from torch._weights_only_unpickler import _get_allowed_globals

        return _get_allowed_globals().get(f"{module}.{name}", Inert)  # torch's own list of what is safe


def _load(file: IO[bytes], **options: Any) -> object:
    return _InertUnpickler(file, **options).load()


_inert_pickle = types.ModuleType("inert_pickle", "What torch.load needs of a pickle module.")
_inert_pickle.Unpickler = _InertUnpickler  # type: ignore[attr-defined]
_inert_pickle.load = _load  # type: ignore[attr-defined]


def load_foreign(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name of any checkpoint, also one whose pickle needs code: that code is left out, not run.

    A mapping of tensors at the top is taken as it is, one under ``state_dict`` (Lightning's) is taken out; of nested
    parts the names are joined by dots, those in lists are numbers, and what is no tensor is left out.

    Raises:
        WeightsError: Missing, damaged, or without tensors.
    """
    import torch

    path = Path(path)
    if path.suffix == ".safetensors" or not path.is_file():
        return load_state(path)
    try:
        content = torch.load(path, "cpu", weights_only=False, pickle_module=_inert_pickle)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, AttributeError, TypeError) as error:
        raise WeightsError(f"{path} is damaged or is no checkpoint: {error}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    state = dict(_tensors(content, ""))
    if not state:
        raise WeightsError(f"{path} holds no tensors by name.")
    return state


def _tensors(content: object, prefix: str) -> list[tuple[str, Tensor]]:
    import torch

    if isinstance(content, torch.Tensor):
        return [(prefix.removesuffix("."), content.detach())]
    if isinstance(content, list | tuple):
        content = dict(enumerate(content))
    if not isinstance(content, Mapping):
        return []
    return [pair for key, value in content.items() for pair in _tensors(value, f"{prefix}{key}.")]


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
