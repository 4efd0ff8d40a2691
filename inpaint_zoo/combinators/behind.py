"""What networks behind another one share: the other one may be frozen."""

from __future__ import annotations

from typing import Self

from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["BehindFirst"]


class BehindFirst(InpaintingNetwork):
    """A network that goes on where a first one ends.

    Args:
        first: Any network.
        freeze_first: It takes no gradient and stays in eval mode.
    """

    def __init__(self, first: InpaintingNetwork, freeze_first: bool) -> None:
        super().__init__()
        self.first = first.requires_grad_(False) if freeze_first else first
        self.freeze_first = freeze_first

    def train(self, mode: bool = True) -> Self:
        """As every module; a frozen first network stays in eval mode."""
        super().train(mode)
        if self.freeze_first:
            self.first.eval()
        return self
