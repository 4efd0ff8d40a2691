"""ISNet's generators (docs/papers/isnet.md).

In each phase, a high-resolution and a low-resolution branch process their features separately, send them to each other
and merge what they received.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork, check_pair, check_values
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.ops import crop_to

__all__ = [
    "Aggregation",
    "Design",
    "ISNetGenerator",
    "ISNetUNet",
    "Inpainting",
    "Interaction",
]

Design = Literal["full", "base", "base_ff"]
Maps = tuple[Tensor, Tensor | None]  # feature maps of the high-resolution and the low-resolution branch


def _activation(design: Design) -> nn.Module:
    """Return Tanh for the full design and LeakyReLU for both base models, as in the authors' code."""
    return nn.Tanh() if design == "full" else nn.LeakyReLU(0.2)


class ResidualBlock(nn.Module):
    """Residual block of two 3x3 convolutions, the first one dilated, with an activation after the sum."""

    def __init__(self, channels: int, dilation: int, activation: nn.Module, spectral: bool = True) -> None:
        super().__init__()
        convolution = SpectralConv2d if spectral else nn.Conv2d
        first = convolution(channels, channels, 3, padding=dilation, dilation=dilation)
        second = convolution(channels, channels, 3, padding=1)
        self.layers = nn.Sequential(first, activation, second)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, C, H, W)."""
        return self.activation(x + self.layers(x))


class Stem(nn.Module):
    """First layers: two 3x3 convolutions, with a 1x1 convolution without spectral norm as the skip connection."""

    def __init__(self, width: int, design: Design) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            SpectralConv2d(3, 2 * width, 3, padding=1),
            _activation(design),
            SpectralConv2d(2 * width, width, 3, padding=1),
        )
        self.skip = nn.Conv2d(3, width, 1, bias=False)
        self.activation = _activation(design)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, width, H, W)."""
        return self.activation(self.layers(x) + self.skip(x))


def _sub_pixel(channels: int) -> nn.Sequential:
    """Return a sub-pixel upsampling by 2 that halves the channels.

    The activation works on single values, so it gives the same result before and after the pixel shuffle.
    """
    return nn.Sequential(SpectralConv2d(channels, 2 * channels, 3, padding=1), nn.Tanh(), nn.PixelShuffle(2))


def _down(channels: int, design: Design) -> nn.Sequential:
    """Return a strided convolution that downsamples by 2 and doubles the channels."""
    return nn.Sequential(SpectralConv2d(channels, 2 * channels, 3, 2, 1), _activation(design))


class Merging(nn.Module):
    """A convolution over concatenated feature maps, followed by an activation.

    Args:
        sources: Channels of each feature map.
        target: Output channels.
        design: Selects the activation, see `ISNetGenerator`.
        kernel: Kernel size.
        bias: Whether the convolution has a bias.
    """

    def __init__(self, sources: list[int], target: int, design: Design, kernel: int = 3, bias: bool = False) -> None:
        super().__init__()
        self.convolution = SpectralConv2d(sum(sources), target, kernel, padding=kernel // 2, bias=bias)
        self.activation = _activation(design)
        self.sources = sources

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map a list of feature maps (B, C_i, H, W) to (B, target, H, W)."""
        return self.activation(self.convolution(torch.cat(maps, dim=1)))


class Inpainting(nn.Module):
    """First step of a phase: residual blocks in each branch separately.

    Their first convolution is dilated by 2 in the low-resolution branch.
    """

    def __init__(self, width: int, low_width: int | None, blocks: int, design: Design) -> None:
        super().__init__()
        self.high = nn.Sequential(*(ResidualBlock(width, 1, _activation(design)) for _ in range(blocks)))
        self.low = (
            nn.Sequential(*(ResidualBlock(low_width, 2, _activation(design)) for _ in range(blocks)))
            if low_width
            else None
        )

    def forward(self, high: Tensor, low: Tensor | None) -> Maps:
        """Return the feature maps of both branches, of unchanged shapes."""
        return self.high(high), None if self.low is None or low is None else self.low(low)


class Interaction(nn.Module):
    """Second step of a phase: each branch sends its feature map to the other branch and to itself.

    The low-resolution map is upsampled for the high-resolution branch, by sub-pixel convolutions or bilinearly, and
    downsampled by a strided convolution for its own branch. The high-resolution map is downsampled by strided
    convolutions for the low-resolution branch and stays unchanged for its own.
    """

    def __init__(self, width: int, index: int, design: Design) -> None:
        super().__init__()
        self.down = nn.Sequential(*(_down(width * 2**step, design) for step in range(index + 1)))
        self.up = self.keep = None
        if index:
            low_width = width * 2**index
            self.keep = _down(low_width, design)
            if design == "full":
                self.up = nn.Sequential(*(_sub_pixel(low_width // 2**step) for step in range(index)))
            else:
                # as in the authors' code, only the base model without final fusion has this second activation
                again = [_activation(design)] if design == "base" else []
                self.up = nn.Sequential(*again, nn.Upsample(scale_factor=2.0**index, mode="bilinear"))

    def forward(self, high: Tensor, low: Tensor | None, with_low: bool = True) -> tuple[list[Tensor], list[Tensor]]:
        """Return the lists of feature maps for the high-resolution and for the low-resolution branch.

        In both lists the map from the high-resolution branch comes first. The maps for the low-resolution branch have
        half the height and width of ``low``.

        Args:
            high: (B, C, H, W).
            low: (B, C', h, w); None in the first phase, which has no low-resolution branch yet.
            with_low: False skips the maps for the low-resolution branch and returns an empty list for it.
        """
        for_high = [high] if self.up is None else [high, self.up(low)]
        if not with_low:
            return for_high, []
        return for_high, [self.down(high)] if self.keep is None else [self.down(high), self.keep(low)]


class Aggregation(nn.Module):
    """Third step of a phase: each branch merges the feature maps sent to it."""

    def __init__(self, width: int, index: int, low_target: int, design: Design) -> None:
        super().__init__()
        sent_up = width if design == "full" else width * 2**index
        from_low = 2 * width * 2**index
        self.high = Merging([width, sent_up] if index else [width], width, design)
        self.low = Merging([from_low, from_low] if index else [from_low], low_target, design)

    def forward(self, for_high: list[Tensor], for_low: list[Tensor]) -> Maps:
        """Return the merged feature maps; the low-resolution one is None if ``for_low`` is empty."""
        return self.high(for_high), self.low(for_low) if for_low else None


class Phase(nn.Module):
    """One phase of ISNet: `Inpainting`, `Interaction`, `Aggregation`.

    Args:
        width: Channels of the high-resolution branch, which stays at full resolution.
        index: Index of the phase, from 0. The low-resolution branch enters with width * 2 ** index channels, at
            1 / 2 ** index of the full resolution; in phase 0 it does not exist yet.
        blocks: Number of residual blocks in each branch.
        low_target: Channels of the low-resolution branch after this phase.
        design: See `ISNetGenerator`.
    """

    def __init__(self, width: int, index: int, blocks: int, low_target: int, design: Design) -> None:
        super().__init__()
        self.inpainting = Inpainting(width, width * 2**index if index else None, blocks, design)
        self.interaction = Interaction(width, index, design)
        self.aggregation = Aggregation(width, index, low_target, design)

    def forward(self, high: Tensor, low: Tensor | None, with_low: bool = True) -> Maps:
        """Return both feature maps: (B, width, H, W) and, at half the resolution of ``low``, (B, low_target, h/2, w/2).

        Args:
            high: Feature map of the high-resolution branch, (B, width, H, W).
            low: Feature map of the low-resolution branch, (B, C, h, w); None in the first phase.
            with_low: False skips the computation of the low-resolution output and returns None for it.
        """
        high, low = self.inpainting(high, low)
        return self.aggregation(*self.interaction(high, low, with_low))


class ISNetGenerator(InpaintingNetwork):
    """ISNet generator: a branch at full resolution and a branch that each phase downsamples by 2, merged at the end.

    The mask is not an input of the network; hole pixels are black.

    Source: ISNet (Gong et al., IEEE Access 2022) as released; docs/papers/isnet.md, "Generator" and "Ablation
    variants". 24,774,307 parameters.

    Args:
        blocks: Number of residual blocks in each branch of each phase.
        width: Channels of the high-resolution branch; the low-resolution branch has 2, 4, ... times as many.
        phases: Number of phases.
        design: "full", or an ablation of Table 7 that upsamples the low-resolution map bilinearly and uses LeakyReLU:
            "base" without the final fusion, "base_ff" with it.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1] with 0 in the hole, H and W multiples of ``divisor`` -> raw stage
        `prediction` (B, 3, H, W) in [0, 1].

    Raises:
        ZooError: If the design is unknown, or ``blocks`` or ``phases`` is below 1.
    """

    takes_hole_fill = True

    def __init__(self, blocks: int = 4, width: int = 32, phases: int = 4, design: Design = "full") -> None:
        super().__init__()
        if design not in get_args(Design):
            raise unknown_name("design", design, get_args(Design))
        if min(blocks, phases) < 1:
            raise ZooError(f"`blocks` and `phases` of ISNet must be at least 1, got {blocks} and {phases}.")
        # the base model does not use the low-resolution map of the last phase, so it needs one downsampling less
        self.divisor = 2 ** (phases - 1) if design == "base" else 2**phases
        self.stem = Stem(width, design)
        last = width * 2 ** (phases - 1 if design == "base_ff" else phases)
        targets = [width * 2 ** (index + 1) for index in range(phases - 1)] + [last]
        self.phases = nn.ModuleList(Phase(width, k, blocks, target, design) for k, target in enumerate(targets))
        if design == "base":
            self.up: nn.Module | None = None
            self.fusion: Merging | None = None
            self.to_rgb: nn.Module = nn.Conv2d(width, 3, 1)
            self._freeze_unread()
        elif design == "base_ff":
            self.up = nn.Upsample(scale_factor=2.0**phases, mode="bilinear")
            self.fusion = Merging([width, last], width, design, kernel=7, bias=True)
            self.to_rgb = nn.Conv2d(width, 3, 3, padding=1)
        else:
            self.up = nn.Sequential(*(_sub_pixel(last // 2**step) for step in range(phases)))
            self.fusion = Merging([width, width], width, design, kernel=7, bias=True)
            self.to_rgb = SpectralConv2d(width, 3, 3, padding=1, bias=True)

    def _freeze_unread(self) -> None:
        """Freeze the layers of the unused last low-resolution map: they get no gradient, which would stall DDP."""
        phase = cast(Phase, self.phases[-1])
        for unread in (phase.interaction.down, phase.interaction.keep, phase.aggregation.low):
            if unread is not None:
                unread.requires_grad_(False)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction, in [0, 1]; the mask is not used."""
        last = len(self.phases) - 1
        high, low = self.stem(image), None
        for index, phase in enumerate(self.phases):
            high, low = phase(high, low, with_low=self.up is not None or index < last)
        return {"prediction": self.to_prediction((self.to_rgb(self._fused(high, low)).tanh() + 1) / 2, image)}

    def _fused(self, high: Tensor, low: Tensor | None) -> Tensor:
        return high if self.fusion is None or self.up is None else self.fusion([high, self.up(low)])

    def branches(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the feature maps of both branches after each phase, and of the final fusion, for visualization.

        Args:
            image: (B, 3, H, W), RGB, known pixels in [0, 1].
            mask: (B, 1, H, W), 1 = hole.

        Returns:
            `phase_1_high` (B, C, H, W), `phase_1_low` (B, C', H/2, W/2), `phase_2_high`, ..., in this order, and
            `fused` (B, C, H, W) if the design has a final fusion. Heights and widths are rounded up.

        Raises:
            ZooError: For invalid input, see `stages`.
        """
        check_pair(image, mask)
        check_values(image, mask)
        padded, _ = self.preprocess(image, mask)
        high, low = self.stem(padded), None
        maps: dict[str, Tensor] = {}
        for number, phase in enumerate(self.phases, 1):
            high, low = phase(high, low)
            # clone, because the inference form of the next phase overwrites its input
            maps |= {f"phase_{number}_high": high.clone(), f"phase_{number}_low": low.clone()}
        if self.fusion is not None:
            maps["fused"] = self._fused(high, low)
        return {name: _cropped(x, image, padded) for name, x in maps.items()}


def _cropped(x: Tensor, image: Tensor, padded: Tensor) -> Tensor:
    """Crop the padding from a feature map of any resolution."""
    scale = padded.shape[-1] // x.shape[-1]
    return crop_to(x, (math.ceil(image.shape[-2] / scale), math.ceil(image.shape[-1] / scale)))


class ISNetUNet(InpaintingNetwork):
    """The "UNet-like" model of Table 7: EdgeConnect's generator with more channels.

    It has neither skip connections between encoder and decoder nor spectral norm.

    Source: ISNet as released; docs/papers/isnet.md, "Ablation variants". 24,403,715 parameters.

    Args:
        blocks: Number of residual blocks at 1/8 resolution.
        width: Channels at full resolution.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1] with 0 in the hole, H and W multiples of 8 and at least 16 -> raw stage
        `prediction` (B, 3, H, W) in [0, 1].
    """

    divisor = 8
    min_size = 16
    takes_hole_fill = True

    def __init__(self, blocks: int = 4, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(4)]
        encoder: list[nn.Module] = [nn.ReflectionPad2d(3), *_normed(nn.Conv2d(3, width, 7))]
        for source, target in pairwise(widths):
            encoder += _normed(nn.Conv2d(source, target, 4, 2, 1))
        decoder: list[nn.Module] = []
        for source, target in pairwise(reversed(widths)):
            decoder += _normed(nn.ConvTranspose2d(source, target, 4, 2, 1))
        decoder += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        middle = (ResidualBlock(widths[-1], 2, nn.Tanh(), spectral=False) for _ in range(blocks))
        self.encoder, self.middle, self.decoder = (
            nn.Sequential(*encoder),
            nn.Sequential(*middle),
            nn.Sequential(*decoder),
        )

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction, in [0, 1]; the mask is not used."""
        return {"prediction": (self.decoder(self.middle(self.encoder(image))) + 1) / 2}


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU(inplace=True)]
