"""Classical methods without training, behind the same interface as the networks.

`telea` and `navier_stokes` are OpenCV's implementations of the two papers. `mean_fill` is the weakest baseline, which
every learned model should exceed; `neighbor_fill` is what smooth interpolation alone achieves. If an image has no known
pixel, all of them return mid-gray.

Differences between papers and code: OpenCV works on 8-bit pixels, so known pixels are rounded to 8 bits before they
are propagated (the result keeps the original values). OpenCV's Navier-Stokes follows edges by a fast-marching front
instead of solving the transport equation to its steady state. Parameters: 0. MACs are not counted; the cost is linear
in the hole's area.
"""

from inpaint_zoo.models.classical.network import MeanFill, NeighborFill, OpenCVInpainting
from inpaint_zoo.registry import Paper, register_model

__all__ = ["MeanFill", "NeighborFill", "OpenCVInpainting", "mean_fill", "navier_stokes", "neighbor_fill", "telea"]

TELEA = Paper(
    "An Image Inpainting Technique Based on the Fast Marching Method",
    "Alexandru Telea",
    "Journal of Graphics Tools 9(1)",
    2004,
    "https://doi.org/10.1080/10867651.2004.10487596",
)
NAVIER_STOKES = Paper(
    "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting",
    "Marcelo Bertalmio, Andrea L. Bertozzi, Guillermo Sapiro",
    "CVPR",
    2001,
    "https://doi.org/10.1109/CVPR.2001.990497",
)


@register_model(source="OpenCV, cv2.INPAINT_TELEA", paper=TELEA, learned=False)
def telea(radius: float = 3.0) -> OpenCVInpainting:
    """Telea's method: fast marching; each hole pixel is a weighted mean of the known pixels within a radius."""
    return OpenCVInpainting("telea", radius)


@register_model(source="OpenCV, cv2.INPAINT_NS", paper=NAVIER_STOKES, learned=False)
def navier_stokes(radius: float = 3.0) -> OpenCVInpainting:
    """Navier-Stokes method: propagates image brightness along isophotes into the hole, as in fluid dynamics."""
    return OpenCVInpainting("navier_stokes", radius)


@register_model(source="this package: the weakest baseline", learned=False)
def mean_fill() -> MeanFill:
    """Fills the hole with the mean color of the known pixels: the weakest baseline."""
    return MeanFill()


@register_model(source="this package: the initial filling of `glama_tiny`", learned=False)
def neighbor_fill() -> NeighborFill:
    """Fills the hole with means of neighboring known pixels, layer by layer from its border inwards, coarse to fine."""
    return NeighborFill()
