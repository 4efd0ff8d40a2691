"""GRIG's released discriminators, which lie beside the generator in its file (specs/grig.md, sections 5, 6 and 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from inpaint_zoo.models.grig.patch_discriminator import GRIGPatchDiscriminator
from inpaint_zoo.models.grig.projected_discriminator import ProjectedDiscriminator
from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state

__all__ = ["FILE", "convert_patch_discriminator", "convert_projected_discriminator", "part_of"]

FILE = "*_model*"


def part_of(state: Mapping[str, Any], part: str) -> Mapping[str, Tensor]:
    """A network's entries of a whole file, read as it is or with its names joined by dots, or those of it alone."""
    if isinstance(state.get(part), Mapping):
        return state[part]
    joined = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
    return joined or state


@register_converter("projected_discriminator", files=FILE)
def convert_projected_discriminator(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The projected discriminator with its backbone and mixing, under ``d`` in the file."""
    with torch.device("meta"):
        wanted = ProjectedDiscriminator().state_dict()
    return match_state(part_of(state, "d"), wanted, "'projected_discriminator'")


@register_converter("patchgan70_discriminator", files=FILE)
def convert_patch_discriminator(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The discriminator of forged patches, under ``patch_d`` in the file."""
    with torch.device("meta"):
        wanted = GRIGPatchDiscriminator().state_dict()
    return match_state(part_of(state, "patch_d"), wanted, "'patchgan70_discriminator'")
