"""AOT-GAN's released files: a bare state dict for each network, in names that are ours too (specs/grig.md, 18)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from inpaint_zoo.models.aot_gan.discriminator import AOTGANDiscriminator
from inpaint_zoo.registry import create_model, register_converter
from inpaint_zoo.weights import match_state, unwrapped

__all__ = ["convert_aot_gan", "convert_aot_gan_discriminator"]


@register_converter("aot_gan", files="G0000000.pt")
def convert_aot_gan(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The generator."""
    with torch.device("meta"):
        wanted = create_model("aot_gan").state_dict()
    return match_state(unwrapped(state), wanted, "'aot_gan'")


@register_converter("aot_gan_discriminator", files="D0000000.pt")
def convert_aot_gan_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The discriminator."""
    with torch.device("meta"):
        wanted = AOTGANDiscriminator().state_dict()
    return match_state(unwrapped(state), wanted, "'aot_gan_discriminator'")
