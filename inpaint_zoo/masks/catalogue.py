"""What masks there are: presets and kinds with their descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from inpaint_zoo.config import arg_names, required_names
from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.masks.args import Attribute
from inpaint_zoo.masks.errors import UnknownMaskError, unknown
from inpaint_zoo.masks.kind import KINDS, Kind
from inpaint_zoo.masks.mixture import Component, Mixture
from inpaint_zoo.masks.presets import MEAN_RATIO_256, PRESETS, Preset

__all__ = ["MaskInfo", "list_masks", "mask_info", "unknown_mask"]


@dataclass(frozen=True)
class MaskInfo:
    """Description of a preset or kind.

    Attributes:
        name: Name of the preset or kind.
        is_preset: True for a preset (a mixture of kinds), False for a kind.
        summary: Description in one line.
        section: Section of docs/papers/masks.md that specifies it.
        source: Repository or paper.
        mean_ratio: Mean hole ratio at 256 x 256; None if unknown.
        args: Its arguments with their defaults.
        required: The arguments that must be given.
    """

    name: str
    is_preset: bool
    summary: str
    section: str
    source: str
    mean_ratio: float | None
    args: dict[str, Any]
    required: tuple[str, ...]


def list_masks(pattern: str = "*", *, ready: bool = True) -> list[str]:
    """Return the names of presets and kinds that match a shell pattern, in natural order.

    Args:
        pattern: Shell pattern for the names, such as "lama_*".
        ready: Return only names that `create_mask` accepts without further arguments.
    """
    names = {name for name in {*PRESETS, *KINDS} if fnmatchcase(name, pattern)}
    return sorted((name for name in names if not ready or not _needs(name)), key=natural_key)


def mask_info(name: str) -> MaskInfo:
    """Return the description of a preset or kind, including those with required arguments.

    Raises:
        MaskConfigError: If the name is unknown.
    """
    mean = MEAN_RATIO_256.get(name)
    if name in PRESETS:
        preset = PRESETS[name]
        return MaskInfo(
            name, True, preset.summary, preset.section, preset.source, mean, _preset_args(preset), _needs(name)
        )
    if name not in KINDS:
        raise unknown_mask(name)
    kind = KINDS[name]
    summary = (kind.__doc__ or "").strip().split("\n")[0]
    return MaskInfo(name, False, summary, kind.section, kind.source, mean, _defaults(kind), _needs(name))


def unknown_mask(name: object) -> UnknownMaskError:
    """Return the error for a name that is neither a preset nor a kind."""
    choices = list_masks(ready=False)
    return unknown("mask", name, choices, "list_masks() and `inpaint-zoo masks list` give all names.")


def _needs(name: str) -> tuple[str, ...]:
    """Return the arguments that must be given with a name."""
    if name not in PRESETS:
        return ("components",) if KINDS[name] is Mixture else tuple(required_names(KINDS[name]))
    parts = PRESETS[name].mixture["components"]
    if len(parts) > 1 or KINDS[parts[0]["kind"]] is Mixture:
        return ()
    return tuple(arg for arg in required_names(KINDS[parts[0]["kind"]]) if arg not in parts[0].get("args", {}))


def _preset_args(preset: Preset) -> dict[str, Any]:
    """Return the arguments of a preset's single component; a preset with several components takes none."""
    parts = preset.mixture["components"]
    if len(parts) > 1:
        return {}
    if required_names(KINDS[parts[0]["kind"]]):  # cannot be built without them
        return {**_defaults(KINDS[parts[0]["kind"]]), **parts[0].get("args", {})}
    return dict(Component.parse(parts[0]).config(identity=False)["args"])


def _defaults(kind: type[Kind]) -> dict[str, Any]:
    required = ("components",) if kind is Mixture else required_names(kind)
    values = {name: getattr(kind, name) for name in arg_names(kind) if name not in required}
    return {key: value.resolved() if isinstance(value, Attribute) else value for key, value in values.items()}
