"""The autoencoder baseline: plain reconstruction without a discriminator, attention or skip connections.

Paper: Deep Learning for Image Inpainting (the study described in docs/papers/glcic_ca.md), section III-A-2. The paper
does not specify the layers, and its code was not found: channels, kernel sizes and the use of biases are choices made
here (docs/papers/glcic_ca.md, "Autoencoder"). Parameters: `autoencoder` 7,446,147, `autoencoder_tiny`
1,428,171.
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.models.autoencoder.network import AutoencoderGenerator
from inpaint_zoo.registry import Paper, register_model

__all__ = ["AutoencoderGenerator", "autoencoder", "autoencoder_tiny"]

STUDY = Paper(
    title="Deep Learning for Image Inpainting",
    authors="Nikhil Biradar, Guramrit Singh, Omm Agrawal, Sabyasachi Samantaray",
    venue="unpublished study",
)
SOURCE = "docs/papers/glcic_ca.md (layers unspecified in the paper)"


@register_model(source=SOURCE, paper=STUDY)
def autoencoder() -> AutoencoderGenerator:
    """Convolutional autoencoder with a bottleneck at 1/16 resolution, trained with the mean squared error only."""
    return AutoencoderGenerator()


@register_model(source=SOURCE, paper=STUDY)
def autoencoder_tiny(difference: bool = False) -> AutoencoderGenerator:
    """Small autoencoder for tests and the quickstart: 28 to 224 channels."""
    return predict_difference(AutoencoderGenerator(widths=(28, 56, 112, 224)), difference)
