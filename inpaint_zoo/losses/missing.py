"""What becomes of a loss whose pretrained weights are not here."""

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
    """A loss was dropped: training goes on, but no longer as the paper says."""


def unless_missing(build: Callable[[], Built], on_missing: OnMissing, terms: str) -> Built | None:
    """What ``build`` gives; where its pretrained weights are absent, refuse, or warn and go on without.

    Never a random substitute. Call it when the training module is made, so that a run is refused before its first step.

    Args:
        build: Makes the frozen network, for example ``lambda: VGGFeatures("vgg16", ...)``.
        on_missing: The config's choice.
        terms: Which losses hang on it, for the warning: "perceptual and style".

    Raises:
        WeightsNotFoundError: The weights are nowhere and ``on_missing`` is "refuse".
    """
    check_choice("on_missing", on_missing, get_args(OnMissing))
    try:
        return build()
    except WeightsNotFoundError as error:
        if on_missing == "refuse":
            raise
        warnings.warn(f"Training without the loss terms {terms}: {error}", MissingWeightsWarning, stacklevel=2)
        return None
