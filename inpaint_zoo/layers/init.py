"""Weight initialization before training."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SETTLED, SpectralConv2d

__all__ = ["init_normal", "init_scaled"]


def init_normal(module: nn.Module, std: float, *, zero_biases: bool = True) -> None:
    """Initialize weights of convolutions from N(0, std^2) and those of batch norms from N(1, std^2); zero the biases.

    Args:
        module: A network. Layers with spectral norm are initialized too, although their scale has no effect.
        std: Standard deviation of the weights.
        zero_biases: Set the biases of convolutions to 0; False leaves them unchanged. The biases of batch norms are
            always set to 0.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            weight = layer.weight_orig if isinstance(layer, SpectralConv2d) else layer.weight
            _draw(weight, 1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0, std)
            if layer.bias is not None and (isinstance(layer, nn.BatchNorm2d) or zero_biases):
                nn.init.zeros_(layer.bias)
        if isinstance(layer, SpectralConv2d):
            layer.iterate(SETTLED)


def init_scaled(module: nn.Module, gain: float, output_scale: float = 1.0) -> None:
    """Initialize weights of convolutions from N(0, gain^2 / fan_in) and set the biases to 0.

    With the activation's gain (1.24 for ELU, He et al., ICCV 2015), the activations keep their scale through any number
    of layers. PyTorch's default initialization halves the scale in each layer, which slows the training of small
    networks.

    Args:
        module: A network without spectral norm (which removes the scale of the weights).
        gain: Gain of the activation function.
        output_scale: Additional factor for the weights of layers that output three channels, an image.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = layer.weight.numel() // layer.out_channels
            scale = output_scale if layer.out_channels == 3 else 1.0
            _draw(layer.weight, 0.0, scale * gain / fan_in**0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _draw(weight: Tensor, mean: float, std: float) -> None:
    """Draw from N(mean, std^2), but not on the meta device: there are no values, and the call takes a millisecond."""
    if not weight.is_meta:
        nn.init.normal_(weight, mean, std)
