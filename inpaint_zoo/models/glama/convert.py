"""Convert LaMa's released checkpoints (docs/papers/glama.md, "Released checkpoints").

A checkpoint holds several networks. Its keys are those of the network here, preceded by the network's name
(``generator.`` or ``discriminator.``). In the TorchScript file of the authors' `bin/to_jit.py` ("big-lama.pt"), which
most tools use, ``model.`` stands before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state

__all__ = ["convert_big_lama", "convert_lama", "convert_lama_discriminator"]

RELEASED = "models/best.ckpt"  # inside a released folder, next to config.yaml
# prefixes of all networks in a training checkpoint, including perceptual networks, evaluators and the moving average
PARTS = ("generator", "discriminator", "generator_average", "loss_", "val_evaluator", "test_evaluator")

SCRIPTED = "model.generator."

Part = Literal["generator", "discriminator"]


def _part(state: Mapping[str, Tensor], part: Part) -> dict[str, Tensor]:
    """Return the entries of one network without its prefix; accept a state dict of that network alone as well."""
    inner = state.get("state_dict", state)
    entries = inner if isinstance(inner, Mapping) else state
    if any(key.startswith(SCRIPTED) for key in entries):
        entries = {key.removeprefix("model."): value for key, value in entries.items()}
    prefix = f"{part}."
    own = {key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)}
    return own or {key: value for key, value in entries.items() if not key.startswith(PARTS)}


def _convert(state: Mapping[str, Tensor], part: Part, name: str, net: nn.Module) -> dict[str, Tensor]:
    return match_state(_part(state, part), net.state_dict(), f"'{name}'")


@register_converter("lama", files=RELEASED)
def convert_lama(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the generator of a LaMa checkpoint (nine blocks)."""
    return _convert(state, "generator", "lama", net)


@register_converter("big_lama", files=RELEASED)
def convert_big_lama(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the generator of a Big-LaMa checkpoint (eighteen blocks)."""
    return _convert(state, "generator", "big_lama", net)


@register_converter("glama", files=RELEASED)
def convert_glama(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert a generator with LaMa's key names; no GLaMa weights are published."""
    return _convert(state, "generator", "glama", net)


@register_converter("lama_discriminator", files=RELEASED)
def convert_lama_discriminator(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the discriminator of a LaMa checkpoint; not every released checkpoint holds one."""
    return _convert(state, "discriminator", "lama_discriminator", net)
