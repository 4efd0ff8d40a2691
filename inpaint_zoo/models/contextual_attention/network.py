"""Coarse and refining network with contextual attention, and the same without it (specs/glcic_ca.md, section 5)."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.around import around_the_hole
from inpaint_zoo.layers.contextual_attention import AttendingNetwork, ContextualAttention
from inpaint_zoo.layers.fusion import Fusable, FusedConv2d, fuse
from inpaint_zoo.ops import composite

__all__ = ["ContextualAttentionGenerator", "ConvBlock", "GLCICGenerator"]

DILATIONS = {"conv7_atrous": 2, "conv8_atrous": 4, "conv9_atrous": 8, "conv10_atrous": 16}
SCALE = 4  # between the picture and the deepest maps
DECODER_REACH = 15  # pixels, to each side, that a pixel of a prediction depends on of what its decoder gets


class ConvBlock(Fusable):
    """A convolution with zero padding and bias, and what follows it; no norm.

    Args:
        source: Channels in.
        target: Channels out.
        kernel: Its side, odd.
        stride: 1 or 2.
        dilation: Of the kernel.
        activation: "none" for an output.
        tf_same: Pad a strided convolution as TensorFlow does: of even sides, one less before than behind.
    """

    def __init__(
        self,
        source: int,
        target: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: Literal["elu", "relu", "none"] = "elu",
        tf_same: bool = False,
    ) -> None:
        super().__init__()
        around = dilation * (kernel // 2)
        uneven = tf_same and stride == 2
        self.conv = nn.Conv2d(source, target, kernel, stride, 0 if uneven else around, dilation)
        self.padding = (around - 1, around, around - 1, around) if uneven else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        x = self.conv(x if self.padding is None else F.pad(x, self.padding))
        if self.activation == "elu":
            return F.elu_(x)  # its gradient is read off its output
        return x.relu_() if self.activation == "relu" else x

    def fused(self) -> nn.Module:
        """With the weights laid out."""
        if not isinstance(self.conv, FusedConv2d):
            self.conv = FusedConv2d(self.conv)  # type: ignore[assignment]
        return self


class _Stage(Fusable):
    """Blocks by the names of the released state dict; the fast form decodes the surroundings of the hole alone."""

    def __init__(self, blocks: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, block in blocks.items():
            self.add_module(name, block)
        self.everywhere = True

    def run(self, x: Tensor, *names: str) -> Tensor:
        """One block after the other."""
        for name in names:
            x = self.get_submodule(name)(x)
        return x

    def decode(self, x: Tensor, prefix: str, found: Tensor) -> Tensor:
        """The raw prediction (B, 3, H, W), not bounded; see `_decoder`.

        Args:
            x: (B, C, H / 4, W / 4).
            prefix: Of the blocks' names.
            found: (B, 5, H, W), what the stage got.
        """

        def predict(rows: slice, columns: slice) -> Tensor:
            above, left = rows.start // SCALE, columns.start // SCALE
            box = x[..., above : rows.stop // SCALE, left : columns.stop // SCALE]
            return self._decoded(box, prefix)

        if self.everywhere:
            return self._decoded(x, prefix)
        return around_the_hole(predict, found[:, :3], found[:, 4:], DECODER_REACH, SCALE)

    def _decoded(self, x: Tensor, prefix: str) -> Tensor:
        x = self.run(x, f"{prefix}11", f"{prefix}12")
        for first, second in ((13, 14), (15, 16)):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.run(x, f"{prefix}{first}", f"{prefix}{second}")
        return self.run(x, f"{prefix}17")

    def fused(self) -> nn.Module:
        """With fused children; known pixels keep what they are."""
        for name, child in list(self.named_children()):
            self._modules[name] = fuse(child)
        self.everywhere = False
        return self


def _decoder(prefix: str, source: int, width: int) -> dict[str, nn.Module]:
    widths = {11: (source, 4), 12: (4 * width, 4), 13: (4 * width, 2), 14: (2 * width, 2), 15: (2 * width, 1)}
    blocks: dict[str, nn.Module] = {
        f"{prefix}{n}": ConvBlock(channels, times * width) for n, (channels, times) in widths.items()
    }
    blocks[f"{prefix}16"] = ConvBlock(width, width // 2)
    blocks[f"{prefix}17"] = ConvBlock(width // 2, 3, activation="none")
    return blocks


def _atrous(width: int) -> dict[str, nn.Module]:
    return {name: ConvBlock(4 * width, 4 * width, dilation=dilation) for name, dilation in DILATIONS.items()}


class _Coarse(_Stage):
    """(B, 5, H, W), picture, ones and mask -> the raw prediction (B, 3, H, W), not bounded."""

    def __init__(self, width: int, tf_same: bool) -> None:
        super().__init__(
            {
                "conv1": ConvBlock(5, width, 5),
                "conv2_downsample": ConvBlock(width, 2 * width, stride=2, tf_same=tf_same),
                "conv3": ConvBlock(2 * width, 2 * width),
                "conv4_downsample": ConvBlock(2 * width, 4 * width, stride=2, tf_same=tf_same),
                "conv5": ConvBlock(4 * width, 4 * width),
                "conv6": ConvBlock(4 * width, 4 * width),
                **_atrous(width),
                **_decoder("conv", 4 * width, width),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        deep = self.run(x, "conv1", "conv2_downsample", "conv3", "conv4_downsample", "conv5", "conv6", *DILATIONS)
        return self.decode(deep, "conv", x)


class _Fine(_Stage):
    """A branch that hallucinates, a branch that attends if there is an ``attention``, and a decoder for both."""

    def __init__(self, width: int, tf_same: bool, attention: ContextualAttention | None) -> None:
        def encoder(prefix: str, last_width: int, last: Literal["elu", "relu"]) -> dict[str, nn.Module]:
            return {
                f"{prefix}1": ConvBlock(5, width, 5),
                f"{prefix}2_downsample": ConvBlock(width, width, stride=2, tf_same=tf_same),
                f"{prefix}3": ConvBlock(width, 2 * width),
                f"{prefix}4_downsample": ConvBlock(2 * width, last_width, stride=2, tf_same=tf_same),
                f"{prefix}5": ConvBlock(last_width, 4 * width),
                f"{prefix}6": ConvBlock(4 * width, 4 * width, activation=last),
            }

        blocks = {**encoder("conv", 2 * width, "elu"), **_atrous(width)}
        if attention is not None:
            blocks |= encoder("pmconv", 4 * width, "relu")
            blocks |= {name: ConvBlock(4 * width, 4 * width) for name in ("pmconv9", "pmconv10")}
        super().__init__(blocks | _decoder("allconv", 4 * width * (1 if attention is None else 2), width))
        self.attention = attention

    def offsets(self, x: Tensor, mask: Tensor) -> Tensor:
        """Of the attention; arguments as `forward`."""
        attending = self._attending(x)
        return cast(ContextualAttention, self.attention).offsets(attending, attending, mask)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, 5, H, W), filled picture, ones and mask -> the raw prediction (B, 3, H, W), not bounded."""
        merged = self.run(x, "conv1", "conv2_downsample", "conv3", "conv4_downsample", "conv5", "conv6", *DILATIONS)
        if self.attention is not None:
            attending = self._attending(x)
            attended = self.attention(attending, attending, mask)
            merged = torch.cat([merged, self.run(attended, "pmconv9", "pmconv10")], dim=1)
        return self.decode(merged, "allconv", x)

    def _attending(self, x: Tensor) -> Tensor:
        """The map, at a quarter of the sides, whose patches are compared."""
        return self.run(x, "pmconv1", "pmconv2_downsample", "pmconv3", "pmconv4_downsample", "pmconv5", "pmconv6")


class GLCICGenerator(InpaintingNetwork):
    """A coarse network fills the hole, a second one refines it.

    Both see the picture, ones (they tell the border from the zeros around it) and the mask; ELU, no norms; nothing is
    detached between them. The second one sees the first prediction clamped to [-1, 1], as released. The released code
    clamps both results too, which leaves a loss without a gradient where they leave [-1, 1]: here they stay raw.

    Source: Globally and Locally Consistent Image Completion (Iizuka et al., SIGGRAPH 2017), stabilised: Contextual
    Attention's networks without the attention; specs/glcic_ca.md, section 5.3. 2,758,118 parameters.

    Args:
        width: Channels at full size, even; four times as many at a quarter of the sides.
        tf_same: Pad strided convolutions as TensorFlow does.
        attention: Of a second branch in the second network, for `ContextualAttentionGenerator`.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1], hole 0, mask (B, 1, H, W), H and W multiples of 8 -> coarse and fine,
        raw: nothing bounds them.

    Raises:
        ZooError: An odd width.
    """

    value_range = (-1.0, 1.0)
    hole_value = 0.0
    divisor = min_size = 8
    takes_filling = True

    def __init__(self, width: int = 32, tf_same: bool = False, attention: ContextualAttention | None = None) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ZooError(f"`width` must be even and positive, got {width}.")
        self.coarse_generator = _Coarse(width, tf_same)
        self.fine_generator = _Fine(width, tf_same, attention)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction of both stages."""
        coarse, found = self._coarse(image, mask)
        return {"coarse": coarse, "fine": self.fine_generator(found, mask)}

    def _coarse(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The first prediction, and what the second stage finds."""
        ones = torch.ones_like(mask)
        coarse = self.coarse_generator(torch.cat([image, ones, mask], dim=1))
        found = composite(coarse.clamp(-1, 1), image, mask)  # as released
        return coarse, torch.cat([found, ones, mask], dim=1)


class ContextualAttentionGenerator(AttendingNetwork, GLCICGenerator):
    """Its second network has a branch whose maps are pasted together from their known patches.

    Source: Generative Image Inpainting with Contextual Attention (Yu et al., CVPR 2018) as released for PyTorch.
    3,601,542 parameters.

    Args:
        width: As `GLCICGenerator`.
        attention: By default as released.
        tf_same: Pad strided convolutions as TensorFlow does; with `norm="tf"` and `tf_resize` for its weights.

    Raises:
        ZooError: An odd width.
    """

    def __init__(
        self,
        width: int = 32,
        attention: ContextualAttention | None = None,
        tf_same: bool = False,
    ) -> None:
        super().__init__(width, tf_same, attention or ContextualAttention())

    def offsets(self, image: Tensor, mask: Tensor) -> Tensor:
        """See `attention_offsets`; image and mask as `predict` takes them."""
        return self.fine_generator.offsets(self._coarse(image, mask)[1], mask)
