"""LaMa, Big-LaMa, GLaMa and GLaMa-2stage: one generator built from fast Fourier convolutions (FFC).

The models differ in depth, in their training losses and in their training masks.

Papers: Resolution-robust Large Mask Inpainting with Fourier Convolutions (LaMa), Generalized Image Inpainting with LaMa
(GLaMa, NTIRE 2022). Notes on the papers: docs/papers/glama.md. Where the papers and LaMa's released code differ, this
implementation follows the code; README.md in this folder lists each case. GLaMa published no code.

| | parameters | MACs at 256x256 | as counted by thop, which the papers use |
| --- | ---: | ---: | ---: |
| `lama`, `glama` | 27,048,835 | 31.87 G | 42.87 G |
| `big_lama` | 50,975,875 | 55.06 G | 66.13 G |
"""

from inpaint_zoo.combinators import TwoStage
from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.models.glama import convert, fused
from inpaint_zoo.models.glama.discriminator import LaMaDiscriminator
from inpaint_zoo.models.glama.network import LaMaGenerator
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "LaMaDiscriminator",
    "LaMaGenerator",
    "big_lama",
    "convert",
    "fused",
    "glama",
    "glama_2stage",
    "glama_tiny",
    "lama",
]

LAMA = Paper(
    title="Resolution-robust Large Mask Inpainting with Fourier Convolutions",
    authors="Roman Suvorov, Elizaveta Logacheva, Anton Mashikhin, Anastasia Remizova, Arsenii Ashukha, "
    "Aleksei Silvestrov, Naejin Kong, Harshith Goka, Kiwoong Park, Victor Lempitsky",
    venue="WACV",
    year=2022,
    url="https://arxiv.org/abs/2109.07161",
)
GLAMA = Paper(
    title="GLaMa: Joint Spatial and Frequency Loss for General Image Inpainting",
    authors="Zeyu Lu, Junjun Jiang, Junqin Huang, Gang Wu, Xianming Liu",
    venue="CVPR Workshops",
    year=2022,
    url="https://arxiv.org/abs/2205.07162",
)
CODE = "docs/papers/glama.md; advimman/lama at 786f593"
TEXT = "docs/papers/glama.md (LaMa's network; GLaMa published no code)"


@register_model(source=CODE, paper=LAMA)
def lama(local_fourier: bool = False) -> LaMaGenerator:
    """LaMa: nine residual blocks of fast Fourier convolutions; the receptive field covers the whole image."""
    return LaMaGenerator(blocks=9, local_fourier=local_fourier)


@register_model(source=CODE, paper=LAMA)
def big_lama(local_fourier: bool = False) -> LaMaGenerator:
    """Big-LaMa: LaMa with eighteen residual blocks."""
    return LaMaGenerator(blocks=18, local_fourier=local_fourier)


@register_model(source=TEXT, paper=GLAMA)
def glama(blocks: int = 9) -> LaMaGenerator:
    """GLaMa: LaMa's network, trained on seven kinds of masks, with a total variation and a focal frequency loss."""
    return LaMaGenerator(blocks=blocks)


@register_model(source=TEXT, paper=GLAMA)
def glama_2stage(coarse_size: int = 256, freeze_first: bool = False) -> TwoStage:
    """GLaMa-2stage: GLaMa on a downsampled image, and a second GLaMa network that refines the upsampled prediction."""
    return TwoStage(LaMaGenerator(), LaMaGenerator(), coarse_size=coarse_size, freeze_first=freeze_first)


@register_model(source=TEXT, paper=GLAMA)
def glama_tiny(difference: bool = False) -> LaMaGenerator:
    """Small GLaMa for tests and the quickstart: a quarter of the channels, two downsamplings, four blocks."""
    return predict_difference(LaMaGenerator(blocks=4, width=16, downsamplings=2, global_ratio=0.5), difference)


@register_discriminator("lama")
def lama_discriminator(width: int = 64) -> LaMaDiscriminator:
    """Patch discriminator of LaMa and GLaMa; takes images in [0, 1]."""
    return LaMaDiscriminator(width)
