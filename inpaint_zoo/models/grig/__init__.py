"""GRIG: one generator, applied several times, predicts the residual that is added to the current image.

Paper: GRIG: Data-efficient generative residual image inpainting (Lu et al., Computational Visual Media 2025).
Notes on the paper: docs/papers/grig.md. README.md in this folder lists where the paper and the released code differ,
and which one this implementation follows.
"""

from typing import Literal

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.models.grig import convert, convert_discriminators, fused
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
    "fused",
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
CODE = "docs/papers/grig.md; LonglongaaaGo/GRIG_few_shot_inpainting at 5e7daae"


@register_model(source=CODE, paper=GRIG)
def grig(
    steps: int = 3,
    im_size: Literal[256, 512] = 256,
    core: Core = "transformer",
    noise_mode: NoiseMode = "const",
    checkpoint: bool = False,
    init_std: float | None = 0.02,
) -> GRIGGenerator:
    """GRIG: a generator of residuals, with a Transformer between convolutions, applied three times."""
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
    difference: bool = False,
) -> GRIGGenerator:
    """Small GRIG for tests and the quickstart: fewer channels and a Transformer of three levels."""
    return predict_difference(
        GRIGGenerator(
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
        ),
        difference,
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
    """GRIG's projected discriminator of whole images in [-1, 1], with loaded backbone weights.

    ``backbone_weights`` is a file, None (search for it) or "random". If a state dict or `load_backbone` provides the
    weights later, as in training, create `ProjectedDiscriminator` directly.
    """
    net = ProjectedDiscriminator(backbone, width, resize_below, resize_to, init_std, bug_compatible_reinit)
    net.load_backbone(backbone_weights)
    return net


@register_discriminator("patchgan70")
def patchgan70(width: int = 64, init_std: float = 0.02) -> GRIGPatchDiscriminator:
    """GRIG's forged-patch discriminator; takes images in [-1, 1]."""
    return GRIGPatchDiscriminator(width, init_std)
