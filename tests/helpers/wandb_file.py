"""Read what W&B wrote in offline mode.

`run-*.wandb` is a log of protobuf records in LevelDB's format: blocks of 32 KiB, whose parts start with a checksum of
four bytes, a length of two bytes, and a kind of one byte (1 whole record, 2 first, 3 middle, 4 last part).
"""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

from wandb.proto import wandb_internal_pb2

BLOCK, FILE_HEADER, HEADER = 32768, 7, 7
ENDS = {1, 4}


@dataclass
class OfflineRun:
    """One folder `offline-run-*`."""

    run: object = None
    config: dict = field(default_factory=dict)
    summary: dict = field(default_factory=dict)
    removed: set = field(default_factory=set)
    files: dict = field(default_factory=dict)  # name of an artifact -> its files by path
    steps: int = 0

    def table(self, key):
        """Return columns and rows of a logged table, with the files of its images."""
        path = self.summary[key]["artifact_path"].rpartition("://")[2].partition("/")[2]
        (files,) = (files for files in self.files.values() if path in files)
        content = json.loads(files[path].read_text())
        data = [
            [files[cell["path"]] if isinstance(cell, dict) and "path" in cell else cell for cell in row]
            for row in content["data"]
        ]
        return content["columns"], data


def records(path):
    """Yield the records of a file."""
    data = Path(path).read_bytes()
    assert data[:4] == b":W&B"
    at, parts = FILE_HEADER, b""
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += HEADER
        parts += data[at : at + length]
        at += length
        if kind in ENDS:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def read_offline(folder):
    """Read a folder `offline-run-*`."""
    (path,) = Path(folder).glob("run-*.wandb")
    found = OfflineRun()
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            _update(found.config, record.run.config.update)
        elif kind == "config":
            _update(found.config, record.config.update)
        elif kind == "summary":
            _update(found.summary, record.summary.update)
            found.removed |= {item.key for item in record.summary.remove}
        elif kind == "artifact":
            contents = record.artifact.manifest.contents
            found.files[record.artifact.name] = {item.path: Path(item.local_path) for item in contents}
        elif kind == "history":
            found.steps += 1
    return found


def _update(content, items):
    for item in items:
        *place, last = list(item.nested_key) or [item.key]
        inner = content
        for key in place:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
