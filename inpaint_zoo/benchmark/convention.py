"""How a model from outside the package takes images and masks: the key `convention` of a method in a suite.

```yaml
- {torchscript: theirs.pt, convention: {range: [-1, 1], mask_hole: 1, hole_value: 0, multiple_of: 8}}
- {onnx: lama_fp32.onnx, convention: lama_onnx}                       # a preset
- {onnx: small.onnx, convention: {preset: lama_onnx, size: 256}}      # a preset with other values
```
Without the key, a model has the convention of this package (`inpaint_zoo`): images in [0, 1], mask 1 = hole.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from inpaint_zoo.config import Table, boolean, interval, list_of, number, one_of, string, whole
from inpaint_zoo.errors import ZooError, unknown_name

if TYPE_CHECKING:
    from inpaint_zoo.ops.padding import Padding

__all__ = ["FILE_KEYS", "PRESETS", "Convention", "read_convention", "recorded_convention"]

HoleFill = Literal["mean", "neighbor_fill"]
INPUTS = (("image", "mask"), ("mask", "image"), ("image+mask",), ("mask+image",))


@dataclass(frozen=True)
class Convention:
    """Arguments and results of a model from outside the package.

    Attributes:
        range: (low, high) of the image that it takes.
        output_range: (low, high) of the image that it returns.
        mask_hole, mask_known: Values of its mask in the hole and at known pixels.
        hole_value: Value of the hole in the image that it takes, in ``range``; or the filling of the hole: "mean" (the
            mean color of the known pixels) or "neighbor_fill" (`ops.spread_known`).
        multiple_of, min_size, padding: Sizes that it takes, and how images are padded; see `ops.pad_to_multiple`.
        pads_hole: Whether the mask is padded like the image. If False, all padding counts as known.
        size: (height, width) of all images that it takes; None if it takes several sizes.
        size_by: Whether images are resized or padded to ``size``.
        square: Whether images are padded to squares.
        inputs: Its arguments in order; "image+mask" is one argument with the channels of both.
        mask_channels: Number of channels of the mask; all are equal.
        channels: Order of the color channels.
        layout: Whether channels are the second or the last dimension.
    """

    range: tuple[float, float] = (0.0, 1.0)
    output_range: tuple[float, float] = (0.0, 1.0)
    mask_hole: float = 1.0
    mask_known: float = 0.0
    hole_value: float | HoleFill = 0.0
    multiple_of: int = 1
    min_size: int = 1
    padding: Padding = "symmetric"
    pads_hole: bool = True
    size: tuple[int, int] | None = None
    size_by: Literal["resize", "pad"] = "resize"
    square: bool = False
    inputs: tuple[str, ...] = ("image", "mask")
    mask_channels: int = 1
    channels: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["channels_first", "channels_last"] = "channels_first"

    def plain(self) -> dict[str, Any]:
        """Return the values that differ from the package's convention, as plain values."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }


PRESETS = {
    "inpaint_zoo": Convention(),
    # Public ONNX exports of Big-LaMa: inputs `image` and `mask`, 512 px, result in 0..255
    "lama_onnx": Convention(output_range=(0.0, 255.0), size=(512, 512)),
    # The authors' bin/to_jit.py ("big-lama.pt"): padded symmetrically to multiples of 8, composited result in 0..1
    "lama_torchscript": Convention(multiple_of=8),
}
MOST_SIDE = 16384
"""Largest height and width that a convention may ask for: images are padded to them, which takes memory."""
SIZE_KEYS = ("hole_value", "multiple_of", "min_size", "padding", "pads_hole", "size", "size_by", "square")
FILE_KEYS = ("mask_hole", *SIZE_KEYS)
"""Keys for models that get image files or PIL images, whose range and layout are fixed."""


def read_convention(table: Table, allowed: Collection[str] = (), default: Convention | None = None) -> Convention:
    """Return the convention that a method of a suite states.

    Args:
        table: The method's mapping.
        allowed: The keys that this kind of method takes; empty for all, and for presets.
        default: Convention without the key; None for that of the package.

    Raises:
        ZooError: If a key or preset is unknown, a value is invalid, or two keys contradict each other.
    """
    stated = table.values.get("convention", {})
    if isinstance(stated, str) and not allowed:
        stated = {"preset": stated}
    if not isinstance(stated, dict):
        expected = "a mapping of keys" if allowed else f"a mapping of keys, or one of {', '.join(PRESETS)}"
        raise table.error(f"'convention' must be {expected}, got {stated!r}.", "convention")
    below = Table(table.document, "a convention", stated, (*table.keys, "convention"))
    below.allow(allowed or ("preset", *(field.name for field in fields(Convention))))
    base = default or Convention()
    if "preset" in stated:
        name = below.need("preset", string)
        if name not in PRESETS:
            raise below.error(str(unknown_name("convention", name, PRESETS)), "preset")
        base = PRESETS[name]
    if allowed and "mask_hole" in stated:
        below.need("mask_hole", one_of((0, 1)))  # black or white
    return _with_values(base, below)


def _with_values(base: Convention, table: Table) -> Convention:
    values: dict[str, Any] = {key: table.need(key, _PARSERS[key]) for key in table.values if key != "preset"}
    rules = [key for key in ("multiple_of", "min_size", "square") if values.get(key)]
    if "size" in values and rules:
        raise table.error(f"'size' is the size of all images, so '{rules[0]}' has no effect: give one of them.", "size")
    if "size" in values:
        base = replace(base, multiple_of=1, min_size=1, square=False)
    elif rules:
        base = replace(base, size=None)
    if "size_by" in values and not values.get("size", base.size):
        raise table.error("'size_by' needs 'size'.", "size_by")
    if "range" in values:
        values.setdefault("output_range", values["range"])
    if "mask_hole" in values:
        values.setdefault("mask_known", 1.0 if values["mask_hole"] == 0 else 0.0)
    convention = replace(base, **values)
    if convention.mask_hole == convention.mask_known:
        raise table.error(f"'mask_hole' and 'mask_known' are both {convention.mask_hole:g}.", "mask_hole")
    low, high = convention.range
    if not isinstance(convention.hole_value, str) and not low <= convention.hole_value <= high:
        raise table.error(
            f"'hole_value' must lie in 'range', from {low:g} to {high:g}, got {convention.hole_value:g}.",
            "hole_value" if "hole_value" in values else None,
        )
    return convention


def recorded_convention(stated: object) -> Convention:
    """Return the convention that `inpaint-zoo export` recorded in a file, as `Convention.plain` returned it.

    Raises:
        ZooError: If it is no mapping of the keys of a convention to valid values.
    """
    values = stated if isinstance(stated, dict) else {"the convention": stated}
    for key, value in values.items():
        try:
            _PARSERS[key](value)
        except (KeyError, ValueError):
            raise ZooError(
                f"its metadata state {key} = {value!r}, which this version of inpaint-zoo does not know: update "
                "inpaint-zoo, or export the model again"
            ) from None
    return Convention(**{key: _PARSERS[key](value) for key, value in values.items()})


def _size(value: Any) -> tuple[int, int]:  # noqa: ANN401 - any plain value
    side = whole(1, MOST_SIDE)
    if isinstance(value, list):
        height, width = list_of(side, 2)(value)
        return height, width
    return side(value), side(value)


def _inputs(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if found not in INPUTS:
        raise ValueError("[image, mask], [mask, image], image+mask or mask+image")
    return cast("tuple[str, ...]", found)


def _hole_value(value: Any) -> float | str:  # noqa: ANN401
    if value in get_args(HoleFill):
        return str(value)
    try:
        return number()(value)
    except ValueError:
        raise ValueError(f"a number or one of {', '.join(get_args(HoleFill))}") from None


def _padding(value: Any) -> str:  # noqa: ANN401
    from inpaint_zoo.ops.padding import Padding

    return str(one_of(get_args(Padding))(value))


_PARSERS: dict[str, Any] = {
    "range": interval(number(), strict=True),
    "output_range": interval(number(), strict=True),
    "mask_hole": number(),
    "mask_known": number(),
    "hole_value": _hole_value,
    "multiple_of": whole(1, MOST_SIDE),
    "min_size": whole(1, MOST_SIDE),
    "padding": _padding,
    "pads_hole": boolean,
    "size": _size,
    "size_by": one_of(("resize", "pad")),
    "square": boolean,
    "inputs": _inputs,
    "mask_channels": one_of((1, 3)),
    "channels": one_of(("rgb", "bgr")),
    "layout": one_of(("channels_first", "channels_last")),
}
