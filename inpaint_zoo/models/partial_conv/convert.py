"""Convert weights from the layout of naoto0804/pytorch-inpainting-with-partial-conv; the authors released none.

The port's layer computes W (x m) / sum(m) + b, without the factor |window| of `PartialConv2d`, so its weights are
divided by |window|, which counts channels and kernel positions. Encoder convolutions have no bias in newer files.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state, unwrapped

__all__ = ["convert_partial_conv"]

MODEL = "model."
CONVOLUTIONS = ("conv.input_conv.", "conv.conv2d.")  # newer and older files
MASKS = ("conv.mask_conv.", "conv.mask2d.")  # constants


@register_converter("partial_conv", files="*.pth")
def convert_partial_conv(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the network; the optimizer's entries of a training checkpoint are dropped.

    Raises:
        ZooError: If the file has another layout.
    """
    own = {key.removeprefix(MODEL): value for key, value in state.items() if key.startswith(MODEL)} or state
    wanted = net.state_dict()
    levels = 1 + max(int(key.split(".")[1]) for key in wanted if key.startswith("encoder."))
    converted: dict[str, Tensor] = {}
    for key, value in unwrapped(own).items():
        block, _, rest = key.partition(".")
        side, _, number = block.partition("_")
        if side not in ("enc", "dec") or not number.isdigit():
            raise ZooError(f"The checkpoint does not fit 'partial_conv': '{key}' is no entry of its layout.")
        ours = f"encoder.{int(number) - 1}" if side == "enc" else f"decoder.{levels - int(number)}"
        if rest.startswith(MASKS):
            continue
        if rest.startswith("bn."):
            converted[f"{ours}.norm.{rest.removeprefix('bn.')}"] = value
        elif rest.startswith(CONVOLUTIONS) and rest.endswith(".weight"):
            converted[f"{ours}.convolution.convolution.weight"] = value / value[0].numel()
        elif rest.startswith(CONVOLUTIONS):
            converted[f"{ours}.convolution.bias"] = value
        else:
            raise ZooError(f"The checkpoint does not fit 'partial_conv': '{key}' is no entry of its layout.")
    for key, like in wanted.items():
        if key.endswith((".convolution.bias", ".num_batches_tracked")):  # not in every file
            converted.setdefault(key, torch.zeros(like.shape, dtype=like.dtype))
    return match_state(converted, wanted, "'partial_conv'")
