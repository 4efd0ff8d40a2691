"""A first network on a small copy of the picture, and a second one that refines its enlarged result."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.combinators.behind import BehindFirst
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.ops import composite, from_range, to_range

__all__ = ["TwoStage", "two_stage"]


class TwoStage(BehindFirst):
    """Coarse to fine, as GLaMa-2stage (its paper's section 4.5, where code and details are unpublished).

    The first network fills a copy whose short side is at most ``coarse_size``; a coarse pixel is hole where any of its
    pixels is. Its raw prediction is enlarged bilinearly, the known pixels are put back, and the second network finds
    that picture, hole filled and not clamped, and the mask: its losses have a gradient for the first one everywhere.
    Known colours are averaged without what lies in the hole.

    Args:
        first: Any network.
        second: Any network; it works in its own range and sides, but finds the first one's result in the hole.
        coarse_size: Short side, in pixels, that the first network sees; smaller pictures are not enlarged.
        freeze_first: See `BehindFirst`.

    Shape:
        As every `InpaintingNetwork`; stages `coarse`, `fine`.
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
        if coarse_size < 16:
            raise ZooError(f"`coarse_size` must be 16 or more, got {coarse_size}.")
        self.second = second
        self.coarse_size = coarse_size
        self.divisor = second.divisor
        self.min_size = second.min_size
        self.train(self.training)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return both predictions, the first one enlarged."""
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
        """The first network's prediction at ``size``, in [0, 1]."""
        if size != (image.shape[-2], image.shape[-1]):
            known = 1 - mask
            share = F.adaptive_avg_pool2d(known, size)
            image = (F.adaptive_avg_pool2d(image * known, size) / share.clamp(min=1e-6)).clamp(0, 1)
            mask = F.adaptive_max_pool2d(mask, size)
        *_, last = self.first.trusted_stages(image, mask).values()
        return last


def two_stage(
    first: InpaintingNetwork, second: InpaintingNetwork, coarse_size: int = 256, freeze_first: bool = False
) -> TwoStage:
    """Put ``second`` behind ``first``: see `TwoStage`."""
    return TwoStage(first, second, coarse_size, freeze_first)
