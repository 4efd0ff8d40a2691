"""Intermediate results of a network for one image: its stages, or the passes of a repeating network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaint_zoo.combinators import Progressive
from inpaint_zoo.inference.batch import Bytes, running, to_bytes, to_tensors
from inpaint_zoo.inference.optimize import OptimizedNetwork
from inpaint_zoo.interfaces import MIN_SIDE, InpaintingNetwork
from inpaint_zoo.ops import change_range, composite, crop_to, pad_to_multiple

__all__ = ["Stage", "network_stages"]


class Stage(NamedTuple):
    """An intermediate result of a network.

    Attributes:
        name: Its name in `InpaintingNetwork.stages`, or the number of the pass of a repeating network.
        result: (H, W, 3) uint8, with the known pixels of the input.
        change: (3, H, W), its raw prediction minus that of the previous stage (for the first stage, minus the network's
            input), for values in [0, 1]; None for a pass of a repeating network, which fills other pixels, and for
            the first stage of a combinator that fills the hole before its network.
    """

    name: str
    result: Bytes
    change: NDArray[np.float32] | None


def network_stages(
    net: InpaintingNetwork,
    image: Bytes,
    hole: NDArray[np.bool_],
    hole_fill: NDArray[np.float32] | None = None,
    device: torch.device | None = None,
) -> list[Stage]:
    """Return the results of all stages of a network for one image, or of all passes of a repeating network.

    Args:
        net: The network, or its fast copy from `optimize`.
        image: (H, W, 3) uint8.
        hole: (H, W), True = hole.
        hole_fill: (3, H, W) in [0, 1], what the network sees in the hole; None for an empty hole.
        device: Device of the network; default: the CPU.
    """
    x, mask = to_tensors(image[None], hole[None], device or torch.device("cpu"))
    size = (x.shape[-2], x.shape[-1])
    network = net.network if isinstance(net, OptimizedNetwork) else net
    fill = None
    with running(net, x, mask) as (padded, padded_mask):
        if isinstance(network, Progressive):
            frames = network.frames(padded, padded_mask)[0]
            return [
                Stage(f"pass {number}", to_bytes(crop_to(frame.image[None], size).cpu())[0], None)
                for number, frame in enumerate(frames, start=1)
            ]
        if hole_fill is not None:
            fill = pad_to_multiple(torch.from_numpy(hole_fill)[None].to(x.device), min_size=MIN_SIDE)
        raw = net.stages(padded, padded_mask, hole_fill=fill)
        before: Tensor | None = None
        if type(network).stages_unchecked is InpaintingNetwork.stages_unchecked:  # else its input is not known
            start, _ = network.preprocess(padded, padded_mask, fill)
            before = crop_to(change_range(start, network.value_range, (0.0, 1.0)), size)
    stages = []
    for name, prediction in raw.items():
        now = crop_to(prediction, size).float()
        result = to_bytes(composite(now.clamp(0, 1), x, mask).cpu())[0]
        stages.append(Stage(name, result, None if before is None else (now - before)[0].cpu().numpy()))
        before = now
    return stages
