"""Argument checks of the losses."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["check_choice", "check_mask", "check_same_shape"]


def check_same_shape(pred: Tensor, target: Tensor, what: str = "`target`") -> None:
    """Check that both tensors have the same shape, because PyTorch would silently broadcast them.

    Raises:
        ZooError: If the shapes differ.
    """
    if pred.shape != target.shape:
        raise ZooError(f"{what} must be {tuple(pred.shape)} to match the prediction, got {tuple(target.shape)}.")


def check_mask(mask: Tensor, image: Tensor, name: str = "mask") -> None:
    """Check that the mask has shape (B, 1, H, W) for ``image`` (B, C, H, W); its values are not checked.

    Raises:
        ZooError: If the mask has another shape.
    """
    wanted = (image.shape[0], 1, *image.shape[2:])
    if tuple(mask.shape) != wanted:
        raise ZooError(f"`{name}` must be {wanted}, got {tuple(mask.shape)}.")


def check_choice(kind: str, name: object, choices: Iterable[str], hint: str = "") -> None:
    """Check that ``name`` is one of ``choices``.

    Raises:
        UnknownNameError: If it is not; the message suggests similar names.
    """
    choices = tuple(choices)
    if name not in choices:
        raise unknown_name(kind, name, choices, hint)
