"""Files of the PyTorch port: `gen_*.pt` holds the generator, `dis_*.pt` both critics (specs/glcic_ca.md, 5.5)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state

__all__ = [
    "convert_ca_global_discriminator",
    "convert_ca_local_discriminator",
    "convert_contextual_attention",
    "convert_glcic",
]

GENERATOR, CRITICS = "gen_*.pt", "dis_*.pt"
TRAINER = ("netG", "localD", "globalD")  # as its files name the parts


def _part(state: Mapping[str, Tensor] | Mapping[str, Mapping[str, Tensor]], name: str) -> dict[str, Tensor]:
    """The entries of one network, of a file of it alone or of the trainer's, nested or flat, whose others are left out.

    What belongs to none of them stays, and is refused later.
    """
    flat: dict[str, Tensor] = {}
    for key, value in state.items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, Mapping) else {key: value}
    if not any(key.startswith(f"{part}.") for key in flat for part in TRAINER):
        return flat
    others = tuple(f"{part}." for part in TRAINER if part != name)
    return {key.removeprefix(f"{name}."): value for key, value in flat.items() if not key.startswith(others)}


@register_converter("contextual_attention", files=GENERATOR)
def convert_contextual_attention(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """The generator, by its own names or under ``netG.``, as TensorFlow's were converted."""
    return match_state(_part(state, "netG"), net.state_dict(), "'contextual_attention'")


@register_converter("glcic", files=GENERATOR)
def convert_glcic(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """The same layout without the attention's branch: no such weights are published."""
    return match_state(_part(state, "netG"), net.state_dict(), "'glcic'")


@register_converter("ca_local_discriminator", files=CRITICS)
def convert_ca_local_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """The critic of the box."""
    return match_state(_part(state, "localD"), net.state_dict(), "'ca_local_discriminator'")


@register_converter("ca_global_discriminator", files=CRITICS)
def convert_ca_global_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """The critic of the whole picture."""
    return match_state(_part(state, "globalD"), net.state_dict(), "'ca_global_discriminator'")
