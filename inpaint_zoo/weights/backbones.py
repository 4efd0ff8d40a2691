"""Pretrained backbones that metrics and losses look through: found or refused by name, never random.

Searched in order: the path given, the folder `INPAINT_ZOO_WEIGHTS`, the torch hub cache, then a download from the
library that owns the file (not when `INPAINT_ZOO_OFFLINE` is set).
"""

from __future__ import annotations

import os
import socket
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["BACKBONES", "Backbone", "WeightsNotFoundError", "find_backbone"]

DOWNLOAD_TIMEOUT_S = 20.0


class WeightsNotFoundError(ZooError):
    """A backbone file is nowhere; the message says which file goes where."""


class Backbone(NamedTuple):
    """A file of pretrained weights that another project owns.

    Attributes:
        files: Names under which it is accepted, the owner's name first.
        url: Where its owner publishes it.
        owner: The library that publishes it.
        hashed: Whether its name holds the first digits of its SHA-256. What cannot be checked is not downloaded.
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
    # the second name is a half-precision copy; the values cost LPIPS nothing at four digits
    "squeezenet1_1": _torchvision("squeezenet1_1-b8a52dc0.pth", "squeezenet1_1_imagenet_fp16.pth"),
    # the ported TensorFlow Inception of the original FID
    "inception_fid": _torch_fidelity("weights-inception-2015-12-05-6726825d.pth"),
    # what GRIG's projected discriminator looks through: the code's, the paper's
    "tf_efficientnet_lite0": _timm("tf_efficientnet_lite0-0aa007d2.pth"),
    "tf_efficientnet_lite1": _timm("tf_efficientnet_lite1-bde8b488.pth"),
    # LaMa keeps it under TORCH_HOME by the second name
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

_failed_downloads: dict[str, str] = {}  # one attempt for each file and process


def _candidates(backbone: Backbone) -> Iterator[Path]:
    import torch

    hub = Path(torch.hub.get_dir())
    folders = [hub / "checkpoints", hub.parent]
    if given := os.environ.get("INPAINT_ZOO_WEIGHTS"):
        folders.insert(0, Path(given).expanduser())
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


def _download(name: str, backbone: Backbone) -> Path | None:
    import torch

    if os.environ.get("INPAINT_ZOO_OFFLINE"):
        _failed_downloads[name] = "INPAINT_ZOO_OFFLINE is set"
    elif not backbone.hashed:
        _failed_downloads[name] = "its owner publishes no hash to check a download by"
    if name in _failed_downloads:
        return None
    target = Path(torch.hub.get_dir()) / "checkpoints" / backbone.files[0]
    prefix = Path(backbone.files[0]).stem.rsplit("-", 1)[-1]  # owners put the first digits of the SHA-256 there
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _socket_timeout(DOWNLOAD_TIMEOUT_S):
            torch.hub.download_url_to_file(backbone.url, str(target), hash_prefix=prefix)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        _failed_downloads[name] = str(getattr(error, "reason", error))
        return None
    return target


def find_backbone(name: str, path: str | Path | None = None) -> Path:
    """The file that holds the pretrained weights called ``name``.

    Args:
        name: A key of `BACKBONES`.
        path: Use this file; nothing else is searched.

    Raises:
        UnknownNameError: No such backbone.
        WeightsNotFoundError: It is nowhere, in one line that says which file goes where.
    """
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES)
    backbone = BACKBONES[name]
    if path is not None:
        if not Path(path).is_file():
            raise WeightsNotFoundError(f"No file {path} for the backbone '{name}'.")
        return Path(path)
    for candidate in _candidates(backbone):
        if candidate.is_file():
            return candidate
    if found := _download(name, backbone):
        return found
    raise WeightsNotFoundError(
        f"The weights of '{name}' ({backbone.owner}) are not here and could not be downloaded "
        f"({_failed_downloads[name]}): put {backbone.files[0]} from {backbone.url} "
        "into the folder that INPAINT_ZOO_WEIGHTS names."
    )
