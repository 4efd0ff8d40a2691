"""Configuration files of trainings: files that build on others, and files of masks.

A configuration may name another one with a top-level key ``base``, a path relative to its own folder. It then contains
only what it changes. The command line reads the base first, as if both had been given with ``--config``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from inpaint_zoo.cli.bundled import bundled_file
from inpaint_zoo.config import PLAIN_LOADER
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks.document import masks_set_by

__all__ = ["expand_configs", "read_config"]


BASE = "base"
_GROUPS = ("model", "data", "trainer", "checkpoints", "images")


def expand_configs(args: Sequence[str]) -> list[str]:
    """Replace each ``--config FILE_OR_NAME`` by what the parser of Lightning understands.

    A name is that of a configuration of the package, see `bundled_file`.
    A file with a ``base`` becomes a list of configurations, the base first. A file of masks becomes the options that it
    sets (`masks_set_by`), so that it is added in the same way as all other files.

    Args:
        args: The arguments of a command.

    Raises:
        ZooError: A file or a base is missing or invalid.

    Example:
        >>> expand_configs(["--config", "{trainer: {max_steps: 1}}", "--trainer.precision=32"])
        ['--config', '{trainer: {max_steps: 1}}', '--trainer.precision=32']
    """
    words: list[str] = []
    rest = list(args)
    while rest:
        given = [rest.pop(0)]
        option, equals, file = given[0].partition("=")
        if option in ("-c", "--config"):
            if not equals and rest:
                file = rest.pop(0)
                given.append(file)
            if file and not _is_text(file):
                given = _expanded(bundled_file("configuration", file))
        words += given
    return words


def _is_text(config: str) -> bool:
    """Return whether the argument of ``--config`` is a configuration itself, which the parser takes as well."""
    if Path(config).is_file():
        return False
    try:
        return not isinstance(yaml.safe_load(config), str)
    except yaml.YAMLError:
        return True


def _expanded(path: Path) -> list[str]:
    if keys := masks_set_by(path):
        return [f"--data.init_args.{key}={path}" for key in keys]
    (first, _), *others = _layers(path)
    texts = [yaml.safe_dump(content, sort_keys=False) for _, content in others]
    return [f"--config={each}" for each in (first, *texts)]


def _layers(path: Path, below: tuple[Path, ...] = ()) -> list[tuple[Path, dict[str, Any]]]:
    """Return a file and its bases with their contents, without the key ``base``; the first base first."""
    content = _read(path)
    if BASE not in content:
        return [(path, content)]
    base = content.pop(BASE)
    if not isinstance(base, str):
        raise ZooError(f"{path}: `base` must be the path of a configuration, relative to this file, got {base!r}.")
    other = path.parent / base
    if not other.is_file():
        raise ZooError(f"{path}: the file of `base: {base}` is missing ({other}).")
    if other.resolve() in (*below, path.resolve()):
        raise ZooError(f"{path}: `base: {base}` leads back to a file that builds on it.")
    return [*_layers(other, (*below, path.resolve())), (path, content)]


def read_config(*paths: Path) -> dict[str, Any]:
    """Read training configurations with their bases as plain values, without building anything from them.

    Args:
        paths: The files, composed in this order as by several ``--config``; those after the first one may be files of
            masks.

    Returns:
        The merged mapping, without the key ``base``.

    Raises:
        ZooError: A file is missing or is not a YAML mapping.
    """
    merged: dict[str, Any] = {}
    for layer in (layer for path in paths for layer in _contents(path)):
        for key, value in layer.items():
            merged[key] = _merge(merged[key], value) if key in _GROUPS and key in merged else value
    return merged


def _contents(path: Path) -> list[dict[str, Any]]:
    """Return the contents of a file and its bases; of a file of masks, the arguments that it sets."""
    if keys := masks_set_by(path):
        return [{"data": {"init_args": dict.fromkeys(keys, str(path))}}]
    return [content for _, content in _layers(path)]


def _merge(old: Any, new: Any) -> Any:  # noqa: ANN401 any part of a YAML file
    """Return ``old`` with the values of ``new``, as the parser merges two configurations.

    Arguments of groups and classes are merged; everything else, such as a dataset or a list, is replaced.
    """
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    if new.get("class_path", old.get("class_path")) != old.get("class_path"):
        return new
    merged = dict(old)
    for key, value in new.items():
        is_class = isinstance(value, Mapping) and {"class_path", "init_args"} & value.keys()
        merged[key] = _merge(old[key], value) if key in old and (key == "init_args" or is_class) else value
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), PLAIN_LOADER)
    except FileNotFoundError:
        raise ZooError(f"The configuration {path} does not exist.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ZooError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(content, dict):
        raise ZooError(f"{path}: must be a mapping such as `data: ...`, got {content!r}")
    return content
