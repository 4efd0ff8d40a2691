"""Read mask configurations from YAML strictly, with the line number of every key.

Source: docs/papers/masks.md, "Configuration".

```yaml
mask:
  name: mine
  combine: choose
  components:
    - {kind: lama_irregular, weight: 3, args: {max_width: 60}}
    - {kind: lama_box}
  accept: {lo: 0.1, hi: 0.5}
```
A second top-level key, `eval_mask:`, sets the masks of validation and testing if they differ from those of training.
`eval_mask: null` is for files that are added to a training configuration: the evaluation masks of that configuration
then stay unchanged. Without `eval_mask:`, the top-level key `mask:` may be omitted. Folders (`root`, `bank`) are
relative to the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from inpaint_zoo.masks.errors import MaskConfigError

__all__ = ["MaskFile", "is_mask_file", "masks_set_by", "read_mask_file", "write_mask_text"]

_SUFFIXES = (".yaml", ".yml")
_FOLDER_KEYS = ("root", "bank")
_HEAD, _EVAL_HEAD = "mask", "eval_mask"
_Keys = tuple[str | int, ...]


class MaskFile:
    """A configuration as plain values, with the line number of each of its keys.

    Attributes:
        path: Path of the YAML file.
        config: The mapping below `mask:` or `eval_mask:`.
    """

    def __init__(self, path: Path, config: dict[str, Any], lines: Mapping[_Keys, int]) -> None:
        self.path, self.config, self._lines = path, config, lines

    def located(self, error: MaskConfigError) -> MaskConfigError:
        """Return the same error, with the file, the line and the key it concerns at the start of its message."""
        # a configuration that names a kind has its arguments at the top level; errors refer to components[0].args
        for keys in (error.keys, error.keys[3:], ("args", *error.keys[3:])):
            for end in range(len(keys), 0, -1):
                if keys[:end] in self._lines:
                    return _at(error, self.path, self._lines[keys[:end]], _spelled(keys[:end]))
        return _at(error, self.path, self._lines[()], "")


def is_mask_file(spec: object) -> bool:
    """Return whether ``spec`` denotes a file: a path, or a string that ends in .yaml or .yml."""
    return isinstance(spec, Path) or (isinstance(spec, str) and spec.endswith(_SUFFIXES))


def masks_set_by(path: Path) -> tuple[str, ...]:
    """Return which data module arguments a YAML file sets when it is added to a training configuration.

    Returns:
        ``masks`` and ``eval_masks`` for a file with a top-level key `mask:`; ``masks`` alone if the file contains
        `eval_mask: null`; nothing for any other file or an unreadable one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ()
    if not isinstance(content, dict) or not {_HEAD, _EVAL_HEAD} & content.keys():
        return ()
    return ("masks",) if content.get(_EVAL_HEAD, content) is None else ("masks", "eval_masks")


def read_mask_file(path: Path, evaluation: bool = False) -> MaskFile:
    """Read a mask configuration from a YAML file.

    Args:
        path: The file.
        evaluation: Read the mapping below `eval_mask:` if it is present and not null.

    Raises:
        MaskConfigError: If the file is missing, is not valid YAML, repeats a key, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MaskConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise MaskConfigError(f"{path}: is not a text file: {error.reason} at byte {error.start}.") from None
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise MaskConfigError(f"{path}:1: a mask configuration must be a mapping, such as `mask: {{name: cmod}}`.")
        lines = dict(_lines(path, root, ()))
        config = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise MaskConfigError(f"{path}:{mark.line + 1 if mark else 1}: invalid YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise MaskConfigError(f"{path}:1: invalid YAML: {' '.join(str(error).split())}.") from None
    finally:
        loader.dispose()
    if _HEAD in config or _EVAL_HEAD in config:
        _check_heads(path, config, lines)
        head = _EVAL_HEAD if evaluation and config.get(_EVAL_HEAD) is not None else _HEAD
        config = config[head]
        lines = {keys[1:]: line for keys, line in lines.items() if keys and keys[0] == head}
    return MaskFile(path, _anchored(config, path.parent), {**lines, (): lines.get((), 1)})


def _check_heads(path: Path, config: Mapping[str, Any], lines: Mapping[_Keys, int]) -> None:
    """Check that `mask:` and `eval_mask:` are mappings and that no other key is beside them.

    Raises:
        MaskConfigError: With the line number, if they are not.
    """
    for key, value in config.items():
        if key not in (_HEAD, _EVAL_HEAD):
            raise MaskConfigError(f"{path}:{lines[(key,)]}: {key!r} is beside `mask:`; move it below `mask:`.")
        if not isinstance(value, dict) and (key == _HEAD or value is not None):
            raise MaskConfigError(f"{path}:{lines[(key,)]}: `{key}` must be a mapping.")
    if _HEAD not in config:
        line = lines[(_EVAL_HEAD,)]
        raise MaskConfigError(f"{path}:{line}: `{_EVAL_HEAD}` needs a `{_HEAD}` beside it, the masks of training.")


def write_mask_text(config: Mapping[str, Any], sha256: str) -> str:
    """Return a configuration as YAML that `read_mask_file` can read; a comment at the top gives its SHA-256."""
    body = yaml.safe_dump({_HEAD: dict(config)}, sort_keys=False, width=120, allow_unicode=True)
    return f"# sha256 of what makes the masks: {sha256}\n{body}"


def _at(error: MaskConfigError, path: Path, line: int, key: str) -> MaskConfigError:
    found = type(error)(f"{path}:{line}: {f'{key}: ' if key else ''}{error}")
    found.keys = error.keys
    return found


def _spelled(keys: _Keys) -> str:
    """Return the keys as text, such as `components[1].args.margin`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def _lines(path: Path, node: yaml.Node, keys: _Keys, above: tuple[int, ...] = ()) -> Iterator[tuple[_Keys, int]]:
    """Yield the line of every key and list item below ``node``; a repeated key raises an error."""
    if id(node) in above:
        raise MaskConfigError(f"{path}:{node.start_mark.line + 1}: a YAML alias contains itself.")
    if keys == () or not isinstance(node, yaml.ScalarNode):
        yield keys, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for k, item in enumerate(node.value):
            yield (*keys, k), item.start_mark.line + 1
            yield from _lines(path, item, (*keys, k), (*above, id(node)))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen:
                raise MaskConfigError(f"{path}:{line}: the key {name!r} is already set in line {seen[name]}.")
            seen[name] = line
            yield from _lines(path, value, (*keys, name), (*above, id(node)))
            yield (*keys, name), line


def _anchored(value: Any, base: Path) -> Any:  # noqa: ANN401 - any plain value
    """Return the same values with the folders in them resolved relative to ``base``."""
    if isinstance(value, list):
        return [_anchored(item, base) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: str(base / Path(item).expanduser())
        if key in _FOLDER_KEYS and isinstance(item, str) and item
        else _anchored(item, base)
        for key, item in value.items()
    }
