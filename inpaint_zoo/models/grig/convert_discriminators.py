"""Convert GRIG's released discriminators, which are stored in the generator's file (docs/papers/grig.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state

__all__ = ["FILE", "convert_patch_discriminator", "convert_projected_discriminator", "part_of"]

FILE = "*_model*"


def part_of(state: Mapping[str, Any], part: str) -> Mapping[str, Tensor]:
    """Return the entries of one network, without a prefix.

    ``state`` is a whole file, nested or with its keys joined by dots, or the state dict of this network alone.
    """
    if isinstance(state.get(part), Mapping):
        return state[part]
    joined = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
    return joined or state


@register_converter("projected_discriminator", files=FILE)
def convert_projected_discriminator(state: Mapping[str, Any], net: nn.Module) -> dict[str, Tensor]:
    """Convert the projected discriminator with its backbone and mixing, stored under ``d`` in the file."""
    return match_state(part_of(state, "d"), net.state_dict(), "'projected_discriminator'")


@register_converter("patchgan70_discriminator", files=FILE)
def convert_patch_discriminator(state: Mapping[str, Any], net: nn.Module) -> dict[str, Tensor]:
    """Convert the forged-patch discriminator, stored under ``patch_d`` in the file."""
    return match_state(part_of(state, "patch_d"), net.state_dict(), "'patchgan70_discriminator'")
