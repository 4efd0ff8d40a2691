"""Weight files: ours are safetensors that say what they are; others' are read without running what they carry."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_path

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "WeightsError",
    "WeightsFile",
    "load_state",
    "load_weights",
    "save_weights",
    "shipped_weights",
    "state_sha256",
]

FORMAT = "inpaint-zoo/1"
SHIPPED_FOLDER = Path(__file__).parent / "shipped"


class WeightsError(ZooError):
    """A weight file that cannot be used: missing, damaged, unsafe, or made for another model."""


class WeightsFile(NamedTuple):
    """What a weight file holds.

    Attributes:
        state: Tensors by name.
        name: Registry name of the model, None where the file does not say.
        options: Options that `create_model` builds it with.
        licence: Of the weights.
        training: Provenance: data, budget, seed, code version, metrics; whatever the trainer recorded.
        sha256: Of the tensors (`state_sha256`), so that two files with the same weights are known as the same.
    """

    state: dict[str, Tensor]
    name: str | None
    options: dict[str, Any]
    licence: str
    training: dict[str, Any]
    sha256: str


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, types, shapes and bytes of all tensors, whatever their order or file."""
    import torch

    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_weights(
    net: nn.Module,
    path: str | Path,
    *,
    licence: str = "unknown",
    training: Mapping[str, Any] | None = None,
    half: bool = False,
) -> Path:
    """Write a network as safetensors that `create_model(name, weights=path)` reads back.

    Args:
        net: Built by `create_model` or `create_discriminator`: its name and options go into the file.
        path: Ends in `.safetensors`.
        licence: SPDX name of the licence of the weights.
        training: Provenance, as plain values: data, budget, seed, metrics.
        half: Store floating-point tensors as float16 (half the size; loading casts back).

    Raises:
        WeightsError: The network was not built by name, or the path has another ending.
    """
    from safetensors.torch import save_file

    path = Path(path)
    origin = getattr(net, "origin", None)
    if origin is None:
        raise WeightsError("Only a network that create_model() built can be saved: the file must name its model.")
    if path.suffix != ".safetensors":
        raise WeightsError(f"Weights are written as .safetensors, got {path.name!r}.")
    state = {
        # clones: safetensors refuses tensors that share memory
        key: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous().clone()
        for key, tensor in net.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "name": origin.name,
        "options": json.dumps(origin.options, sort_keys=True),
        "licence": licence,
        "training": json.dumps(dict(training or {}), sort_keys=True),
        "sha256": state_sha256(state),
        "inpaint_zoo": __version__,
    }
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata=metadata)
    return path


def load_weights(path: str | Path) -> WeightsFile:
    """Read a weight file with what it says of itself; the tensors are checked against the recorded hash.

    Raises:
        WeightsError: Missing, damaged, or needing code to load.
    """
    path = Path(path)
    state = load_state(path)
    metadata = _metadata(path) if path.suffix == ".safetensors" else {}
    digest = state_sha256(state)
    if metadata.get("sha256", digest) != digest:
        raise WeightsError(f"{path} is damaged: its tensors do not match the hash that was written with them.")
    return WeightsFile(
        state=state,
        name=metadata.get("name"),
        options=json.loads(metadata.get("options", "{}")),
        licence=metadata.get("licence", "unknown"),
        training=json.loads(metadata.get("training", "{}")),
        sha256=digest,
    )


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def load_state(path: str | Path, part: str = "network") -> dict[str, Tensor]:
    """Tensors by name from `.safetensors`, `.pth`, `.pt` or a Lightning `.ckpt`, on the CPU, without running code.

    Of a Lightning checkpoint one part is kept: what our modules hold under `<part>.`.

    Raises:
        WeightsError: Missing, damaged, needing code to load, without tensors, or without another part than the network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"No weight file {path}.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} needs code to load (or is no checkpoint), so it was not opened. Save its state dict alone with "
            "torch.save(model.state_dict(), ...) where you trust it; inpaint-zoo convert reads "
            "the authors' checkpoints without it."
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"{path} is damaged or is no weight file: {error}") from error
    wrapped = isinstance(content, Mapping) and "state_dict" in content
    state: Any = content["state_dict"] if wrapped else content
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict: expected tensors by name.")
    prefix = f"{part}." if wrapped and any(key.startswith(f"{part}.") for key in state) else ""
    if not prefix and part != "network":
        raise WeightsError(f"{path} holds no '{part}': give a checkpoint of the training that made one.")
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def shipped_weights(name: str) -> Path | None:
    """The weights of the model ``name`` that come with the package, or None."""
    path = SHIPPED_FOLDER / f"{name}.safetensors"
    return path if path.is_file() else None
