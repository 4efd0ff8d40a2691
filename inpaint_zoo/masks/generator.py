"""Public interface: mask generators from a name, a configuration, a YAML file, or a folder.

A generator is a pure function of (seed, stream, index, size): `gen(7, (256, 256))` returns the same mask on every
machine, alone or in a batch, and also after training is resumed.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.config import ConfigError, arg_names, checked, inside, whole
from inpaint_zoo.io.atomic import sha256_json
from inpaint_zoo.masks.catalogue import unknown_mask
from inpaint_zoo.masks.document import is_mask_file, read_mask_file, write_mask_text
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning, as_mask_errors, unknown
from inpaint_zoo.masks.evaluation import MASK_SUITES, mask_suite
from inpaint_zoo.masks.kind import KINDS, Mask, Size
from inpaint_zoo.masks.mixture import MIXTURE_KEYS, Mixture
from inpaint_zoo.masks.pilot import warn_if_rare
from inpaint_zoo.masks.presets import PRESETS
from inpaint_zoo.random import Draws

__all__ = ["MaskGenerator", "create_generator", "create_mask", "parse_size"]

_GLANCE = 20
"""Number of files of a folder that are checked before the first mask is made."""
_LABEL_KEYS = ("name", "suite_seed", "stream", "size")


class MaskGenerator:
    """Generator of the masks of one configuration, seed and stream.

    Attributes:
        name: Label in tables.
        seed: Seed of all masks.
        stream: Name of the stream: "train", "val", "test", or "mask" (the default).
        size: Default (H, W) in pixels for calls without a size, or None.
    """

    def __init__(
        self,
        mixture: Mixture,
        name: str,
        seed: int = 0,
        stream: str = "mask",
        size: Size | None = None,
        *,
        pilot: bool = True,
    ) -> None:
        self.name, self.seed, self.stream, self.size = name, seed, stream, size
        self._mixture = mixture
        self._pilot, self._piloted = pilot and mixture.accept is not None, set[Size]()
        self._checked = False
        if size is not None:
            with inside("size"):
                self._check(size)

    def __repr__(self) -> str:
        return f"MaskGenerator({self.name!r}, seed={self.seed}, stream={self.stream!r})"

    def __call__(self, index: int, size: int | Iterable[int] | None = None) -> Mask:
        """Return mask ``index`` as uint8 of shape `out_size(size)`, 1 = hole."""
        return self.batch([index], size)[0]

    def batch(self, indices: Iterable[int], size: int | Iterable[int] | None = None) -> Mask:
        """Return the masks of ``indices`` as (B, H, W) uint8; each equals the mask of a call with its index alone.

        Raises:
            MaskConfigError: If the size does not suit the generator, or no attempt gave an accepted mask.
        """
        return self._draw(indices, size, None)

    def meta(self, index: int, size: int | Iterable[int] | None = None) -> dict[str, Any]:
        """Return how mask ``index`` was made: component, attempts, ratio, and for `ca_box` `bbox` (top, left, h, w)."""
        notes: list[dict[str, Any]] = [{}]
        mask = self._draw([index], size, notes)[0]
        return {**notes[0], "ratio": int(mask.sum()) / mask.size}

    def out_size(self, size: int | Iterable[int] | None = None) -> Size:
        """Return (H, W) of the masks for an image of ``size``; it is larger for exterior and upsampling kinds."""
        asked = self._size(size)
        self._mixture.check_size(asked)
        return self._mixture.out_size(asked)

    def files(self) -> list[Path]:
        """Return the mask files that the generator reads; empty if it reads none."""
        return [path for folder, _ in self._mixture.folders() for path in folder.paths]

    def check_files(self, limit: int | None = None) -> list[str]:
        """Check the mask files for probable mistakes: inverted, empty, gray, values 0 and 1, shapes in alpha.

        Unless this method was called before, the first mask that is made checks a few files and emits warnings.

        Args:
            limit: Number of evenly spaced files to check in each folder; None for all.

        Returns:
            One line for each kind of finding; empty for generators that read no files.

        Raises:
            MaskConfigError: If no file has both a hole and known pixels, so that no mask can be made.
        """
        self._checked = True
        lines = []
        for folder, flipped in self._mixture.folders():
            found = folder.check_files(limit, flipped)
            if found.whole and found.useless == found.files and self._mixture.limits.hole > 0:
                reason = (found.lines() or ["all pixels are hole"])[0]
                raise MaskConfigError(f"{self.name}: none of {found.files} files in {folder.root} is a mask: {reason}")
            lines += found.lines()
        return lines

    def config(self) -> dict[str, Any]:
        """Return the configuration with presets and defaults expanded; `create_generator` accepts it."""
        return self._mixture.top_config()

    def identity(self) -> str:
        """Return the SHA-256 of all that determines the masks except seed, stream and size, including file contents."""
        return sha256_json(self._mixture.top_config(identity=True))

    def to_yaml(self) -> str:
        """Return the configuration with presets and defaults expanded as YAML, with its `identity` in the first line.

        `create_generator` accepts a file with this text. Folders appear as they were given.
        """
        size = None if self.size is None else list(self.size)
        label = {"name": self.name, "suite_seed": self.seed, "stream": self.stream, "size": size}
        return write_mask_text({**label, **self.config()}, self.identity())

    def _check(self, size: Size) -> None:
        """Raise an error for unsuitable sizes; once for each size, warn if masks are rarely accepted."""
        self._mixture.check_size(size)
        if self._pilot and size not in self._piloted:
            self._piloted.add(size)
            warn_if_rare(self._mixture, self.name, self.seed, size)

    def _size(self, size: int | Iterable[int] | None) -> Size:
        chosen = self.size if size is None else size
        if chosen is None:
            raise MaskConfigError(f"{self.name}: give a `size` (H, W); its configuration sets none.")
        return parse_size(chosen)

    def _draw(
        self, indices: Iterable[int], size: int | Iterable[int] | None, notes: list[dict[str, Any]] | None
    ) -> Mask:
        asked = self._size(size)
        self._check(asked)
        if not self._checked:
            for line in self.check_files(_GLANCE):
                warnings.warn(line, MaskWarning, stacklevel=3)
        numbers = indices if isinstance(indices, range) else [operator.index(index) for index in indices]
        if numbers and not 0 <= min(numbers) <= max(numbers) < 1 << 63:
            raise MaskConfigError(
                f"{self.name}: sample indices must be in 0 .. 2^63 - 1, got {min(numbers)} to {max(numbers)}."
            )
        out = np.zeros((len(numbers), *self._mixture.out_size(asked)), dtype=np.uint8)
        if numbers:
            draws = Draws(self.seed, self.stream, np.array(numbers, dtype=np.uint64))
            self._mixture.draw(draws, list(out), asked, notes)
        return out


def parse_size(size: int | Iterable[int]) -> Size:
    """Return (H, W) from a pair, or from one number for a square.

    Raises:
        MaskConfigError: If ``size`` is anything else.
    """
    values = [size, size] if isinstance(size, int | np.integer) else list(size) if isinstance(size, Iterable) else []
    good = len(values) == 2 and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and v >= 1 for v in values
    )
    if not good:
        raise MaskConfigError(f"`size` must be (H, W) in pixels or one number, got {size!r}.")
    return int(values[0]), int(values[1])


@as_mask_errors()
def create_generator(
    spec: str | Path | Mapping[str, Any],
    *,
    seed: int | None = None,
    stream: str | None = None,
    evaluation: bool = False,
    **args: Any,
) -> MaskGenerator:
    """Create a mask generator.

    Args:
        spec: A name of `list_masks()` or another kind; or a mapping in one of three forms: a mixture (`components` or
            `preset`; its keys are in docs/papers/masks.md, "Configuration"), an entry of a benchmark suite
            (`{name: center, size: 128}`, whose further keys are arguments), or a folder of mask files
            (`{bank: FOLDER, bins: [0.1, 0.2]}`); or a YAML file with such a mapping (see `masks.document`).
        seed: Seed of the masks; by default the `suite_seed` in ``spec``, else 0.
        stream: "train", "val" or "test"; by default the one in ``spec``, else "mask".
        evaluation: Use `eval_mask` of a YAML file that has `eval_mask` beside `mask`.
        args: Arguments of the kind, or keys of the mixture. Pass them as a mapping `args={...}` if a name is taken.

    Raises:
        MaskConfigError: If names or keys are unknown or values are out of range. For a file, the message starts with
            its path and line.

    Warns:
        MaskWarning: If less than 1 % of 256 trial masks are in the `accept` range.

    Example:
        >>> generator = create_generator("lama_box", seed=7, max_times=2)
        >>> generator.batch(range(3), (64, 300)).shape
        (3, 64, 300)
    """
    if isinstance(spec, Mapping) and spec:
        return _create({**spec, **args}, seed, stream, "mixture")
    if is_mask_file(spec):
        file = read_mask_file(Path(str(spec)), evaluation)
        try:
            return _create({**file.config, **args}, seed, stream, file.path.stem)
        except ConfigError as error:
            raise file.located(error) from None
    if not isinstance(spec, str) or not spec:
        raise MaskConfigError(f"A mask must be a name or a mapping, got {spec!r}.")
    return _create({"name": spec, **args}, seed, stream, spec)


def _create(config: dict[str, Any], seed: int | None, stream: str | None, label: str) -> MaskGenerator:
    """Create a generator from a mapping; ``label`` is its name if the mapping has none."""
    own_seed, own_stream = config.pop("suite_seed", None), config.pop("stream", None)
    if stream is None and seed is None and own_seed is None and own_stream in ("val", "test"):
        raise MaskConfigError(f"`suite_seed` is required for the stream {own_stream!r}.")
    with inside("suite_seed"):
        chosen = own_seed if seed is None else seed
        seed = 0 if chosen is None else checked("The seed", chosen, whole())
    with inside("stream"):
        stream = stream or own_stream or "mask"
        if not isinstance(stream, str):
            raise MaskConfigError(f"`stream` must be a string such as train, val or test, got {stream!r}.")
    own = set(config) - {"name", "preset", "size"}  # an unchanged preset needs no trial masks
    if "components" in config or "preset" in config:
        label = config.pop("name", None) or config.get("preset") or label
        size = config.pop("size", None)
        mixture = Mixture.parse_top(_known_keys(config))
    else:
        label, mixture, size = _named(config)
    with inside("size"):
        shape = None if size is None else parse_size(size)
    return MaskGenerator(mixture, str(label), seed, stream, shape, pilot=bool(own))


def _known_keys(config: dict[str, Any]) -> dict[str, Any]:
    for key in config:
        with inside(str(key)):
            if key not in MIXTURE_KEYS:
                raise unknown("key of a mask configuration:", key, (*_LABEL_KEYS, *MIXTURE_KEYS))
    return config


def _named(config: dict[str, Any]) -> tuple[str, Mixture, object]:
    """Parse a suite entry: a name or a folder, with arguments as further keys."""
    if "bank" in config:
        root = str(config.pop("bank"))
        name, label, base, rename = "files", f"bank:{Path(root).name}", _bare("files"), {"bank": "root"}
        config["root"] = root
        config.pop("name", None)
    elif "name" not in config and "kind" not in config:
        with inside(str(next(iter(config)))):
            got = " and ".join(repr(key) for key in config)
            raise MaskConfigError(f"A mask needs `components`, `preset`, `kind`, `name` or `bank`, got {got}.")
    else:
        key = "kind" if "kind" in config else "name"  # if `kind` is given, `name` is a label
        name, label = config.pop(key, None), config.pop("name", None)
        label = label or name
        with inside(key):
            _known_mask(name)
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
            with inside(str(key)):
                if key not in takes:
                    raise unknown(f"argument of {label}:", key, (*rename, *takes))
    elif given:
        raise unknown(f"argument of {label}, a mixture of {len(parts)} components:", next(iter(given)), MIXTURE_KEYS)
    return str(label), Mixture.parse_top({**base, "components": parts, **over}), size


def _known_mask(name: object) -> None:
    if name in MASK_SUITES:
        raise MaskConfigError(
            f"{name} is a list of {len(mask_suite(str(name)))} masks, not one mask: `mask_suite({name!r}, root=...)` "
            "returns the entries for `masks` of a benchmark suite."
        )
    if name not in PRESETS and name not in KINDS:
        raise unknown_mask(name)


def _bare(kind: str) -> dict[str, Any]:
    return {"components": [{"kind": kind}]}


def create_mask(
    name: str | Path | Mapping[str, Any],
    size: int | Iterable[int] = (256, 256),
    seed: int = 0,
    index: int = 0,
    **args: Any,
) -> Mask:
    """Return one mask as (H, W) uint8, 1 = hole.

    Args:
        name: Mask specification as in `create_generator`.
        size: (H, W) of the image in pixels.
        seed: Seed of the masks.
        index: Index of the mask in the sequence of this seed.
        args: Arguments of the kind; use `args={"size": 64}` for names that equal one of the arguments above.

    Example:
        >>> int(create_mask("center", size=(256, 256)).sum())
        16384
    """
    return create_generator(name, seed=seed, **args)(index, size)
