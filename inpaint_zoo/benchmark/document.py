"""Read YAML strictly, with the line number of every key; an unknown key is an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["Document", "Table", "read_document"]

T = TypeVar("T")

_WANTED = {
    str: "text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping of keys",
}


class Document:
    """A YAML file.

    Attributes:
        path: The file.
        text: Its content.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text

    def where(self, line: int) -> str:
        """Return a location such as `suite.yaml:12`."""
        return f"{self.path.name}:{line}"


class Table:
    """A YAML mapping with the line numbers of its keys, which checks the keys and types that its reader asks for.

    Attributes:
        title: What it describes, for error messages, such as "a method".
        values: Keys and plain values, including nested mappings and lists.
        line: Line of its first key, counted from 1.
    """

    def __init__(
        self, document: Document, title: str, values: dict[str, Any], lines: dict[str, int], line: int
    ) -> None:
        self.document = document
        self.title = title
        self.values = values
        self.lines = lines
        self.line = line

    def error(self, message: str, key: str | None = None) -> ZooError:
        """Return an error whose message starts with the file and the line of ``key``, or of the table."""
        return ZooError(f"{self.document.where(self.lines.get(key or '', self.line))}: {message}")

    def located(self, error: ZooError) -> ZooError:
        """Return the same error with file and line: those of the key or value that it quotes, else of the table."""
        text = str(error)
        keys = [key for key, value in self.values.items() if f"'{key}'" in text or f"'{value}'" in text]
        return self.error(text, keys[0] if keys else None)

    def allow(self, keys: Collection[str], elsewhere: Mapping[str, str] | None = None) -> None:
        """Check that all keys are among ``keys``.

        Args:
            keys: The allowed keys.
            elsewhere: Keys that belong to another part of the file -> that part.

        Raises:
            ZooError: If a key is not allowed; the message gives file, line, key and the most similar allowed key.
        """
        for key in self.values:
            if key in keys:
                continue
            hint = f"Known: {', '.join(keys)}."
            if elsewhere and key in elsewhere:
                hint = f"It belongs to {elsewhere[key]}. {hint}"
            raise self.error(str(unknown_name(f"key of {self.title}:", key, keys, hint)), key)

    def need(self, key: str, kind: type[T]) -> T:
        """Return the value of a required key, which must have the type ``kind``.

        Raises:
            ZooError: If it is missing, empty, or of another type.
        """
        if key not in self.values:
            there = f"; it has {', '.join(self.values)}" if self.values else ""
            raise self.error(f"{self.title} has no '{key}'{there}.")
        return self._typed(key, kind)

    def get(self, key: str, kind: type[T], default: T | None = None) -> T | None:
        """Return the value of a key, which must have the type ``kind``, or ``default`` if the key is missing."""
        return self._typed(key, kind) if key in self.values else default

    def _typed(self, key: str, kind: type[T]) -> T:
        value = self.values[key]
        good = isinstance(value, kind) and not isinstance(value, bool)
        if not good or value in ("", [], {}):
            got = "nothing" if value in (None, "", [], {}) else f"{type(value).__name__} {value!r}"
            raise self.error(f"'{key}' of {self.title} must be {_WANTED[kind]}, got {got}.", key)
        return cast(T, value)


def read_document(path: Path, title: str, items: Mapping[str, tuple[str, str]]) -> tuple[Table, dict[str, list[Table]]]:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file.
        title: What it describes, for error messages.
        items: Keys that contain lists -> (title of an item, key that a plain string item stands for).

    Returns:
        The top-level mapping, and the items of each list that is present.

    Raises:
        ZooError: If the file cannot be read, is not valid YAML, repeats a key, or has no mapping at the top level, or
            if an item is neither a mapping nor a string.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ZooError(f"No suite file {path}.") from error
    except UnicodeDecodeError as error:
        raise ZooError(f"{path} is not a text file: {error.reason} at byte {error.start}.") from error
    document = Document(path, text)
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise ZooError(f"{document.where(1)}: {title} must be a mapping of keys, such as 'name: mine'.")
        lists = {
            key.value: [_item(document, loader, item, *items[key.value]) for item in node.value]
            for key, node in root.value
            if isinstance(node, yaml.SequenceNode) and key.value in items
        }
        return _table(document, loader, root, title), lists
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ZooError(f"{document.where(line)}: invalid YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ZooError(f"{document.where(1)}: invalid YAML: {error}.") from error
    finally:
        loader.dispose()


def _item(document: Document, loader: yaml.SafeLoader, node: yaml.Node, title: str, short: str) -> Table:
    if isinstance(node, yaml.MappingNode):
        return _table(document, loader, node, title)
    line = node.start_mark.line + 1
    value = loader.construct_document(node)
    if not isinstance(value, str) or not value:
        raise ZooError(f"{document.where(line)}: {title} must be a name or a mapping of keys, got {value!r}.")
    return Table(document, title, {short: value}, {short: line}, line)


def _table(document: Document, loader: yaml.SafeLoader, node: yaml.MappingNode, title: str) -> Table:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ZooError(f"{document.where(line)}: a key must be a name.")
        if key.value in lines:
            raise ZooError(f"{document.where(line)}: the key '{key.value}' is already set in line {lines[key.value]}.")
        lines[key.value] = line
    values = {key.value: loader.construct_document(value) for key, value in node.value}
    return Table(document, title, values, lines, node.start_mark.line + 1)
