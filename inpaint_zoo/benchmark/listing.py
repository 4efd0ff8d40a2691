"""List suites: what each one reproduces, how many of its cells this machine can compute, and what the others lack."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.benchmark.entries import DATASET, FileModelEntry, ModelEntry
from inpaint_zoo.benchmark.images import MaskSet
from inpaint_zoo.benchmark.methods import create_methods
from inpaint_zoo.benchmark.missing import (
    Missing,
    by_part,
    missing_dataset,
    missing_line,
    missing_masks,
    missing_weights,
)
from inpaint_zoo.benchmark.paper import paper_title
from inpaint_zoo.benchmark.plan import survey
from inpaint_zoo.benchmark.suite import Suite, load_suite
from inpaint_zoo.errors import MissingError, ZooError
from inpaint_zoo.io.listing import natural_key

__all__ = ["ListedSuite", "list_suites"]


class ListedSuite(NamedTuple):
    """A suite in a folder.

    Attributes:
        path: Its path relative to the folder.
        title: First sentence of the comment at its top; empty without a comment.
        paper: The table that it reproduces, such as "LGNet, Table IV"; empty if it names none.
        cells: Number of its cells; 0 for a suite of costs or quoted numbers only.
        ready: Number of cells that this machine can compute.
        missing: What this machine lacks and where it goes, or why the suite is invalid; empty if everything can run.
        stand_ins: Mask files that generated masks replace, and where the files go.
    """

    path: Path
    title: str
    paper: str = ""
    cells: int = 0
    ready: int = 0
    missing: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()


def list_suites(folder: str | Path) -> list[ListedSuite]:
    """Return the suites in a folder and its subfolders, in natural order; other YAML files are left out.

    Images are listed and not opened, no network runs, and nothing is downloaded.

    Raises:
        ZooError: If the folder does not exist or contains no suite.
    """
    folder = Path(folder)
    files = sorted(folder.rglob("*.yaml"), key=lambda path: natural_key(path.as_posix()))
    found = [_describe(path, folder) for path in files if re.search(r"^methods:", path.read_text("utf-8"), re.M)]
    if not found:
        raise ZooError(f"{folder} contains no suites; give the folder `benchmarks` of a checkout of inpaint-zoo.")
    return found


def _describe(path: Path, folder: Path) -> ListedSuite:
    comment = " ".join(line.lstrip("# ") for line in _heading(path.read_text("utf-8")))
    title = re.split(r"\.(?:\s+(?=\D)|$)", comment, maxsplit=1)[0]  # not after the abbreviation in "Fig. 23"
    listed = ListedSuite(path.relative_to(folder), title)
    try:
        suite = load_suite(path)
        listed = listed._replace(
            paper=paper_title(suite.paper.table.paper, suite.paper.table.number) if suite.paper else ""
        )
        cells, ready, missing = _survey(suite)
    except ZooError as error:
        return listed._replace(missing=(str(error),))
    return listed._replace(cells=cells, ready=ready, missing=tuple(missing), stand_ins=tuple(_stand_ins(suite)))


def _heading(text: str) -> list[str]:
    """Return the comment lines at the top, up to an empty one."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#") or line == "#":
            break
        lines.append(line)
    return lines


def _survey(suite: Suite) -> tuple[int, int, list[str]]:
    """Return the number of cells, how many of them can be computed, and what is missing."""
    from inpaint_zoo.data.entries import list_files
    from inpaint_zoo.metrics import metric_info
    from inpaint_zoo.weights import backbone_place

    datasets: dict[str, Missing] = {}
    masks: dict[str, Missing] = {}
    for entry in suite.datasets:
        try:
            with warnings.catch_warnings(action="ignore"):  # a run shows them
                list_files(entry.resolved)
        except MissingError:
            datasets[entry.label] = missing_dataset(entry)
        except ZooError as error:
            raise entry.table.located(error) from error
    for entry in suite.masks:
        try:
            MaskSet(entry, suite).files()
        except MissingError:
            masks[entry.label] = missing_masks(entry)
    backbones = [
        [place for name in metric_info(metric).needs if (place := backbone_place(name))] for metric in suite.metrics
    ]
    cells = [each for each in survey(suite, create_methods(suite), datasets, masks, ()) if each.refusal is None]
    if not cells:  # costs or quoted numbers only
        return 0, 0, []
    no_metric = bool(backbones) and all(backbones)
    ready = 0 if no_metric else sum(not each.missing for each in cells)
    together = _for_all_datasets(suite)
    lacking = [
        each.missing_cell._replace(parts=tuple(together.get(part, part) for part in each.missing)) for each in cells
    ]
    lines = [missing_line(part, len(without)) for part, without in by_part(lacking).items()]
    return len(cells), ready, [*lines, *dict.fromkeys(place for places in backbones for place in places)]


def _for_all_datasets(suite: Suite) -> dict[Missing, Missing]:
    """Return the weights that are missing for every one of several datasets -> their common description."""
    names = [entry.spec["name"] for entry in suite.datasets]
    if len(names) < 2:
        return {}
    found: dict[Missing, Missing] = {}
    for entry in suite.methods:
        if not isinstance(entry, ModelEntry | FileModelEntry) or DATASET not in (entry.file or ""):
            continue
        if not any(map(entry.find, names)):
            found |= {missing_weights(entry, name): missing_weights(entry, DATASET) for name in names}
    return found


def _stand_ins(suite: Suite) -> Iterator[str]:
    listed = [entry.listed for entry in suite.masks if entry.listed]
    for name in dict.fromkeys(each.files.name for each in listed if each.stand_in and each.files):
        yield (
            f"generated masks replace the mask files '{name}'; give --data {name}=DIR, or put them into the folder "
            f"{name} in INPAINT_ZOO_DATA"
        )
