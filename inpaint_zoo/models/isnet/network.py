"""ISNet: two branches that inpaint apart, exchange what they know and merge it, phase after phase (specs/isnet.md)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork, check_pair, check_values
from inpaint_zoo.layers.fusion import Fusable
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.models.isnet.fused import FusedMerging, FusedResidual
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
Maps = tuple[Tensor, Tensor | None]  # of the high and the low branch


def _activation(design: Design) -> nn.Module:
    """Tanh, or LeakyReLU in both base models: the authors' code changes it with the upsampling."""
    return nn.Tanh() if design == "full" else nn.LeakyReLU(0.2)


class ResidualBlock(Fusable):
    """Two 3x3 convolutions beside the identity, the first one dilated, and an activation after the sum."""

    def __init__(self, channels: int, dilation: int, activation: nn.Module, spectral: bool = True) -> None:
        super().__init__()
        convolution = SpectralConv2d if spectral else nn.Conv2d
        first = convolution(channels, channels, 3, padding=dilation, dilation=dilation)
        second = convolution(channels, channels, 3, padding=1)
        self.layers = nn.Sequential(first, activation, second)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W)."""
        return self.activation(x + self.layers(x))

    def fused(self) -> nn.Module:
        """The form that writes over its input."""
        return FusedResidual(self.layers, self.activation)


class Stem(Fusable):
    """The picture's first features, beside a 1x1 convolution without spectral norm."""

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
        """(B, 3, H, W) -> (B, width, H, W)."""
        return self.activation(self.layers(x) + self.skip(x))

    def fused(self) -> nn.Module:
        """The form that adds in place."""
        return FusedResidual(self.layers, self.activation, self.skip)


def _sub_pixel(channels: int) -> nn.Sequential:
    """Half the channels at twice the sides; the activation before the shuffle gives the same as behind it."""
    return nn.Sequential(SpectralConv2d(channels, 2 * channels, 3, padding=1), nn.Tanh(), nn.PixelShuffle(2))


def _down(channels: int, design: Design) -> nn.Sequential:
    """Twice the channels at half the sides."""
    return nn.Sequential(SpectralConv2d(channels, 2 * channels, 3, 2, 1), _activation(design))


class Merging(Fusable):
    """One convolution over several maps side by side, and an activation.

    Args:
        sources: Channels of each map.
        target: Channels out.
        design: Whose activation.
        kernel: Sides of the kernel.
        bias: Of the convolution.
    """

    def __init__(self, sources: list[int], target: int, design: Design, kernel: int = 3, bias: bool = False) -> None:
        super().__init__()
        self.convolution = SpectralConv2d(sum(sources), target, kernel, padding=kernel // 2, bias=bias)
        self.activation = _activation(design)
        self.sources = sources

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[(B, C_i, H, W), ...] -> (B, target, H, W)."""
        return self.activation(self.convolution(torch.cat(maps, dim=1)))

    def fused(self) -> nn.Module:
        """The form that does not put the maps together."""
        return FusedMerging(self.convolution.folded(), self.sources, self.activation)


class Inpainting(nn.Module):
    """A phase's first step: residual blocks in each branch by itself; those of the low one are dilated."""

    def __init__(self, width: int, low_width: int | None, blocks: int, design: Design) -> None:
        super().__init__()
        self.high = nn.Sequential(*(ResidualBlock(width, 1, _activation(design)) for _ in range(blocks)))
        self.low = (
            nn.Sequential(*(ResidualBlock(low_width, 2, _activation(design)) for _ in range(blocks)))
            if low_width
            else None
        )

    def forward(self, high: Tensor, low: Tensor | None) -> Maps:
        """Both maps, their shapes kept."""
        return self.high(high), None if self.low is None or low is None else self.low(low)


class Interaction(nn.Module):
    """A phase's second step: each branch sends its map to the other one and on to itself.

    The low branch sends up by sub-pixel convolutions or bilinearly, and on by a strided one; the high branch sends down
    by strided convolutions, and on what it has.
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
                # only the base model without final fusion activates once more
                again = [_activation(design)] if design == "base" else []
                self.up = nn.Sequential(*again, nn.Upsample(scale_factor=2.0**index, mode="bilinear"))

    def forward(self, high: Tensor, low: Tensor | None, with_low: bool = True) -> tuple[list[Tensor], list[Tensor]]:
        """What the high branch was sent, and what the low one was, at half the sides that it had: the high one's first.

        Args:
            high: (B, C, H, W).
            low: (B, C', h, w); None in the first phase, which has none.
            with_low: False leaves out what the low branch is sent.
        """
        for_high = [high] if self.up is None else [high, self.up(low)]
        if not with_low:
            return for_high, []
        return for_high, [self.down(high)] if self.keep is None else [self.down(high), self.keep(low)]


class Aggregation(nn.Module):
    """A phase's third step: each branch merges what it was sent."""

    def __init__(self, width: int, index: int, low_target: int, design: Design) -> None:
        super().__init__()
        sent_up = width if design == "full" else width * 2**index
        from_low = 2 * width * 2**index
        self.high = Merging([width, sent_up] if index else [width], width, design)
        self.low = Merging([from_low, from_low] if index else [from_low], low_target, design)

    def forward(self, for_high: list[Tensor], for_low: list[Tensor]) -> Maps:
        """The merged maps; no low one where nothing was sent."""
        return self.high(for_high), self.low(for_low) if for_low else None


class Phase(nn.Module):
    """Inpainting, Interaction, Aggregation.

    Args:
        width: Channels of the high branch, which stays at full size.
        index: From 0; the low branch enters with width * 2 ** index channels, at 1 / 2 ** index of the sides.
        blocks: Residual blocks in each branch.
        low_target: Channels in which the low branch leaves.
        design: See `ISNetGenerator`.
    """

    def __init__(self, width: int, index: int, blocks: int, low_target: int, design: Design) -> None:
        super().__init__()
        self.inpainting = Inpainting(width, width * 2**index if index else None, blocks, design)
        self.interaction = Interaction(width, index, design)
        self.aggregation = Aggregation(width, index, low_target, design)

    def forward(self, high: Tensor, low: Tensor | None, with_low: bool = True) -> Maps:
        """(B, width, H, W) and (B, C, h, w), or None in the first phase -> both, the low one at (h / 2, w / 2).

        Args:
            high: The branch at full size.
            low: The other one.
            with_low: False does without what leads to the low one alone.
        """
        high, low = self.inpainting(high, low)
        return self.aggregation(*self.interaction(high, low, with_low))


class ISNetGenerator(InpaintingNetwork):
    """A high branch at full size and a low one that is halved by each phase; both are merged at the end.

    The mask is not fed: a hole is black.

    Source: ISNet (Gong et al., IEEE Access 2022) as released; specs/isnet.md, sections 3 and 4. 24,774,307 parameters.

    Args:
        blocks: Residual blocks in each branch of each phase.
        width: Channels of the high branch; the low one has 2, 4, ... times as many.
        phases: How many.
        design: "full", or the ablations of Table 7: "base" enlarges the low map bilinearly and has no final fusion,
            "base_ff" has one; both activate by LeakyReLU.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1], hole 0, H and W multiples of ``divisor`` -> prediction in [0, 1], raw.

    Raises:
        ZooError: An unknown design, or no phase or block.
    """

    takes_filling = True

    def __init__(self, blocks: int = 4, width: int = 32, phases: int = 4, design: Design = "full") -> None:
        super().__init__()
        if design not in get_args(Design):
            raise unknown_name("design", design, get_args(Design))
        if min(blocks, phases) < 1:
            raise ZooError(f"ISNet has one block and phase or more, got `blocks` {blocks}, `phases` {phases}.")
        # nobody reads the base model's last low map
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
        """What makes the last low map gets no gradient: frozen, so that nothing waits for one."""
        phase = cast(Phase, self.phases[-1])
        for unread in (phase.interaction.down, phase.interaction.keep, phase.aggregation.low):
            if unread is not None:
                unread.requires_grad_(False)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction."""
        last = len(self.phases) - 1
        high, low = self.stem(image), None
        for index, phase in enumerate(self.phases):
            high, low = phase(high, low, with_low=self.up is not None or index < last)
        return {"prediction": (self.to_rgb(self._fused(high, low)).tanh() + 1) / 2}

    def _fused(self, high: Tensor, low: Tensor | None) -> Tensor:
        return high if self.fusion is None or self.up is None else self.fusion([high, self.up(low)])

    def branches(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Feature maps of both branches behind each phase, and the final fusion's, for looking at.

        Args:
            image: (B, 3, H, W), RGB in [0, 1] wherever it is known.
            mask: (B, 1, H, W), 1 = hole.

        Returns:
            `phase_1_high` (B, C, H, W), `phase_1_low` (B, C', H / 2, W / 2), `phase_2_high`, ..., in order, and
            `fused` (B, C, H, W) where the design has it; sides rounded up.

        Raises:
            ZooError: As `stages`.
        """
        check_pair(image, mask)
        check_values(image, mask)
        padded, _ = self.native(image, mask)
        high, low = self.stem(padded), None
        maps: dict[str, Tensor] = {}
        for number, phase in enumerate(self.phases, 1):
            high, low = phase(high, low)
            # copies: the fast form of the next phase writes over its input
            maps |= {f"phase_{number}_high": high.clone(), f"phase_{number}_low": low.clone()}
        if self.fusion is not None:
            maps["fused"] = self._fused(high, low)
        return {name: _cropped(x, image, padded) for name, x in maps.items()}


def _cropped(x: Tensor, image: Tensor, padded: Tensor) -> Tensor:
    """The part of a map, at whatever scale, that shows the picture and not its padding."""
    scale = padded.shape[-1] // x.shape[-1]
    return crop_to(x, (math.ceil(image.shape[-2] / scale), math.ceil(image.shape[-1] / scale)))


class ISNetUNet(InpaintingNetwork):
    """The "UNet-like" model of Table 7: EdgeConnect's generator, widened; without skip connections or spectral norm.

    Source: ISNet as released; specs/isnet.md, section 4. 24,403,715 parameters.

    Args:
        blocks: Residual blocks at an eighth of the sides.
        width: Channels at full size.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1], hole 0, H and W multiples of 8, at least 16 -> prediction in [0, 1].
    """

    divisor = 8
    min_size = 16
    takes_filling = True

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
        """Return the raw prediction."""
        return {"prediction": (self.decoder(self.middle(self.encoder(image))) + 1) / 2}


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU(inplace=True)]
