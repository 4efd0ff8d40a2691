"""A first network on the downsampled image, and a second one that refines its upsampled result."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.combinators.refinement import RefinementNetwork
from inpaint_zoo.config import checked, whole
from inpaint_zoo.interfaces import InpaintingNetwork, check_network
from inpaint_zoo.ops import composite, from_range, to_range

__all__ = ["TwoStage", "two_stage"]


class TwoStage(RefinementNetwork):
    """Two-stage network, coarse to fine, as GLaMa-2stage (section 4.5 of its paper; code and details are unpublished).

    The first network fills a downsampled image whose shorter side is at most ``coarse_size``. A coarse pixel belongs to
    the hole if any of its pixels does; its color is the mean of known pixels only. The raw prediction is upsampled
    bilinearly, and the known pixels are restored. The second network takes this composite, without clamping, and the
    mask. Because nothing is clamped, its losses have gradients for the first network at every value.

    Args:
        first: Any network.
        second: Any network; it keeps its own padding and value range, but takes the first network's result in the hole.
        coarse_size: Length in pixels of the shorter side of the first network's input, at least 16; smaller images are
            not upsampled.
        freeze_first: See `RefinementNetwork`.

    Shape:
        image (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole -> stages `coarse`, `fine`.

    Raises:
        ZooError: If ``coarse_size`` is below 16.
    """

    value_range = (0.0, 1.0)
    hole_value = 0.0

    def __init__(
        self,
        first: InpaintingNetwork,
        second: InpaintingNetwork,
        coarse_size: int = 256,
        freeze_first: bool = False,
    ) -> None:
        super().__init__(first, freeze_first)
        check_network("second", second)
        checked("`coarse_size`", coarse_size, whole(16))
        self.second = second
        self.coarse_size = coarse_size
        self.divisor = second.divisor
        self.min_size = second.min_size
        self.train(self.training)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return both raw predictions at full resolution, in [0, 1]."""
        H, W = image.shape[-2:]
        scale = min(1.0, self.coarse_size / min(H, W))
        size = (math.ceil(H * scale), math.ceil(W * scale))
        coarse = self._coarse(image, mask, size)
        if size != (H, W):
            coarse = F.interpolate(coarse, (H, W), mode="bilinear", align_corners=False)
        filled = composite(coarse, image, mask)
        low, high = self.second.value_range
        *_, fine = self.second.predict(to_range(filled, low, high), mask).values()
        return {"coarse": coarse, "fine": from_range(fine, low, high)}

    def _coarse(self, image: Tensor, mask: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the first network's raw prediction at ``size``, in [0, 1]."""
        if size != (image.shape[-2], image.shape[-1]):
            known = 1 - mask
            share = F.adaptive_avg_pool2d(known, size)
            image = (F.adaptive_avg_pool2d(image * known, size) / share.clamp(min=1e-6)).clamp(0, 1)
            mask = F.adaptive_max_pool2d(mask, size)
        *_, last = self.first.stages_unchecked(image, mask).values()
        return last


def two_stage(
    first: InpaintingNetwork, second: InpaintingNetwork, coarse_size: int = 256, freeze_first: bool = False
) -> TwoStage:
    """Combine two networks so that ``second`` refines the result of ``first``: see `TwoStage`."""
    return TwoStage(first, second, coarse_size, freeze_first)
