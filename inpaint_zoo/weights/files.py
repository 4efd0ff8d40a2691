"""Weight files: write safetensors with metadata, and read any checkpoint without running code from it."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.io.atomic import atomic_path
from inpaint_zoo.weights.errors import WeightsError
from inpaint_zoo.weights.inert import is_archive, is_script, read_inert, refuse_packed, tensors_by_name

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "WeightsError",
    "WeightsFile",
    "WeightsHeader",
    "load_state",
    "load_weights",
    "read_header",
    "save_weights",
    "shipped_weights",
    "state_sha256",
]

_logger = logging.getLogger(__name__)

FORMAT = "inpaint-zoo/1"
SHIPPED_FOLDER = Path(__file__).parent / "shipped"


class WeightsHeader(NamedTuple):
    """Metadata of a weight file.

    Attributes:
        name: Registry name of the model; None if the file does not state it.
        options: Options for `create_model`.
        licence: Licence of the weights.
        training: Provenance as recorded by the trainer: data, budget, seed, code version, metrics.
    """

    name: str | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    licence: str = "unknown"
    training: dict[str, Any] = {}  # noqa: RUF012


class WeightsFile(NamedTuple):
    """Content of a weight file.

    Attributes:
        state: Tensors by name.
        name: Registry name of the model; None if the file does not state it.
        options: Options for `create_model`.
        licence: Licence of the weights.
        training: Provenance as recorded by the trainer: data, budget, seed, code version, metrics.
        sha256: Hash of the tensors (`state_sha256`), which is equal for files with equal weights.
    """

    state: dict[str, Tensor]
    name: str | None
    options: dict[str, Any]
    licence: str
    training: dict[str, Any]
    sha256: str


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of all tensors, independent of their order."""
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
    """Write a network as a safetensors file that `create_model(name, weights=path)` can load.

    Args:
        net: A network built by `create_model` or `create_discriminator`; the file stores its name and options.
        path: Path that ends in `.safetensors`.
        licence: SPDX identifier of the licence of the weights.
        training: Provenance as plain values: data, budget, seed, metrics.
        half: Store floating-point tensors as float16 (half the size; loading casts them back).

    Raises:
        WeightsError: If the network was not built by name, or the path has another suffix.
    """
    from safetensors.torch import save_file

    path = Path(path)
    origin = getattr(net, "origin", None)
    if origin is None:
        raise WeightsError("Only a network that create_model() built can be saved: the file must name its model.")
    if path.suffix != ".safetensors":
        raise WeightsError(f"Weights are written as .safetensors, got {path.name!r}.")
    state = {
        # clone, because safetensors rejects tensors that share memory
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
    """Read a weight file and its metadata, and verify the tensors against the recorded hash.

    The `.safetensors` files and training checkpoints of this package name their model and its options. Other files
    contain only tensors.

    Raises:
        WeightsError: If the file is missing, damaged, or needs code to load.
    """
    path = Path(path)
    content = _read(path)
    state = _part(content, path, "network")
    digest = state_sha256(state)
    metadata = _metadata(path)
    if metadata.get("sha256", digest) != digest:
        raise WeightsError(f"{path} is damaged: its tensors do not match the hash that was written with them.")
    _logger.info("the weights %s are read from %s", digest[:12], path)
    return WeightsFile(state=state, sha256=digest, **_header(path, metadata, content)._asdict())


def read_header(path: str | Path) -> WeightsHeader:
    """Read the metadata of a weight file without loading its tensors.

    Raises:
        WeightsError: If the file is missing, damaged, or needs code to load.
    """
    path = Path(path)
    metadata = _metadata(path)
    if path.suffix == ".safetensors" or not is_archive(path) or is_script(path):
        return _header(path, metadata, None)
    return _header(path, metadata, _unpickled(path, mmap=True))  # memory-mapped: the tensors are not read


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a `.safetensors` file; empty for other files."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"No weight file {path}.")
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged or is not a weight file: {error}") from error


def _header(path: Path, metadata: Mapping[str, str], content: object) -> WeightsHeader:
    """Return the header from a file's metadata, or from the content of a training checkpoint."""
    if path.suffix != ".safetensors":
        return _checkpoint_header(path, content)
    try:
        options, training = (json.loads(metadata.get(key, "{}")) for key in ("options", "training"))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path} is damaged: its metadata is not valid JSON ({error}).") from error
    return WeightsHeader(
        metadata.get("name"),
        _by_name(path, "options", options),
        metadata.get("licence", "unknown"),
        _by_name(path, "training", training),
    )


def _checkpoint_header(path: Path, content: object) -> WeightsHeader:
    """Return the header that our training wrote into a Lightning checkpoint; empty for other files."""
    if not isinstance(content, Mapping) or not _is_ours(content):
        return WeightsHeader()
    stated = content["hyper_parameters"]
    training = {
        "step": content.get("global_step"),
        "epoch": content.get("epoch"),
        "weights": "running average (EMA)" if "averaging_state" in content else "in training",
    }
    options = _by_name(path, "network_options", stated.get("network_options") or {})
    return WeightsHeader(stated["network"], options, "unknown", training)


def _is_ours(content: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was written by `TrainingModule`: it names the network and contains its tensors."""
    stated, state = content.get("hyper_parameters"), content.get("state_dict")
    named = isinstance(stated, Mapping) and isinstance(stated.get("network"), str)
    return named and isinstance(state, Mapping) and any(str(key).startswith("network.") for key in state)


def _by_name(path: Path, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise WeightsError(f"{path} is damaged: its '{key}' must be values by name, got {value!r}.")
    return dict(value)


def load_state(path: str | Path, part: str = "network") -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU, without running code.

    Reads `.safetensors`, `.pth`, `.pt`, TorchScript archives and Lightning's `.ckpt`. From a Lightning checkpoint of
    this package, only the tensors of one part are returned: those whose names start with `<part>.`.

    Raises:
        WeightsError: If the file is missing, damaged, needs code to load, has no tensors, or lacks the part.
    """
    path = Path(path)
    return _part(_read(path), path, part)


def _read(path: Path) -> object:
    """Return the whole content of a file, read without running code.

    Raises:
        WeightsError: If the file is missing, damaged, or needs code to load.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(f"No weight file {path}.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"{path} is damaged or is not a weight file: {error}") from error
    if is_script(path):  # torch.load rejects it; with weights_only=False it would run the archive's code
        return tensors_by_name(read_inert(path), path)
    return _unpickled(path)


def _unpickled(path: Path, mmap: bool = False) -> object:
    import torch

    needs_code = (
        f"{path} needs code to load (or is not a checkpoint), so it was not opened. If you trust it, save its state "
        "dict alone with torch.save(model.state_dict(), ...). inpaint-zoo convert reads the authors' checkpoints "
        "without running their code."
    )
    refuse_packed(path)
    try:
        return torch.load(path, "cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise WeightsError(needs_code) from error
    except (RuntimeError, EOFError, ValueError) as error:
        if "weights_only" in str(error):  # torch's tar format of 2016; its message suggests running the code
            raise WeightsError(needs_code) from error
        raise WeightsError(f"{path} is damaged or is not a weight file: {error}") from error


def _part(content: object, path: Path, part: str) -> dict[str, Tensor]:
    """Return the tensors of one part of a checkpoint, or of a file that is a state dict."""
    import torch

    wrapped = isinstance(content, Mapping) and "state_dict" in content
    state: Any = content["state_dict"] if isinstance(content, Mapping) and wrapped else content
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} contains no state dict: expected tensors by name.")
    prefix = f"{part}." if wrapped and any(key.startswith(f"{part}.") for key in state) else ""
    if not prefix and part != "network":
        raise WeightsError(f"{path} contains no '{part}': give a checkpoint of a training run that has one.")
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def shipped_weights(name: str) -> Path | None:
    """Return the path of the shipped weights of the model ``name``, or None if there are none."""
    path = SHIPPED_FOLDER / f"{name}.safetensors"
    return path if path.is_file() else None
