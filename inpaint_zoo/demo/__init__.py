"""The web page of `inpaint-zoo demo`: paint a hole into an image, run several models, and compare their results."""

from inpaint_zoo.demo.limits import Limits

__all__ = ["Limits"]
