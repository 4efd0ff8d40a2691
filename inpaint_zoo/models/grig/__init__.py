"""GRIG: the same generator adds residual after residual, until little is left to add.

Paper: GRIG: Data-efficient generative residual image inpainting (Lu et al., Computational Visual Media 2025).
Specification followed: specs/grig.md; where paper and released code differ, README.md beside this file says what is
taken.
"""

from typing import Literal

from inpaint_zoo.models.grig import convert, convert_discriminators
from inpaint_zoo.models.grig.blocks import NoiseMode
from inpaint_zoo.models.grig.network import Core, GRIGGenerator
from inpaint_zoo.models.grig.patch_discriminator import GRIGPatchDiscriminator
from inpaint_zoo.models.grig.projected_discriminator import BackboneName, ProjectedDiscriminator
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "GRIGGenerator",
    "GRIGPatchDiscriminator",
    "ProjectedDiscriminator",
    "convert",
    "convert_discriminators",
    "grig",
    "grig_tiny",
]

GRIG = Paper(
    title="GRIG: Data-efficient generative residual image inpainting",
    authors="Wanglong Lu, Xianta Jiang, Xiaogang Jin, Yong-Liang Yang, Minglun Gong, Kaijie Shi, Tao Wang, Hanli Zhao",
    venue="Computational Visual Media",
    year=2025,
    url="https://arxiv.org/abs/2304.12035",
)
CODE = "specs/grig.md; LonglongaaaGo/GRIG_few_shot_inpainting at 5e7daae"


@register_model(source=CODE, paper=GRIG)
def grig(
    steps: int = 3,
    im_size: Literal[256, 512] = 256,
    core: Core = "transformer",
    noise_mode: NoiseMode = "const",
    checkpoint: bool = False,
    init_std: float | None = 0.02,
) -> GRIGGenerator:
    """GRIG: a generator of residuals, convolutions around a Transformer, applied three times."""
    return GRIGGenerator(
        steps, im_size=im_size, core=core, noise_mode=noise_mode, checkpoint=checkpoint, init_std=init_std
    )


@register_model(source=CODE, paper=GRIG)
def grig_tiny(
    steps: int = 3,
    core: Core = "transformer",
    noise_mode: NoiseMode = "const",
    checkpoint: bool = False,
    init_std: float | None = 0.02,
) -> GRIGGenerator:
    """GRIG, narrow, with a Transformer of three levels: for tests and the quickstart."""
    return GRIGGenerator(
        steps,
        width=12,
        dim=16,
        blocks=(1, 1, 2),
        heads=(1, 2, 4),
        refinement=1,
        aot=1,
        core=core,
        noise_mode=noise_mode,
        checkpoint=checkpoint,
        init_std=init_std,
    )


@register_discriminator("projected")
def projected(
    backbone: BackboneName = "tf_efficientnet_lite0",
    backbone_weights: str | None = None,
    width: int = 64,
    resize_below: int = 224,
    resize_to: int = 224,
    init_std: float = 0.02,
    bug_compatible_reinit: bool = False,
) -> ProjectedDiscriminator:
    """GRIG's discriminator of whole pictures in [-1, 1], with the backbone's weights: a file's, found, or "random".

    Where a state dict or `load_backbone` brings them later, as in training, build `ProjectedDiscriminator` itself.
    """
    net = ProjectedDiscriminator(backbone, width, resize_below, resize_to, init_std, bug_compatible_reinit)
    net.load_backbone(backbone_weights)
    return net


@register_discriminator("patchgan70")
def patchgan70(width: int = 64, init_std: float = 0.02) -> GRIGPatchDiscriminator:
    """GRIG's discriminator of forged patches, on pictures in [-1, 1]."""
    return GRIGPatchDiscriminator(width, init_std)
