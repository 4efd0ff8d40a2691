"""DeepFillv2: gated convolutions in place of plain ones, and SN-PatchGAN.

Paper: Free-Form Image Inpainting with Gated Convolution (Yu et al., ICCV 2019). Specification followed:
specs/glcic_ca.md, section 12: the authors' code without the channel for sketches (README.md beside this file lists
where we differ). Parameters and MACs at 256 px: `gated_conv` 4,052,478, 25.20 G in convolutions.
"""

from inpaint_zoo.layers.contextual_attention import MaskReduce
from inpaint_zoo.models.gated_conv.discriminator import SNPatchDiscriminator
from inpaint_zoo.models.gated_conv.network import GatedConvGenerator
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "GatedConvGenerator",
    "SNPatchDiscriminator",
    "gated_conv",
    "gated_conv_discriminator",
    "gated_conv_tiny",
]

GATED = Paper(
    title="Free-Form Image Inpainting with Gated Convolution",
    authors="Jiahui Yu, Zhe Lin, Jimei Yang, Xiaohui Shen, Xin Lu, Thomas Huang",
    venue="ICCV",
    year=2019,
    url="https://arxiv.org/abs/1806.03589",
)
SOURCE = "specs/glcic_ca.md, section 12; JiahuiYu/generative_inpainting at 3a53243"


@register_model(source=SOURCE, paper=GATED)
def gated_conv(mask_reduce: MaskReduce = "nearest") -> GatedConvGenerator:
    """DeepFillv2: coarse and fine network of gated convolutions, with contextual attention in the second."""
    return GatedConvGenerator(mask_reduce=mask_reduce)


@register_model(source=SOURCE, paper=GATED)
def gated_conv_tiny(mask_reduce: MaskReduce = "nearest") -> GatedConvGenerator:
    """DeepFillv2 at a third of the width: for tests and the quickstart."""
    return GatedConvGenerator(8, mask_reduce)


@register_discriminator("gated_conv")
def gated_conv_discriminator(width: int = 64) -> SNPatchDiscriminator:
    """DeepFillv2's SN-PatchGAN, on pictures in [-1, 1] and their masks."""
    return SNPatchDiscriminator(width)
