"""FID's Inception network, with the three ways of resizing that the literature uses under the name FID."""

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
    """Resize images to 299x299 and convert them to the network's value range.

    Args:
        images: (B, 3, H, W) in [0, 1]; rounded to 8 bits first, so that values in memory and saved files give the same.
        how: "tensorflow": bilinear as in TensorFlow 1, without aligned corners or antialiasing (the original FID,
            torch-fidelity). "pytorch": bilinear with half-pixel centers, without antialiasing (pytorch-fid; GRIG,
            LaMa). "clean": bicubic with antialiasing, in float for each channel, as in PIL (clean-fid).

    Returns:
        (B, 3, 299, 299) in [-1, 1].
    """
    x = to_uint8(images).float()
    if how == "tensorflow":
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        x = interpolate_bilinear_2d_like_tensorflow1x(x, size=(SIDE, SIDE), align_corners=False)
    elif how == "pytorch":
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return x / 255 * 2 - 1  # pytorch-fid divides by 127.5, the two others by 128
    else:
        if x.device.type != "mps":  # "mps" has no float64
            x = x.double()  # PIL interpolates in float64
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
        x = x.clamp(0, 255).float()
    return (x - 128) / 128


class InceptionFeatures(nn.Module):
    """FID's Inception v3: maps images (B, 3, H, W) in [0, 1] to 2048 pooled features.

    The network and its port of the 2015 TensorFlow weights are those of torch-fidelity.

    Args:
        resize: How images are resized, see `resize_images`.
        weights: torch-fidelity's weight file; None searches with `find_backbone`.

    Raises:
        WeightsNotFoundError: If the file or the package torch-fidelity is missing.
        ZooError: If the file belongs to another network.
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

        class Shapes(FeatureExtractorInceptionV3):  # type: ignore[misc]  # torch-fidelity has no types
            """The network without its loading, which is slow and reads the file with unrestricted pickle."""

            def load_state_dict(self, *_: object, **__: object) -> None:
                """Do nothing."""

        nothing = io.BytesIO()
        torch.save({}, nothing)
        nothing.seek(0)
        with torch.device("meta"):
            network = Shapes("inception", ["2048"], feature_extractor_weights_path=nothing)
        try:
            nn.Module.load_state_dict(network, state, assign=True)
        except RuntimeError as error:
            raise ZooError(f"{path} does not hold torch-fidelity's Inception network.") from error
        network.float()
        self.resize: Resize = resize
        self.layers = nn.Sequential(*(getattr(network, layer) for layer in LAYERS))

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, 2048), float32."""
        return self.layers(resize_images(images, self.resize)).flatten(1)
