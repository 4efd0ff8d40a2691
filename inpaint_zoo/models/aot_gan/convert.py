"""AOT-GAN's released files: a bare state dict for each network, in names that are ours too (specs/grig.md, 18)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state, unwrapped

__all__ = ["convert_aot_gan", "convert_aot_gan_discriminator"]


@register_converter("aot_gan", files="G0000000.pt")
def convert_aot_gan(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """The generator."""
    return match_state(unwrapped(state), net.state_dict(), "'aot_gan'")


@register_converter("aot_gan_discriminator", files="D0000000.pt")
def convert_aot_gan_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """The discriminator."""
    return match_state(unwrapped(state), net.state_dict(), "'aot_gan_discriminator'")
