"""AOT-GAN: aggregated contextual transformations, for large holes in high-resolution images.

Paper: Aggregated Contextual Transformations for High-Resolution Image Inpainting (Zeng et al., TVCG 2023).
Notes on the paper: docs/papers/grig.md, "AOT-GAN". This implementation follows the released code except
for the generator's GAN loss (README.md in this folder says why). `aot_gan` has 15,200,835 parameters and 72.88 G MACs
at 256x256.
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.models.aot_gan import convert
from inpaint_zoo.models.aot_gan.discriminator import AOTGANDiscriminator
from inpaint_zoo.models.aot_gan.network import AOTGANGenerator
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "AOTGANDiscriminator",
    "AOTGANGenerator",
    "aot_gan",
    "aot_gan_discriminator",
    "aot_gan_tiny",
    "convert",
]

AOT = Paper(
    title="Aggregated Contextual Transformations for High-Resolution Image Inpainting",
    authors="Yanhong Zeng, Jianlong Fu, Hongyang Chao, Baining Guo",
    venue="IEEE Transactions on Visualization and Computer Graphics",
    year=2023,
    url="https://arxiv.org/abs/2104.01431",
)
CODE = "docs/papers/grig.md; researchmm/AOT-GAN-for-Inpainting at 2cd1afd"


@register_model(source=CODE, paper=AOT)
def aot_gan(blocks: int = 8) -> AOTGANGenerator:
    """AOT-GAN: blocks of parallel convolutions with four dilations, blended with their input by a learned gate."""
    return AOTGANGenerator(blocks=blocks)


@register_model(source=CODE, paper=AOT)
def aot_gan_tiny(blocks: int = 6, difference: bool = False) -> AOTGANGenerator:
    """Small AOT-GAN for tests and the quickstart: a quarter of the channels, six blocks."""
    return predict_difference(AOTGANGenerator(width=16, blocks=blocks), difference)


@register_discriminator("aot_gan")
def aot_gan_discriminator(width: int = 64) -> AOTGANDiscriminator:
    """AOT-GAN's patch discriminator; takes images in [-1, 1]. Four of its five convolutions have spectral norm."""
    return AOTGANDiscriminator(width)
