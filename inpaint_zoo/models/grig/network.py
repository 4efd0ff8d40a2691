"""GRIG's generator: a Transformer between convolutions; its residual is added repeatedly (docs/papers/grig.md)."""

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
    return nn.Sequential(OrderedDict(body=nn.Sequential(*layers)))  # name in the released checkpoints


class GRIGGenerator(InpaintingNetwork):
    """GRIG generator: a convolutional encoder, a Transformer with several levels as core, a convolutional decoder.

    The network predicts a residual that is added to the current image. Each step takes the composite of the previous
    step, detached, so no gradient flows between steps. As in the released checkpoints, names such as `feat_64` or
    `conv_128_3_3` contain the height and width of the feature map for a 256x256 image.

    Source: GRIG (Lu et al., CVM 2025) as released; docs/papers/grig.md, "Generator" and "Residual steps".
    31,764,198 parameters.

    Args:
        steps: Default number of steps.
        width: Channels at full resolution; 2, 4 and 4 times as many at 1/2, 1/4 and 1/8 resolution.
        dim: Channels of the core's first level; each further level doubles them and halves the resolution.
        blocks: Number of Transformer blocks of each level, the last level being the deepest: four levels, or three,
            which omit the encoder's gate at full resolution.
        heads: Number of attention heads of each level.
        refinement: Number of Transformer blocks after the core.
        aot: Number of AOT blocks in the encoder, and as many in the decoder.
        im_size: 512 adds one downsampling and one upsampling by 2.
        core: "convolution" is ablation E of Table 5, with down and up blocks instead of the Transformer. The paper does
            not give its channels; they are a guess.
        noise_mode: Noise in eval mode, see `Noise`: "const" is a fixed function of the pixel's position. Training mode
            always uses random noise.
        checkpoint: Recompute the core's levels in the backward pass, to save memory.
        init_std: Standard deviation of the initial weights of convolutions (mean 0) and norms (mean 1); None keeps
            PyTorch's default initialization.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1] with 0 in the hole, mask (B, 1, H, W) with 1 = hole, H and W multiples
        of ``divisor`` -> one stage per step: the previous composite plus the residual, (B, 3, H, W), not bounded.

    Raises:
        ZooError: If ``steps`` is not in 1 to 9, the number of levels is not 3 or 4, or a name is unknown.
    """

    value_range = (-1.0, 1.0)
    hole_value = 0.0
    padding = "reflect"
    pads_hole = False
    takes_hole_fill = True

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
            raise ZooError(
                f"`blocks` and `heads` of GRIG must both have 3 or 4 entries, got {tuple(blocks)} and {tuple(heads)}."
            )
        if im_size not in (256, 512):
            raise ZooError(f"`im_size` must be 256 or 512, got {im_size}.")
        for what, value, known in (("core", core, Core), ("noise mode", noise_mode, NoiseMode)):
            if value not in get_args(known):
                raise unknown_name(what, value, get_args(known))
        self.steps = _checked(steps)
        self.checkpoint = checkpoint
        self.levels = levels
        downsamplings = 1 if im_size == 512 else 0
        self.divisor = 2 ** (2 + levels + downsamplings)
        self.min_size = 2 ** (2 + downsamplings) * (max(RATES) + 1)
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
        """Return the raw prediction of each step: the previous composite plus the residual, not bounded.

        Args:
            image: Image (B, 3, H, W) in [-1, 1] that the first step starts from. Its hole is 0 or holds the result of
                an earlier call.
            mask: (B, 1, H, W), 1 = hole.
            steps: Number of steps, 1 to 9; None takes the network's default.
            last_only: Return only the last step.

        Returns:
            `step_1`, `step_2`, ..., each (B, 3, H, W).
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
        """Return the last step's composite (B, 3, H, W) in [0, 1]; for arguments and errors see `stages`, `predict`."""
        return super().forward(image, mask, last_only=True, **options)

    def step(self, current: Tensor, mask: Tensor) -> Tensor:
        """Return the composite ``current``, (B, 3, H, W) in [-1, 1], plus the residual of the whole image."""
        return current + self.residual(current, mask)

    def residual(self, current: Tensor, mask: Tensor) -> Tensor:
        """Return the residual (B, 3, H, W) to add to ``current``; H and W must be multiples of ``divisor``."""
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
        """Return the core's output and the input feature map of each of its levels."""
        gates = [*zip(ENCODER_GATES, shallow, strict=True)][1 - self.levels :]  # for level 2 and deeper
        entered, skips = [], []
        for level in range(1, self.levels):
            entered.append(x)
            x = self._level(f"encoder_level{level}", x)
            if level > 1:
                x = self._gated(*gates[level - 2], x)
            skips.append(x)
            x = self.get_submodule(f"down{level}_{level + 1}")(x)
        x = self._gated(*gates[-1], x)  # the deepest level gates its input, the others their output
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
            # recompute only the levels: recomputing a gate would update the vectors of its spectral norm a second time
            return recomputed(blocks, x, use_reentrant=False, preserve_rng_state=False)
        return blocks(x)


def _checked(steps: int) -> int:
    if not 1 <= steps <= MOST_STEPS:
        raise ZooError(f"`steps` must be 1 to {MOST_STEPS}, got {steps}.")
    return steps
