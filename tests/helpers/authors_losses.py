"""Discriminators that were used to record the authors' losses, with the authors' state-dict names.

They are part of the tests, not of the package: they only hold the recorded weights, and each family has its own.
"""

import torch
from torch import Tensor, nn

from tests.helpers.fill import fill_module


class Block(nn.Module):
    """Wrapper with the attribute that Contextual Attention's keys contain."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.conv(x), 0.2)


class ContextualCritic(nn.Module):
    """Four convolutions and a linear layer, for images of one size."""

    def __init__(self, side: int) -> None:
        super().__init__()
        widths = (3, 64, 128, 256, 256)
        self.dis_conv_module = nn.Sequential()
        for number in range(4):
            self.dis_conv_module.add_module(f"conv{number + 1}", Block(widths[number], widths[number + 1]))
        self.linear = nn.Linear(256 * (side // 16) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.dis_conv_module(x).flatten(1))


def _normed(inputs: int, outputs: int, stride: int, bias: bool) -> nn.Module:
    return nn.utils.spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=bias))


class ISNetDiscriminator(nn.Module):
    """EdgeConnect's patch discriminator: returns logits and five feature maps, the last of which are the logits."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 64, 128, 256, 512, 1)
        for number, stride in enumerate((2, 2, 2, 1, 1)):
            conv = _normed(widths[number], widths[number + 1], stride, bias=False)
            self.add_module(f"conv{number + 1}", nn.Sequential(conv))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for number, layer in enumerate(self.children()):
            x = layer(x)
            x = nn.functional.leaky_relu(x, 0.2) if number < 4 else x
            maps.append(x)
        return x, maps


class PatchDiscriminator(nn.Module):
    """Patch discriminator in one `Sequential`: GRIG's (`model`, all layers with bias and spectral norm) or AOT-GAN's
    (`conv`, last layer without spectral norm).
    """

    def __init__(self, name: str, bias: bool, norm_last: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (3, 64, 128, 256, 512)
        for number, stride in enumerate((2, 2, 2, 1)):
            layers += [_normed(widths[number], widths[number + 1], stride, bias), nn.LeakyReLU(0.2)]
        layers.append(_normed(512, 1, 1, bias=True) if norm_last else nn.Conv2d(512, 1, 4, 1, 1))
        self.add_module(name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        return next(self.children())(x)


def contextual_critic(side: int) -> nn.Module:
    return fill_module(ContextualCritic(side))


def isnet_discriminator() -> nn.Module:
    return fill_module(ISNetDiscriminator())


def grig_patch_discriminator() -> nn.Module:
    return fill_module(PatchDiscriminator("model", bias=True, norm_last=True))


def aot_discriminator() -> nn.Module:
    return fill_module(PatchDiscriminator("conv", bias=False, norm_last=False))


def grig_label_map(mask: Tensor) -> Tensor:
    """Return 1 for each of GRIG's logits whose receptive field contains a hole pixel, by pooling the mask."""
    for stride in (2, 2, 2, 1, 1):
        mask = nn.functional.max_pool2d(mask, 4, stride, 1)
    return (mask > 0).float()


def gradient_norm(value: Tensor, at: Tensor) -> float:
    (gradient,) = torch.autograd.grad(value, at, retain_graph=True)
    return gradient.double().norm().item()  # in float32 the norm of two million numbers is off by 1e-4
