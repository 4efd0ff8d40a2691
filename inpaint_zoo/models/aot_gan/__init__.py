"""AOT-GAN: aggregated contextual transformations, for large holes in large pictures.

Paper: Aggregated Contextual Transformations for High-Resolution Image Inpainting (Zeng et al., TVCG 2023).
Specification followed: specs/grig.md, section 18: the released code, but for the generator's adversarial term
(README.md beside this file says why). Parameters and MACs at 256 px: `aot_gan` 15,200,835, 72.88 G.
"""

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
CODE = "specs/grig.md, section 18; researchmm/AOT-GAN-for-Inpainting at 2cd1afd"


@register_model(source=CODE, paper=AOT)
def aot_gan(blocks: int = 8) -> AOTGANGenerator:
    """AOT-GAN: blocks of convolutions at four dilations, each gated by statistics of its own."""
    return AOTGANGenerator(blocks=blocks)


@register_model(source=CODE, paper=AOT)
def aot_gan_tiny(blocks: int = 6) -> AOTGANGenerator:
    """AOT-GAN at a quarter of the width, with six blocks: for tests and the quickstart."""
    return AOTGANGenerator(width=16, blocks=blocks)


@register_discriminator("aot_gan")
def aot_gan_discriminator(width: int = 64) -> AOTGANDiscriminator:
    """AOT-GAN's 70 px patch discriminator, on pictures in [-1, 1]; four of its five convolutions are spectral."""
    return AOTGANDiscriminator(width)
