"""Convert files of the PyTorch port: `gen_*.pt` holds the generator, `dis_*.pt` both critics.

Source: docs/papers/glcic_ca.md, "State dict".
"""

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
TRAINER = ("netG", "localD", "globalD")  # prefixes of the networks in its files


def _part(state: Mapping[str, Tensor] | Mapping[str, Mapping[str, Tensor]], name: str) -> dict[str, Tensor]:
    """Return the entries of one network without its prefix.

    ``state`` holds this network alone, or all networks of the authors' trainer, nested or flat. Entries that belong to
    no network are kept; `match_state` then raises an error for them.
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
    """Convert the generator. Its keys may have the prefix ``netG.``, as in weights converted from TensorFlow."""
    return match_state(_part(state, "netG"), net.state_dict(), "'contextual_attention'")


@register_converter("glcic", files=GENERATOR)
def convert_glcic(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert a generator without the attention branch; no such weights are published."""
    return match_state(_part(state, "netG"), net.state_dict(), "'glcic'")


@register_converter("ca_local_discriminator", files=CRITICS)
def convert_ca_local_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the local critic."""
    return match_state(_part(state, "localD"), net.state_dict(), "'ca_local_discriminator'")


@register_converter("ca_global_discriminator", files=CRITICS)
def convert_ca_global_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the global critic."""
    return match_state(_part(state, "globalD"), net.state_dict(), "'ca_global_discriminator'")
