"""The Context Encoder's generator: an autoencoder with a single vector as bottleneck (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["ContextEncoderGenerator", "Region", "downsamplings"]

Region = Literal["image", "center"]
MEAN_COLOR = (117 / 255, 104 / 255, 123 / 255)  # the authors' color for hole pixels, in [0, 1]


def _widths(size: int, width: int) -> list[int]:
    """Return the channels after each downsampling by 2, from ``size`` to 4 px: the last three steps double them."""
    levels = size.bit_length() - 3
    if size < 32 or size & (size - 1):
        raise ZooError(f"Height and width must be a power of two of at least 32, got {size}.")
    return [width] * (levels - 3) + [2 * width, 4 * width, 8 * width]


def downsamplings(size: int, width: int) -> list[nn.Module]:
    """Return the layers that downsample an image from ``size`` to 4 px.

    Each step is a strided 4x4 convolution, batch norm (except in the first step) and LeakyReLU.

    Raises:
        ZooError: If the size is not a power of two of at least 32.
    """
    layers: list[nn.Module] = []
    for source, target in pairwise([3, *_widths(size, width)]):
        norm = [nn.BatchNorm2d(target)] if layers else []
        layers += [nn.Conv2d(source, target, 4, 2, 1), *norm, nn.LeakyReLU(0.2, inplace=True)]
    return layers


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x.float(), size, mode="bilinear", antialias=True)


class ContextEncoderGenerator(InpaintingNetwork):
    """Context Encoder generator: convolutions encode the image into a vector, transposed convolutions decode it.

    The mask is not an input of the network; hole pixels get a fixed mean color. The network works at one size. Images
    of other sizes are resized to it, averaging known pixels only, and the prediction is resized back.

    Source: Pathak et al., CVPR 2016, as released. 71,196,259 parameters for the whole image, 71,130,531 for the central
    region.

    Args:
        region: Region that the network predicts. "image" is the whole image, as in the authors' training on random
            regions. "center" is the central half of height and width, as in their training on central regions; outside
            it the prediction equals the network's input, so a hole there keeps the mean color.
        size: Height and width at which the network works, a power of two of at least 32 (64 for "center").
        bottleneck: Length of the vector.
        width: Channels of the first feature map.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1], mask (B, 1, H, W) with 1 = hole, any H and W -> raw stage `prediction`
        (B, 3, H, W) in [-1, 1].

    Raises:
        ZooError: If the size is not supported.
        UnknownNameError: If the region is unknown.
    """

    value_range = (-1.0, 1.0)
    color: Tensor

    def __init__(
        self, region: Region | Literal["picture"] = "image", size: int = 128, bottleneck: int = 4000, width: int = 64
    ) -> None:
        super().__init__()
        if region == "picture":  # the name that earlier versions stored in files
            region = "image"
        if region not in get_args(Region):
            raise unknown_name("region", region, get_args(Region))
        self.region = region
        self.size = self.training_size = size
        self.encoder = nn.Sequential(
            *downsamplings(size, width),
            nn.Conv2d(8 * width, bottleneck, 4),
            nn.BatchNorm2d(bottleneck),
            nn.LeakyReLU(0.2, inplace=True),
        )
        upwards = _widths(size if region == "image" else size // 2, width)[::-1]
        layers: list[nn.Module] = []
        for source, target in pairwise([bottleneck, *upwards]):
            up = nn.ConvTranspose2d(source, target, 4, 2, 1) if layers else nn.ConvTranspose2d(source, target, 4)
            layers += [up, nn.BatchNorm2d(target), nn.ReLU(inplace=True)]
        self.decoder = nn.Sequential(*layers, nn.ConvTranspose2d(upwards[-1], 3, 4, 2, 1), nn.Tanh())
        self.register_buffer("color", torch.tensor(MEAN_COLOR).view(-1, 1, 1) * 2 - 1, persistent=False)

    def predicted(self, x: Tensor) -> Tensor:
        """Crop (B, C, H, W) to the region that the network predicts: the whole, or the central half of both axes."""
        if self.region == "image":
            return x
        rows, columns = (slice(side // 4, side // 4 + side // 2) for side in x.shape[-2:])
        return x[..., rows, columns]

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction; outside a central region it equals the encoder's input."""
        full = image
        size = (image.shape[-2], image.shape[-1])
        inside = (self.size, self.size)
        known = 1 - mask
        resized = torch.compiler.is_compiling() or size != inside  # an exported graph has no branch for one size
        if resized:
            known, image = _resize(known, inside), _resize(image * known, inside)
            image = image / known.clamp(min=1e-6)  # each resized pixel becomes the mean of the known pixels it covers
        given = torch.where(known > 0.5, image, self.color)
        pred = self.decoder(self.encoder(given))
        if self.region == "center":
            whole = given.clone()
            self.predicted(whole).copy_(pred)
            pred = whole
        return {"prediction": self.to_prediction(_resize(pred, size) if resized else pred, full)}
