"""Classical methods: nothing to train, the same contract, so that no runner has a special case.

`telea` and `navier_stokes` are OpenCV's implementations of the two papers; `mean_fill` is the floor below which a
learned model has learned nothing, `neighbor_fill` what smoothness alone gives. Where no pixel is known, all answer
mid-grey.

Paper against code: OpenCV works on 8-bit pixels, so the known pixels are rounded to bytes before they are spread (the
result keeps the originals). Its Navier-Stokes follows edges by a fast-marching front instead of solving the transport
equation to its steady state. Parameters: 0. MACs: not counted, the cost is linear in the hole's area.
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
    """Fast marching: each hole pixel a weighted mean of its known neighbours within a radius in pixels."""
    return OpenCVInpainting("telea", radius)


@register_model(source="OpenCV, cv2.INPAINT_NS", paper=NAVIER_STOKES, learned=False)
def navier_stokes(radius: float = 3.0) -> OpenCVInpainting:
    """Fluid dynamics: brightness flows along the isophotes into the hole."""
    return OpenCVInpainting("navier_stokes", radius)


@register_model(source="zoo only: the floor of every table", learned=False)
def mean_fill() -> MeanFill:
    """The mean colour of the known pixels everywhere in the hole: the floor of every table."""
    return MeanFill()


@register_model(source="zoo only: what `glama_tiny` starts from", learned=False)
def neighbor_fill() -> NeighborFill:
    """The mean of known neighbours, layer by layer from the hole's border inwards, coarse to fine."""
    return NeighborFill()
