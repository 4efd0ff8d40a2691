"""Layers and networks that two or more model families use."""

from inpaint_zoo.layers.ade20k import ADE20K_TAPS, ADE20KFeatures
from inpaint_zoo.layers.features import FrozenFeatures, VGGFeatures
from inpaint_zoo.layers.init import init_normal, init_scaled

__all__ = ["ADE20K_TAPS", "ADE20KFeatures", "FrozenFeatures", "VGGFeatures", "init_normal", "init_scaled"]
