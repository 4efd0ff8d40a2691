"""Distance between lists of feature maps; on a discriminator's own features it steadies adversarial training."""

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
    """Mean distance of each pair of maps, summed or averaged over the pairs; no gradient reaches ``target``.

    Raises:
        ZooError: The lists differ in length, or a pair in shape.
    """
    check_choice("distance", distance, DISTANCES)
    check_choice("reduction over layers", layers, LAYERS)
    if len(pred) != len(target) or not pred:
        raise ZooError(f"Two equally long lists of feature maps are needed, got {len(pred)} and {len(target)}.")
    total = full_precision(pred[0]).new_zeros(())
    for x, y in zip(pred, target, strict=True):
        check_same_shape(x, y, "each map of the truth")
        total = total + DISTANCES[distance](full_precision(x), full_precision(y.detach()))
    return total / len(pred) if layers == "mean" else total


class FeatureMatching(nn.Module):
    """Distance between a discriminator's features of the prediction and of the truth.

    LaMa: MSE, mean over the five hidden maps (its paper and GLaMa's say L1; the code decides). ISNet: L1, sum over all
    five maps, the logits among them. Neither looks at the mask.

    Args:
        distance: Per map, mean over all its elements.
        layers: Over the maps.

    Shape:
        Two lists of maps, pair by pair of one shape -> scalar, float32 at least.
    """

    def __init__(self, distance: Distance, layers: Layers) -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        check_choice("reduction over layers", layers, LAYERS)
        self.distance = distance
        self.layers = layers

    def forward(self, pred: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """The distance; ``target`` is detached."""
        return feature_distance(pred, target, self.distance, self.layers)

    def extra_repr(self) -> str:
        """The two reductions."""
        return f"distance={self.distance}, layers={self.layers}"
