"""Detect that a model from outside the package does not follow the convention that its suite states.

What is certain is an error that names the key to change. What is only likely is counted, and becomes a note of the cell
if it holds for most of its images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from inpaint_zoo.benchmark.convention import Convention
from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import describe, from_range

__all__ = ["Detector", "check_shape", "only_output"]

RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))  # that models use
STEP = 1 / 255  # of 8-bit values
EQUAL = 0.05  # mean difference, in [0, 1], up to which known pixels count as reproduced
EXPLAINED = 0.3  # share of the known pixels' deviation from their mean that may remain
FAR = 4.0  # distance from the stated range, in multiples of its width, that no prediction reaches
MANY = 0.25  # share of the values outside of the stated range that is no inaccuracy
FEW = 16  # pixels, of which nothing is concluded


def only_output(result: object, choice: int | str | None, names: tuple[str, ...] = ()) -> object:
    """Return the output of a model that its suite names, or its only one.

    Args:
        result: What the model returned.
        choice: Position or name of the output; None for the only one.
        names: Names of the outputs, if the model has a list of them.

    Raises:
        ZooError: If there is no such output, or there are several and none is chosen.
    """
    if isinstance(result, Tensor):
        outputs: dict[object, object] = {0: result}
    elif isinstance(result, Mapping):
        outputs = dict(result)
    elif isinstance(result, list | tuple):
        outputs = dict(enumerate(result))
    else:
        raise ZooError(f"it returned {type(result).__name__} instead of a tensor")
    if choice is None and len(outputs) == 1:
        return next(iter(outputs.values()))
    position = names.index(choice) if isinstance(choice, str) and choice in names else choice
    if position is not None and position in outputs:
        return outputs[position]
    listed = ", ".join(
        f"{names[key] if isinstance(key, int) and key < len(names) else key}: {describe(value)}"
        for key, value in outputs.items()
    )
    if choice is None:
        raise ZooError(f"it returned {len(outputs)} outputs ({listed}); choose one with `output`")
    raise ZooError(f"it has no output {choice!r} (`output`); it returned {listed}")


def check_shape(output: object, size: tuple[int, int], layout: str) -> Tensor:
    """Return an output as (1, 3, H, W) float32.

    Args:
        output: What the model returned.
        size: Height and width of the image that it was given.
        layout: `Convention.layout`.

    Raises:
        ZooError: If it is no tensor, or has another shape.
    """
    if not isinstance(output, Tensor):
        raise ZooError(f"it returned {describe(output)} instead of a tensor")
    shapes = {"channels_first": (1, 3, *size), "channels_last": (1, *size, 3)}
    if output.shape != shapes[layout]:
        hint = ""
        for other, shape in shapes.items():
            if output.shape == shape:
                hint = f"; set `layout: {other}`"
        if not hint and output.ndim == 4 and 3 in output.shape[1::2]:
            hint = f"; set `size` or `multiple_of` so that it keeps the size of {size[0]}x{size[1]}"
        raise ZooError(f"it returned {describe(output)} instead of {shapes[layout]}{hint}")
    return (output.permute(0, 3, 1, 2) if layout == "channels_last" else output).float()


class Detector:
    """Compares the results of a model with the convention that its suite states.

    Args:
        convention: The stated convention.
        fixed: Whether the kind of model fixes the value ranges, so that they cannot be wrong.
    """

    def __init__(self, convention: Convention, fixed: bool = False) -> None:
        self.convention, self.fixed = convention, fixed
        self._seen: set[str] = set()
        self._doubts: dict[str, set[str]] = {}

    def notes(self) -> list[str]:
        """Return what speaks against the convention in most of the images since the last call, and forget them."""
        lines = [text for text, keys in self._doubts.items() if 2 * len(keys) > len(self._seen)]
        self._seen, self._doubts = set(), {}
        return lines

    def check(self, output: Tensor, given: Tensor, hole: Tensor, key: str) -> None:
        """Check one result.

        Args:
            output: (1, 3, H, W), as the model returned it.
            given: (1, 3, H, W), the image that it was given, in ``convention.range``, with its hole filled.
            hole: (1, 1, H, W), 1 = hole.
            key: Key of the image.

        Raises:
            ZooError: If the output is not finite, or certainly does not follow the convention.
        """
        self._seen.add(key)
        if not bool(torch.isfinite(output).all()):
            raise ZooError("it returned NaN or infinity")
        inside = (hole > 0.5).expand_as(output)
        image = from_range(given, *self.convention.range)
        if int((~inside).sum()) >= FEW and not self.fixed:
            self._check_range(output, output[~inside], image[~inside], key)
        if int(inside.sum()) >= FEW and int((~inside).sum()) >= FEW:
            pred = from_range(output, *self.convention.output_range)
            # a prediction below 0 is not the value 0 of the hole that it becomes
            in_hole, outside = (pred - image).abs()[inside], (pred.clamp(0, 1) - image).abs()[~inside]
            self._check_polarity(in_hole, outside, key)

    def _doubt(self, text: str, key: str) -> None:
        self._doubts.setdefault(text, set()).add(key)

    def _check_range(self, output: Tensor, known: Tensor, image: Tensor, key: str) -> None:
        """Check `output_range` by the known pixels, which most models reproduce, and by the extreme values."""
        low, high = stated = self.convention.output_range

        def difference(source: tuple[float, float]) -> float:
            return float((from_range(known, *source) - image).abs().mean())

        least, most = float(output.min()), float(output.max())
        found = f"it returned values from {least:.4g} to {most:.4g}, but `output_range` is [{low:g}, {high:g}]"
        own = difference(stated)
        fits = min((difference(other), other) for other in RANGES if other != stated)
        limit = min(EQUAL, EXPLAINED * float((image - image.mean()).abs().mean()))
        if own > EQUAL and fits[0] < min(limit, own / 3):
            fitting = f"[{fits[1][0]:g}, {fits[1][1]:g}]"
            raise ZooError(f"{found}; its known pixels equal the image in {fitting}: set `output_range: {fitting}`")
        beyond = max(low - least, most - high) / (high - low)
        if beyond > FAR:
            raise ZooError(
                f"{found}; set `output_range`, or correct `range` and `mask_hole` if the model takes other values"
            )
        if beyond > 0.5:
            self._doubt(f"values lie far outside of `output_range: [{low:g}, {high:g}]`", key)
        else:
            slack = EQUAL * (high - low)
            outside = float(((output < low - slack) | (output > high + slack)).float().mean())
            if outside > MANY:
                self._doubt(f"many values lie outside of `output_range: [{low:g}, {high:g}]`", key)
        for other in RANGES:
            narrow = low <= other[0] and other[1] <= high and other[1] - other[0] < high - low
            if narrow and other[0] <= least and most <= other[1] and own > EQUAL:
                text = f"all values lie in [{other[0]:g}, {other[1]:g}], but `output_range` is [{low:g}, {high:g}]"
                self._doubt(text, key)

    def _check_polarity(self, hole: Tensor, known: Tensor, key: str) -> None:
        """Check `mask_hole` by the changes of the image in the hole and outside of it, in [0, 1]."""
        mask_hole, mask_known = self.convention.mask_hole, self.convention.mask_known
        untouched = float(hole.max()) <= 1.5 * STEP
        in_hole, outside = float(hole.mean()), float(known.mean())
        if untouched and outside > 4 * STEP:
            raise ZooError(
                f"it left the hole as it was and changed the known pixels, so its mask seems to be inverted: set "
                f"`mask_hole: {mask_known:g}` (it is {mask_hole:g})"
            )
        if untouched:
            self._doubt(f"the result equals the input, also in the hole; check `mask_hole: {mask_hole:g}`", key)
        elif in_hole < 0.02 and outside > max(0.1, 5 * in_hole):
            self._doubt(
                f"known pixels change more than the hole, as with an inverted mask; check `mask_hole: {mask_hole:g}`",
                key,
            )
