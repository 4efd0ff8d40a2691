"""Convert AOT-GAN's released files: one state dict per network, with the same keys as here."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state, unwrapped

__all__ = ["convert_aot_gan", "convert_aot_gan_discriminator"]


@register_converter("aot_gan", files="G0000000.pt")
def convert_aot_gan(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the generator."""
    return match_state(unwrapped(state), net.state_dict(), "'aot_gan'")


@register_converter("aot_gan_discriminator", files="D0000000.pt")
def convert_aot_gan_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the discriminator."""
    return match_state(unwrapped(state), net.state_dict(), "'aot_gan_discriminator'")
