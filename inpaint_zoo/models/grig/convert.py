"""GRIG's released generator: live weights, and a bare list of their running averages (specs/grig.md, section 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.models.grig.convert_discriminators import FILE, part_of
from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state

__all__ = ["convert_grig"]

LIVE, AVERAGED = "g", "g_ema"


@register_converter("grig", files=FILE)
def convert_grig(state: Mapping[str, Any], net: nn.Module) -> dict[str, Tensor]:
    """The averaged parameters, ``g_ema``, with the buffers of ``g``; what is no such file is one state dict, as it is.

    The live weights of a file are those of its ``g`` alone.
    """
    live = part_of(state, LIVE)
    converted = match_state(live, net.state_dict(), "'grig'")
    return (
        converted if live is state else converted | _averaged(state, converted, [n for n, _ in net.named_parameters()])
    )


def _averaged(state: Mapping[str, Any], live: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The averages by the names of the parameters, in whose order the file lists them."""
    listed = state.get(AVERAGED)
    if not isinstance(listed, Sequence):  # read with its names joined by dots
        numbered = {key: value for key, value in state.items() if key.startswith(f"{AVERAGED}.")}
        listed = [numbered[key] for key in (f"{AVERAGED}.{k}" for k in range(len(numbered))) if key in numbered]
    if len(listed) != len(names):
        raise ZooError(
            f"The checkpoint lists {len(listed)} averages as `{AVERAGED}`, 'grig' has {len(names)} parameters. "
            f"For the live weights give its `{LIVE}` alone."
        )
    averages = dict(zip(names, listed, strict=True))
    return match_state(averages, {name: live[name] for name in names}, f"'grig', `{AVERAGED}`")
