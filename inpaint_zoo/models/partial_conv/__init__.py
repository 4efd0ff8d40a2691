"""Partial convolutions: a U-Net whose convolutions use known pixels only.

Paper: Image Inpainting for Irregular Holes Using Partial Convolutions (Liu et al., ECCV 2018). Notes on the paper:
docs/papers/glcic_ca.md, "Partial convolutions". The layer follows NVIDIA's code; losses and schedule follow the
third-party port that published a U-Net (README.md in this folder lists the differences). Parameters: `partial_conv`
25,784,276; 32,865,236 with eight levels.
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.models.partial_conv import convert
from inpaint_zoo.models.partial_conv.network import PartialConvGenerator
from inpaint_zoo.registry import Paper, register_model

__all__ = ["PartialConvGenerator", "convert", "partial_conv", "partial_conv_tiny"]

PARTIAL = Paper(
    title="Image Inpainting for Irregular Holes Using Partial Convolutions",
    authors="Guilin Liu, Fitsum A. Reda, Kevin J. Shih, Ting-Chun Wang, Andrew Tao, Bryan Catanzaro",
    venue="ECCV",
    year=2018,
    url="https://arxiv.org/abs/1804.07723",
)
SOURCE = "docs/papers/glcic_ca.md; NVIDIA/partialconv at 3065838"


@register_model(source=SOURCE, paper=PARTIAL)
def partial_conv(levels: int = 7) -> PartialConvGenerator:
    """Partial convolutions: a U-Net whose convolutions use known pixels only; the hole shrinks from layer to layer."""
    return PartialConvGenerator(levels)


@register_model(source=SOURCE, paper=PARTIAL)
def partial_conv_tiny(difference: bool = False) -> PartialConvGenerator:
    """Small partial-convolution U-Net for tests and the quickstart: a quarter of the channels, five levels."""
    return predict_difference(PartialConvGenerator(levels=5, width=16), difference)
