"""Perceptual loss: distance between the feature maps of a frozen network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.losses.checks import check_choice
from inpaint_zoo.losses.feature_matching import DISTANCES, Distance, feature_distance

__all__ = ["PERCEPTUAL_TAPS", "POOL_TAPS", "STYLE_TAPS", "PerceptualLoss", "select"]

POOL_TAPS = ("pool1", "pool2", "pool3")
"""Layers of VGG-16 for the perceptual and the style loss of LGNet and of partial convolutions."""
PERCEPTUAL_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Layers of VGG-19 for the perceptual loss of ISNet and AOT-GAN."""
STYLE_TAPS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")
"""Layers of VGG-19 for the style loss of ISNet and AOT-GAN."""


def select(features: Mapping[str, Tensor], taps: Sequence[str]) -> list[Tensor]:
    """Return the feature maps of ``taps``, in their order.

    Raises:
        UnknownNameError: If ``features`` does not contain a tap.
    """
    for tap in taps:
        if tap not in features:
            raise unknown_name("tap", tap, features)
    return [features[tap] for tap in taps]


class PerceptualLoss(nn.Module):
    """Perceptual loss: sum over taps of the mean distance between the features of prediction and ground truth.

    It takes features instead of images, so that all loss terms share one pass through the frozen network: call
    `vgg.each(raw, composite)` once, and once the network on the ground truth under `torch.no_grad()`.

    LGNet and partial convolution: L1 at VGG-16's pool1, pool2, pool3, summed over the raw prediction and the composite.
    ISNet and AOT-GAN: L1 at VGG-19's relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, raw prediction. LaMa: MSE at the four
    stages of an ADE20K ResNet, raw prediction. All give their taps equal weights. Their input normalization differs,
    see `VGGFeatures`.

    Args:
        taps: Names of the features to compare.
        distance: Distance per tap, a mean over all B C H W elements.

    Shape:
        Two mappings from tap to (B, C, H, W) -> scalar, float32 at least.
    """

    def __init__(self, taps: Sequence[str], distance: Distance = "l1") -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        self.taps = tuple(taps)
        self.distance = distance

    def forward(self, pred: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the distance; ``target`` is detached."""
        return feature_distance(select(pred, self.taps), select(target, self.taps), self.distance)

    def extra_repr(self) -> str:
        """Return the arguments as text, for `print`."""
        return f"{', '.join(self.taps)}; distance={self.distance}"
