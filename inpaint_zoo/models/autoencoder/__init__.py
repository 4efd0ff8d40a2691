"""The autoencoder baseline: what plain reconstruction reaches without critics, attention or skip connections.

Paper: Deep Learning for Image Inpainting (the study behind specs/glcic_ca.md), section III-A-2; specification followed:
specs/glcic_ca.md, section 4. The paper leaves the layers open and its code was not found: widths, kernel sizes and the
bias of every convolution are the specification's. Parameters: `autoencoder` 7,446,147, `autoencoder_tiny` 1,428,171.
"""

from inpaint_zoo.models.autoencoder.network import AutoencoderGenerator
from inpaint_zoo.registry import Paper, register_model

__all__ = ["AutoencoderGenerator", "autoencoder", "autoencoder_tiny"]

STUDY = Paper(
    title="Deep Learning for Image Inpainting",
    authors="Nikhil Biradar, Guramrit Singh, Omm Agrawal, Sabyasachi Samantaray",
    venue="unpublished study",
)
SOURCE = "specs/glcic_ca.md, section 4 (layers unspecified in the paper)"


@register_model(source=SOURCE, paper=STUDY)
def autoencoder() -> AutoencoderGenerator:
    """Convolutional autoencoder with a bottleneck at 1/16 of the sides, trained on the mean squared error alone."""
    return AutoencoderGenerator()


@register_model(source=SOURCE, paper=STUDY)
def autoencoder_tiny() -> AutoencoderGenerator:
    """The autoencoder at 28 channels and up: for tests and the quickstart."""
    return AutoencoderGenerator(widths=(28, 56, 112, 224))
