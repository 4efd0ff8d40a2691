"""The public face: a generator for every mask by name, by configuration, or from a folder.

A generator is a pure function of (seed, stream, index, size): `gen(7, (256, 256))` is the same mask on every machine,
alone or in a batch, today or in the middle of a resumed training.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.io.atomic import sha256_json
from inpaint_zoo.masks.args import Attribute, arg_names, required_names
from inpaint_zoo.masks.draws import Draws
from inpaint_zoo.masks.errors import MaskConfigError, unknown
from inpaint_zoo.masks.kind import KINDS, Mask, Size
from inpaint_zoo.masks.mixture import MIXTURE_KEYS, Component, Mixture
from inpaint_zoo.masks.presets import MEAN_RATIO_256, PRESETS

__all__ = ["MaskGenerator", "MaskInfo", "create_generator", "create_mask", "list_masks", "mask_info", "parse_size"]

_LABEL_KEYS = ("name", "suite_seed", "stream", "size")


class MaskGenerator:
    """Masks of one configuration, seed and stream.

    Attributes:
        name: Label for tables.
        seed: Of the suite.
        stream: train, val, test, or mask, the default.
        size: (H, W) that is taken when a call names none.
    """

    def __init__(
        self, mixture: Mixture, name: str, seed: int = 0, stream: str = "mask", size: Size | None = None
    ) -> None:
        self.name, self.seed, self.stream, self.size = name, seed, stream, size
        self._mixture = mixture

    def __repr__(self) -> str:
        return f"MaskGenerator({self.name!r}, seed={self.seed}, stream={self.stream!r})"

    def __call__(self, index: int, size: int | Iterable[int] | None = None) -> Mask:
        """Mask ``index``: uint8 of 0 and 1 (hole), `out_size(size)`."""
        return self.batch([index], size)[0]

    def batch(self, indices: Iterable[int], size: int | Iterable[int] | None = None) -> Mask:
        """Masks of ``indices``: (B, H, W) uint8, each exactly what a call with its index alone gives.

        Raises:
            MaskConfigError: The size does not suit the generator, or no acceptable mask was drawn.
        """
        return self._draw(indices, size, None)

    def meta(self, index: int, size: int | Iterable[int] | None = None) -> dict[str, Any]:
        """How mask ``index`` came about: component, attempts, ratio, and `bbox` (top, left, h, w) of a `ca_box`."""
        notes: list[dict[str, Any]] = [{}]
        mask = self._draw([index], size, notes)[0]
        return {**notes[0], "ratio": int(mask.sum()) / mask.size}

    def out_size(self, size: int | Iterable[int] | None = None) -> Size:
        """(H, W) of the masks for an image of (H, W) ``size``: larger for exterior and upsampling kinds."""
        asked = self._size(size)
        self._mixture.check_size(asked)
        return self._mixture.out_size(asked)

    def config(self) -> dict[str, Any]:
        """The configuration with presets expanded and defaults filled in; `create_generator` takes it back."""
        return self._mixture.top_config()

    def identity(self) -> str:
        """SHA-256 of what determines the masks beside seed, stream and size; for folders, of the files' content."""
        return sha256_json(self._mixture.top_config(identity=True))

    def _size(self, size: int | Iterable[int] | None) -> Size:
        chosen = self.size if size is None else size
        if chosen is None:
            raise MaskConfigError(f"{self.name}: give a `size` (H, W); its configuration names none.")
        return parse_size(chosen)

    def _draw(
        self, indices: Iterable[int], size: int | Iterable[int] | None, notes: list[dict[str, Any]] | None
    ) -> Mask:
        asked = self._size(size)
        self._mixture.check_size(asked)
        numbers = [operator.index(index) for index in indices]
        if any(not 0 <= number < 1 << 63 for number in numbers):
            raise MaskConfigError(
                f"{self.name}: sample indices must lie in 0 .. 2^63 - 1, got {min(numbers)} to {max(numbers)}."
            )
        out = np.zeros((len(numbers), *self._mixture.out_size(asked)), dtype=np.uint8)
        if numbers:
            draws = Draws(self.seed, self.stream, np.array(numbers, dtype=np.uint64))
            self._mixture.draw(draws, list(out), asked, notes)
        return out


def parse_size(size: int | Iterable[int]) -> Size:
    """Read (H, W), or one number for a square.

    Raises:
        MaskConfigError: Anything else.
    """
    values = [size, size] if isinstance(size, int | np.integer) else list(size) if isinstance(size, Iterable) else []
    good = len(values) == 2 and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and v >= 1 for v in values
    )
    if not good:
        raise MaskConfigError(f"`size` must be (H, W) in pixels or one number, got {size!r}.")
    return int(values[0]), int(values[1])


def create_generator(
    spec: str | Mapping[str, Any],
    *,
    seed: int | None = None,
    stream: str | None = None,
    **args: Any,
) -> MaskGenerator:
    """Make a generator.

    Args:
        spec: A name of `list_masks()` or another kind; or a mapping in one of three forms: a mixture (`components` or
            `preset`, keys of specs/masks.md section 17), an entry of a benchmark suite (`{name: center, size: 128}`:
            further keys are arguments), or a folder of mask files (`{bank: FOLDER, bins: [0.1, 0.2]}`).
        seed: Suite seed; by default the one in ``spec``, else 0.
        stream: train, val or test; by default the one in ``spec``, else "mask".
        args: Arguments of the kind, or keys of the mixture; as a mapping `args={...}` where a name is taken.

    Raises:
        MaskConfigError: Unknown names or keys, values out of range.

    Example:
        >>> generator = create_generator("lama_box", seed=7, max_times=2)
        >>> generator.batch(range(3), (64, 300)).shape
        (3, 64, 300)
    """
    config: dict[str, Any] = (
        {"name": spec} if isinstance(spec, str) else dict(spec) if isinstance(spec, Mapping) else {}
    )
    if not config:
        raise MaskConfigError(f"A mask must be a name or a mapping, got {spec!r}.")
    config.update(args)
    own_seed, own_stream = config.pop("suite_seed", None), config.pop("stream", None)
    if stream is None and seed is None and own_seed is None and own_stream in ("val", "test"):
        raise MaskConfigError(f"`suite_seed` is required for the stream {own_stream!r}.")
    seed = _read_seed(own_seed if seed is None else seed)
    stream = stream or own_stream or "mask"
    if not isinstance(stream, str):
        raise MaskConfigError(f"`stream` must be a text such as train, val or test, got {stream!r}.")
    if "components" in config or "preset" in config:
        label = config.pop("name", None) or config.get("preset") or "mixture"
        size = config.pop("size", None)
        mixture = Mixture.parse_top(_known_keys(config))
    else:
        label, mixture, size = _named(config)
    return MaskGenerator(mixture, str(label), seed, stream, None if size is None else parse_size(size))


def _read_seed(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise MaskConfigError(f"The seed must be an integer, got {value!r}.")
    return int(value)


def _known_keys(config: dict[str, Any]) -> dict[str, Any]:
    for key in config:
        if key not in MIXTURE_KEYS:
            raise unknown("key of a mask configuration:", key, (*_LABEL_KEYS, *MIXTURE_KEYS))
    return config


def _named(config: dict[str, Any]) -> tuple[str, Mixture, object]:
    """A suite entry: a name or a folder, its other keys are arguments."""
    if "bank" in config:
        root = str(config.pop("bank"))
        name, label, base, rename = "files", f"bank:{Path(root).name}", _bare("files"), {"bank": "root"}
        config["root"] = root
        config.pop("name", None)
    else:
        name = label = config.pop("name", None) or config.pop("kind", None)
        config.pop("kind", None)
        if name not in PRESETS and name not in KINDS:
            raise unknown("mask", name, list_masks(), "list_masks() and `inpaint-zoo masks list` give all names.")
        preset = PRESETS.get(name)
        base, rename = (dict(preset.mixture), dict(preset.rename)) if preset else (_bare(name), {})
    given = {**dict(config.pop("args", None) or {}), **config}
    over = {key: given.pop(key) for key in MIXTURE_KEYS if key in given and name != "mixture"}
    size = None
    parts = [dict(part) for part in base["components"]]
    if len(parts) == 1:
        takes = (*MIXTURE_KEYS,) if parts[0]["kind"] == "mixture" else arg_names(KINDS[parts[0]["kind"]])
        if "size" in given and "size" not in (*takes, *rename) and not isinstance(given["size"], int | str):
            size = given.pop("size")
        renamed = {rename.get(key, key): value for key, value in given.items()}
        parts[0]["args"] = {**parts[0].get("args", {}), **renamed}
        for key in renamed:
            if key not in takes:
                raise unknown(f"argument of {label}:", key, (*rename, *takes))
    elif given:
        raise unknown(f"argument of {label}, a mixture of {len(parts)} components:", next(iter(given)), MIXTURE_KEYS)
    return str(label), Mixture.parse_top({**base, "components": parts, **over}), size


def _bare(kind: str) -> dict[str, Any]:
    return {"components": [{"kind": kind}]}


def create_mask(
    name: str | Mapping[str, Any],
    size: int | Iterable[int] = (256, 256),
    seed: int = 0,
    index: int = 0,
    **args: Any,
) -> Mask:
    """One mask by name: (H, W) uint8, 1 = hole.

    Args:
        name: As `create_generator` takes it.
        size: (H, W) of the image.
        seed: Suite seed.
        index: Which mask of the endless row of them.
        args: Arguments of the kind; `args={"size": 64}` for those that share a name with the ones above.

    Example:
        >>> int(create_mask("center", size=(256, 256)).sum())
        16384
    """
    return create_generator(name, seed=seed, **args)(index, size)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def list_masks(pattern: str = "*") -> list[str]:
    """Names that `create_mask` takes as they are, filtered like a shell does, in natural order."""
    ready = [name for name, kind in KINDS.items() if name != "mixture" and not required_names(kind)]
    return sorted((name for name in {*PRESETS, *ready} if fnmatchcase(name, pattern)), key=_natural)


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


def mask_info(name: str) -> MaskInfo:
    """Look a name up among presets and kinds, those included that need arguments.

    Raises:
        MaskConfigError: Unknown name.
    """
    mean = MEAN_RATIO_256.get(name)
    if name in PRESETS:
        preset = PRESETS[name]
        parts = preset.mixture["components"]
        args = Component.parse(parts[0]).config(identity=False)["args"] if len(parts) == 1 else {}
        return MaskInfo(name, True, preset.summary, preset.section, preset.source, mean, args, ())
    if name not in KINDS:
        raise unknown(
            "mask", name, [*list_masks(), *KINDS], "list_masks() and `inpaint-zoo masks list` give all names."
        )
    kind = KINDS[name]
    summary = (kind.__doc__ or "").strip().split("\n")[0]
    needs = ("components",) if kind is Mixture else tuple(required_names(kind))
    defaults = {name: getattr(kind, name) for name in arg_names(kind) if name not in needs}
    plain = {key: value.resolved() if isinstance(value, Attribute) else value for key, value in defaults.items()}
    return MaskInfo(name, False, summary, kind.section, kind.source, mean, plain, needs)
