"""Modules that two or more families use."""

from inpaint_zoo.layers.features import FrozenFeatures, VGGFeatures

__all__ = ["FrozenFeatures", "VGGFeatures"]
