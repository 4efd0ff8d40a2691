"""Generators of Contextual Attention and of the stabilized GLCIC, which has no attention (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.contextual_attention import AttendingNetwork, ContextualAttention
from inpaint_zoo.ops import composite

__all__ = ["ContextualAttentionGenerator", "ConvBlock", "GLCICGenerator"]

DILATIONS = {"conv7_atrous": 2, "conv8_atrous": 4, "conv9_atrous": 8, "conv10_atrous": 16}


class ConvBlock(nn.Module):
    """A convolution with zero padding and bias, followed by an activation, without normalization.

    Args:
        source: Input channels.
        target: Output channels.
        kernel: Kernel size, odd.
        stride: 1 or 2.
        dilation: Dilation of the kernel.
        activation: Activation; "none" for an output layer.
        tf_same: Pad strided convolutions as TensorFlow's "SAME" mode does for even sizes: one pixel less at the top and
            left than at the bottom and right.
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
        """Map (B, C, H, W) to (B, C', H/stride, W/stride)."""
        x = self.conv(x if self.padding is None else F.pad(x, self.padding))
        if self.activation == "elu":
            return F.elu_(x)  # in place: the gradient of ELU can be computed from its output
        return x.relu_() if self.activation == "relu" else x


class Stage(nn.Module):
    """One stage, an encoder and a decoder, with blocks that are named as in the released state dict.

    Args:
        blocks: All blocks by name.
        decoder: Prefix of the names of the decoder's blocks, see `_decoder`.
    """

    def __init__(self, blocks: dict[str, nn.Module], decoder: str) -> None:
        super().__init__()
        for name, block in blocks.items():
            self.add_module(name, block)
        self.decoder = decoder

    def run(self, x: Tensor, *names: str) -> Tensor:
        """Run the named blocks in sequence."""
        for name in names:
            x = self.get_submodule(name)(x)
        return x

    def encode(self, x: Tensor) -> Tensor:
        """Map image, ones and mask (B, 5, H, W) to the feature map (B, C, H/4, W/4) that the decoder takes."""
        raise NotImplementedError

    def decode(self, x: Tensor) -> Tensor:
        """Map a feature map (B, C, H/4, W/4) to the raw, unbounded prediction (B, 3, H, W)."""
        return self.enlarge(self.mix(x))

    def mix(self, x: Tensor) -> Tensor:
        """Run the decoder's layers at 1/4 resolution, (B, C, H/4, W/4) to (B, C', H/4, W/4)."""
        return self.run(x, f"{self.decoder}11", f"{self.decoder}12")

    def enlarge(self, x: Tensor) -> Tensor:
        """Run the decoder's other layers, from (B, C', H/4, W/4) to the raw, unbounded prediction (B, 3, H, W)."""
        for first, second in ((13, 14), (15, 16)):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.run(x, f"{self.decoder}{first}", f"{self.decoder}{second}")
        return self.run(x, f"{self.decoder}17")

    def forward(self, x: Tensor) -> Tensor:
        """Map image, ones and mask (B, 5, H, W) to the raw, unbounded prediction (B, 3, H, W)."""
        return self.decode(self.encode(x))


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


class CoarseStage(Stage):
    """Coarse stage: all convolutions in one branch."""

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
            },
            "conv",
        )

    def encode(self, x: Tensor) -> Tensor:
        """Return the feature map that the decoder takes."""
        return self.run(x, "conv1", "conv2_downsample", "conv3", "conv4_downsample", "conv5", "conv6", *DILATIONS)


class FineStage(Stage):
    """Refinement stage: a branch of dilated convolutions, an optional branch with attention, and a common decoder."""

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
        super().__init__(blocks | _decoder("allconv", 4 * width * (1 if attention is None else 2), width), "allconv")
        self.attention = attention

    def offsets(self, x: Tensor) -> Tensor:
        """Return the offsets of the attention; for the argument see `encode`."""
        attending = self._attending(x)
        return cast(ContextualAttention, self.attention).offsets(attending, attending, x[:, 4:])

    def encode(self, x: Tensor) -> Tensor:
        """Return the feature maps of both branches for the filled image, ones and mask (B, 5, H, W)."""
        merged = self.run(x, "conv1", "conv2_downsample", "conv3", "conv4_downsample", "conv5", "conv6", *DILATIONS)
        if self.attention is not None:
            attending = self._attending(x)
            attended = self.attention(attending, attending, x[:, 4:])
            merged = torch.cat([merged, self.run(attended, "pmconv9", "pmconv10")], dim=1)
        return merged

    def _attending(self, x: Tensor) -> Tensor:
        """Return the feature map, at 1/4 resolution, whose patches the attention compares."""
        return self.run(x, "pmconv1", "pmconv2_downsample", "pmconv3", "pmconv4_downsample", "pmconv5", "pmconv6")


class GLCICGenerator(InpaintingNetwork):
    """Stabilized GLCIC generator: a coarse network fills the hole, a second network refines the result.

    Both networks take the image, a channel of ones (which distinguishes the image from its zero padding) and the mask.
    They use ELU and no normalization. The second network takes the composite of the coarse prediction clamped to
    [-1, 1], without detaching it. The released code also clamps both predictions, so its losses have no gradient where
    a prediction exceeds [-1, 1]; here the predictions are not clamped.

    Source: Globally and Locally Consistent Image Completion (Iizuka et al., SIGGRAPH 2017), stabilized by using
    Contextual Attention's networks without the attention; docs/papers/glcic_ca.md, "Stabilized GLCIC". 2,758,118
    parameters.

    Args:
        width: Channels at full resolution, even; four times as many at 1/4 resolution.
        tf_same: Pad strided convolutions as TensorFlow does.
        attention: Attention module of a second branch in the refinement network, for `ContextualAttentionGenerator`.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1] with 0 in the hole, mask (B, 1, H, W) with 1 = hole, H and W multiples
        of 8 -> raw stages `coarse` and `fine`, (B, 3, H, W), not bounded.

    Raises:
        ZooError: If ``width`` is odd or below 2.
    """

    value_range = (-1.0, 1.0)
    hole_value = 0.0
    divisor = min_size = 8
    takes_hole_fill = True

    def __init__(self, width: int = 32, tf_same: bool = False, attention: ContextualAttention | None = None) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ZooError(f"`width` must be even and positive, got {width}.")
        self.coarse_generator = CoarseStage(width, tf_same)
        self.fine_generator = FineStage(width, tf_same, attention)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw, unbounded predictions of both stages."""
        coarse, found = self._coarse(image, mask)
        return {"coarse": coarse, "fine": self.to_prediction(self.fine_generator(found), image)}

    def _coarse(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coarse prediction (B, 3, H, W) and the input of the refinement stage (B, 5, H, W)."""
        ones = torch.ones_like(mask)
        coarse = self.to_prediction(self.coarse_generator(torch.cat([image, ones, mask], dim=1)), image)
        found = composite(coarse.clamp(-1, 1), image, mask)  # as released
        return coarse, torch.cat([found, ones, mask], dim=1)


class ContextualAttentionGenerator(AttendingNetwork, GLCICGenerator):
    """Contextual Attention generator: `GLCICGenerator` with an attention branch in the refinement network.

    This branch reconstructs the feature map inside the hole from patches of known regions.

    Source: Generative Image Inpainting with Contextual Attention (Yu et al., CVPR 2018) as released for PyTorch.
    3,601,542 parameters.

    Args:
        width: See `GLCICGenerator`.
        attention: The attention module; None creates it with the released settings.
        tf_same: Pad strided convolutions as TensorFlow does. For weights from the TensorFlow code, also set ``norm`` to
            "tf" and ``tf_resize`` to True in the attention.

    Raises:
        ZooError: If ``width`` is odd or below 2.
    """

    def __init__(
        self,
        width: int = 32,
        attention: ContextualAttention | None = None,
        tf_same: bool = False,
    ) -> None:
        super().__init__(width, tf_same, attention or ContextualAttention())

    def offsets(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the attention's offsets, see `attention_offsets`; image and mask as in `predict`."""
        return self.fine_generator.offsets(self._coarse(image, mask)[1])
