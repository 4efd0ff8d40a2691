"""Convert LGNet's released files, one state dict per network.

Source: docs/papers/lgnet.md, "Coarse network" and "Released checkpoints".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state

__all__ = [
    "convert_lgnet",
    "convert_lgnet_clg",
    "convert_lgnet_discriminator",
    "convert_lgnet_light",
    "convert_lgnet_share",
    "flat_name",
]

FILES = {"coarse": "latest_net_G1.pth", "local": "latest_net_G2.pth", "global": "latest_net_G3.pth"}
NESTED = re.compile(r"^model\.((?:model\.\d+\.)+)(\w+)$")
LEVELS = 8


def flat_name(key: str) -> str:
    """Return the key in `UNet` for a key of the authors' nested U-Net.

    Their blocks are nested: the length of a layer's path gives its level, and the last index says whether the layer
    belongs to the encoder or the decoder.

    Example:
        >>> flat_name("model.model.0.weight"), flat_name("model.model.1.model.3.model.5.weight")
        ('model1.0.weight', 'model13.1.weight')
    """
    found = NESTED.match(key)
    if not found:
        return key
    numbers = [int(part) for part in found[1].removesuffix(".").split(".") if part != "model"]
    level, index = len(numbers), numbers[-1]
    down: dict[int, int] = {0: 0} if level == 1 else {1: 1} if level == LEVELS else {1: 1, 2: 2}
    up = {3: 1} if level == 1 else {3: 3, 4: 4} if level == LEVELS else {5: 1, 6: 2}
    if index in down:
        return f"model{level}.{down[index]}.{found[2]}"
    if index in up:
        return f"model{level if level == LEVELS else 2 * LEVELS - level}.{up[index]}.{found[2]}"
    return key


def _convert(name: str, parts: Mapping[str, Mapping[str, Tensor]], net: InpaintingNetwork) -> dict[str, Tensor]:
    nets = net.parts()
    if set(parts) != set(nets):
        raise ZooError(f"'{name}' needs the parts {', '.join(nets)}, got {', '.join(map(str, parts)) or 'none'}.")
    state: dict[str, Tensor] = {}
    for part, sub in nets.items():
        named = {flat_name(key): value for key, value in parts[part].items()}
        matched = match_state(named, sub.state_dict(), f"'{name}', part '{part}'")
        state |= {f"nets.{part}_net.{key}": value for key, value in matched.items()}
    return state


@register_converter("lgnet", files=FILES)
def convert_lgnet(state: Mapping[str, Mapping[str, Tensor]], net: InpaintingNetwork) -> dict[str, Tensor]:
    """Convert the three networks of LGNet."""
    return _convert("lgnet", state, net)


@register_converter("lgnet_light", files=FILES)
def convert_lgnet_light(state: Mapping[str, Mapping[str, Tensor]], net: InpaintingNetwork) -> dict[str, Tensor]:
    """Convert three networks with LGNet's key names and LGNet_light's channels; no such weights are published."""
    return _convert("lgnet_light", state, net)


@register_converter("lgnet_share", files={part: file for part, file in FILES.items() if part != "coarse"})
def convert_lgnet_share(state: Mapping[str, Mapping[str, Tensor]], net: InpaintingNetwork) -> dict[str, Tensor]:
    """Convert the local and the global network; the latter also serves as coarse stage. No weights are published."""
    return _convert("lgnet_share", state, net)


@register_converter("lgnet_clg", files=FILES)
def convert_lgnet_clg(state: Mapping[str, Mapping[str, Tensor]], net: InpaintingNetwork) -> dict[str, Tensor]:
    """Convert three networks, the last one a U-Net without attention; no such weights are published."""
    return _convert("lgnet_clg", state, net)


@register_converter("lgnet_discriminator", files="latest_net_D.pth")
def convert_lgnet_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the discriminator."""
    return match_state(state, net.state_dict(), "'lgnet_discriminator'")
