"""The Inception network of the FID, with the three resizings that the literature compares under one name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import to_uint8
from inpaint_zoo.weights import WeightsNotFoundError, find_backbone, load_state

__all__ = ["InceptionFeatures", "Resize", "resize_images"]

Resize = Literal["tensorflow", "pytorch", "clean"]
SIDE = 299
LAYERS = [
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    *(f"Mixed_{block}" for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")),
    "AvgPool",
]


def resize_images(images: Tensor, how: Resize) -> Tensor:
    """Bring images to 299 px and to the range the network wants.

    Args:
        images: (B, 3, H, W) in [0, 1]; rounded to bytes first, so that memory and saved files agree.
        how: "tensorflow": bilinear as TensorFlow 1 does it, corners unaligned and no antialias (the original FID,
        torch-fidelity). "pytorch": bilinear with half-pixel centres, no antialias (pytorch-fid; GRIG, LaMa). "clean":
        bicubic with antialias, per channel in float, as PIL computes it (clean-fid).

    Returns:
        (B, 3, 299, 299) in [-1, 1].
    """
    x = to_uint8(images).float()
    if how == "tensorflow":
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        x = interpolate_bilinear_2d_like_tensorflow1x(x, size=(SIDE, SIDE), align_corners=False)
    elif how == "pytorch":
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return x / 255 * 2 - 1  # this code divides by 127.5, the two others by 128
    else:
        if x.device.type != "mps":  # no doubles there
            x = x.double()  # PIL weighs in double precision
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
        x = x.clamp(0, 255).float()
    return (x - 128) / 128


class InceptionFeatures(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> the 2048 pooled features of the FID's Inception v3.

    The network and its port of the 2015 TensorFlow weights are torch-fidelity's.

    Args:
        resize: As `resize_images`.
        weights: torch-fidelity's file; searched by `find_backbone` when None.

    Raises:
        WeightsNotFoundError: The file, or the package torch-fidelity, is not here.
        ZooError: The file is of another network.
    """

    def __init__(self, resize: Resize = "tensorflow", weights: str | Path | None = None) -> None:
        super().__init__()
        path = find_backbone("inception_fid", weights)
        state = load_state(path)
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise WeightsNotFoundError(
                "The Inception metrics need the package torch-fidelity: pip install 'inpaint-zoo[fid]'."
            ) from error
        # it insists on reading a file, and would let it run code: hand it back what was read safely
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        try:
            with torch.random.fork_rng(devices=[]):
                network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=buffer)
        except RuntimeError as error:
            raise ZooError(f"{path} holds no Inception network as torch-fidelity lays it out.") from error
        self.resize: Resize = resize
        self.layers = nn.Sequential(*(getattr(network, layer) for layer in LAYERS))

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 2048), float32."""
        return self.layers(resize_images(images, self.resize)).flatten(1)
