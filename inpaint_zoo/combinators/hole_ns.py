"""Pre-fills the hole of a network's input with OpenCV's Navier-Stokes."""

from __future__ import annotations

from torch import Tensor

from inpaint_zoo import ops
from inpaint_zoo.combinators.wrapper import WrapperNetwork
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.contextual_attention import AttendingNetwork
from inpaint_zoo.registry import register_combinator

__all__ = ["HoleNS", "hole_ns"]


class HoleNS(WrapperNetwork):
    """Network whose input hole is pre-filled by `ops.hole_ns`; the weights are those of the wrapped network.

    Use it for networks trained with the data module's `input_mode: hole_ns`. The filling is computed on the CPU and
    takes about 10 ms for a 128x128 hole.

    Source: the study on GLCIC and Contextual Attention, section IV-D; docs/papers/glcic_ca.md, "Input modes".

    Args:
        network: A network whose result depends on the filling of the hole (``takes_hole_fill``).

    Shape:
        image (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole -> the stages of ``network``.

    Raises:
        ZooError: If the network's result does not depend on the filling.
    """

    def __init__(self, network: InpaintingNetwork) -> None:
        super().__init__(network)
        if not network.takes_hole_fill:
            raise ZooError(f"{type(network).__name__} ignores the content of the hole: use it without `hole_ns:`.")

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the wrapped network's raw predictions, in [0, 1]."""
        return self.network.stages_unchecked(image, mask, hole_fill=ops.hole_ns(image, mask))


class AttendingHoleNS(HoleNS, AttendingNetwork):
    """`HoleNS` for a network with contextual attention, whose attention offsets it provides.

    Args:
        network: A network with attention whose result depends on the filling of the hole.

    Raises:
        ZooError: If the network's result does not depend on the filling.
    """

    network: AttendingNetwork

    @property
    def attention_place(self) -> int:
        """Height and width in pixels of one position of the network's attention."""
        return self.network.attention_place

    def offsets(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the attention's offsets, see `attention_offsets`; image and mask as in `predict`."""
        return self.network.attention_offsets(image, mask, hole_fill=ops.hole_ns(image, mask))


@register_combinator(learned=False)
def hole_ns(network: InpaintingNetwork) -> HoleNS:
    """Hole pre-filled by Navier-Stokes before a network runs: see `HoleNS`."""
    return AttendingHoleNS(network) if isinstance(network, AttendingNetwork) else HoleNS(network)
