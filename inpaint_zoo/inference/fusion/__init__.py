"""Inference forms: layers that compute the same outputs (up to rounding) faster. `inpaint_zoo.optimize` uses them.

`fuse` finds the form of a layer by its type. The forms of the layers in `inpaint_zoo.layers` are in this package. A
model family whose own layers have forms registers them in its ``fused.py``, which its ``__init__.py`` imports.
"""

from inpaint_zoo.inference.fusion import aot, contextual_attention, gated_conv, local_resnet, partial_conv, sequential
from inpaint_zoo.inference.fusion.ffc import FusedFFC
from inpaint_zoo.inference.fusion.folding import fold, fold_affine, without_spectral_norm
from inpaint_zoo.inference.fusion.forms import fuse, fuse_children
from inpaint_zoo.inference.fusion.hole_crop import Box, hole_boxes, predict_hole_crop
from inpaint_zoo.inference.fusion.onednn import Activation, FusedConv2d, FusedConvTranspose2d
from inpaint_zoo.inference.fusion.padding import pad_unchanged

__all__ = [
    "Activation",
    "Box",
    "FusedConv2d",
    "FusedConvTranspose2d",
    "FusedFFC",
    "aot",
    "contextual_attention",
    "fold",
    "fold_affine",
    "fuse",
    "fuse_children",
    "gated_conv",
    "hole_boxes",
    "local_resnet",
    "pad_unchanged",
    "partial_conv",
    "predict_hole_crop",
    "sequential",
    "without_spectral_norm",
]
