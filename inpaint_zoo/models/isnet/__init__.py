"""ISNet and its ablations: a high-resolution and a low-resolution branch that exchange features in every phase.

Paper: Image Inpainting Based on Interactive Separation Network and Progressive Reconstruction Algorithm (Gong et al.,
IEEE Access 2022). Notes on the paper: docs/papers/isnet.md. README.md in this folder lists where the paper and the
released code differ, and which one this implementation follows.

| | parameters | MACs at 256x256 |
| --- | ---: | ---: |
| `isnet` | 24,774,307 | 66.25 G |
| `isnet_b3`, `isnet_b2`, `isnet_b1` | 23,152,291, 21,530,275, 19,908,259 | 57.79 G, 49.33 G, 40.88 G |
| `isnet_base` | 16,516,995 | 51.46 G |
| `isnet_base_ff` | 14,610,083 | 83.22 G |
| `isnet_unet` | 24,403,715 | 33.45 G |
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.models.isnet import convert, fused
from inpaint_zoo.models.isnet.discriminator import ISNetDiscriminator
from inpaint_zoo.models.isnet.network import ISNetGenerator, ISNetUNet
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "ISNetDiscriminator",
    "ISNetGenerator",
    "ISNetUNet",
    "convert",
    "fused",
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
CODE = "docs/papers/isnet.md; GuardSkill/Large-Scale-Feature-Inpainting at 8683bc3"


@register_model(source=CODE, paper=ISNET)
def isnet(blocks: int = 4, width: int = 32, phases: int = 4) -> ISNetGenerator:
    """ISNet: a high-resolution and a low-resolution branch that inpaint, interact and aggregate in four phases."""
    return ISNetGenerator(blocks, width, phases)


@register_model(source=CODE, paper=ISNET)
def isnet_b1() -> ISNetGenerator:
    """ISNet, ablation of Table 8: one residual block per branch and phase."""
    return ISNetGenerator(1)


@register_model(source=CODE, paper=ISNET)
def isnet_b2() -> ISNetGenerator:
    """ISNet, ablation of Table 8: two residual blocks per branch and phase."""
    return ISNetGenerator(2)


@register_model(source=CODE, paper=ISNET)
def isnet_b3() -> ISNetGenerator:
    """ISNet, ablation of Table 8: three residual blocks per branch and phase."""
    return ISNetGenerator(3)


@register_model(source=CODE, paper=ISNET)
def isnet_base() -> ISNetGenerator:
    """ISNet, base model of Table 7: bilinear upsampling, no final fusion, LeakyReLU."""
    return ISNetGenerator(design="base")


@register_model(source=CODE, paper=ISNET)
def isnet_base_ff() -> ISNetGenerator:
    """ISNet, base model of Table 7 with final fusion."""
    return ISNetGenerator(design="base_ff")


@register_model(source=CODE, paper=ISNET)
def isnet_unet() -> ISNetUNet:
    """ISNet, UNet-like model of Table 7: EdgeConnect's generator with more channels."""
    return ISNetUNet()


@register_model(source=CODE, paper=ISNET)
def isnet_tiny(difference: bool = False) -> ISNetGenerator:
    """Small ISNet for tests and the quickstart: half the channels, three phases of two blocks."""
    return predict_difference(ISNetGenerator(blocks=2, width=16, phases=3), difference)


@register_discriminator("isnet")
def isnet_discriminator(width: int = 64) -> ISNetDiscriminator:
    """ISNet's patch discriminator (receptive field 70 px) with spectral norm; takes images in [0, 1]."""
    return ISNetDiscriminator(width)
