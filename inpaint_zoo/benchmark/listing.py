"""List suites: what each one reproduces, and what of it this machine lacks."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.benchmark.paper import paper_title
from inpaint_zoo.benchmark.plan import open_sources
from inpaint_zoo.benchmark.suite import Suite, load_suite
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.listing import natural_key

__all__ = ["ListedSuite", "list_suites"]


class ListedSuite(NamedTuple):
    """A suite in a folder.

    Attributes:
        path: Its path relative to the folder.
        title: First sentence of the comment at its top; empty without a comment.
        paper: The table that it reproduces, such as "LGNet, Table IV"; empty if it names none.
        missing: What this machine lacks, and where it goes; empty if everything can run.
    """

    path: Path
    title: str
    paper: str
    missing: tuple[str, ...]


def list_suites(folder: str | Path) -> list[ListedSuite]:
    """Return the suites in a folder and its subfolders, in natural order; other YAML files are left out.

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
    title = re.split(r"\.(?:\s|$)", comment, maxsplit=1)[0]
    try:
        suite = load_suite(path)
    except ZooError as error:
        return ListedSuite(path.relative_to(folder), title, "", (str(error),))
    paper = paper_title(suite.paper.table.paper, suite.paper.table.number) if suite.paper else ""
    return ListedSuite(path.relative_to(folder), title, paper, tuple(_missing(suite)))


def _heading(text: str) -> list[str]:
    """Return the comment lines at the top, up to an empty one."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#") or line == "#":
            break
        lines.append(line)
    return lines


def _missing(suite: Suite) -> list[str]:
    from inpaint_zoo.metrics import metric_info
    from inpaint_zoo.weights import backbone_place

    found = []
    with tempfile.TemporaryDirectory() as cache:
        try:
            open_sources(suite, 1, Path(cache))
        except ZooError as error:
            found.append(str(error))
    for backbone in dict.fromkeys(name for metric in suite.metrics for name in metric_info(metric).needs):
        if place := backbone_place(backbone):
            found.append(place)
    return found
