"""LPIPS v0.1 from the `lpips` package, with backbone weights from a file, never random."""

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
# smaller images make the output of a pooling layer empty
MIN_SIDES: dict[Trunk, int] = {"alex": 31, "vgg": 16, "squeeze": 17}


def load_lpips(trunk: Trunk, spatial: bool = False, weights: str | Path | None = None) -> nn.Module:
    """Load the LPIPS network in eval mode.

    It maps two batches (B, 3, H, W) in [-1, 1] to distances (B, 1, 1, 1), or to a spatial map (B, 1, H, W).

    Args:
        trunk: The backbone; the linear heads come with the `lpips` package.
        spatial: Return a spatial map instead of one value per image.
        weights: torchvision's weight file of the backbone; None searches with `find_backbone`.

    Raises:
        WeightsNotFoundError: If the backbone's file is not found.
        ZooError: If the file belongs to another network.
    """
    path = find_backbone(TRUNKS[trunk], weights)
    state = load_state(path)
    import lpips

    # lpips first creates a random backbone, with a deprecation warning; hide it and keep the global random state
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=trunk, pnet_rand=True, spatial=spatial, verbose=False)
    wanted = network.net.state_dict()  # "slice2.3.weight" is torchvision's "features.3.weight"
    try:
        network.net.load_state_dict({key: state[f"features.{key.split('.', 1)[1]}"] for key in wanted})
    except (KeyError, RuntimeError) as error:
        raise ZooError(f"{path} does not hold torchvision's {TRUNKS[trunk]}: {error}") from error
    return network.requires_grad_(False).eval()


class LPIPS(ImageMetric):
    """LPIPS, the learned perceptual distance: of the whole image as published, or the mean of its map over the hole.

    Args:
        trunk: The backbone.
        weights: See `load_lpips`.
        region: See `ImageMetric`.
        network: Network that replaces the one of `load_lpips`, with its interface; None loads it.
    """

    higher_is_better = False

    def __init__(
        self,
        trunk: Trunk,
        weights: str | Path | None = None,
        region: Region = "image",
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(region)
        self.network = load_lpips(trunk, region != "image", weights) if network is None else network.eval()
        self.min_side = MIN_SIDES[trunk]

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return the distances; the network runs in float32."""
        device = next(self.network.parameters()).device
        layout = torch.channels_last  # for all callers, because it selects the kernels, and with them the last bits
        x, y = (image.to(device, torch.float32, memory_format=layout) * 2 - 1 for image in (pred, target))
        distance = self.network(x, y)  # (B, 1, 1, 1), or a map of the image's size
        return region_mean(to_float64(distance), region)
