"""Convert ISNet's released files, each of which holds the state dict of one network and the epoch.

Source: docs/papers/isnet.md, "State dict" and "Released checkpoints".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state, unwrapped

__all__ = ["convert_isnet_discriminator", "our_name"]

GENERATOR, DISCRIMINATOR = "InpaintingModel_gen.pth", "InpaintingModel_dis.pth"
VARIANTS = ("isnet", "isnet_b1", "isnet_b2", "isnet_b3", "isnet_base", "isnet_base_ff", "isnet_unet")
ALIAS = "features."  # the discriminator's first layer is stored twice; this is the prefix of the second copy
BRANCHES = ("high", "low")

NAMES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (re.compile(r"\bconv_block\.([14])\."), lambda m: f"layers.{int(m[1]) // 2}."),
    (re.compile(r"^layer1\.downsample\."), lambda m: "stem.skip."),
    (re.compile(r"^layer1\."), lambda m: "stem."),
    (re.compile(r"^stage(\d)\."), lambda m: f"phases.{m[1]}."),
    (re.compile(r"\bbranches\.([01])\."), lambda m: f"inpainting.{BRANCHES[int(m[1])]}."),
    (re.compile(r"\bfuse_layers\.0\.1\."), lambda m: "interaction.up."),
    (re.compile(r"\bfuse_layers\.1\.0\."), lambda m: "interaction.down."),
    (re.compile(r"\bfuse_layers\.1\.1\."), lambda m: "interaction.keep."),
    (re.compile(r"\bfused_branches\.([01])\.0\.0\."), lambda m: f"aggregation.{BRANCHES[int(m[1])]}.convolution."),
    (re.compile(r"^up_layer\."), lambda m: "up."),
    (re.compile(r"^final_layer\.0\."), lambda m: "fusion.convolution."),
    (re.compile(r"^final_layer\.(2\.)?"), lambda m: "to_rgb."),
]


def our_name(key: str) -> str:
    """Return the key used in this package for a key of the authors' generators.

    Example:
        >>> our_name("stage2.fuse_layers.0.1.1.0.weight_orig"), our_name("final_layer.2.bias")
        ('phases.2.interaction.up.1.0.weight_orig', 'to_rgb.bias')
    """
    for pattern, name in NAMES:
        key = pattern.sub(name, key)
    return key


def _entries(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the entries of one network, without the network's prefix and without DataParallel's prefix."""
    inner = state.get(part, state)
    entries = inner if isinstance(inner, Mapping) else state
    own = {key.removeprefix(f"{part}."): value for key, value in entries.items() if isinstance(value, Tensor)}
    return unwrapped(own)


def _register(name: str) -> None:
    @register_converter(name, files=GENERATOR)
    def convert(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
        named = {our_name(key): value for key, value in _entries(state, "generator").items()}
        return match_state(named, net.state_dict(), f"'{name}'")


for _variant in VARIANTS:
    _register(_variant)


@register_converter("isnet_discriminator", files=DISCRIMINATOR)
def convert_isnet_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the discriminator, without the second copy of its first layer."""
    own = {key: value for key, value in _entries(state, "discriminator").items() if not key.startswith(ALIAS)}
    return match_state(own, net.state_dict(), "'isnet_discriminator'")
