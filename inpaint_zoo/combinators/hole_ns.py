"""A network that finds OpenCV's Navier-Stokes filling in the hole."""

from __future__ import annotations

from torch import Tensor

from inpaint_zoo import ops
from inpaint_zoo.combinators.around import AroundNetwork
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.contextual_attention import AttendingNetwork
from inpaint_zoo.registry import register_combinator

__all__ = ["HoleNS", "hole_ns"]


class HoleNS(AroundNetwork):
    """A network as it was trained with the data's `input_mode: hole_ns`, by its own weights.

    The filling is `ops.hole_ns` of the known pixels, on the CPU: 10 ms for a hole of 128 x 128.

    Source: the study on GLCIC and Contextual Attention, section IV-D; specs/glcic_ca.md, section 2.2.

    Args:
        network: One that takes a filling.

    Shape:
        As every `InpaintingNetwork`; the network's stages.

    Raises:
        ZooError: What stands in the hole never reaches the network's result.
    """

    def __init__(self, network: InpaintingNetwork) -> None:
        super().__init__(network)
        if not network.takes_filling:
            raise ZooError(f"{type(network).__name__} never sees what stands in the hole: use it without `hole_ns:`.")

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the network's predictions; it works at its own sides, in its own range."""
        return self.network.trusted_stages(image, mask, filling=ops.hole_ns(image, mask))


class AttendingHoleNS(HoleNS, AttendingNetwork):
    """... whose network tells where it looked in the filled picture.

    Args:
        network: One with attention, that takes a filling.

    Raises:
        ZooError: As `HoleNS`.
    """

    network: AttendingNetwork

    @property
    def attention_place(self) -> int:
        """The network's."""
        return self.network.attention_place

    def offsets(self, image: Tensor, mask: Tensor) -> Tensor:
        """See `attention_offsets`; image and mask as `predict` takes them."""
        return self.network.attention_offsets(image, mask, filling=ops.hole_ns(image, mask))


@register_combinator(learned=False)
def hole_ns(network: InpaintingNetwork) -> HoleNS:
    """Navier-Stokes filling as the input of a network: see `HoleNS`."""
    return AttendingHoleNS(network) if isinstance(network, AttendingNetwork) else HoleNS(network)
