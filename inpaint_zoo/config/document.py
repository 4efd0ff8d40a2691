"""Read YAML strictly, with the line number of every key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from inpaint_zoo.config.errors import ConfigError
from inpaint_zoo.config.values import Parser, checked, listing
from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["PLAIN_LOADER", "Document", "Keys", "Table", "read_document"]

T = TypeVar("T")
PLAIN_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Loader of YAML without line numbers. The one in C is ten times as fast, but may be missing."""
Keys = tuple[str | int, ...]
"""Position in a file: mapping keys and list positions from the top level down."""


class Document:
    """A YAML file whose top level is a mapping.

    Attributes:
        path: The file.
        text: Its content.
        values: Its content as plain values; keys of mappings are the text in the file.
        lines: Position of a key or list item -> its line, counted from 1. The top level is ().
    """

    def __init__(self, path: Path, text: str, values: dict[str, Any], lines: Mapping[Keys, int]) -> None:
        self.path, self.text, self.values, self.lines = path, text, values, lines

    def line(self, keys: Keys) -> int:
        """Return the line of ``keys``, or of what contains them."""
        while keys not in self.lines:
            keys = keys[:-1]
        return self.lines[keys]

    def where(self, keys: Keys) -> str:
        """Return the location of ``keys``, such as `configs/suite.yaml:12`."""
        return f"{self.path}:{self.line(keys)}"


def read_document(path: Path, title: str, example: str) -> Document:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file.
        title: What it describes, for error messages, such as "the suite".
        example: Beginning of such a file, for error messages.

    Raises:
        ConfigError: If the file cannot be read, is not valid YAML, repeats a key, or has no mapping at the top level.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file: {error.reason} at byte {error.start}.") from None
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{path}:1: {title} must be a mapping, such as `{example}`.")
        lines = dict(_lines(path, root, ()))
        return Document(path, text, loader.construct_document(root), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}:{line}: invalid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}:1: invalid YAML: {' '.join(str(error).split())}.") from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Loader that reads every key as text, also `yes` or `1`, so that values and positions have equal keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


def _lines(path: Path, node: yaml.Node, keys: Keys, above: tuple[int, ...] = ()) -> Iterator[tuple[Keys, int]]:
    """Yield the line of every key and list item below ``node``; a repeated key raises an error."""
    if id(node) in above:
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: a YAML alias contains itself.")
    if not keys:
        yield keys, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for k, item in enumerate(node.value):
            yield (*keys, k), item.start_mark.line + 1
            yield from _lines(path, item, (*keys, k), (*above, id(node)))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{path}:{line}: a key must be a name.")
            if key.value in seen:
                raise ConfigError(f"{path}:{line}: the key {key.value!r} is already set in line {seen[key.value]}.")
            seen[key.value] = line
            yield (*keys, key.value), line
            yield from _lines(path, value, (*keys, key.value), (*above, id(node)))


class Table:
    """A mapping in a document, which checks the keys and values that its reader asks for.

    Attributes:
        document: The file.
        title: What it describes, for error messages, such as "a method".
        values: Keys and plain values, including nested mappings and lists.
        keys: Its position in the document.
    """

    def __init__(self, document: Document, title: str, values: dict[str, Any], keys: Keys = ()) -> None:
        self.document, self.title, self.values, self.keys = document, title, values, keys

    @property
    def line(self) -> int:
        """Line of its first key, counted from 1."""
        return self.document.line(self.keys)

    def items(self, key: str, title: str, short: str) -> list[Table]:
        """Return the items of a list as tables.

        Args:
            key: Key of the list.
            title: What an item describes, such as "a method".
            short: Key that an item stands for which is a plain string.

        Raises:
            ConfigError: If there is no such list, or an item is neither a mapping nor a string.
        """
        tables = []
        for k, value in enumerate(self.need(key, listing)):
            keys = (*self.keys, key, k)
            if not isinstance(value, dict) and (not isinstance(value, str) or not value):
                raise ConfigError(
                    f"{self.document.where(keys)}: {title} must be a name or a mapping of keys, got {value!r}."
                )
            tables.append(Table(self.document, title, value if isinstance(value, dict) else {short: value}, keys))
        return tables

    def error(self, message: str, key: str | None = None) -> ConfigError:
        """Return an error whose message starts with the file and the line of ``key``, or of the table."""
        keys = self.keys if key is None else (*self.keys, key)
        return ConfigError(f"{self.document.where(keys)}: {message}")

    def located(self, error: ZooError) -> ConfigError:
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
            ConfigError: If a key is not allowed; the message gives file, line, key and the most similar allowed key.
        """
        for key in self.values:
            if key in keys:
                continue
            hint = f"Known: {', '.join(keys)}."
            if elsewhere and key in elsewhere:
                hint = f"It belongs to {elsewhere[key]}. {hint}"
            raise self.error(str(unknown_name(f"key of {self.title}:", key, keys, hint)), key)

    def need(self, key: str, parse: Parser[T]) -> T:
        """Return the value of a required key, as ``parse`` reads it.

        Raises:
            ConfigError: If it is missing, or the parser does not accept it.
        """
        if key not in self.values:
            there = f"; it has {', '.join(self.values)}" if self.values else ""
            raise self.error(f"{self.title} has no '{key}'{there}.")
        try:
            return checked(f"'{key}' of {self.title}", self.values[key], parse)
        except ConfigError as error:
            raise self.error(str(error), key) from None

    def get(self, key: str, parse: Parser[T], default: T | None = None) -> T | None:
        """Return the value of a key as ``parse`` reads it, or ``default`` if the key is missing."""
        return self.need(key, parse) if key in self.values else default
