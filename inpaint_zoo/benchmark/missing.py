"""What a run lacks: datasets, mask files, weight files, backbones, packages and programs that are not on this machine.

Their cells are left out, and the others are computed. The texts contain no paths of this machine, because they are
stored with the results.
"""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from inpaint_zoo.benchmark.entries import DATASET, DRAW, CommandEntry, FileModelEntry, ModelEntry, SourceEntry
from inpaint_zoo.weights import is_official

__all__ = [
    "Missing",
    "MissingCell",
    "by_part",
    "missing_dataset",
    "missing_line",
    "missing_masks",
    "missing_package",
    "missing_program",
    "missing_weights",
]


class Missing(NamedTuple):
    """Something that is not there.

    Attributes:
        what: What it is, such as "dataset 'celeba_hq'".
        where: Where it goes.
    """

    what: str
    where: str


class MissingCell(NamedTuple):
    """A cell that cannot be computed, by its labels, and what it lacks."""

    method: str
    dataset: str
    mask: str
    parts: tuple[Missing, ...]


def by_part(cells: Iterable[MissingCell]) -> dict[Missing, list[MissingCell]]:
    """Group cells by what they lack; a cell that lacks several things is in several groups."""
    found: dict[Missing, list[MissingCell]] = {}
    for cell in cells:
        for part in cell.parts:
            found.setdefault(part, []).append(cell)
    return found


def missing_line(part: Missing, cells: int) -> str:
    """Return what is missing, for how many cells, and where it goes.

    Example:
        >>> missing_line(Missing("dataset 'shell'", "give --data shell=DIR"), 1)
        "dataset 'shell' (1 cell): give --data shell=DIR"
    """
    return f"{part.what} ({cells} cell{'' if cells == 1 else 's'}): {part.where}"


def missing_dataset(entry: SourceEntry) -> Missing:
    """Return the description of an absent dataset; for a registered one, also where to get it."""
    from inpaint_zoo.data import dataset_info, list_datasets

    name = entry.spec["name"]
    record = dataset_info(name) if name in list_datasets() else None
    if "root" in entry.spec:
        where = f"the suite's folder {_written(entry, 'root')} does not exist; put it there, or give --data {name}=DIR"
    else:
        folder = record.folder if record else name
        where = f"give --data {name}=DIR, or put it into the folder {folder} in INPAINT_ZOO_DATA"
    if record:
        where += f"; get it from {record.url} (inpaint-zoo data info {name})"
    return Missing(f"dataset '{name}'", where)


def missing_masks(entry: SourceEntry) -> Missing:
    """Return the description of absent mask files."""
    key = "bank" if "bank" in entry.spec else "root"
    return Missing(
        f"mask files {_written(entry, key)}", f"put them where the suite's '{key}' says, relative to the suite"
    )


def missing_weights(entry: ModelEntry | FileModelEntry, dataset: str) -> Missing:
    """Return the description of an absent weight or model file for a dataset, given by its name."""
    file, label, of, given = str(entry.file), entry.label, "weights", "FILE"
    if isinstance(entry, ModelEntry) and not entry.given and is_official(entry.weights):
        where = f"`inpaint-zoo weights list '{entry.model}*'` names them, `inpaint-zoo weights info` says how to import"
        return Missing(f"released weights of '{label}'", where)
    if isinstance(entry, FileModelEntry):
        of, given = ("folder", "FOLDER") if entry.kind == "diffusers" else ("file", "FILE")
    elif entry.family is not None:
        label = entry.family.label
        of, given = ("checkpoints", "PATTERN") if entry.by_step is not None else ("weights", f"FILE_{DRAW}")
    what = f"{of} of '{label if of == 'checkpoints' else entry.label}'"
    what += f" for '{dataset}'" if DATASET in file else ""
    if entry.given:
        return Missing(what, f"--weights {label}=... names no file for it")
    shown = Path(file).name if Path(file).is_absolute() else file.replace(DATASET, dataset)
    return Missing(
        what,
        f"put {shown} into --weights-root, into INPAINT_ZOO_WEIGHTS or beside the suite, or give "
        f"--weights {shlex.quote(f'{label}={given}')}",
    )


PACKAGES = {"onnx": ("onnxruntime",), "diffusers": ("diffusers", "transformers")}
"""Packages that a kind of method needs; the extra of this package that installs them has the name of the kind."""


def missing_package(entry: FileModelEntry) -> Missing | None:
    """Return the description of an optional package that a method needs and that is not installed; else None."""
    for package in PACKAGES.get(entry.kind, ()):
        if importlib.util.find_spec(package) is None:
            return Missing(f"package '{package}' for '{entry.label}'", f"pip install 'inpaint-zoo[{entry.kind}]'")
    return None


def missing_program(entry: CommandEntry, program: str | None) -> Missing | None:
    """Return the description of a program or file of a command line that is not there; else None.

    Args:
        entry: The method.
        program: The program that it starts; None if it is not found.
    """
    if program is None:
        where = "install it, or correct 'cmd'; a relative path is relative to the suite, and {python} is this Python"
        return Missing(f"program of '{entry.label}'", where)
    for file in entry.files:
        if not (entry.folder / file).exists():
            shown = Path(file).name if Path(file).is_absolute() else file
            return Missing(f"file {shown} of '{entry.label}'", "put it where the suite's 'files' says")
    return None


def _written(entry: SourceEntry, key: str) -> str:
    """Return a folder as the suite states it; of an absolute path, only the name."""
    value: Any = entry.table.values[key]
    return Path(value).name if Path(value).expanduser().is_absolute() else str(value)
