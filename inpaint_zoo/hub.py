"""Share a network as a folder of the Hugging Face hub's layout: weights, configuration and a model card.

Saving and loading folders needs no network and no further package; `push_to_hub`, and `from_pretrained` with a name on
the hub, need huggingface_hub (extra `hub`).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from inpaint_zoo._version import __version__
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes, write_json
from inpaint_zoo.registry import ModelInfo, create_model, model_info
from inpaint_zoo.weights import load_weights, read_header, save_weights
from inpaint_zoo.weights.backbones import is_offline

if TYPE_CHECKING:
    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"

CARD_TEXT = """\
# {name}
{description}

| | |
| --- | --- |
| paper | {paper} |
| parameters | {parameters:,} |
| options | {options} |
| license of the weights | {licence} |
| SHA-256 of the tensors | `{sha256}` |
| written by | inpaint-zoo {version} |

## Use
```python
import inpaint_zoo as iz
net = iz.from_pretrained("{repo}")
filled = iz.inpaint(net, "image.jpg", "mask.png")   # white = hole
```
The network takes images (B, 3, H, W), RGB in [0, 1], and masks (B, 1, H, W) with 1 = hole, of any size from 16 px up.
It returns the completed images; known pixels are bit-identical.

## Training
{training}
"""


def save_pretrained(
    net: InpaintingNetwork,
    folder: str | Path,
    *,
    licence: str = "unknown",
    training: Mapping[str, Any] | None = None,
    repo: str | None = None,
) -> Path:
    """Write a network as a folder: `model.safetensors`, `config.json`, and the model card `README.md`.

    Args:
        net: A network that `create_model` built.
        folder: The folder; its files of these names are replaced.
        licence: Licence of the weights, as an SPDX identifier.
        training: Provenance of the weights as plain values, for their metadata and the card.
        repo: Name on the hub that the card shows; None shows the folder's name.

    Raises:
        WeightsError: If the network was not built by name.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = save_weights(net, folder / WEIGHTS, licence=licence, training=training)
    file = load_weights(path)
    info = model_info(str(file.name), **file.options)
    config = {"library_name": "inpaint-zoo", "model": info.name, "options": file.options, "inpaint_zoo": __version__}
    write_json(folder / CONFIG, config)
    write_bytes(folder / CARD, _card(info, licence, file.sha256, file.training, repo or folder.name).encode())
    return folder


def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    **overrides: Any,
) -> InpaintingNetwork:
    """Load a network from a folder of `save_pretrained`, or from the Hugging Face hub. No code in files is run.

    Args:
        source: A folder, or a name on the hub: "owner/name".
        revision: Branch, tag or commit on the hub.
        token: Access token of the hub; None uses the stored one.
        cache_dir: Folder for downloads; None uses the hub's.
        local_files_only: Use only files that were downloaded before, as with the variable INPAINT_ZOO_OFFLINE.
        overrides: Options of the model, as in `create_model`.

    Raises:
        ZooError: If the folder or the name has no such weights, or they state no model.
    """
    folder = Path(source)
    if folder.is_dir():
        path = folder / WEIGHTS
        if not path.is_file():
            raise ZooError(f"{folder} has no {WEIGHTS}: expected a folder that save_pretrained() wrote.")
    elif folder.is_file():
        raise ZooError(
            f"{folder} is a file: give its folder, or pass it to create_model(name, weights={str(folder)!r})."
        )
    else:
        path = _downloaded(str(source), revision, token, cache_dir, local_files_only or is_offline())
    name = read_header(path).name
    if name is None:
        raise ZooError(f"{path} does not state its model: it was not written by save_pretrained().")
    return create_model(name, path, **overrides)


def _downloaded(
    repo: str, revision: str | None, token: str | None, cache_dir: str | Path | None, local_files_only: bool
) -> Path:
    _need_hub()
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            hf_hub_download(
                repo,
                WEIGHTS,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
            )
        )
    except HFValidationError:
        raise ZooError(f"No folder {repo}, and it is no name on the Hugging Face hub (owner/name).") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ZooError(
            f"No folder {repo}, and {WEIGHTS} of '{repo}' cannot be loaded from the Hugging Face hub: {reason}"
        ) from error


def push_to_hub(
    net: InpaintingNetwork,
    repo: str,
    *,
    licence: str = "unknown",
    training: Mapping[str, Any] | None = None,
    private: bool | None = None,
    token: str | None = None,
    message: str | None = None,
) -> str:
    """Upload a network to the Hugging Face hub, as `save_pretrained` writes it, and return the address of the commit.

    Args:
        net: A network that `create_model` built.
        repo: Name on the hub: "owner/name". It is created if it does not exist.
        licence: See `save_pretrained`.
        training: See `save_pretrained`.
        private: Whether a new repository is private; None takes the owner's default.
        token: Access token of the hub; None uses the stored one.
        message: Message of the commit.

    Raises:
        ZooError: If huggingface_hub is not installed, or the hub refuses the upload or cannot be reached.
        WeightsError: If the network was not built by name.
    """
    _need_hub()
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="inpaint-zoo", library_version=__version__)
    with TemporaryDirectory() as temporary:
        folder = save_pretrained(net, Path(temporary) / "model", licence=licence, training=training, repo=repo)
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message or "Upload the network")
        except Exception as error:  # the errors of a connection come from another package in each version of the hub's
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ZooError(f"The network cannot be uploaded to '{repo}' on the Hugging Face hub: {reason}") from error
    return str(commit)


def _need_hub() -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ZooError("The Hugging Face hub needs huggingface_hub: pip install 'inpaint-zoo[hub]'.")


def _card(info: ModelInfo, licence: str, sha256: str, training: Mapping[str, Any], repo: str) -> str:
    """Return the model card with the metadata that the hub reads."""
    import yaml

    metadata: dict[str, Any] = {
        "library_name": "inpaint-zoo",
        "pipeline_tag": "image-to-image",
        "tags": ["image-inpainting", "pytorch", info.family],
    }
    if licence != "unknown":
        metadata["license"] = licence.lower()
    paper = f"{info.paper.title} ({info.paper})" if info.paper else "none"
    text = CARD_TEXT.format(
        name=info.name,
        description=info.description,
        paper=f"[{paper}]({info.paper.url})" if info.paper and info.paper.url else paper,
        parameters=info.parameters,
        options=", ".join(f"`{key}={value!r}`" for key, value in info.options.items()) or "none",
        licence=licence,
        sha256=sha256,
        version=__version__,
        repo=repo,
        training="\n".join(f"- {key}: {json.dumps(value)}" for key, value in training.items()) or "Not stated.",
    )
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False)}---\n{text}"
