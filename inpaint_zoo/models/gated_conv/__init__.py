"""DeepFillv2: gated convolutions instead of ordinary ones, trained with SN-PatchGAN.

Paper: Free-Form Image Inpainting with Gated Convolution (Yu et al., ICCV 2019). Notes on the paper:
docs/papers/glcic_ca.md, "DeepFillv2". This implementation follows the authors' code without its
input channel for sketches (README.md in this folder lists the differences). `gated_conv` has 4,052,478 parameters and
25.20 G MACs in convolutions at 256x256.
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.layers.contextual_attention import MaskReduce
from inpaint_zoo.models.gated_conv import convert
from inpaint_zoo.models.gated_conv.discriminator import SNPatchDiscriminator
from inpaint_zoo.models.gated_conv.network import GatedConvGenerator
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "GatedConvGenerator",
    "SNPatchDiscriminator",
    "convert",
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
SOURCE = "docs/papers/glcic_ca.md; JiahuiYu/generative_inpainting at 3a53243"


@register_model(source=SOURCE, paper=GATED)
def gated_conv(mask_reduce: MaskReduce = "nearest") -> GatedConvGenerator:
    """DeepFillv2: a coarse and a refinement network of gated convolutions; the latter has contextual attention."""
    return GatedConvGenerator(mask_reduce=mask_reduce)


@register_model(source=SOURCE, paper=GATED)
def gated_conv_tiny(mask_reduce: MaskReduce = "nearest", difference: bool = False) -> GatedConvGenerator:
    """Small DeepFillv2 for tests and the quickstart: a third of the channels."""
    return predict_difference(GatedConvGenerator(8, mask_reduce), difference)


@register_discriminator("gated_conv")
def gated_conv_discriminator(width: int = 64) -> SNPatchDiscriminator:
    """DeepFillv2's SN-PatchGAN discriminator; takes images in [-1, 1] and their masks."""
    return SNPatchDiscriminator(width)
