"""Win matrices: for each pair of methods of a table, the share of source images on which one is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import Column, ScoreTable
from inpaint_zoo.metrics import MetricInfo

__all__ = ["WinMatrix", "WinRow", "win_matrices"]

MOST_METHODS = 16  # larger matrices are in pairs.csv only: a page cannot show them


class WinRow(NamedTuple):
    """One method: its shared rank, and (text, whether significant) against each method; None against itself."""

    method: str
    shared_rank: int | None
    cells: tuple[tuple[str, bool] | None, ...]


class WinMatrix(NamedTuple):
    """The matrix of one metric, best method first.

    Attributes:
        info: The metric.
        methods: Methods of the columns.
        rows: The rows, in the same order.
        pairs, significant: Number of pairs, and of those that differ significantly.
    """

    info: MetricInfo
    methods: tuple[str, ...]
    rows: tuple[WinRow, ...]
    pairs: int
    significant: int


def win_matrices(run: Run, table: ScoreTable) -> list[WinMatrix]:
    """Return the win matrix of each per-image metric by which at least three methods of a table are compared."""
    part = run.pairs[(run.pairs["dataset"] == table.dataset) & (run.pairs["mask"] == table.mask)]
    found = []
    for column in table.columns:
        shown = [entry.method for entry in column.entries if entry.shared_rank is not None]
        if 3 <= len(shown) <= MOST_METHODS:
            found.append(_matrix(column, shown, part[part["metric"] == column.info.name]))
    return found


def _matrix(column: Column, shown: Sequence[str], pairs: pd.DataFrame) -> WinMatrix:
    cells: dict[tuple[str, str], tuple[str, bool]] = {}
    for pair in pairs.to_dict("records"):
        share, significant = (pair["wins"] + pair["ties"] / 2) / pair["n_groups"], bool(pair["verdict"])
        cells[pair["method"], pair["other"]] = f"{100 * share:.0f}", significant
        cells[pair["other"], pair["method"]] = f"{100 * (1 - share):.0f}", significant
    ranks = {entry.method: entry.shared_rank for entry in column.entries}
    rows = tuple(WinRow(each, ranks[each], tuple(cells.get((each, other)) for other in shown)) for each in shown)
    return WinMatrix(column.info, tuple(shown), rows, len(pairs), int((pairs["verdict"] != "").sum()))
