"""The table of means and the findings that `inpaint-zoo benchmark` and `inpaint-zoo leaderboard` print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from inpaint_zoo.benchmark.report.findings import SHOWN_FINDINGS, findings
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import tables
from inpaint_zoo.cli.common import console
from inpaint_zoo.metrics import MetricInfo, metric_info

__all__ = ["SHOWN_TABLES", "print_findings", "ranking"]

SHOWN_TABLES = 8


def ranking(out: Path) -> Table:
    """Return a table of means by dataset, mask set and method, sorted by the suite's first metric, best first."""
    summary = pd.read_csv(out / "summary.csv")
    infos = [metric_info(name) for name in summary["metric"].unique()]
    table = Table("method", box=box.SIMPLE_HEAD, pad_edge=False)
    for info in infos:
        title = f"{info.title} {info.unit}".strip()
        table.add_column(f"{title} {'↑' if info.higher_is_better else '↓'}", justify="right")
    pairs = list(summary.groupby(["dataset", "mask"], sort=False))
    told_apart = False
    for (dataset, mask), part in pairs[:SHOWN_TABLES]:
        rows = {(row["metric"], row["method"]): row for row in part.to_dict("records")}
        separated = set(part.loc[part["tied_with_best"] == False, "metric"])  # noqa: E712 - NA is neither
        told_apart |= bool(separated)
        ranks = {method: row["rank"] for (metric, method), row in rows.items() if metric == infos[0].name}
        methods = sorted(part["method"].unique(), key=lambda name: ranks.get(name, float("inf")))
        table.add_row(f"[dim]{escape(f'{dataset}, {mask}')}[/dim]")
        for method in methods:
            means = [_mean(rows.get((info.name, method)), info, info.name in separated) for info in infos]
            table.add_row(escape(method), *means)
        table.add_section()
    legend = (
        "bold: best, or not distinguishable from the best"
        if told_apart
        else "nothing is bold, because no difference is significant"
    )
    left = len(pairs) - SHOWN_TABLES
    lines = [f"{legend}; {left} more tables in the report" if left > 0 else legend]
    warned = summary[summary["warning"].notna()].drop_duplicates(["metric", "warning"])
    lines += [f"{metric_info(row['metric']).title}: {row['warning']}" for row in warned.to_dict("records")]
    table.caption = escape("\n".join(lines))
    return table


def print_findings(run: Run) -> None:
    """Print what the tests of a run say, in the same lines as at the top of its report; nothing without a test."""
    found = findings(tables(run))
    if not found:
        return
    console.print("\n[bold]Findings[/bold]")
    for finding in found[:SHOWN_FINDINGS]:
        console.print(f"- {escape(finding.line)}", soft_wrap=True)
    if len(found) > SHOWN_FINDINGS:
        console.print(f"- {len(found) - SHOWN_FINDINGS} more in the report")


def _mean(row: Mapping[Any, Any] | None, info: MetricInfo, separated: bool) -> str:
    if row is None or pd.isna(row["mean"]):
        return ""
    text = f"{row['mean']:.{info.digits}f}"
    return f"[bold]{text}[/bold]" if separated and row["tied_with_best"] is True else text
