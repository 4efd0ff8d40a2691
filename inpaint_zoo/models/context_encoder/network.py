"""The Context Encoder: a picture through one vector (specs/glcic_ca.md, section 11)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["ContextEncoderGenerator", "Region", "halvings"]

Region = Literal["picture", "center"]
MEAN_COLOR = (117 / 255, 104 / 255, 123 / 255)  # the authors' hole, in [0, 1]


def _widths(size: int, width: int) -> list[int]:
    """Channels after each halving of ``size`` down to 4: the last three double."""
    levels = size.bit_length() - 3
    if size < 32 or size & (size - 1):
        raise ZooError(f"Sides must be a power of two from 32 up, got {size}.")
    return [width] * (levels - 3) + [2 * width, 4 * width, 8 * width]


def halvings(size: int, width: int) -> list[nn.Module]:
    """Layers from a picture of ``size`` px down to 4 px: 4x4 convolutions, batch norms but for the first, LeakyReLU.

    Raises:
        ZooError: The size is no power of two from 32 up.
    """
    layers: list[nn.Module] = []
    for source, target in pairwise([3, *_widths(size, width)]):
        norm = [nn.BatchNorm2d(target)] if layers else []
        layers += [nn.Conv2d(source, target, 4, 2, 1), *norm, nn.LeakyReLU(0.2, inplace=True)]
    return layers


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x.float(), size, mode="bilinear", antialias=True)


class ContextEncoderGenerator(InpaintingNetwork):
    """Convolutions down to a vector, transposed ones back up; the mask is not fed, the hole is of the mean colour.

    It works at one size. Other pictures are resized to it, known pixels by their own average, and the prediction back.

    Source: Pathak et al., CVPR 2016, as released. 71,130,531 parameters for the central region, 71,196,259 for the
    picture.

    Args:
        region: "picture" predicts all of it, as the authors' training on random regions does; "center" the central half
            of each side alone, as their training on central ones. Elsewhere that one gives back what it was given: a
            hole there stays of the mean colour.
        size: Of the pictures inside, a power of two from 32 up, 64 for the centre.
        bottleneck: Length of the vector.
        width: Channels of the first map.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1], mask (B, 1, H, W), any sides -> `prediction` in [-1, 1].

    Raises:
        ZooError: Another size.
        UnknownNameError: Another region.
    """

    value_range = (-1.0, 1.0)
    color: Tensor

    def __init__(self, region: Region = "picture", size: int = 128, bottleneck: int = 4000, width: int = 64) -> None:
        super().__init__()
        if region not in get_args(Region):
            raise unknown_name("region", region, get_args(Region))
        self.region = region
        self.size = size
        self.encoder = nn.Sequential(
            *halvings(size, width),
            nn.Conv2d(8 * width, bottleneck, 4),
            nn.BatchNorm2d(bottleneck),
            nn.LeakyReLU(0.2, inplace=True),
        )
        upwards = _widths(size if region == "picture" else size // 2, width)[::-1]
        layers: list[nn.Module] = []
        for source, target in pairwise([bottleneck, *upwards]):
            up = nn.ConvTranspose2d(source, target, 4, 2, 1) if layers else nn.ConvTranspose2d(source, target, 4)
            layers += [up, nn.BatchNorm2d(target), nn.ReLU(inplace=True)]
        self.decoder = nn.Sequential(*layers, nn.ConvTranspose2d(upwards[-1], 3, 4, 2, 1), nn.Tanh())
        self.register_buffer("color", torch.tensor(MEAN_COLOR).view(-1, 1, 1) * 2 - 1, persistent=False)

    def predicted(self, x: Tensor) -> Tensor:
        """What of (B, C, H, W) lies where the network predicts: all, or the central half of both sides."""
        if self.region == "picture":
            return x
        rows, columns = (slice(side // 4, side // 4 + side // 2) for side in x.shape[-2:])
        return x[..., rows, columns]

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction; around a central one, what the encoder was given."""
        size = (image.shape[-2], image.shape[-1])
        inside = (self.size, self.size)
        known = 1 - mask
        if size != inside:
            known, image = _resize(known, inside), _resize(image * known, inside)
            image = image / known.clamp(min=1e-6)  # the mean of the known pixels that each of the smaller ones covers
        given = torch.where(known > 0.5, image, self.color)
        pred = self.decoder(self.encoder(given))
        if self.region == "center":
            whole = given.clone()
            self.predicted(whole).copy_(pred)
            pred = whole
        return {"prediction": pred if size == inside else _resize(pred, size)}
