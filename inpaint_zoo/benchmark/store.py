"""The folder of results: cells, each written atomically, and the tables made from them.

It contains `suite.yaml` and `suite.json`; `cells/<id>/` with `values.parquet`, `timings.parquet`, `cell.json` and
`images/`; `parts/<id>/` with finished parts of a cell that is not done; `gallery/`; `masks/<label>.yaml`; `cache/`;
`logs/` of several processes; `results.parquet`, `timings.parquet` and `provenance.json`. If a run is killed, it loses
at most the last 30 seconds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.benchmark.stamp import STAMP
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import (
    TEMPORARY_PREFIX,
    atomic_folder,
    atomic_path,
    json_bytes,
    remove_leftovers,
    write_bytes,
    write_json,
)
from inpaint_zoo.io.locks import is_lock, lock_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOGS", "CellKey", "Store", "open_store", "read_json", "refuse_foreign"]

# columns of the tables, as arguments of `pyarrow.schema`
RESULTS = (
    ("method", "string"),
    ("dataset", "string"),
    ("mask", "string"),
    ("image", "string"),
    ("metric", "string"),
    ("value", "float64"),
    ("group", "string"),
    ("hole_ratio", "float64"),
)
TIMINGS = (
    ("method", "string"),
    ("dataset", "string"),
    ("mask", "string"),
    ("image", "string"),
    ("seconds", "float64"),
    ("passes", "int32"),
    ("width", "int32"),
    ("height", "int32"),
)
LABELS = ("method", "dataset", "mask")
LOGS = "logs"
"""Folder of what the processes of a run print, which exists before the run itself begins."""
ROW_GROUP = 100_000  # rows of a table that are written at once: a group for each cell would take longer to read


class CellKey(NamedTuple):
    """Labels of a cell in the suite, and its identity."""

    method: str
    dataset: str
    mask: str
    id: str

    def __str__(self) -> str:
        return f"{self.method} on {self.dataset}, {self.mask}"


class Store:
    """A folder of results that this process has locked (see `open_store`).

    Args:
        out: The folder.
        stamp: Mark of a rehearsal, which all written files contain; empty for other runs.
    """

    def __init__(self, out: Path, stamp: str = "") -> None:
        self.out = out
        self.stamp = {"rehearsal": stamp} if stamp else {}
        self.cache = out / "cache"
        self.gallery = out / "gallery"

    def record(self, key: CellKey) -> dict[str, Any] | None:
        """Return the content of a cell's `cell.json`; None if the cell never ran or is damaged."""
        folder = self.out / "cells" / key.id
        record = read_json(folder / "cell.json")
        torn = record is None or (record["status"] == "done" and not (folder / "values.parquet").is_file())
        return None if torn else record

    def is_done(self, key: CellKey) -> bool:
        """Return whether a cell has values."""
        record = self.record(key)
        return record is not None and record["status"] == "done"

    def rename(self, key: CellKey) -> None:
        """Give a stored cell the labels that the suite has now; labels are not part of the identity."""
        record = self.record(key)
        labels = dict(zip(LABELS, key, strict=False))
        if record is not None and any(record[name] != label for name, label in labels.items()):
            write_json(self.out / "cells" / key.id / "cell.json", {**record, **labels})

    @contextmanager
    def writing(self, key: CellKey, record: Mapping[str, Any]) -> Iterator[Path]:
        """Yield a temporary folder that becomes the cell's folder on exit and replaces an existing one.

        Args:
            key: The cell.
            record: Further content of its `cell.json`, as it is on exit.
        """
        folder = self.out / "cells" / key.id
        staging, old = (folder.with_name(f"{TEMPORARY_PREFIX}{state}-{key.id}") for state in ("new", "old"))
        with atomic_folder(staging) as temporary:
            yield temporary
            whole = {"id": key.id, **dict(zip(LABELS, key, strict=False)), **self.stamp, **record}
            (temporary / "cell.json").write_bytes(json_bytes(whole))
        if folder.exists():
            folder.rename(old)  # one atomic step, so that a partly removed folder is never taken for a cell
        staging.rename(folder)
        if old.exists():
            shutil.rmtree(old)

    def assemble(self, keys: Iterable[CellKey], provenance: Mapping[str, Any]) -> None:
        """Write `results.parquet`, `timings.parquet` and `provenance.json` from the cells that are done.

        Args:
            keys: All cells of the suite, in the order of the rows.
            provenance: Further content of `provenance.json`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        keys = list(keys)
        done = [key for key in keys if self.is_done(key)]
        for name, columns in (("values", RESULTS), ("timings", TIMINGS)):
            schema = pa.schema(columns)
            target = self.out / ("results.parquet" if name == "values" else "timings.parquet")
            stamped = schema.with_metadata(self.stamp) if self.stamp else schema
            with atomic_path(target) as temporary, pq.ParquetWriter(temporary, stamped, compression="zstd") as writer:
                waiting: list[pa.Table] = []
                rows = 0
                for key in done:
                    waiting.append(self._labeled(key, name, schema))
                    rows += waiting[-1].num_rows
                    if rows >= ROW_GROUP or key is done[-1]:
                        writer.write_table(pa.concat_tables(waiting).cast(stamped))
                        waiting, rows = [], 0
        records = {key.id: record for key in keys if (record := self.record(key)) is not None}
        failed = [
            {**{name: record[name] for name in LABELS}, "error": record["error"]}
            for record in records.values()
            if record["status"] == "failed"
        ]
        write_json(self.out / "provenance.json", {**self.stamp, "cells": records, **provenance, "failed": failed})

    def _labeled(self, key: CellKey, name: str, schema: pa.Schema) -> pa.Table:
        """Return a table of a cell with the labels of the cell as its first columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.ParquetFile(self.out / "cells" / key.id / f"{name}.parquet").read(use_threads=False)
        if name == "timings" and "passes" not in table.column_names:  # written by an older version
            table = table.append_column("passes", pa.nulls(table.num_rows, pa.int32()))
        for position, label in enumerate(LABELS):
            table = table.add_column(position, label, pa.repeat(pa.scalar(key[position], pa.string()), table.num_rows))
        return table.select(schema.names).cast(schema)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if the file is missing or a folder, or contains something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, ValueError, RecursionError):  # the last one: nested too deeply
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def open_store(out: Path, suite: Suite) -> Iterator[Store]:
    """Create a folder of results if necessary, and lock it.

    Raises:
        ZooError: If it contains another suite's results or other files, or if another run uses it. Nothing is changed.
    """
    refuse_foreign(out, suite)
    with lock_folder(out):
        refuse_foreign(out, suite)  # another run may have used the folder in the meantime
        remove_leftovers(out)
        # suite.json first: it marks the folder as a folder of results
        write_json(out / "suite.json", {**suite.plain(), "version": __version__})
        write_bytes(out / "suite.yaml", suite.text.encode())
        yield Store(out, STAMP if suite.rehearsal else "")


def refuse_foreign(out: Path, suite: Suite) -> None:
    """Check that a folder can be used for the results of ``suite``; nothing is changed.

    Raises:
        ZooError: If it is a file, contains other files, or contains results of a suite with another name or seed, or
            those of a rehearsal while ``suite`` is none, or the reverse.
    """
    if out.exists() and not out.is_dir():
        raise ZooError(f"{out} is a file; --out needs a folder.")
    if not out.is_dir() or all(_is_ours(item.name) for item in out.iterdir()):
        return
    there = read_json(out / "suite.json") or {}
    name, seed = there.get("name"), there.get("seed")
    if name is None or seed is None:
        raise ZooError(f"{out} contains other files and no results; give an empty or new folder to --out.")
    if (name, seed) != (suite.name, suite.seed):
        raise ZooError(
            f"{out} contains results of the suite '{name}' with seed {seed}, but {suite.path.name} is '{suite.name}' "
            f"with seed {suite.seed}; give another folder to --out."
        )
    if bool(there.get("rehearsal")) != bool(suite.rehearsal):
        here, now = ("a real run", "a rehearsal") if suite.rehearsal else ("a rehearsal", "a real run")
        raise ZooError(
            f"{out} contains {here} of the suite '{name}', and its numbers must not be mixed with those of {now}; give "
            "another folder to --out."
        )


def _is_ours(name: str) -> bool:
    """Return whether a run that was killed immediately after its start may have left this file."""
    return is_lock(name) or name.startswith(TEMPORARY_PREFIX) or name == LOGS
