"""Metadata that `inpaint-zoo export` writes into model files: one JSON object under one key in every format."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from inpaint_zoo.errors import ZooError

__all__ = ["METADATA_FILE", "METADATA_KEY", "parse_metadata", "read_archive_metadata"]

METADATA_KEY = "inpaint_zoo"
"""Key of the metadata of an ONNX file."""
METADATA_FILE = f"{METADATA_KEY}.json"
"""Name of the extra file of a TorchScript archive and of a `torch.export` archive."""

_RECORD = re.compile(rf".*/extra/{re.escape(METADATA_FILE)}")
LARGEST = 1_000_000  # bytes; real metadata have a few thousand


def read_archive_metadata(path: Path) -> dict[str, Any] | None:
    """Return the metadata of a TorchScript or `torch.export` archive, without loading the model.

    Returns:
        The metadata, or None if the file has none or is no archive.

    Raises:
        ZooError: If the metadata are damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = [each for each in archive.infolist() if _RECORD.fullmatch(each.filename)]
            if not records or records[0].file_size > LARGEST:
                return None
            return parse_metadata(archive.read(records[0]).decode("utf-8", "replace"), path)
    except zipfile.BadZipFile:
        return None


def parse_metadata(text: str, path: Path) -> dict[str, Any]:
    """Return the metadata of a model file from their JSON text.

    Args:
        text: The text.
        path: The file, for the error message.

    Raises:
        ZooError: If the text is no JSON object.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ZooError(f"{path}: its metadata are no valid JSON ({error}): export the model again.") from error
    if not isinstance(found, dict):
        raise ZooError(f"{path}: its metadata must be a JSON object: export the model again.")
    return found
