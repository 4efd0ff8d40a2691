"""Strategies for images of any size: in one piece, in crops, in tiles, or from coarse to fine."""

from inpaint_zoo.inference.strategy.any_size import AnySize, Choice, Strategy
from inpaint_zoo.inference.strategy.memory import available_bytes, format_bytes, parse_bytes

__all__ = ["AnySize", "Choice", "Strategy", "available_bytes", "format_bytes", "parse_bytes"]
