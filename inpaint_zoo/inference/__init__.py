"""Using a model: one photograph, a folder of them, and a faster form of the network."""

from inpaint_zoo.inference.inpaint import inpaint
from inpaint_zoo.inference.optimize import OptimizedNetwork, optimize

__all__ = ["OptimizedNetwork", "inpaint", "optimize"]
