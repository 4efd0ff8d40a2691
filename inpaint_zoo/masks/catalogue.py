"""What masks there are: presets and kinds by name, and what is known about each."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.masks.args import Attribute, arg_names, required_names
from inpaint_zoo.masks.errors import UnknownMaskError, unknown
from inpaint_zoo.masks.kind import KINDS, Kind
from inpaint_zoo.masks.mixture import Component, Mixture
from inpaint_zoo.masks.presets import MEAN_RATIO_256, PRESETS, Preset

__all__ = ["MaskInfo", "list_masks", "mask_info", "unknown_mask"]


@dataclass(frozen=True)
class MaskInfo:
    """What is known about a mask by name.

    Attributes:
        name: Preset or kind.
        is_preset: Whether it is a preset, a mixture of kinds.
        summary: One line.
        section: Of specs/masks.md.
        source: Repository or paper.
        mean_ratio: Mean hole ratio at 256 x 256, None where it is not known.
        args: Arguments that it takes, with their defaults.
        required: Those that must be given.
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
    """Names of presets and kinds, filtered like a shell does, in natural order.

    Args:
        pattern: Of the names.
        ready: Only those that `create_mask` takes as they are, without an argument that must be given.
    """
    names = {name for name in {*PRESETS, *KINDS} if fnmatchcase(name, pattern)}
    return sorted((name for name in names if not ready or not _needs(name)), key=natural_key)


def mask_info(name: str) -> MaskInfo:
    """Look a name up among presets and kinds, those included that need arguments.

    Raises:
        MaskConfigError: Unknown name.
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
    """The error for a name that is neither preset nor kind."""
    choices = list_masks(ready=False)
    return unknown("mask", name, choices, "list_masks() and `inpaint-zoo masks list` give all names.")


def _needs(name: str) -> tuple[str, ...]:
    """The arguments that must be given with a name."""
    if name not in PRESETS:
        return ("components",) if KINDS[name] is Mixture else tuple(required_names(KINDS[name]))
    parts = PRESETS[name].mixture["components"]
    if len(parts) > 1 or KINDS[parts[0]["kind"]] is Mixture:
        return ()
    return tuple(arg for arg in required_names(KINDS[parts[0]["kind"]]) if arg not in parts[0].get("args", {}))


def _preset_args(preset: Preset) -> dict[str, Any]:
    """The arguments of a preset's one component; a mixture of several takes none."""
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
