"""ISNet and its ablations: two branches that separate and interact.

Paper: Image Inpainting Based on Interactive Separation Network and Progressive Reconstruction Algorithm (Gong et al.,
IEEE Access 2022). Specification followed: specs/isnet.md; where paper and released code differ, README.md beside this
file says what is taken.

| | parameters | MACs at 256 px |
| --- | ---: | ---: |
| `isnet` | 24,774,307 | 66.25 G |
| `isnet_b3`, `isnet_b2`, `isnet_b1` | 23,152,291, 21,530,275, 19,908,259 | 57.79 G, 49.33 G, 40.88 G |
| `isnet_base` | 16,516,995 | 51.46 G |
| `isnet_base_ff` | 14,610,083 | 83.22 G |
| `isnet_unet` | 24,403,715 | 33.45 G |
"""

from inpaint_zoo.models.isnet import convert
from inpaint_zoo.models.isnet.discriminator import ISNetDiscriminator
from inpaint_zoo.models.isnet.network import ISNetGenerator, ISNetUNet
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "ISNetDiscriminator",
    "ISNetGenerator",
    "ISNetUNet",
    "convert",
    "isnet",
    "isnet_b1",
    "isnet_b2",
    "isnet_b3",
    "isnet_base",
    "isnet_base_ff",
    "isnet_tiny",
    "isnet_unet",
]

ISNET = Paper(
    title="Image Inpainting Based on Interactive Separation Network and Progressive Reconstruction Algorithm",
    authors="Jun Gong, Siyuan Li, Shiyu Chen, Liang Nie, Xin Cheng, Zhiqiang Zhang, Wenxin Yu",
    venue="IEEE Access",
    year=2022,
    url="https://doi.org/10.1109/ACCESS.2022.3186009",
)
CODE = "specs/isnet.md; GuardSkill/Large-Scale-Feature-Inpainting at 8683bc3"


@register_model(source=CODE, paper=ISNET)
def isnet(blocks: int = 4, width: int = 32, phases: int = 4) -> ISNetGenerator:
    """ISNet: two branches, of fine and of coarse features, that inpaint, interact and aggregate in four phases."""
    return ISNetGenerator(blocks, width, phases)


@register_model(source=CODE, paper=ISNET)
def isnet_b1() -> ISNetGenerator:
    """ISNet's Table 8: one residual block in each branch of each phase."""
    return ISNetGenerator(1)


@register_model(source=CODE, paper=ISNET)
def isnet_b2() -> ISNetGenerator:
    """ISNet's Table 8: two residual blocks."""
    return ISNetGenerator(2)


@register_model(source=CODE, paper=ISNET)
def isnet_b3() -> ISNetGenerator:
    """ISNet's Table 8: three residual blocks."""
    return ISNetGenerator(3)


@register_model(source=CODE, paper=ISNET)
def isnet_base() -> ISNetGenerator:
    """ISNet's Table 7, base model: bilinear upsampling, no final fusion, LeakyReLU."""
    return ISNetGenerator(design="base")


@register_model(source=CODE, paper=ISNET)
def isnet_base_ff() -> ISNetGenerator:
    """ISNet's Table 7, base model with final fusion."""
    return ISNetGenerator(design="base_ff")


@register_model(source=CODE, paper=ISNET)
def isnet_unet() -> ISNetUNet:
    """ISNet's Table 7, UNet-like: EdgeConnect's generator, widened."""
    return ISNetUNet()


@register_model(source=CODE, paper=ISNET)
def isnet_tiny() -> ISNetGenerator:
    """ISNet of half the width, with three phases of two blocks: for tests and the quickstart."""
    return ISNetGenerator(blocks=2, width=16, phases=3)


@register_discriminator("isnet")
def isnet_discriminator(width: int = 64) -> ISNetDiscriminator:
    """ISNet's 70 px patch discriminator with spectral norm, on pictures in [0, 1]."""
    return ISNetDiscriminator(width)
