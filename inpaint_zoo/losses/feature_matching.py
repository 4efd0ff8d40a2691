"""Feature matching: distance between lists of feature maps, which stabilizes GAN training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses.checks import check_choice, check_same_shape
from inpaint_zoo.ops.precision import full_precision

__all__ = ["Distance", "FeatureMatching", "Layers", "feature_distance"]

Distance = Literal["l1", "mse"]
Layers = Literal["sum", "mean"]
DISTANCES: dict[Distance, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "mse": F.mse_loss}
LAYERS: tuple[Layers, ...] = ("sum", "mean")


def feature_distance(
    pred: Sequence[Tensor], target: Sequence[Tensor], distance: Distance = "l1", layers: Layers = "sum"
) -> Tensor:
    """Return the mean distance of each pair of feature maps, summed or averaged over the pairs.

    ``target`` is detached.

    Raises:
        ZooError: If the lists are empty or differ in length, or a pair differs in shape.
    """
    check_choice("distance", distance, DISTANCES)
    check_choice("reduction over layers", layers, LAYERS)
    if len(pred) != len(target) or not pred:
        raise ZooError(
            f"`pred` and `target` must be lists of feature maps of equal length, at least 1, got {len(pred)} and "
            f"{len(target)}."
        )
    total = full_precision(pred[0]).new_zeros(())
    for x, y in zip(pred, target, strict=True):
        check_same_shape(x, y, "Each feature map of the ground truth")
        total = total + DISTANCES[distance](full_precision(x), full_precision(y.detach()))
    return total / len(pred) if layers == "mean" else total


class FeatureMatching(nn.Module):
    """Feature matching loss: distance between a discriminator's features of the prediction and of the ground truth.

    LaMa: MSE, mean over the five hidden feature maps. (The papers of LaMa and GLaMa say L1; this follows the code.)
    ISNet: L1, sum over all five feature maps, including the logits. Neither uses the mask.

    Args:
        distance: Distance per feature map, a mean over all its elements.
        layers: Reduction over the feature maps.

    Shape:
        Two lists of feature maps with pairwise equal shapes -> scalar, float32 at least.
    """

    def __init__(self, distance: Distance, layers: Layers) -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        check_choice("reduction over layers", layers, LAYERS)
        self.distance = distance
        self.layers = layers

    def forward(self, pred: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Return the distance; ``target`` is detached."""
        return feature_distance(pred, target, self.distance, self.layers)

    def extra_repr(self) -> str:
        """Return the arguments as text, for `print`."""
        return f"distance={self.distance}, layers={self.layers}"
