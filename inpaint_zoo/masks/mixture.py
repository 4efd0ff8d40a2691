"""Mixtures: choose one component, or unite or intersect all of them; then apply transforms and rejection sampling.

Every mask of this package comes from a mixture; a kind called by its own name is a mixture of this one component.
Streams are derived by name: the choice uses `s/choice`, component k `s/k`, transform j `s/tj`, transform j of component
k `s/tk.j`, and the crop `s/crop`. Source: docs/papers/masks.md, "Random numbers" for the streams and "YAML
schema of a mixture" for the configuration.
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np

from inpaint_zoo.config import args_dict, boolean, checked, inside, mapping, number, or_null, parse_args
from inpaint_zoo.masks.accept import Accept, Limits, redraw
from inpaint_zoo.masks.errors import MaskConfigError, unknown
from inpaint_zoo.masks.folder import MaskFolder
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, find_kind, register_kind
from inpaint_zoo.masks.presets import find_preset
from inpaint_zoo.masks.transforms import Transform, parse_transform
from inpaint_zoo.random import Draws, integers

__all__ = ["MIXTURE_KEYS", "Component", "Mixture"]

T = TypeVar("T")
_COMBINE = ("choose", "union", "intersect")
_NESTED_KEYS = ("combine", "components", "preset", "transforms", "accept", "limits")
MIXTURE_KEYS = (*_NESTED_KEYS, "square_crop", "scale_with_size")
"""The configuration keys that determine which masks are made."""


@dataclass(frozen=True, eq=False)
class Component:
    """One component of a mixture: a kind, its weight, and its transforms."""

    kind: Kind
    weight: float = 1.0
    transforms: tuple[Transform, ...] = ()

    @classmethod
    def parse(cls, config: object) -> Self:
        """Parse ``{kind: ..., weight: ..., args: {...}, transforms: [...]}``."""
        if not isinstance(config, Mapping) or "kind" not in config:
            raise MaskConfigError(f"A component must be a mapping with `kind`, got {config!r}.")
        _check_keys("key of a component:", config, ("kind", "weight", "args", "transforms"))
        with inside("kind"):
            kind = find_kind(config["kind"])
        weight = config.get("weight", 1.0)
        args = config.get("args") or {}
        with inside("weight"):
            weight = checked(f"`weight` of {kind.kind}", weight, number(0))
        with inside("args"):
            parsed = kind.parse(checked(f"`args` of {kind.kind}", args, mapping))
        return cls(parsed, weight, _transforms(config.get("transforms")))

    def config(self, identity: bool) -> dict[str, Any]:
        """Return the component with all defaults filled in."""
        return {
            "kind": self.kind.kind,
            "weight": self.weight,
            "args": self.kind.identity() if identity else self.kind.config(),
            "transforms": [transform.config() for transform in self.transforms],
        }


@register_kind("mixture", section="Configuration", source="zoo")
@dataclass(frozen=True, eq=False)
class Mixture(Kind):
    """Components chosen by weight, united or intersected."""

    components: tuple[Component, ...]
    combine: str = "choose"
    transforms: tuple[Transform, ...] = ()
    accept: Accept | None = None
    limits: Limits = field(default_factory=Limits)
    square_crop: bool = False
    scale_with_size: bool = False
    min_side = 1

    @classmethod
    def parse(cls, args: Mapping[str, Any]) -> Self:
        """Parse a nested mixture; `parse_top` parses the outermost one, which has more keys."""
        return cls._parse(args, _NESTED_KEYS)

    @classmethod
    def parse_top(cls, config: Mapping[str, Any]) -> Self:
        """Parse the outermost mixture; its keys are `MIXTURE_KEYS`."""
        return cls._parse(config, MIXTURE_KEYS)

    @classmethod
    def _parse(cls, config: Mapping[str, Any], keys: tuple[str, ...]) -> Self:
        _check_keys("key of a mixture:", config, keys)
        if "preset" in config:
            with inside("preset"):
                if "components" in config:
                    raise MaskConfigError("A mixture takes `preset` or `components`, not both.")
                preset = find_preset(config["preset"])
            config = {**preset.mixture, **{key: value for key, value in config.items() if key != "preset"}}
        mixture = cls(
            components=_components(config.get("components")),
            combine=config.get("combine", "choose"),
            transforms=_transforms(config.get("transforms")),
            accept=_part(Accept, config, "accept"),
            limits=_part(Limits, config, "limits") or Limits(),
            square_crop=_flag(config, "square_crop"),
            scale_with_size=_flag(config, "scale_with_size"),
        )
        mixture.validate()
        return mixture

    def validate(self) -> None:
        with inside("combine"):
            if self.combine not in _COMBINE:
                raise unknown("`combine`", self.combine, _COMBINE)
        with inside("components"):
            if self.combine == "choose" and not sum(component.weight for component in self.components):
                raise MaskConfigError("At least one `weight` of a mixture must be above 0.")
        with inside("accept"):
            if self.accept:
                self.accept.validate()

    def config(self) -> dict[str, Any]:
        return self._config(identity=False)

    def identity(self) -> dict[str, Any]:
        return self._config(identity=True)

    def _config(self, identity: bool) -> dict[str, Any]:
        return {
            "combine": self.combine,
            "components": [component.config(identity) for component in self.components],
            "transforms": [transform.config() for transform in self.transforms],
            "accept": None if self.accept is None else args_dict(self.accept),
            "limits": args_dict(self.limits),
        }

    def top_config(self, identity: bool = False) -> dict[str, Any]:
        """Return the configuration of the outermost mixture with defaults filled in."""
        more = {"square_crop": self.square_crop, "scale_with_size": self.scale_with_size}
        return {**self._config(identity), **more}

    @property
    def _used(self) -> tuple[Component, ...]:
        """The components that can occur."""
        return self.components if self.combine != "choose" else tuple(c for c in self.components if c.weight > 0)

    def fitted(self, size: Size) -> Mixture:
        """Return this mixture with its lengths in pixels scaled for ``size`` if `scale_with_size` is set."""
        return self.scaled(min(size) / 256) if self.scale_with_size else self

    def scaled(self, factor: float) -> Mixture:
        components = tuple(dataclasses.replace(part, kind=part.kind.scaled(factor)) for part in self.components)
        return dataclasses.replace(self, components=components, scale_with_size=False)

    def check(self, size: Size) -> None:
        fitted = self.fitted(size)
        for component in fitted._used:
            component.kind.check_size(size)
            own = component.kind.out_size(size)
            if own != size and len(self.components) > 1:
                raise MaskConfigError(
                    f"{component.kind.kind} would make masks of {own[0]} x {own[1]} for size {size[0]} x {size[1]}: "
                    "that is allowed only in a mixture of one component."
                )
            for transform in (*component.transforms, *self.transforms):
                transform.check(own)

    def _canvas_size(self, size: Size) -> Size:
        return self.components[0].kind.out_size(size) if len(self.components) == 1 else size

    def out_size(self, size: Size) -> Size:
        H, W = self.fitted(size)._canvas_size(size)
        return (min(H, W), min(H, W)) if self.square_crop else (H, W)

    def bounds(self, size: Size) -> tuple[int, int]:
        return self.limits.hole, self.limits.min_known

    def _free_bounds(self, size: Size) -> tuple[int, int]:
        """Return lower bounds of hole and known pixels that masks satisfy without rejection."""
        transforms = [*self.transforms, *(t for component in self._used for t in component.transforms)]
        if any(t.p > 0 and not t.keeps_ratio for t in transforms) or self.square_crop:
            return 0, 0
        holes, known = zip(*(component.kind.bounds(size) for component in self._used), strict=True)
        if self.combine == "choose" or len(holes) == 1:
            return min(holes), min(known)
        return (max(holes), 0) if self.combine == "union" else (0, max(known))

    def folders(self) -> Iterator[tuple[MaskFolder, bool | None]]:
        """Yield the mask folders among the components, and whether their masks are inverted (None: only some are)."""
        for component in self._used:
            flipped = _inverts((*component.transforms, *self.transforms))
            if isinstance(component.kind, MaskFolder):
                yield component.kind, flipped
            elif isinstance(component.kind, Mixture):
                for folder, inner in component.kind.folders():
                    yield folder, None if inner is None or flipped is None else inner != flipped

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        if self.scale_with_size:
            self.fitted(size).draw(draws, canvases, size, notes)
            return
        if self.accept is None and self.limits.hold_for(self._free_bounds(size)):
            self._paint(draws, canvases, size, notes)
            for note in notes or ():
                note["attempts"] = 1
            return
        redraw(
            draws,
            canvases,
            lambda rows, part, found: self._paint(rows, part, size, found),
            accept=self.accept,
            limits=self.limits,
            what=f"{' + '.join(c.kind.kind for c in self._used)} at size {size[0]} x {size[1]}",
            notes=notes,
        )

    def _paint(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        """Run one attempt: components, combination, transforms, crop."""
        targets = canvases
        if self.square_crop:
            canvases = _scratch(len(canvases), self._canvas_size(size))
        if self.combine == "choose":
            self._choose(draws, canvases, size, notes)
        else:
            self._combine(draws, canvases, size, notes)
        for j, transform in enumerate(self.transforms):
            transform.apply(draws.sub(f"t{j}"), canvases)
        if self.square_crop:
            _crop(draws.sub("crop"), canvases, targets)

    def _choose(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        if len(self.components) == 1:
            self._component(0, draws, canvases, size, notes)
        else:
            ends = np.cumsum([component.weight for component in self.components])
            picks = np.searchsorted(ends / ends[-1], draws.sub("choice").slot(0), side="right")
            for k in range(len(self.components)):
                rows = np.flatnonzero(picks == k)
                if len(rows):
                    part = [canvases[row] for row in rows.tolist()]
                    found = None if notes is None else [notes[row] for row in rows.tolist()]
                    self._component(k, draws.rows(rows), part, size, found)

    def _combine(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        join = np.bitwise_or if self.combine == "union" else np.bitwise_and
        self._component(0, draws, canvases, size, notes)
        for k in range(1, len(self.components)):
            layer = _scratch(len(canvases), canvases[0].shape)
            self._component(k, draws, layer, size, notes)
            for canvas, other in zip(canvases, layer, strict=True):
                join(canvas, other, out=canvas)
        for note in notes or ():
            note["component"] = [component.kind.kind for component in self.components]

    def _component(self, k: int, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        component = self.components[k]
        found: Notes | None = None if notes is None else [{} for _ in canvases]
        component.kind.draw(draws.sub(str(k)), canvases, size, found)
        for j, transform in enumerate(component.transforms):
            transform.apply(draws.sub(f"t{k}.{j}"), canvases)
        for note, own in zip(notes or (), found or (), strict=True):
            # a nested mixture reports the same keys as this one, so its notes go under "nested"
            note.update({"nested": own} if "attempts" in own else own, component=component.kind.kind)


def _inverts(transforms: Iterable[Transform]) -> bool | None:
    """Return whether the transforms invert the mask in total; None if that is random."""
    inverting = [transform.p for transform in transforms if transform.op == "invert" and transform.p > 0]
    return None if any(p < 1 for p in inverting) else len(inverting) % 2 == 1


def _scratch(count: int, size: tuple[int, ...]) -> Canvases:
    return list(np.zeros((count, *size), dtype=np.uint8))


def _crop(draws: Draws, canvases: Canvases, targets: Canvases) -> None:
    """Crop a random square of the shorter side that contains the hole's last row or column along the longer side.

    Source: docs/papers/masks.md, "Best of five".
    """
    H, W = canvases[0].shape
    long, side = max(H, W), min(H, W)
    axis = 0 if H > W else 1
    for canvas, target, u in zip(canvases, targets, draws.slot(0), strict=True):
        lines = np.flatnonzero(canvas.any(axis=1 - axis))
        last = int(lines[-1]) if len(lines) else long - 1
        start = int(integers(np.array(u), max(0, last - side + 1), min(long - side, last)))
        target[:] = canvas[start : start + side] if axis == 0 else canvas[:, start : start + side]


def _check_keys(what: str, config: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in config:
        with inside(str(key)):
            if key not in keys:
                raise unknown(what, key, keys)


def _components(config: object) -> tuple[Component, ...]:
    with inside("components"):
        if not isinstance(config, list | tuple) or not config:
            raise MaskConfigError("A mixture needs `components` (a list that is not empty) or `preset`.")
        return tuple(_each(Component.parse, config))


def _transforms(config: object) -> tuple[Transform, ...]:
    with inside("transforms"):
        if not isinstance(config, list | tuple | None):
            raise MaskConfigError(f"`transforms` must be a list, got {config!r}.")
        return tuple(_each(parse_transform, config or ()))


def _each(parse: Callable[[object], T], items: Sequence[object]) -> Iterator[T]:
    for k, item in enumerate(items):
        with inside(k):
            yield parse(item)


def _part(cls: type[T], config: Mapping[str, Any], key: str) -> T | None:
    """Parse the mapping under ``key`` into ``cls``; None if there is none."""
    with inside(key):
        value = checked(f"`{key}`", config.get(key), or_null(mapping))
        return None if value is None else parse_args(cls, value, key)


def _flag(config: Mapping[str, Any], key: str) -> bool:
    with inside(key):
        return checked(f"`{key}`", config.get(key, False), boolean)
