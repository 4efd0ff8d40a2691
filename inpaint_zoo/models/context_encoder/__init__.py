"""The Context Encoder: an early learned inpainting network that encodes the whole image into one vector.

Paper: Context Encoders: Feature Learning by Inpainting (Pathak et al., CVPR 2016). Notes on the paper:
docs/papers/glcic_ca.md. The default follows the authors' training on random regions, which predicts the whole image
(README.md in this folder says why). Parameters: `context_encoder` 71,196,259; with ``region="center"``, which predicts
only the center as in the authors' other training, 71,130,531.
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.models.context_encoder import convert
from inpaint_zoo.models.context_encoder.discriminator import ContextEncoderDiscriminator
from inpaint_zoo.models.context_encoder.network import ContextEncoderGenerator, Region
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "ContextEncoderDiscriminator",
    "ContextEncoderGenerator",
    "context_encoder",
    "context_encoder_discriminator",
    "context_encoder_tiny",
    "convert",
]

CONTEXT = Paper(
    title="Context Encoders: Feature Learning by Inpainting",
    authors="Deepak Pathak, Philipp Krähenbühl, Jeff Donahue, Trevor Darrell, Alexei A. Efros",
    venue="CVPR",
    year=2016,
    url="https://arxiv.org/abs/1604.07379",
)
SOURCE = "docs/papers/glcic_ca.md; pathak22/context-encoder"


@register_model(source=SOURCE, paper=CONTEXT)
def context_encoder(region: Region = "image", size: int = 128, bottleneck: int = 4000) -> ContextEncoderGenerator:
    """Context Encoder: encodes a 128x128 image into a vector of length 4,000 and decodes it."""
    return ContextEncoderGenerator(region, size, bottleneck)


@register_model(source=SOURCE, paper=CONTEXT)
def context_encoder_tiny(region: Region = "image", difference: bool = False) -> ContextEncoderGenerator:
    """Small Context Encoder for tests and the quickstart: 64x64 images, a quarter of the channels, vector of 128."""
    return predict_difference(ContextEncoderGenerator(region, size=64, bottleneck=128, width=16), difference)


@register_discriminator("context_encoder")
def context_encoder_discriminator(size: int = 128, width: int = 64) -> ContextEncoderDiscriminator:
    """Discriminator of the Context Encoder, for the predicted region in [-1, 1]."""
    return ContextEncoderDiscriminator(size, width)
