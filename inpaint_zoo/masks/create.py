"""Create mask generators from a name, a configuration, a YAML file, or a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from inpaint_zoo.config import ConfigError, arg_names, checked, inside, whole
from inpaint_zoo.masks.catalogue import unknown_mask
from inpaint_zoo.masks.document import is_mask_file, read_mask_file
from inpaint_zoo.masks.errors import MaskConfigError, as_mask_errors, unknown
from inpaint_zoo.masks.generator import MaskGenerator, parse_size
from inpaint_zoo.masks.kind import KINDS, Mask
from inpaint_zoo.masks.lists import MASK_SUITES, mask_suite
from inpaint_zoo.masks.mixture import MIXTURE_KEYS, Mixture
from inpaint_zoo.masks.presets import PRESETS

__all__ = ["create_generator", "create_mask"]

_LABEL_KEYS = ("name", "suite_seed", "stream", "size")


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
    with as_mask_errors():
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
            f"{name} is a list of {len(mask_suite(str(name)))} masks, not one mask. In `masks` of a benchmark suite, "
            f"write {{masks: {name}}}; in Python, mask_suite({name!r}) returns its masks."
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
        size: (H, W) of the image in pixels, or one number for a square.
        seed: Seed of the masks.
        index: Index of the mask in the sequence of this seed, from 0 to 2^63 - 1.
        args: Arguments of the kind; use `args={"size": 64}` for names that equal one of the arguments above.

    Raises:
        MaskConfigError: If a name or value is wrong, or the mask does not fit into ``size``.

    Example:
        >>> int(create_mask("center", size=(256, 256)).sum())
        16384
    """
    return create_generator(name, seed=seed, **args)(index, size)
