"""DeepFillv2's generator: gated convolutions in two stages, with contextual attention (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.contextual_attention import AttendingNetwork, ContextualAttention, MaskReduce
from inpaint_zoo.layers.gated_conv import GatedActivation, GatedConv2d
from inpaint_zoo.ops import composite

__all__ = ["GatedConvGenerator"]

STRIDES = (1, 2, 1, 2, 1, 1)
DILATIONS = (2, 4, 8, 16)


def _encoder(source: int, widths: Sequence[int], last: GatedActivation = "elu") -> nn.Sequential:
    """Return six layers that downsample to 1/4 resolution; the first has a 5x5 kernel."""
    layers = []
    for number, (target, stride) in enumerate(zip(widths, STRIDES, strict=True)):
        activation: GatedActivation = last if number == len(STRIDES) - 1 else "elu"
        layers.append(GatedConv2d(source, target, 3 if number else 5, stride, activation=activation))
        source = target
    return nn.Sequential(*layers)


def _dilated(width: int) -> nn.Sequential:
    return nn.Sequential(*(GatedConv2d(width, width, dilation=dilation) for dilation in DILATIONS))


def _decoder(source: int, width: int) -> nn.Sequential:
    """Return the layers from 1/4 resolution to an image in [-1, 1]; the last convolution has no gate."""
    layers: list[nn.Module] = []
    for target in (4 * width, 2 * width, width):
        if layers:
            layers.append(nn.Upsample(scale_factor=2.0))
        last = width // 2 if target == width else target
        layers += [GatedConv2d(source, target), GatedConv2d(target, last)]
        source = last
    return nn.Sequential(*layers, nn.Conv2d(source, 3, 3, padding=1), nn.Tanh())


class GatedConvGenerator(AttendingNetwork):
    """DeepFillv2 generator: a coarse network fills the hole, a second network refines the result.

    The refinement network has a branch of dilated convolutions and a branch with contextual attention. It takes only
    the composite of the coarse prediction, without the mask; the composite is not detached.

    Source: Free-Form Image Inpainting with Gated Convolution (Yu et al., ICCV 2019) as released. 4,052,478 parameters.

    Args:
        width: Channels at full resolution after the gates, even; four times as many at 1/4 resolution. (The released
            `cnum` of 48 counts the channels before the gates, which halve them.)
        mask_reduce: How the attention downsamples the mask, see `ContextualAttention`. "max" also keeps strokes thinner
            than 8 px.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1] with 0 in the hole, mask (B, 1, H, W) with 1 = hole, H and W multiples
        of 8 -> raw stages `coarse` and `fine`, (B, 3, H, W) in [-1, 1].

    Raises:
        ZooError: If ``width`` is odd or below 2.
    """

    value_range = (-1.0, 1.0)
    hole_value = 0.0
    divisor = min_size = 8
    takes_hole_fill = True

    def __init__(self, width: int = 24, mask_reduce: MaskReduce = "nearest") -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ZooError(f"`width` must be even and positive, got {width}.")
        one, two, four = width, 2 * width, 4 * width
        self.coarse = nn.Sequential(
            _encoder(5, (one, two, two, four, four, four)),
            _dilated(four),
            _decoder(four, width),
        )
        self.hallucinating = nn.Sequential(_encoder(3, (one, one, two, two, four, four)), _dilated(four))
        self.attending = _encoder(3, (one, one, two, four, four, four), last="relu")
        self.attention = ContextualAttention(mask_reduce=mask_reduce)
        self.attended = nn.Sequential(GatedConv2d(four, four), GatedConv2d(four, four))
        self.merged = _decoder(2 * four, width)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw predictions of both stages, in [-1, 1]."""
        coarse = self._coarse(image, mask)
        found = composite(coarse, image, mask)
        attending = self.attending(found)
        attended = self.attended(self.attention(attending, attending, mask))
        fine = self.merged(torch.cat([self.hallucinating(found), attended], dim=1))
        return {"coarse": coarse, "fine": self.to_prediction(fine, image)}

    def _coarse(self, image: Tensor, mask: Tensor) -> Tensor:
        # the channel of ones distinguishes the image from its zero padding
        return self.to_prediction(self.coarse(torch.cat([image, torch.ones_like(mask), mask], dim=1)), image)

    def offsets(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the attention's offsets, see `attention_offsets`; image and mask as in `predict`."""
        attending = self.attending(composite(self._coarse(image, mask), image, mask))
        return self.attention.offsets(attending, attending, mask)
