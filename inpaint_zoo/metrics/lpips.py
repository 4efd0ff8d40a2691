"""LPIPS v0.1 by the `lpips` package, its trunk loaded from a file that was found, never random or fetched in secret."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics.base import ImageMetric, Region, region_mean, to_float64
from inpaint_zoo.weights import find_backbone, load_state

__all__ = ["LPIPS", "load_lpips"]

Trunk = Literal["alex", "vgg", "squeeze"]
TRUNKS: dict[Trunk, str] = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
MIN_SIDES: dict[Trunk, int] = {"alex": 31, "vgg": 16, "squeeze": 17}  # below, a pooling layer has nothing left


def load_lpips(trunk: Trunk, spatial: bool = False, weights: str | Path | None = None) -> nn.Module:
    """The LPIPS network in eval mode, (B, 3, H, W) in [-1, 1] twice -> (B, 1, 1, 1), or a map (B, 1, H, W).

    Args:
        trunk: The backbone; the linear heads come with the `lpips` package.
        spatial: Give the map.
        weights: torchvision's file of the backbone; searched by `find_backbone` when None.

    Raises:
        WeightsNotFoundError: The backbone's file is nowhere.
        ZooError: The file is of another network.
    """
    path = find_backbone(TRUNKS[trunk], weights)
    state = load_state(path)
    import lpips

    # lpips builds a random trunk in torchvision's old way: keep its warning and the global random state out of it
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=trunk, pnet_rand=True, spatial=spatial, verbose=False)
    wanted = network.net.state_dict()  # "slice2.3.weight" is torchvision's "features.3.weight"
    try:
        network.net.load_state_dict({key: state[f"features.{key.split('.', 1)[1]}"] for key in wanted})
    except (KeyError, RuntimeError) as error:
        raise ZooError(f"{path} holds no {TRUNKS[trunk]} as torchvision lays it out: {error}") from error
    return network.requires_grad_(False).eval()


class LPIPS(ImageMetric):
    """Learned perceptual distance: over the whole image as published, in the hole as the mean of the spatial map.

    Args:
        trunk: The backbone.
        weights: As `load_lpips`.
        region: As `ImageMetric`.
    """

    higher_is_better = False

    def __init__(self, trunk: Trunk, weights: str | Path | None = None, region: Region = "image") -> None:
        super().__init__(region)
        self.network = load_lpips(trunk, region != "image", weights)
        self.min_side = MIN_SIDES[trunk]

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """The distance; the network itself works in float32."""
        device = next(self.network.parameters()).device
        x, y = (image.to(device, torch.float32) * 2 - 1 for image in (pred, target))
        distance = self.network(x, y)  # a scalar, or a map of the image's size
        return region_mean(to_float64(distance), region)
