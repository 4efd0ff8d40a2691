"""A shallow residual network with a small receptive field."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.output_conv import OutputConv2d

__all__ = ["LocalResNet"]


class _ResidualBlock(nn.Module):
    """Residual block of two 3x3 convolutions, without an activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers += [
                nn.ReflectionPad2d(1),
                nn.Conv2d(channels, channels, 3, bias=False),
                nn.BatchNorm2d(channels),
                *([] if last else [nn.ReLU(inplace=True)]),
            ]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, C, H, W)."""
        return x + self.conv_block(x)


class LocalResNet(nn.Module):
    """Local network: two downsamplings by 2, residual blocks at 1/4 resolution, two upsamplings by 2.

    Source: LGNet's second stage; docs/papers/lgnet.md, "Local network". 5,483,203 parameters with four
    blocks. The receptive field is 25 + 16 * blocks px, 89 px with four blocks.

    Args:
        width: Channels at full resolution.
        blocks: Number of residual blocks.

    Shape:
        (B, 4, H, W) -> (B, 3, H, W) in [-1, 1]; H and W multiples of 4, at least 8.
    """

    def __init__(self, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.reach = (25 + 16 * blocks) // 2
        widths = (width, 2 * width, 4 * width)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_rectified(nn.Conv2d(4, width, 7, bias=False))]
        for source, target in ((widths[0], widths[1]), (widths[1], widths[2])):
            layers += _rectified(nn.Conv2d(source, target, 3, 2, 1, bias=False))
        layers += [_ResidualBlock(widths[2]) for _ in range(blocks)]
        for source, target in ((widths[2], widths[1]), (widths[1], widths[0])):
            layers += _rectified(nn.ConvTranspose2d(source, target, 3, 2, 1, output_padding=1, bias=False))
        layers += [nn.ReflectionPad2d(3), OutputConv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw prediction (B, 3, H, W) in [-1, 1]."""
        return self.model(x)


def _rectified(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)]
