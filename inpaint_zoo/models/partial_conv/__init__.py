"""Partial convolutions: a U-Net that never looks into the hole.

Paper: Image Inpainting for Irregular Holes Using Partial Convolutions (Liu et al., ECCV 2018). Specification followed:
specs/glcic_ca.md, section 13: NVIDIA's layer, the losses and the schedule of the port that published a U-Net
(README.md beside this file lists where they differ). Parameters: `partial_conv` 25,784,276; 32,865,236 with eight
levels.
"""

from inpaint_zoo.models.partial_conv.network import PartialConvGenerator
from inpaint_zoo.registry import Paper, register_model

__all__ = ["PartialConvGenerator", "partial_conv", "partial_conv_tiny"]

PARTIAL = Paper(
    title="Image Inpainting for Irregular Holes Using Partial Convolutions",
    authors="Guilin Liu, Fitsum A. Reda, Kevin J. Shih, Ting-Chun Wang, Andrew Tao, Bryan Catanzaro",
    venue="ECCV",
    year=2018,
    url="https://arxiv.org/abs/1804.07723",
)
SOURCE = "specs/glcic_ca.md, section 13; NVIDIA/partialconv at 3065838"


@register_model(source=SOURCE, paper=PARTIAL)
def partial_conv(levels: int = 7) -> PartialConvGenerator:
    """A U-Net of partial convolutions, which see known pixels alone and shrink the hole level by level."""
    return PartialConvGenerator(levels)


@register_model(source=SOURCE, paper=PARTIAL)
def partial_conv_tiny() -> PartialConvGenerator:
    """Partial convolutions at a quarter of the width and five levels: for tests and the quickstart."""
    return PartialConvGenerator(levels=5, width=16)
