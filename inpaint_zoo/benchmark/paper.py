"""Read the tables that papers print, as one CSV file for each paper.

Such a file has the columns paper, table, dataset, setting, mask, method, metric, value, and one row for each printed
number. Columns that a table does not distinguish are empty. Values are kept as text as well, because the number of
decimals is part of what is printed.
"""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = [
    "COLUMNS",
    "PaperCell",
    "PaperRow",
    "PaperTable",
    "metric_title",
    "paper_title",
    "read_paper_table",
    "read_paper_tables",
]

PAPERS = {"glama": "GLaMa", "glcic_ca": "GLCIC / CA", "grig": "GRIG", "isnet": "ISNet", "lgnet": "LGNet"}
METRICS = {
    "average_rank": "average rank",
    "cpu_ms_xeon_e5_2690v4": "time on Xeon E5-2690 v4, ms",
    "fid": "FID",
    "flops_g": "FLOPs, G",
    "gpu_ms_titan_rtx": "time on Titan RTX, ms",
    "l1": "L1",
    "l1_percent": "L1, %",
    "latency_ms": "latency, ms",
    "lpips": "LPIPS",
    "mae": "MAE",
    "mse": "MSE",
    "params_m": "parameters, 10⁶",
    "params_mi": "parameters, 2²⁰",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "tv": "TV",
}
COLUMNS = ("paper", "table", "dataset", "setting", "mask", "method", "metric", "value")


class PaperRow(NamedTuple):
    """A row of a table: a method and its setting, such as a loss weight; the setting may be empty."""

    method: str
    setting: str


class PaperCell(NamedTuple):
    """One printed number.

    Attributes:
        dataset: Name of the dataset; may be empty.
        setting: Setting of the row; may be empty.
        mask: Name of the mask set; may be empty.
        method: Name of the method.
        metric: Name of the metric, with its unit.
        text: The number as printed.
    """

    dataset: str
    setting: str
    mask: str
    method: str
    metric: str
    text: str

    @property
    def row(self) -> PaperRow:
        """Row of the table."""
        return PaperRow(self.method, self.setting)

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text)

    @property
    def decimals(self) -> int:
        """Number of decimals as printed."""
        return len(self.text.partition(".")[2])


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper.

    Attributes:
        paper: Name of the paper: glama, glcic_ca, grig, isnet or lgnet.
        number: Number of the table as printed, such as "4" or "IV".
        cells: Its numbers, in the order of the file.
    """

    paper: str
    number: str
    cells: tuple[PaperCell, ...]

    def _names(self, get: Callable[[PaperCell], str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(get(cell) for cell in self.cells))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets."""
        return self._names(lambda cell: cell.dataset)

    @property
    def masks(self) -> tuple[str, ...]:
        """Names of the mask sets."""
        return self._names(lambda cell: cell.mask)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return self._names(lambda cell: cell.metric)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods."""
        return self._names(lambda cell: cell.method)

    @property
    def rows(self) -> tuple[PaperRow, ...]:
        """The rows."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    def settings(self, method: str) -> tuple[str, ...]:
        """Return the settings of a method."""
        return tuple(row.setting for row in self.rows if row.method == method)


def paper_title(paper: str, number: str) -> str:
    """Return the title of a table.

    Example:
        >>> paper_title("lgnet", "IV")
        'LGNet, Table IV'
    """
    return f"{PAPERS.get(paper, paper)}, Table {number}"


def metric_title(metric: str) -> str:
    """Return the title of a metric of a table, with its unit; a metric that no shipped table has is its own title."""
    return METRICS.get(metric, metric)


def read_paper_tables(path: str | Path) -> dict[tuple[str, str], PaperTable]:
    """Read all tables of a file, by (paper, number), in the order of the file.

    Raises:
        ZooError: If the file cannot be read, a column is missing, a value is not a number, or a cell is repeated.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
    except OSError as error:
        raise ZooError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ZooError(f"{path}: is not a text file: {error.reason} at byte {error.start}.") from None
    return dict(_tables(path, text))


@functools.lru_cache(maxsize=16)  # `list_suites` reads the file of each paper once for each of its tables
def _tables(path: Path, text: str) -> Mapping[tuple[str, str], PaperTable]:
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if not lines or tuple(lines[0]) != COLUMNS:
        got = ",".join(lines[0]) if lines else "nothing"
        raise ZooError(f"{path}:1: the columns must be {','.join(COLUMNS)}, got {got}.")
    cells: dict[tuple[str, str], dict[PaperCell, PaperCell]] = {}
    for number, fields in enumerate(lines[1:], start=2):
        where = f"{path}:{number}"
        if len(fields) != len(COLUMNS):
            raise ZooError(f"{where}: expected {len(COLUMNS)} fields, got {len(fields)}.")
        paper, table, *rest = fields
        cell = PaperCell(*rest)
        empty = [name for name in ("paper", "table", "method", "metric") if not fields[COLUMNS.index(name)]]
        if empty:
            raise ZooError(f"{where}: '{empty[0]}' is empty.")
        if not _is_number(cell.text):
            raise ZooError(f"{where}: 'value' must be a number, got '{cell.text}'.")
        if cells.setdefault((paper, table), {}).setdefault(cell._replace(text=""), cell) is not cell:
            raise ZooError(
                f"{where}: {paper}, Table {table} already has a value for {', '.join(filter(None, rest[:-1]))}."
            )
    return {key: PaperTable(*key, tuple(found.values())) for key, found in cells.items()}


def read_paper_table(path: str | Path, number: str) -> PaperTable:
    """Read one table of a file.

    Raises:
        ZooError: As `read_paper_tables`, or if the file has no table of that number.
    """
    tables: Iterable[PaperTable] = read_paper_tables(path).values()
    for table in tables:
        if table.number == number:
            return table
    raise unknown_name(f"table of {path}:", number, [table.number for table in tables])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
