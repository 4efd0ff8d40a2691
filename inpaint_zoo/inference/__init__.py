"""Inference: fill one image or a folder of images, and optimize networks for speed."""

from inpaint_zoo.inference.inpaint import inpaint
from inpaint_zoo.inference.optimize import OptimizedNetwork, optimize
from inpaint_zoo.inference.strategy import AnySize

__all__ = ["AnySize", "OptimizedNetwork", "inpaint", "optimize"]
