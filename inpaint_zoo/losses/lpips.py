"""LPIPS v0.1 as a training loss, with VGG-16 features and the official linear heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses.checks import check_choice, check_same_shape
from inpaint_zoo.losses.perceptual import select
from inpaint_zoo.ops import rank_and_count
from inpaint_zoo.ops.precision import full_precision
from inpaint_zoo.weights import load_state

__all__ = ["LPIPS_TAPS", "LPIPSLoss", "lpips_distance"]

LPIPS_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
BATCH = ("sum", "mean")


def lpips_distance(pred: Sequence[Tensor], target: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Return LPIPS of each pair of images.

    LPIPS is the squared difference of features normalized to unit length, weighted by channel, averaged over positions
    and summed over taps.

    Args:
        pred: Features (B, C, H, W) of the prediction, one tensor per tap.
        target: Features of the ground truth; they are detached.
        heads: Channel weights (C,), one tensor per tap.

    Returns:
        (B,), float32 at least.
    """
    total = full_precision(pred[0]).new_zeros(pred[0].shape[0])
    for x, y, head in zip(pred, target, heads, strict=True):
        check_same_shape(x, y, "Each feature map of the ground truth")
        difference = _unit(full_precision(x)) - _unit(full_precision(y.detach()))
        total = total + (difference.square() * head.view(1, -1, 1, 1)).sum(1).mean((1, 2))
    return total


def _unit(x: Tensor) -> Tensor:
    # if all channels are 0, the gradient of vector_norm is 0; that of the square root of a sum would be NaN
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)


class LPIPSLoss(nn.Module):
    """LPIPS loss: learned perceptual distance between whole images, from VGG-16 features.

    The features come from `VGGFeatures("vgg16", LPIPS_TAPS, input_norm="imagenet", full_precision=True)`. The `lpips`
    package scales images in [-1, 1]; this is equivalent to ImageNet's normalization of images in [0, 1].

    Source: `lpips` v0.1, net "vgg". GRIG's code sums over its batch of 8 images (with weight 1.5), which is 8 times the
    mean.

    Args:
        batch: Mean of the images' distances, or their sum over the batch of all processes. With the sum, the batch size
            changes the balance with other loss terms.

    Shape:
        Two mappings from the taps in `LPIPS_TAPS` to features (B, C, H, W) -> scalar.

    Raises:
        ZooError: If the package `lpips`, which contains the linear heads, is not installed.
    """

    def __init__(self, batch: Literal["sum", "mean"]) -> None:
        super().__init__()
        check_choice("reduction over the batch", batch, BATCH)
        self.batch = batch
        for number, head in enumerate(_load_heads()):
            self.register_buffer(f"head{number}", head, persistent=False)  # constants, which checkpoints need not store

    def forward(self, pred: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the distance; ``target`` is detached."""
        heads = [self.get_buffer(f"head{number}") for number in range(len(LPIPS_TAPS))]
        distances = lpips_distance(select(pred, LPIPS_TAPS), select(target, LPIPS_TAPS), heads)
        if self.batch == "sum":
            return distances.sum() * rank_and_count()[1]  # the training strategy averages over the processes
        return distances.mean()

    def extra_repr(self) -> str:
        """Return the reduction as text, for `print`."""
        return f"batch={self.batch}"


def _load_heads() -> list[Tensor]:
    """Load the channel weights from the files of the `lpips` package, without importing it."""
    package = find_spec("lpips")
    if package is None or package.origin is None:
        raise ZooError("The LPIPS loss needs the linear heads of the package 'lpips': run pip install lpips.")
    state = load_state(Path(package.origin).parent / "weights" / "v0.1" / "vgg.pth")
    return [state[f"lin{number}.model.1.weight"].flatten() for number in range(len(LPIPS_TAPS))]
