"""Find the pretrained backbones that metrics and losses use. A missing backbone raises an error; none is random.

Searched in this order: the given path, the folder `INPAINT_ZOO_WEIGHTS`, the torch hub cache, and a download from the
project that publishes the file (unless `INPAINT_ZOO_OFFLINE` is set).
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.errors import MissingError, unknown_name

__all__ = [
    "BACKBONES",
    "Backbone",
    "WeightsNotFoundError",
    "backbone_place",
    "find_backbone",
    "is_offline",
    "recorded_backbones",
    "weights_folder",
]

_logger = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = 20.0


class WeightsNotFoundError(MissingError):
    """A backbone file was not found; the message says which file to put where."""


class Backbone(NamedTuple):
    """A file of pretrained weights that another project publishes.

    Attributes:
        files: Accepted file names, the publisher's name first.
        url: Where the file is published.
        owner: The project that publishes it.
        hashed: Whether the file name contains the first digits of its SHA-256. Files without it are not downloaded,
            because the download could not be verified.
    """

    files: tuple[str, ...]
    url: str
    owner: str
    hashed: bool = True


def _torchvision(file: str, *also: str) -> Backbone:
    return Backbone((file, *also), f"https://download.pytorch.org/models/{file}", "torchvision")


def _torch_fidelity(file: str, *also: str) -> Backbone:
    return Backbone(
        (file, *also), f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{file}", "torch-fidelity"
    )


def _timm(file: str) -> Backbone:
    releases = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights"
    return Backbone((file,), f"{releases}/{file}", "timm")


BACKBONES: dict[str, Backbone] = {
    "alexnet": _torchvision("alexnet-owt-7be5be79.pth"),
    "vgg16": _torchvision("vgg16-397923af.pth"),
    "vgg19": _torchvision("vgg19-dcbb9e9d.pth"),
    # the second name is a half-precision copy; it does not change LPIPS in its first four digits
    "squeezenet1_1": _torchvision("squeezenet1_1-b8a52dc0.pth", "squeezenet1_1_imagenet_fp16.pth"),
    # the ported TensorFlow Inception of the original FID
    "inception_fid": _torch_fidelity("weights-inception-2015-12-05-6726825d.pth"),
    # backbones of GRIG's projected discriminator: the one in the code, the one in the paper
    "tf_efficientnet_lite0": _timm("tf_efficientnet_lite0-0aa007d2.pth"),
    "tf_efficientnet_lite1": _timm("tf_efficientnet_lite1-bde8b488.pth"),
    # LaMa stores it under TORCH_HOME by the second name
    "ade20k_resnet50dilated": Backbone(
        (
            "ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20.pth",
            "ade20k/ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20.pth",
            "encoder_epoch_20.pth",
        ),
        "http://sceneparsing.csail.mit.edu/model/pytorch/ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20.pth",
        "MIT CSAIL's semantic-segmentation-pytorch",
        hashed=False,
    ),
}

_recording: ContextVar[list[str] | None] = ContextVar("_recording", default=None)
_failed_downloads: dict[str, str] = {}  # one download attempt per file and process


def weights_folder() -> Path | None:
    """Return the folder set in `INPAINT_ZOO_WEIGHTS`; None if it is not set."""
    given = os.environ.get("INPAINT_ZOO_WEIGHTS")
    return Path(given).expanduser() if given else None


def _hub_folder() -> Path:
    """Return `torch.hub.get_dir()`, without importing PyTorch for it."""
    if (torch := sys.modules.get("torch")) is not None:
        return Path(torch.hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _candidates(backbone: Backbone) -> Iterator[Path]:
    hub = _hub_folder()
    folders = [hub / "checkpoints", hub.parent]
    if (given := weights_folder()) is not None:
        folders.insert(0, given)
    for folder in folders:
        for file in backbone.files:
            yield folder / file


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def is_offline() -> bool:
    """Return whether the variable `INPAINT_ZOO_OFFLINE` forbids downloads."""
    return bool(os.environ.get("INPAINT_ZOO_OFFLINE"))


def _download(name: str, backbone: Backbone) -> Path | None:
    import torch

    if is_offline():
        _failed_downloads[name] = "INPAINT_ZOO_OFFLINE is set"
    elif not backbone.hashed:
        _failed_downloads[name] = "its publisher provides no hash to verify a download"
    if name in _failed_downloads:
        return None
    target = Path(torch.hub.get_dir()) / "checkpoints" / backbone.files[0]
    prefix = Path(backbone.files[0]).stem.rsplit("-", 1)[-1]  # file names end with the first digits of the SHA-256
    _logger.info("%s is downloaded to %s", backbone.url, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _socket_timeout(DOWNLOAD_TIMEOUT_S):
            torch.hub.download_url_to_file(backbone.url, str(target), hash_prefix=prefix)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        _failed_downloads[name] = str(getattr(error, "reason", error))
        return None
    return target


def find_backbone(name: str, path: str | Path | None = None) -> Path:
    """Return the path of the pretrained weights called ``name``; download them if necessary.

    Args:
        name: A key of `BACKBONES`.
        path: Use this file and search nowhere else.

    Raises:
        UnknownNameError: If there is no such backbone.
        WeightsNotFoundError: If the file was not found; the message says in one line which file to put where.
    """
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES)
    backbone = BACKBONES[name]
    if (asked := _recording.get()) is not None:
        if path is None:
            asked.append(name)
        raise WeightsNotFoundError(f"The weights of '{name}' are not loaded within `recorded_backbones`.")
    if path is not None:
        if not Path(path).is_file():
            raise WeightsNotFoundError(f"No file {path} for the backbone '{name}'.")
        return Path(path)
    for candidate in _candidates(backbone):
        if candidate.is_file():
            _logger.info("the weights of the backbone '%s' are read from %s", name, candidate)
            return candidate
    if found := _download(name, backbone):
        return found
    raise WeightsNotFoundError(
        f"The weights of '{name}' ({backbone.owner}) were not found and could not be downloaded "
        f"({_failed_downloads[name]}): put {backbone.files[0]} from {backbone.url} "
        "into the folder set in INPAINT_ZOO_WEIGHTS."
    )


@contextmanager
def recorded_backbones() -> Iterator[list[str]]:
    """Let `find_backbone` find nothing within the context, and yield the list of names that it is asked for.

    This tells which pretrained weights the losses of a training need, without a download and without loading them. A
    backbone that is given as a file is not recorded.

    Example:
        >>> with recorded_backbones() as names:
        ...     try:
        ...         find_backbone("vgg16")
        ...     except WeightsNotFoundError:
        ...         pass
        >>> names
        ['vgg16']
    """
    names: list[str] = []
    token = _recording.set(names)
    try:
        yield names
    finally:
        _recording.reset(token)


def backbone_place(name: str) -> str | None:
    """Return which file goes where if a backbone is not on this machine, without a download; None if it is there."""
    backbone = BACKBONES[name]
    if any(candidate.is_file() for candidate in _candidates(backbone)):
        return None
    return f"backbone '{name}': put {backbone.files[0]} from {backbone.url} into the folder set in INPAINT_ZOO_WEIGHTS."
