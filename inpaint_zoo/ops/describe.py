"""Description of wrong arguments in error messages."""

from __future__ import annotations

from torch import Tensor

__all__ = ["describe"]


def describe(value: object) -> str:
    """Return shape and data type of a tensor, or the type of any other value, as text.

    Example:
        >>> import torch
        >>> describe(torch.zeros(2, 3)), describe("a.png")
        ('(2, 3) float32', 'str')
    """
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__
