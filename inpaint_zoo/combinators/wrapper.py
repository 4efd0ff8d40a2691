"""Base classes of networks that wrap another network and have no weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from inpaint_zoo.interfaces import InpaintingNetwork, check_network

__all__ = ["RepeatingNetwork", "WrapperNetwork", "repeating_networks"]


class WrapperNetwork(InpaintingNetwork):
    """A network that wraps another one; its state dict is that of the wrapped network.

    Args:
        network: The wrapped network.
    """

    def __init__(self, network: InpaintingNetwork) -> None:
        super().__init__()
        check_network("network", network)
        self.network = network
        self.register_state_dict_post_hook(_leave_out_own_name)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_in_own_name)  # type: ignore[no-untyped-call]
        self.train(network.training)


class RepeatingNetwork(WrapperNetwork):
    """A network that runs another one several times; the number of passes depends on the mask.

    The cost of such a network differs from image to image, so the benchmark counts the passes of every image. A
    subclass calls `on_pass` before each pass, and runs `passes_on_meta` passes on the meta device.

    Attributes:
        on_pass: Callback that takes the number of samples in the next pass; None if nothing counts the passes.
        passes_on_meta: Number of passes of every sample on the meta device, where a mask has no values.
    """

    on_pass: Callable[[int], None] | None = None
    passes_on_meta: int = 1


def repeating_networks(network: nn.Module) -> list[RepeatingNetwork]:
    """Return every `RepeatingNetwork` in ``network``, itself included, outer ones before inner ones."""
    return [module for module in network.modules() if isinstance(module, RepeatingNetwork)]


def _leave_out_own_name(module: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    _rename(state, f"{prefix}network.", prefix)


def _put_in_own_name(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    _rename(state, prefix, f"{prefix}network.")


def _rename(state: dict[str, Any], old: str, new: str) -> None:
    for key in [key for key in state if key.startswith(old)]:
        state[new + key.removeprefix(old)] = state.pop(key)
