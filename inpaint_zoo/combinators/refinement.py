"""Base class of networks that refine the result of a first network, which can be frozen."""

from __future__ import annotations

from typing import Self

from inpaint_zoo.interfaces import InpaintingNetwork, check_network

__all__ = ["RefinementNetwork"]


class RefinementNetwork(InpaintingNetwork):
    """A network that refines the result of a first network.

    Args:
        first: The first network.
        freeze_first: Freeze the first network's parameters and keep it in eval mode.
    """

    def __init__(self, first: InpaintingNetwork, freeze_first: bool) -> None:
        super().__init__()
        check_network("first", first)
        self.first = first.requires_grad_(False) if freeze_first else first
        self.freeze_first = freeze_first

    def train(self, mode: bool = True) -> Self:
        """Set the training mode, except for a frozen first network, which stays in eval mode."""
        super().train(mode)
        if self.freeze_first:
            self.first.eval()
        return self
