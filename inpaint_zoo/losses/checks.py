"""What every loss does first: refuse tensors that do not belong together."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["check_choice", "check_mask", "check_same_shape"]


def check_same_shape(pred: Tensor, target: Tensor, what: str = "`target`") -> None:
    """Refuse a pair that would silently broadcast.

    Raises:
        ZooError: Names both shapes.
    """
    if pred.shape != target.shape:
        raise ZooError(f"{what} must be {tuple(pred.shape)} to match the prediction, got {tuple(target.shape)}.")


def check_mask(mask: Tensor, image: Tensor, name: str = "mask") -> None:
    """Refuse a mask that is not (B, 1, H, W) for ``image`` (B, C, H, W); its values are the caller's business.

    Raises:
        ZooError: Names what it got and what it wants.
    """
    wanted = (image.shape[0], 1, *image.shape[2:])
    if tuple(mask.shape) != wanted:
        raise ZooError(f"`{name}` must be {wanted}, got {tuple(mask.shape)}.")


def check_choice(kind: str, name: object, choices: Iterable[str], hint: str = "") -> None:
    """Refuse a name that is not among ``choices``.

    Raises:
        UnknownNameError: With the nearest choices.
    """
    choices = tuple(choices)
    if name not in choices:
        raise unknown_name(kind, name, choices, hint)
