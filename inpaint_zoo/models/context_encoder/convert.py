"""Convert weights from the layout of BoyuanJiang/context_encoder_pytorch, a port of the authors' Torch code.

The port predicts the central region, so a network with ``region="center"`` is needed. Its convolutions have no bias.
The released file names all layers in one sequence ``main``; newer files of its code use two.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state, unwrapped

__all__ = ["convert_context_encoder"]

PARTS = {"main_encode": "encoder", "main_decode": "decoder"}


@register_converter("context_encoder", files="netG_*.pth")
def convert_context_encoder(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the generator."""
    wanted = net.state_dict()
    encoder = len(net.get_submodule("encoder")._modules)
    converted: dict[str, Tensor] = {}
    for key, value in unwrapped(state).items():
        part, _, rest = key.partition(".")
        number, _, kind = rest.partition(".")
        if part == "main" and number.isdigit():
            index = int(number)
            key = f"encoder.{index}.{kind}" if index < encoder else f"decoder.{index - encoder}.{kind}"
        elif part in PARTS:
            key = f"{PARTS[part]}.{rest}"
        converted[key] = value
    for key, like in wanted.items():
        layer, _, kind = key.rpartition(".")
        convolution_bias = kind == "bias" and f"{layer}.running_mean" not in wanted
        if convolution_bias or kind == "num_batches_tracked":  # the latter is not in older files
            converted.setdefault(key, torch.zeros(like.shape, dtype=like.dtype))
    return match_state(converted, wanted, "'context_encoder' with region='center'")
