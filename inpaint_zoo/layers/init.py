"""How networks are drawn before training."""

from __future__ import annotations

from torch import nn

from inpaint_zoo.layers.spectral import SETTLED, SpectralConv2d

__all__ = ["init_normal", "init_scaled"]


def init_normal(module: nn.Module, std: float, *, zero_biases: bool = True) -> None:
    """Draw weights of convolutions from N(0, std^2), those of batch norms from N(1, std^2), and zero the biases.

    Args:
        module: A network; spectrally normalised layers are drawn too, their scale does not matter.
        std: Standard deviation.
        zero_biases: Those of convolutions too; otherwise these stay as they are.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            weight = layer.weight_orig if isinstance(layer, SpectralConv2d) else layer.weight
            nn.init.normal_(weight, 1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0, std)
            if layer.bias is not None and (isinstance(layer, nn.BatchNorm2d) or zero_biases):
                nn.init.zeros_(layer.bias)
        if isinstance(layer, SpectralConv2d) and not layer.weight_orig.is_meta:
            layer.iterate(SETTLED)


def init_scaled(module: nn.Module, gain: float) -> None:
    """Draw weights of convolutions from N(0, gain^2 / inputs of an output), and zero the biases.

    With the activation's gain (1.24 for ELU, He et al., ICCV 2015) maps keep their scale through any number of layers;
    torch's own draw halves it in each, which small networks take long to learn their way out of.

    Args:
        module: A network without spectral norm, to which the scale would not matter.
        gain: Of the activation.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = layer.weight.numel() // layer.out_channels
            nn.init.normal_(layer.weight, 0.0, gain / fan_in**0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
