"""Handling of losses whose pretrained weights are missing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal, TypeVar, get_args

from inpaint_zoo.losses.checks import check_choice
from inpaint_zoo.weights import WeightsNotFoundError

__all__ = ["MissingWeightsWarning", "OnMissing", "unless_missing"]

OnMissing = Literal["refuse", "drop"]
Built = TypeVar("Built")


class MissingWeightsWarning(UserWarning):
    """Warning that a loss term is dropped, so that training differs from the paper, or a validation metric."""


def unless_missing(build: Callable[[], Built], on_missing: OnMissing, terms: str) -> Built | None:
    """Return the result of ``build``; if its pretrained weights are missing, raise an error, or warn and return None.

    It never substitutes random weights. Call it when the training module is created, so that an error comes before the
    first step.

    Args:
        build: Function that creates the frozen network, for example ``lambda: VGGFeatures("vgg16", ...)``.
        on_missing: "refuse" raises an error, "drop" warns and returns None.
        terms: Names of the loss terms that need the network, for the warning, such as "perceptual and style".

    Raises:
        WeightsNotFoundError: If the weights are not found and ``on_missing`` is "refuse".
    """
    check_choice("on_missing", on_missing, get_args(OnMissing))
    try:
        return build()
    except WeightsNotFoundError as error:
        if on_missing == "refuse":
            raise
        warnings.warn(f"Training without the loss terms {terms}: {error}", MissingWeightsWarning, stacklevel=2)
        return None
