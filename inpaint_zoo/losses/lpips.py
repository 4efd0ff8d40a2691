"""LPIPS v0.1 as a training loss, on VGG-16 activations and the official linear heads."""

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
    """LPIPS of each pair of images: squared differences of unit-length features, weighed by channel, meaned over space.

    Args:
        pred: (B, C, H, W) of every tap.
        target: As ``pred``; detached.
        heads: (C,) of every tap.

    Returns:
        (B,), float32 at least.
    """
    total = full_precision(pred[0]).new_zeros(pred[0].shape[0])
    for x, y, head in zip(pred, target, heads, strict=True):
        check_same_shape(x, y, "each map of the truth")
        difference = _unit(full_precision(x)) - _unit(full_precision(y.detach()))
        total = total + (difference.square() * head.view(1, -1, 1, 1)).sum(1).mean((1, 2))
    return total


def _unit(x: Tensor) -> Tensor:
    # vector_norm, not sqrt of a sum: where all channels are 0 its gradient is 0, the other's NaN
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)


class LPIPSLoss(nn.Module):
    """Learned perceptual distance over whole images, from VGG-16 activations.

    The features come from `VGGFeatures("vgg16", LPIPS_TAPS, fed_as="imagenet", full_precision=True)`: the scaling of
    the `lpips` package, for images in [-1, 1], is ImageNet's for images in [0, 1].

    Source: `lpips` v0.1, net "vgg". GRIG's code takes the sum over its batch of 8 (weight 1.5), which is 8 times the
    mean.

    Args:
        batch: Mean of the images' distances, or their sum over the batch of all processes. With the sum, the batch size
            changes the balance with other terms.

    Shape:
        Two mappings that hold `LPIPS_TAPS` -> scalar.

    Raises:
        ZooError: The `lpips` package, which brings the heads, is absent.
    """

    def __init__(self, batch: Literal["sum", "mean"]) -> None:
        super().__init__()
        check_choice("reduction over the batch", batch, BATCH)
        self.batch = batch
        for number, head in enumerate(_load_heads()):
            self.register_buffer(f"head{number}", head, persistent=False)  # constants: no place in checkpoints

    def forward(self, pred: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """The distance; ``target`` is detached."""
        heads = [self.get_buffer(f"head{number}") for number in range(len(LPIPS_TAPS))]
        distances = lpips_distance(select(pred, LPIPS_TAPS), select(target, LPIPS_TAPS), heads)
        if self.batch == "sum":
            return distances.sum() * rank_and_count()[1]  # the training strategy averages over the processes
        return distances.mean()

    def extra_repr(self) -> str:
        """The reduction."""
        return f"batch={self.batch}"


def _load_heads() -> list[Tensor]:
    """The channel weights that the `lpips` package carries, read without importing it."""
    package = find_spec("lpips")
    if package is None or package.origin is None:
        raise ZooError("The LPIPS loss needs the linear heads of the package 'lpips': pip install lpips.")
    state = load_state(Path(package.origin).parent / "weights" / "v0.1" / "vgg.pth")
    return [state[f"lin{number}.model.1.weight"].flatten() for number in range(len(LPIPS_TAPS))]
