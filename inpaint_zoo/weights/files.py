"""Weight files: ours are safetensors that say what they are; others' are read without running what they carry."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.io.atomic import atomic_path
from inpaint_zoo.weights.errors import WeightsError
from inpaint_zoo.weights.inert import is_archive, is_script, read_inert, tensors_by_name

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

FORMAT = "inpaint-zoo/1"
SHIPPED_FOLDER = Path(__file__).parent / "shipped"


class WeightsHeader(NamedTuple):
    """What a weight file says of itself, beside its tensors.

    Attributes:
        name: Registry name of the model, None where the file does not say.
        options: Options that `create_model` builds it with.
        licence: Of the weights.
        training: Provenance: data, budget, seed, code version, metrics; whatever the trainer recorded.
    """

    name: str | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    licence: str = "unknown"
    training: dict[str, Any] = {}  # noqa: RUF012


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

    Our own `.safetensors` and the checkpoints of our training name their model and its options. Other files hold
    tensors alone.

    Raises:
        WeightsError: Missing, damaged, or needing code to load.
    """
    path = Path(path)
    content = _read(path)
    state = _part(content, path, "network")
    digest = state_sha256(state)
    metadata = _metadata(path)
    if metadata.get("sha256", digest) != digest:
        raise WeightsError(f"{path} is damaged: its tensors do not match the hash that was written with them.")
    return WeightsFile(state=state, sha256=digest, **_header(path, metadata, content)._asdict())


def read_header(path: str | Path) -> WeightsHeader:
    """Read what a weight file says of itself, without its tensors; as `load_weights` otherwise.

    Raises:
        WeightsError: Missing, damaged, or needing code to load.
    """
    path = Path(path)
    metadata = _metadata(path)
    if path.suffix == ".safetensors" or not is_archive(path) or is_script(path):
        return _header(path, metadata, None)
    return _header(path, metadata, _unpickled(path, mmap=True))  # the tensors stay on the disk


def _metadata(path: Path) -> dict[str, str]:
    """The metadata of a `.safetensors` file; empty for other files."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"No weight file {path}.")
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged or is no weight file: {error}") from error


def _header(path: Path, metadata: Mapping[str, str], content: object) -> WeightsHeader:
    """The header from a file's metadata, or from the content of a training checkpoint."""
    if path.suffix != ".safetensors":
        return _checkpoint_header(path, content)
    try:
        options, training = (json.loads(metadata.get(key, "{}")) for key in ("options", "training"))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path} is damaged: its metadata are no JSON ({error}).") from error
    return WeightsHeader(
        metadata.get("name"),
        _by_name(path, "options", options),
        metadata.get("licence", "unknown"),
        _by_name(path, "training", training),
    )


def _checkpoint_header(path: Path, content: object) -> WeightsHeader:
    """What our training writes into a Lightning checkpoint; of other files nothing is known."""
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
    """Whether a checkpoint is one of `TrainingModule`: it names the network whose tensors it holds."""
    stated, state = content.get("hyper_parameters"), content.get("state_dict")
    named = isinstance(stated, Mapping) and isinstance(stated.get("network"), str)
    return named and isinstance(state, Mapping) and any(str(key).startswith("network.") for key in state)


def _by_name(path: Path, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise WeightsError(f"{path} is damaged: its '{key}' must be values by name, got {value!r}.")
    return dict(value)


def load_state(path: str | Path, part: str = "network") -> dict[str, Tensor]:
    """Tensors by name, on the CPU, without running code.

    Reads `.safetensors`, `.pth`, `.pt`, TorchScript archives and Lightning's `.ckpt`. Of a Lightning checkpoint, one
    part is kept: what our modules hold under `<part>.`.

    Raises:
        WeightsError: Missing, damaged, needing code to load, without tensors, or without another part than the network.
    """
    path = Path(path)
    return _part(_read(path), path, part)


def _read(path: Path) -> object:
    """The whole content of a file, read without running code.

    Raises:
        WeightsError: Missing, damaged, or needing code to load.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(f"No weight file {path}.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"{path} is damaged or is no weight file: {error}") from error
    if is_script(path):  # torch.load would refuse it: with weights_only=False it runs what the archive carries
        return tensors_by_name(read_inert(path), path)
    return _unpickled(path)


def _unpickled(path: Path, mmap: bool = False) -> object:
    import torch

    needs_code = (
        f"{path} needs code to load (or is no checkpoint), so it was not opened. Save its state dict alone with "
        "torch.save(model.state_dict(), ...) where you trust it; inpaint-zoo convert reads "
        "the authors' checkpoints without it."
    )
    try:
        return torch.load(path, "cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise WeightsError(needs_code) from error
    except (RuntimeError, EOFError, ValueError) as error:
        if "weights_only" in str(error):  # torch's tar format of 2016; its message advises to let the code run
            raise WeightsError(needs_code) from error
        raise WeightsError(f"{path} is damaged or is no weight file: {error}") from error


def _part(content: object, path: Path, part: str) -> dict[str, Tensor]:
    """The tensors of one part of a checkpoint, or of a file that is a state dict."""
    import torch

    wrapped = isinstance(content, Mapping) and "state_dict" in content
    state: Any = content["state_dict"] if isinstance(content, Mapping) and wrapped else content
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
