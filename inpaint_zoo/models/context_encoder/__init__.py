"""The Context Encoder: the first network that inpaints by a learned picture of the whole.

Paper: Context Encoders: Feature Learning by Inpainting (Pathak et al., CVPR 2016). Specification followed:
specs/glcic_ca.md, section 11, and the authors' training on random regions, which predicts the whole picture (README.md
beside this file says why that is the default). Parameters: `context_encoder` 71,196,259; with ``region="center"``, the
authors' central one, 71,130,531.
"""

from inpaint_zoo.models.context_encoder.discriminator import ContextEncoderDiscriminator
from inpaint_zoo.models.context_encoder.network import ContextEncoderGenerator, Region
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "ContextEncoderDiscriminator",
    "ContextEncoderGenerator",
    "context_encoder",
    "context_encoder_discriminator",
    "context_encoder_tiny",
]

CONTEXT = Paper(
    title="Context Encoders: Feature Learning by Inpainting",
    authors="Deepak Pathak, Philipp Krähenbühl, Jeff Donahue, Trevor Darrell, Alexei A. Efros",
    venue="CVPR",
    year=2016,
    url="https://arxiv.org/abs/1604.07379",
)
SOURCE = "specs/glcic_ca.md, section 11; pathak22/context-encoder"


@register_model(source=SOURCE, paper=CONTEXT)
def context_encoder(region: Region = "picture", size: int = 128, bottleneck: int = 4000) -> ContextEncoderGenerator:
    """Context Encoder: the picture at 128 px through a vector of 4,000, and back."""
    return ContextEncoderGenerator(region, size, bottleneck)


@register_model(source=SOURCE, paper=CONTEXT)
def context_encoder_tiny(region: Region = "picture") -> ContextEncoderGenerator:
    """Context Encoder at 64 px, a quarter of the width, a vector of 128: for tests and the quickstart."""
    return ContextEncoderGenerator(region, size=64, bottleneck=128, width=16)


@register_discriminator("context_encoder")
def context_encoder_discriminator(size: int = 128, width: int = 64) -> ContextEncoderDiscriminator:
    """The Context Encoder's discriminator, on what the network predicts, in [-1, 1]."""
    return ContextEncoderDiscriminator(size, width)
