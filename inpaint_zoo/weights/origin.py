"""Tell where the weights of a model come from: its authors, a training of this package, or elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from inpaint_zoo.weights.files import WeightsHeader, read_header

__all__ = ["Origin", "OriginKind", "weights_origin"]

OriginKind = Literal["released", "trained", "reduced", "stand-in", "none", "unknown"]


class Origin(NamedTuple):
    """Origin of weights.

    Attributes:
        kind: "released" (converted from the authors' files), "trained" (by this package), "reduced" (likewise, but in
            fewer steps than its recipe has, on other images or with another setting), "stand-in" (untrained, or a small
            model trained for demonstration), "none" (no weights are needed) or "unknown".
        detail: What the file states about it, in a few words; may be empty.
    """

    kind: OriginKind
    detail: str = ""


def weights_origin(model: str, weights: str | Path | None) -> Origin:
    """Return the origin of the weights of a model, from the metadata of the file.

    Args:
        model: Registry name of the model.
        weights: A weight file, "random", or None for a model that needs no weights.

    Raises:
        WeightsError: If the file is missing or damaged.
    """
    if weights is None:
        return Origin("none")
    if weights == "random":
        return Origin("stand-in", "untrained")
    return _of_header(model, read_header(weights))


def _of_header(model: str, header: WeightsHeader) -> Origin:
    training = header.training
    if "converted_from" in training:
        return Origin("released", f"converted from {', '.join(training['converted_from'])}")
    if model.endswith("_tiny"):
        return Origin("stand-in", "small model")
    steps = training.get("steps", training.get("step"))
    if header.name is None or steps is None:
        return Origin("unknown")
    data = training.get("train")
    if isinstance(data, dict) and data.get("name") == "sample":
        return Origin("stand-in", "trained on the sample images")
    recipe = str(training.get("config") or "")
    whole, done = (int(training.get(key, steps)) for key in ("steps_of_recipe", "steps_planned"))
    changes = ", ".join(f"{key}={value}" for key, value in training.get("changed", {}).items())
    shorter = [f"{done:,} of {whole:,} steps"] if done < whole else []
    shorter += [training["other_images"]] if training.get("other_images") else []
    if differences := [*shorter, *([f"changed: {changes}"] if changes else [])]:
        return Origin("reduced", "; ".join(differences))
    return Origin("trained", ", ".join(filter(None, (f"{steps:,} steps", recipe))))
