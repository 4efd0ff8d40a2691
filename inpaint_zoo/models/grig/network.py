"""GRIG's generator: convolutions around a Transformer, whose residual is added again and again (specs/grig.md)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.aot import AOTBlock
from inpaint_zoo.layers.init import init_normal
from inpaint_zoo.layers.restormer import TransformerBlock
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.models.grig.blocks import SLE, Down, Noise, NoiseMode, UpTwice, up

__all__ = ["MOST_STEPS", "Core", "GRIGGenerator"]

Core = Literal["transformer", "convolution"]

MOST_STEPS = 9
RATES = (1, 2, 4, 8)
ENCODER_GATES = ("se_256_16", "se_128_8", "se_64_4")


def _plain(source: int, target: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(source, target, kernel, padding=kernel // 2, bias=False)


def _body(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(body=nn.Sequential(*layers)))  # the released checkpoints' name


class GRIGGenerator(InpaintingNetwork):
    """Encodes by convolutions, reasons by Transformer levels, decodes by convolutions; gives what is to be added.

    Each step sees what the step before made of the hole, and no gradient crosses steps. Names of parts tell the sides
    of their maps at 256 px, as in the released checkpoints.

    Source: GRIG (Lu et al., CVM 2025) as released; specs/grig.md, sections 3 and 4. 31,764,198 parameters.

    Args:
        steps: How often the residual is added where a call doesn't say.
        width: Channels at full size; 2, 4 and 4 times as many at half, a quarter and an eighth of the sides.
        dim: Channels of the core's first level; each further one has twice as many at half the sides.
        blocks: Transformer blocks of each level, the last one the deepest; four levels, or three, which leave the
            outermost gate out.
        heads: Of each level's attention.
        refinement: Blocks behind the core.
        aot: AOT blocks in the encoder, and in the decoder.
        im_size: 512 adds one more halving and doubling of the sides.
        core: "convolution" is Table 5's ablation E, down and up blocks for the Transformer's; the widths are the
            specification's guess.
        noise_mode: Of the noise in eval mode: "const" is a pure function of each pixel's place. Training draws it.
        checkpoint: Compute the core's levels again in the backward pass, to keep less in memory.
        init_std: Of the weights of all convolutions and, about 1, of norms; None leaves them as PyTorch draws them.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1], hole 0, mask (B, 1, H, W), H and W multiples of ``divisor`` -> for
        each step the picture before plus the residual, not bounded.

    Raises:
        ZooError: Steps out of 1 to 9, another number of levels, or an unknown name.
    """

    value_range = (-1.0, 1.0)
    hole_value = 0.0
    padding = "reflect"
    pads_hole = False
    takes_filling = True

    def __init__(
        self,
        steps: int = 3,
        width: int = 32,
        dim: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        heads: Sequence[int] = (1, 2, 4, 8),
        refinement: int = 4,
        aot: int = 2,
        im_size: Literal[256, 512] = 256,
        core: Core = "transformer",
        noise_mode: NoiseMode = "const",
        checkpoint: bool = False,
        init_std: float | None = 0.02,
    ) -> None:
        super().__init__()
        levels = len(blocks)
        if levels not in (3, 4) or len(heads) != levels:
            raise ZooError(f"GRIG has 3 or 4 levels, got `blocks` {tuple(blocks)} with `heads` {tuple(heads)}.")
        if im_size not in (256, 512):
            raise ZooError(f"`im_size` must be 256 or 512, got {im_size}.")
        for what, value, known in (("core", core, Core), ("noise mode", noise_mode, NoiseMode)):
            if value not in get_args(known):
                raise unknown_name(what, value, get_args(known))
        self.steps = _checked(steps)
        self.checkpoint = checkpoint
        self.levels = levels
        halvings = 1 if im_size == 512 else 0
        self.divisor = 2 ** (2 + levels + halvings)
        self.min_size = 2 ** (2 + halvings) * (max(RATES) + 1)
        self._build_encoder(width, dim, aot, strided=im_size == 512)
        self._build_core(width, dim, blocks, heads, refinement, core)
        self._build_decoder(width, dim, aot, larger=im_size == 512)
        for layer in self.modules():
            if isinstance(layer, Noise):
                layer.mode = noise_mode
        if init_std is not None:
            init_normal(self, init_std, zero_biases=False)

    def _build_encoder(self, width: int, dim: int, aot: int, strided: bool) -> None:
        stem = SpectralConv2d(4, width, 4, 2, 1) if strided else SpectralConv2d(4, width, 3, padding=1)
        self.down_from_big = nn.Sequential(stem, nn.LeakyReLU(0.2, inplace=True))
        self.down_4 = Down(width, 2 * width)
        self.down_8 = nn.Sequential(Down(2 * width, 4 * width), *(AOTBlock(4 * width, RATES, True) for _ in range(aot)))
        self.down_16 = Down(4 * width, 4 * width)
        sources = (width, 2 * width, 4 * width)
        for level, (name, source) in enumerate(list(zip(ENCODER_GATES, sources, strict=True))[1 - self.levels :], 1):
            self.add_module(name, SLE(source, dim * 2**level))

    def _build_core(
        self, width: int, dim: int, blocks: Sequence[int], heads: Sequence[int], refinement: int, core: Core
    ) -> None:
        attends = core == "transformer"
        widths = [dim * 2**level for level in range(self.levels)]

        def level(channels: int, index: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(TransformerBlock(channels, heads[index]) for _ in range(count if attends else 0)))

        self.patch_embed = nn.Sequential(OrderedDict(proj=_plain(4 * width, dim)))
        for index, (source, target) in enumerate(pairwise(widths)):
            self.add_module(f"encoder_level{index + 1}", level(source, index, blocks[index]))
            down = _body(_plain(source, source // 2), nn.PixelUnshuffle(2)) if attends else Down(source, target)
            self.add_module(f"down{index + 1}_{index + 2}", down)
        self.latent = level(widths[-1], self.levels - 1, blocks[-1])
        arriving = widths[-1]
        for index in reversed(range(self.levels - 1)):
            target = widths[index]
            enlarged = _body(_plain(arriving, 2 * arriving), nn.PixelShuffle(2)) if attends else up(arriving, target)
            self.add_module(f"up{index + 2}_{index + 1}", enlarged)
            arriving = 2 * target
            if index and attends:
                self.add_module(f"reduce_chan_level{index + 1}", _plain(arriving, target, 1))
                arriving = target
            self.add_module(f"decoder_level{index + 1}", level(arriving, index, blocks[index]))
        self.refinement = level(arriving, 0, refinement)
        self.output = _plain(arriving, 4 * width)

    def _build_decoder(self, width: int, dim: int, aot: int, larger: bool) -> None:
        self.feat_64 = up(4 * width, 4 * width)
        merged = [SpectralConv2d(8 * width, 8 * width, 1), nn.BatchNorm2d(8 * width), nn.GLU(dim=1)]
        self.conv_64_3_3 = nn.Sequential(*merged, *(AOTBlock(4 * width, RATES, True) for _ in range(aot)))
        self.feat_128 = UpTwice(4 * width, 2 * width, seed=0)
        merged = [SpectralConv2d(4 * width, 4 * width, 1), nn.BatchNorm2d(4 * width), nn.GLU(dim=1)]
        self.conv_128_3_3 = nn.Sequential(*merged)
        self.feat_256 = up(2 * width, width)
        deepest = dim * 2 ** (self.levels - 1)
        self.up_se_64 = SLE(deepest, 4 * width)
        self.up_se_128 = SLE(deepest // 2, 2 * width)
        self.up_se_256 = SLE(deepest // 4, width)
        self.feat_512 = UpTwice(width, width // 2, seed=2) if larger else None
        self.se_512 = SLE(4 * width, width // 2) if larger else None
        self.to_big = SpectralConv2d(width // 2 if larger else width, 3, 3, padding=1)

    def predict(
        self, image: Tensor, mask: Tensor, *, steps: int | None = None, last_only: bool = False
    ) -> dict[str, Tensor]:
        """Each step's picture: the one before plus the residual, neither composited nor bounded.

        Args:
            image: What the first step starts from: the hole, or what an earlier call put there.
            mask: 1 = hole.
            steps: 1 to 9.
            last_only: Keep the last one alone.

        Returns:
            `step_1`, `step_2`, ...
        """
        count = self.steps if steps is None else _checked(steps)
        stages: dict[str, Tensor] = {}
        current = image
        for number in range(1, count + 1):
            raw = self.step(current, mask)
            if number == count or not last_only:
                stages[f"step_{number}"] = raw
            current = torch.where(mask > 0.5, raw.detach(), image)
        return stages

    def forward(self, image: Tensor, mask: Tensor, **options: Any) -> Tensor:
        """The last step's inpainting (B, 3, H, W) in [0, 1]; arguments and errors as `stages` and `predict`."""
        return super().forward(image, mask, last_only=True, **options)

    def step(self, current: Tensor, mask: Tensor) -> Tensor:
        """One step: ``current`` (B, 3, H, W) in [-1, 1], composited, plus the residual of the whole picture."""
        return current + self.residual(current, mask)

    def residual(self, current: Tensor, mask: Tensor) -> Tensor:
        """What is to be added, (B, 3, H, W); H and W are multiples of ``divisor``."""
        f256 = self.down_from_big(torch.cat([current, mask], dim=1))  # (B, width, H, W)
        f128 = self.down_4(f256)  # (B, 2 width, H/2, W/2)
        f64 = self.down_8(f128)  # (B, 4 width, H/4, W/4)
        f32 = self.down_16(f64)  # (B, 4 width, H/8, W/8)
        core, entered = self._core(self.patch_embed(f32), (f256, f128, f64))
        d32 = self.output(core) + f32

        x = self.conv_64_3_3(torch.cat([self.feat_64(d32), f64], dim=1))
        x = self.up_se_64(entered[-1], x)
        x = self.up_se_128(entered[-2], self.feat_128(x))
        x = self.conv_128_3_3(torch.cat([x, f128], dim=1))
        x = self.up_se_256(entered[-3], self.feat_256(x))
        if self.feat_512 is not None and self.se_512 is not None:
            x = self.se_512(d32, self.feat_512(x))
        return self.to_big(x)

    def _core(self, x: Tensor, shallow: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """What the Transformer makes of its input, and the maps with which its levels were entered."""
        gates = [*zip(ENCODER_GATES, shallow, strict=True)][1 - self.levels :]  # of level 2 and those below
        entered, skips = [], []
        for level in range(1, self.levels):
            entered.append(x)
            x = self._level(f"encoder_level{level}", x)
            if level > 1:
                x = self._gated(*gates[level - 2], x)
            skips.append(x)
            x = self.get_submodule(f"down{level}_{level + 1}")(x)
        x = self._gated(*gates[-1], x)  # here the deepest level's input, not its output
        entered.append(x)
        x = self._level("latent", x)
        for level in reversed(range(1, self.levels)):
            x = torch.cat([self.get_submodule(f"up{level + 1}_{level}")(x), skips.pop()], dim=1)
            reduce = getattr(self, f"reduce_chan_level{level}", None)
            x = x if reduce is None else reduce(x)
            x = self._level(f"decoder_level{level}", x)
        return self._level("refinement", x), entered

    def _gated(self, gate: str, driver: Tensor, x: Tensor) -> Tensor:
        return self.get_submodule(gate)(driver, x)

    def _level(self, name: str, x: Tensor) -> Tensor:
        blocks = self.get_submodule(name)
        if self.checkpoint and torch.is_grad_enabled():
            # levels alone: a gate's spectral norm would move once more when it is computed again
            return recomputed(blocks, x, use_reentrant=False, preserve_rng_state=False)
        return blocks(x)


def _checked(steps: int) -> int:
    if not 1 <= steps <= MOST_STEPS:
        raise ZooError(f"`steps` must be 1 to {MOST_STEPS}, got {steps}.")
    return steps
