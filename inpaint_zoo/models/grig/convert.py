"""Convert GRIG's released generator (docs/papers/grig.md, "Released checkpoints").

The released files hold the generator's weights and, as a list without names, their moving averages (EMA).
"""

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
    """Return the averaged parameters, ``g_ema``, with the buffers of ``g``.

    A state dict of the generator alone is converted as it is. For a file's weights without averaging, pass its ``g``.
    """
    live = part_of(state, LIVE)
    converted = match_state(live, net.state_dict(), "'grig'")
    return (
        converted if live is state else converted | _averaged(state, converted, [n for n, _ in net.named_parameters()])
    )


def _averaged(state: Mapping[str, Any], live: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Return the averages by parameter name; the file lists them in the order of the parameters."""
    listed = state.get(AVERAGED)
    if not isinstance(listed, Sequence):  # a file whose keys are joined by dots
        numbered = {key: value for key, value in state.items() if key.startswith(f"{AVERAGED}.")}
        listed = [numbered[key] for key in (f"{AVERAGED}.{k}" for k in range(len(numbered))) if key in numbered]
    if len(listed) != len(names):
        raise ZooError(
            f"The checkpoint lists {len(listed)} averages in `{AVERAGED}`, but 'grig' has {len(names)} parameters. "
            f"To use the weights without averaging, pass the checkpoint's `{LIVE}` alone."
        )
    averages = dict(zip(names, listed, strict=True))
    return match_state(averages, {name: live[name] for name in names}, f"'grig', `{AVERAGED}`")
