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

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from inpaint_zoo.config import PLAIN_LOADER, ConfigError, Document, Keys, read_document

__all__ = ["MaskFile", "is_mask_file", "masks_set_by", "read_mask_file", "write_mask_text"]

_SUFFIXES = (".yaml", ".yml")
_FOLDER_KEYS = ("root", "bank")
_HEAD, _EVAL_HEAD = "mask", "eval_mask"


class MaskFile:
    """A configuration of masks in a YAML file.

    Attributes:
        path: Path of the YAML file.
        config: The mapping below `mask:` or `eval_mask:`, or the whole file.
    """

    def __init__(self, document: Document, head: str | None = None) -> None:
        self.path = document.path
        self.config = _anchored(document.values[head] if head else document.values, document.path.parent)
        self._document = document
        self._head: Keys = (head,) if head else ()

    def located(self, error: ConfigError) -> ConfigError:
        """Return the same error, with the file, the line and the key it concerns at the start of its message."""
        # a configuration that names a kind has its arguments at the top level; errors refer to components[0].args
        for keys in (error.keys, error.keys[3:], ("args", *error.keys[3:])):
            for end in range(len(keys), 0, -1):
                if (*self._head, *keys[:end]) in self._document.lines:
                    return self._at(error, keys[:end])
        return self._at(error, ())

    def _at(self, error: ConfigError, keys: Keys) -> ConfigError:
        spelled = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
        where = self._document.where((*self._head, *keys))
        found = type(error)(f"{where}: {f'{spelled}: ' if keys else ''}{error}")
        found.keys = error.keys
        return found


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
        content = yaml.load(path.read_text(encoding="utf-8"), PLAIN_LOADER)
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
        ConfigError: If the file is missing, is not valid YAML, repeats a key, or is not a mapping.
    """
    document = read_document(path, "a mask configuration", "mask: {name: cmod}")
    given = document.values
    if _HEAD not in given and _EVAL_HEAD not in given:
        return MaskFile(document)
    for key, value in given.items():
        if key not in (_HEAD, _EVAL_HEAD):
            raise ConfigError(f"{document.where((key,))}: {key!r} is beside `mask:`; move it below `mask:`.")
        if not isinstance(value, dict) and (key == _HEAD or value is not None):
            raise ConfigError(f"{document.where((key,))}: `{key}` must be a mapping.")
    if _HEAD not in given:
        where = document.where((_EVAL_HEAD,))
        raise ConfigError(f"{where}: `{_EVAL_HEAD}` needs a `{_HEAD}` beside it, the masks of training.")
    return MaskFile(document, _EVAL_HEAD if evaluation and given.get(_EVAL_HEAD) is not None else _HEAD)


def write_mask_text(config: Mapping[str, Any], sha256: str) -> str:
    """Return a configuration as YAML that `read_mask_file` can read; a comment at the top gives its SHA-256."""
    body = yaml.safe_dump({_HEAD: dict(config)}, sort_keys=False, width=120, allow_unicode=True)
    return f"# sha256 of what makes the masks: {sha256}\n{body}"


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
