"""Pure tensor functions without state."""

from inpaint_zoo.ops.composite import composite
from inpaint_zoo.ops.padding import crop_to, pad_to_multiple
from inpaint_zoo.ops.ranges import from_range, to_range, to_uint8

__all__ = ["composite", "crop_to", "from_range", "pad_to_multiple", "to_range", "to_uint8"]
