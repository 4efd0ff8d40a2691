"""Inference form of contextual attention, whose matrix products oneDNN computes."""

from __future__ import annotations

from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.inference.fusion.onednn import matrix_products
from inpaint_zoo.layers.contextual_attention import ContextualAttention

__all__ = ["fuse_attention"]


@fuse.register(ContextualAttention)
def fuse_attention(layer: ContextualAttention) -> ContextualAttention:
    """Set the function that computes the layer's matrix products, in place."""
    layer.product = matrix_products
    return layer
