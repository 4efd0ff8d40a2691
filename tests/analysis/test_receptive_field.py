"""Receptive fields against the specification's numbers, closed forms, and the support of gradients."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.analysis.receptive_field import (
    WHOLE,
    EffectiveField,
    effective_field,
    field_image,
    network_reach,
    part_reach,
)
from inpaint_zoo.analysis.receptive_field.effective import half_mass_side
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.registry import create_model

SIDE = 40


class CoarseUNet(nn.Module):
    """LGNet's coarse U-Net (docs/papers/lgnet.md, "Networks"): down- and upsampling by 4x4 convolutions, with skips."""

    def __init__(self, width: int = 2, levels: int = 8) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(width if n else 4, width, 4, 2, 1) for n in range(levels))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(width * (1 if n == levels - 1 else 2), width if n else 3, 4, 2, 1) for n in range(levels)
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for up in reversed(self.up):
            x = up(x.relu())
            if skips:
                x = torch.cat([skips.pop(), x], 1)
        return x.tanh()


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        pads = [nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect") for _ in range(2)]
        self.conv_block = nn.Sequential(pads[0], nn.BatchNorm2d(width), nn.ReLU(inplace=True), pads[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def local_resnet(width: int = 1, blocks: int = 4, plain: bool = False) -> nn.Sequential:
    """LGNet's local network (docs/papers/lgnet.md, "Networks"); ``plain``: linear, without norms and bounded output."""

    def rectified(convolution: nn.Module) -> list[nn.Module]:
        return [convolution] if plain else [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]

    return nn.Sequential(
        nn.ReflectionPad2d(3),
        *rectified(nn.Conv2d(4, width, 7)),
        *rectified(nn.Conv2d(width, width, 3, 2, 1)),
        *rectified(nn.Conv2d(width, width, 3, 2, 1)),
        *(Residual(width) for _ in range(blocks)),
        *rectified(nn.ConvTranspose2d(width, width, 3, 2, 1, 1)),
        *rectified(nn.ConvTranspose2d(width, width, 3, 2, 1, 1)),
        nn.ReflectionPad2d(3),
        nn.Conv2d(width, 3, 7),
    ).eval()


def reach_of(part: nn.Module, channels: int = 4, side: int = 256):
    return part_reach(copy.deepcopy(part).to("meta"), (1, channels, side, side))


def test_the_coarse_unet_as_specified():
    deepest, output = reach_of(CoarseUNet())
    assert (deepest.size, deepest.extent, deepest.step) == ((1, 1), (766, 766), (256, 256))
    assert output.extent == (1531, 1531)  # 766 + 3 (128 + 64 + ... + 1)
    assert output.center == ((0, 255), (0, 255))


@pytest.mark.parametrize("levels", range(1, 9))
def test_the_levels_of_the_coarse_encoder(levels):
    down = nn.Sequential(*(nn.Conv2d(4, 4, 4, 2, 1) for _ in range(levels)))
    assert reach_of(down).output.extent[0] == (4, 10, 22, 46, 94, 190, 382, 766)[levels - 1]


@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_the_local_resnet_as_specified(blocks):
    deepest, output = reach_of(local_resnet(blocks=blocks))
    assert (deepest.size, deepest.extent) == ((64, 64), (13 + 16 * blocks,) * 2)
    assert output.extent == (25 + 16 * blocks,) * 2


def test_the_autoencoder():
    with torch.device("meta"):
        net = create_model("autoencoder")
    reach = network_reach(net, 250, 256)
    assert list(reach) == [WHOLE]
    deepest, output = reach[WHOLE]
    assert (deepest.size, deepest.extent) == ((16, 16), (76, 76))  # per level: 6, 16, 36, 76
    assert output.extent == (121, 121)  # 76 + 3 (8 + 4 + 2 + 1)


@pytest.mark.parametrize("name", ["lama", "glama_2stage", "glama_tiny"])
def test_fourier_convolutions_see_everything(name):
    with torch.device("meta"):
        net = create_model(name)
    output = network_reach(net, 64, 80)[WHOLE].output
    assert (output.extent, output.cause) == (None, "a Fourier transform")
    assert output.center == ((0, 63), (0, 79))


class Staged(InpaintingNetwork):
    def __init__(self, *nets: nn.Module) -> None:
        super().__init__()
        self.nets = nn.ModuleDict({f"stage{n}": net for n, net in enumerate(nets)})

    def parts(self) -> dict[str, nn.Module]:
        return dict(self.nets.items())

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        found = {}
        for name, net in self.nets.items():
            found[name] = image = torch.where(mask > 0.5, net(torch.cat([image, mask], 1)), image)
        return found


def test_parts_begin_anew_and_the_whole_adds_up():
    reach = network_reach(Staged(*(nn.Conv2d(4, 3, side, padding=side // 2) for side in (5, 7))), 32, 32)
    assert {name: part.output.extent for name, part in reach.items()} == {
        "stage0": (5, 5),
        "stage1": (7, 7),
        WHOLE: (11, 11),
    }


class Lambda(nn.Module):
    def __init__(self, function, *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.inner = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.inner)


def cross(x: Tensor) -> Tensor:
    x = F.pad(x, (1, 1, 1, 1))
    return x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]


def channels_last(x: Tensor, linear: nn.Module, conv: nn.Module) -> Tensor:
    rows = linear(x.flatten(2).transpose(1, 2))  # (B, H W, C)
    return conv(rows.transpose(1, 2).unflatten(2, x.shape[-2:]))


def two_paths(x: Tensor, fine: nn.Module, coarse: nn.Module) -> Tensor:
    return torch.cat([fine(x), F.interpolate(coarse(x), scale_factor=2, mode="bilinear")], 1)


def resized(**options) -> Lambda:
    return Lambda(lambda x: F.interpolate(x, **options))


EXACT = {
    "strided": nn.Sequential(nn.Conv2d(1, 1, 4, 2, 1), nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 5, 1, 2)),
    "dilated": nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.Conv2d(1, 1, (1, 3), (1, 2), dilation=(1, 3))),
    "average": nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate")),
    "transposed": nn.ConvTranspose2d(1, 1, 4, 2, 1),
    "adaptive": nn.AdaptiveAvgPool2d(7),
    "bilinear": resized(scale_factor=2, mode="bilinear"),
    "bicubic": resized(scale_factor=3, mode="bicubic"),
    "nearest": nn.Sequential(resized(scale_factor=2), nn.Conv2d(1, 1, 3)),
    "shuffled": nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)),
    "cross": Lambda(cross),
    "channels last": Lambda(channels_last, nn.Linear(1, 2), nn.Conv2d(2, 1, 3)),
    "stacked": Lambda(lambda x, conv: torch.stack([x, conv(x)], 1).mean(1), nn.Conv2d(1, 1, 3, padding=1)),
}
BOUNDED = {
    "skip": Lambda(two_paths, nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 4, 2, 1)),
    "transposed phases": nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.ConvTranspose2d(1, 1, 3, 2, 1, 1)),
    "max": nn.Sequential(nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.Conv2d(1, 1, 3)),
    "smaller": resized(size=(13, 17), mode="bilinear"),
    "antialiased": resized(size=(13, 17), mode="bicubic", antialias=True),
    "corners": resized(size=(50, 64), mode="bilinear", align_corners=True),
    "nearest-exact": resized(size=(13, 57), mode="nearest-exact"),
    "pixel shuffle": nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2), nn.Conv2d(1, 1, 3)),
    "of two steps": Lambda(lambda x, conv: conv(x) + F.adaptive_avg_pool2d(x, 19), nn.Conv2d(1, 1, 3, 2)),
}


@pytest.mark.parametrize("name", [*EXACT, *BOUNDED])
def test_gradients_lie_inside(name):
    part = (EXACT | BOUNDED)[name].eval()
    reach = reach_of(part, 1, SIDE).output
    supports = gradient_supports(part, 1, SIDE)
    starts, ends = (supports[..., end] for end in (0, 1))  # (positions, axes)
    for axis in range(2):
        assert (ends - starts)[:, axis].max() < reach.extent[axis]
        first, last = reach.center[axis]
        position = reach.size[axis] // 2
        assert first <= starts[position, axis] <= ends[position, axis] <= last
    if name in EXACT:
        assert tuple((ends - starts).max(axis=0) + 1) == reach.extent


def gradient_supports(part: nn.Module, channels: int, side: int, positions=None) -> np.ndarray:
    """Return (positions, 2, 2): first and last row and column with a gradient of the diagonal's outputs, in float64."""
    part = copy.deepcopy(part).double()
    for parameter in part.parameters():
        nn.init.uniform_(parameter, 0.5, 1.0)  # positive: no cancellation, and ReLUs pass all values
    x = (torch.rand(1, channels, side, side, dtype=torch.float64) + 0.5).requires_grad_()
    output = part(x)
    H, W = output.shape[-2:]
    supports = []
    for y in range(max(H, W)) if positions is None else positions:
        (gradient,) = torch.autograd.grad(output[..., min(y, H - 1), min(y, W - 1)].sum(), x, retain_graph=True)
        touched = gradient[0].abs().sum(0) > 0
        lines = [touched.any(dim).nonzero() for dim in (1, 0)]
        supports.append([[int(line.min()), int(line.max())] for line in lines])
    return np.array(supports)


def test_the_phases_of_the_local_resnet():
    part = local_resnet(plain=True)
    middle = 64
    supports = gradient_supports(part, 4, 2 * middle, range(middle, middle + 4))[:, 0]
    offsets = supports - np.arange(middle, middle + 4)[:, None]
    assert offsets.tolist() == [[-42, 42], [-43, 41], [-44, 44], [-41, 43]]
    assert reach_of(part, side=2 * middle).output.extent == (89, 89)


@pytest.mark.parametrize(
    ("part", "cause"),
    [
        (Lambda(lambda x: x * x.mean((2, 3), keepdim=True)), "mean over positions"),
        (Lambda(lambda x: x + F.adaptive_avg_pool2d(x, 1)), "mean over positions"),
        (nn.InstanceNorm2d(4), "statistics over positions"),
        (nn.GroupNorm(2, 4), "statistics over positions"),
        (Lambda(lambda x: x.flatten(2).softmax(-1).view_as(x)), "softmax over positions"),
        (Lambda(lambda x: F.scaled_dot_product_attention(*[x.flatten(2).mT] * 3)), "products of positions"),
        (Lambda(lambda x: F.conv2d(x, x[..., :4, :4])), "convolution with weights that depend on the image"),
        (Lambda(lambda x: x.cumsum(3)), "cumsum over positions"),
        (Lambda(lambda x: F.grid_sample(x, torch.zeros(1, 8, 8, 2, device="meta"), align_corners=False)), "no rule"),
        (Lambda(lambda x: x + x[..., :1, :1]), "one position that is broadcast to all"),
        (Lambda(lambda x: x + x.transpose(2, 3)), "maps that are not aligned"),
        (nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, 4), nn.Unflatten(1, (4, 1, 1))), "a reshape that cuts"),
        (nn.CircularPad2d(1), "a map that is written in parts"),
    ],
)
def test_what_mixes_positions_is_global(part, cause):
    output = reach_of(part, side=8).output
    assert output.extent is None
    assert cause in output.cause


def test_statistics_that_are_stored_mix_nothing():
    part = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.LeakyReLU(inplace=True))
    assert reach_of(part.eval()).output.extent == (3, 3)
    assert reach_of(part.train()).output.extent is None


def test_an_addition_in_place_is_seen():
    def add(x: Tensor, wide: nn.Module) -> Tensor:
        same = x.clone()
        other = same.detach()
        same += wide(x)
        return other  # shares the memory

    assert reach_of(Lambda(add, nn.Conv2d(4, 4, 5, padding=2))).output.extent == (5, 5)


def test_refusals():
    with pytest.raises(ZooError, match="because it needs values"):
        reach_of(Lambda(lambda x: x * x.max().item()))
    with pytest.raises(ZooError, match="does not depend on the image"):
        reach_of(Lambda(torch.zeros_like))


def test_the_effective_field_lies_inside_the_theoretical_one():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = create_model("autoencoder", weights=None)
    field = effective_field(net, 144, 128, samples=1)
    (top, bottom), (left, right) = network_reach(net, 144, 128)[WHOLE].output.center
    outside = field.gradient.copy()
    outside[top : bottom + 1, left : right + 1] = 0
    assert outside.max() == 0
    assert field.gradient.sum() == pytest.approx(1)
    assert 1 < field.side <= 121
    assert np.array_equal(field.gradient, effective_field(net, 144, 128, samples=1).gradient)


def test_the_square_of_the_gradient():
    gradient = np.zeros((9, 9))
    gradient[2:7, 2:7] = 1 / 25
    assert half_mass_side(gradient) == 5
    gradient[0, 4] = 0.04  # less than 5 %
    assert half_mass_side(gradient) == 5
    gradient[0, 4] = 0.2
    assert half_mass_side(gradient) == 9


def test_the_image_of_a_field():
    gradient = np.full((64, 96), 1 / (64 * 96))
    image = field_image(EffectiveField(gradient, 21, 1), ((8, 55), (0, 95)), "toy")
    head = image.shape[0] - 8 * 64
    assert image.shape == (head + 512, 768, 3)
    assert image[head + 8 * 8, 400].tolist() == [255, 255, 255]
    assert image[head + 8 * 22, 400].tolist() == [80, 220, 120]


def test_a_dead_network_has_no_effective_field():
    net = Staged(nn.Conv2d(4, 3, 1))
    nn.init.zeros_(net.nets["stage0"].weight)
    with pytest.raises(ZooError, match="adds up to 0"):
        effective_field(net, 16, 16)
