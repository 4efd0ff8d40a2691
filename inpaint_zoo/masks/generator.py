"""The public face: a generator for every mask by name, by configuration, from a YAML file, or from a folder.

A generator is a pure function of (seed, stream, index, size): `gen(7, (256, 256))` is the same mask on every machine,
alone or in a batch, today or in the middle of a resumed training.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.io.atomic import sha256_json
from inpaint_zoo.masks.args import arg_names
from inpaint_zoo.masks.catalogue import unknown_mask
from inpaint_zoo.masks.document import is_mask_file, read_mask_file, write_mask_text
from inpaint_zoo.masks.draws import Draws
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning, inside, unknown
from inpaint_zoo.masks.evaluation import MASK_SUITES, mask_suite
from inpaint_zoo.masks.kind import KINDS, Mask, Size
from inpaint_zoo.masks.mixture import MIXTURE_KEYS, Mixture
from inpaint_zoo.masks.pilot import warn_if_rare
from inpaint_zoo.masks.presets import PRESETS

__all__ = ["MaskGenerator", "create_generator", "create_mask", "parse_size"]

_GLANCE = 20
"""Files of a folder that are looked at before the first mask is drawn."""
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

    def files(self) -> list[Path]:
        """The mask files that the masks are read from; none for drawn masks."""
        return [path for folder, _ in self._mixture.folders() for path in folder.paths]

    def check_files(self, limit: int | None = None) -> list[str]:
        """Look at the mask files for what seems a mistake: inverted, empty, grey, values 0 and 1, shapes in alpha.

        The first mask that is drawn does so with a few files, and warns, unless it was done before.

        Args:
            limit: So many files of each folder, evenly spread; None for all.

        Returns:
            One line for each kind of finding; none for drawn masks.

        Raises:
            MaskConfigError: No file has a hole and known pixels, so that no mask could be made.
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
        """The configuration with presets expanded and defaults filled in; `create_generator` takes it back."""
        return self._mixture.top_config()

    def identity(self) -> str:
        """SHA-256 of what determines the masks beside seed, stream and size; for folders, of the files' content."""
        return sha256_json(self._mixture.top_config(identity=True))

    def to_yaml(self) -> str:
        """The configuration with presets expanded and defaults filled in as YAML, its `identity` in the first line.

        `create_generator` takes it back from a file. Folders stand in it as they were given.
        """
        size = None if self.size is None else list(self.size)
        label = {"name": self.name, "suite_seed": self.seed, "stream": self.stream, "size": size}
        return write_mask_text({**label, **self.config()}, self.identity())

    def _check(self, size: Size) -> None:
        """Refuse sizes that do not suit; once for each size, warn if hardly a mask is acceptable."""
        self._mixture.check_size(size)
        if self._pilot and size not in self._piloted:
            self._piloted.add(size)
            warn_if_rare(self._mixture, self.name, self.seed, size)

    def _size(self, size: int | Iterable[int] | None) -> Size:
        chosen = self.size if size is None else size
        if chosen is None:
            raise MaskConfigError(f"{self.name}: give a `size` (H, W); its configuration names none.")
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
    spec: str | Path | Mapping[str, Any],
    *,
    seed: int | None = None,
    stream: str | None = None,
    evaluation: bool = False,
    **args: Any,
) -> MaskGenerator:
    """Make a generator.

    Args:
        spec: A name of `list_masks()` or another kind; or a mapping in one of three forms: a mixture (`components` or
            `preset`, keys of specs/masks.md section 17), an entry of a benchmark suite (`{name: center, size: 128}`:
            further keys are arguments), or a folder of mask files (`{bank: FOLDER, bins: [0.1, 0.2]}`); or a YAML file
            that holds such a mapping (`masks.document`).
        seed: Suite seed; by default the one in ``spec``, else 0.
        stream: train, val or test; by default the one in ``spec``, else "mask".
        evaluation: Of a YAML file that has `eval_mask` beside `mask`, take `eval_mask`.
        args: Arguments of the kind, or keys of the mixture; as a mapping `args={...}` where a name is taken.

    Raises:
        MaskConfigError: Unknown names or keys, values out of range; for a file, begun with its name and line.

    Warns:
        MaskWarning: Of 256 trial masks less than 1 % are in the `accept` range.

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
        except MaskConfigError as error:
            raise file.located(error) from None
    if not isinstance(spec, str) or not spec:
        raise MaskConfigError(f"A mask must be a name or a mapping, got {spec!r}.")
    return _create({"name": spec, **args}, seed, stream, spec)


def _create(config: dict[str, Any], seed: int | None, stream: str | None, label: str) -> MaskGenerator:
    """A generator from a mapping; ``label`` is its name where the mapping has none."""
    own_seed, own_stream = config.pop("suite_seed", None), config.pop("stream", None)
    if stream is None and seed is None and own_seed is None and own_stream in ("val", "test"):
        raise MaskConfigError(f"`suite_seed` is required for the stream {own_stream!r}.")
    with inside("suite_seed"):
        seed = _read_seed(own_seed if seed is None else seed)
    with inside("stream"):
        stream = stream or own_stream or "mask"
        if not isinstance(stream, str):
            raise MaskConfigError(f"`stream` must be a text such as train, val or test, got {stream!r}.")
    own = set(config) - {"name", "preset", "size"}  # a preset as it comes needs no trial
    if "components" in config or "preset" in config:
        label = config.pop("name", None) or config.get("preset") or label
        size = config.pop("size", None)
        mixture = Mixture.parse_top(_known_keys(config))
    else:
        label, mixture, size = _named(config)
    with inside("size"):
        shape = None if size is None else parse_size(size)
    return MaskGenerator(mixture, str(label), seed, stream, shape, pilot=bool(own))


def _read_seed(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise MaskConfigError(f"The seed must be an integer, got {value!r}.")
    return int(value)


def _known_keys(config: dict[str, Any]) -> dict[str, Any]:
    for key in config:
        with inside(str(key)):
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
    elif "name" not in config and "kind" not in config:
        with inside(str(next(iter(config)))):
            got = " and ".join(repr(key) for key in config)
            raise MaskConfigError(f"A mask is given by `components`, `preset`, `kind`, `name` or `bank`, got {got}.")
    else:
        key = "kind" if "kind" in config else "name"  # beside a kind, the name is a label
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
            f"{name} is a list of {len(mask_suite(str(name)))} masks, not one: `mask_suite({name!r}, root=...)` gives "
            "what a benchmark's `masks` takes."
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
