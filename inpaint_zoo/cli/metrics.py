"""`inpaint-zoo metrics`: list the metrics or describe one of them."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.common import console, list_and_show, print_table
from inpaint_zoo.errors import unknown_name
from inpaint_zoo.metrics import list_metrics, metric_info, metrics_markdown

__all__ = ["metrics_list", "metrics_show", "run"]


OF = {"image": "each image", "hole": "each image's hole", "known": "each image's known pixels"}


def metrics_list(pattern: str, markdown: bool) -> None:
    """List the metrics.

    Args:
        pattern: Shell pattern for the names.
        markdown: Print the Markdown tables of docs/metrics.md, with all metrics.
    """
    if markdown:
        console.print(metrics_markdown(), soft_wrap=True, markup=False)
        return
    names = list_metrics(pattern)
    if not names:
        raise unknown_name("metric", pattern, list_metrics(), "`inpaint-zoo metrics` lists them all.")
    table = Table(box=None, pad_edge=False)
    for column in ("metric", "better", "unit", "of", "needs"):
        table.add_column(column, no_wrap=True)
    table.add_column("definition")
    for info in map(metric_info, names):
        table.add_row(
            info.name,
            "higher" if info.higher_is_better else "lower",
            info.unit,
            info.region if info.per_image else "set",
            " ".join(info.needs),
            escape(info.definition),
        )
    print_table(table)


def metrics_show(name: str) -> None:
    """Show the description of one metric: definition, source, range, backbone, implementation.

    Args:
        name: The metric's name.
    """
    info = metric_info(name)
    rows = {
        "metric": info.name,
        "title": info.title,
        "definition": info.definition,
        "source": info.source,
        "better": "higher" if info.higher_is_better else "lower",
        "unit": info.unit or "none",
        "range": info.value_range,
        "of": OF[info.region] if info.per_image else "a set of images",
        "result": "rounded to 8 bits" if info.result == "8-bit" else "not rounded to 8 bits",
        "minimum size": f"{info.min_side} px in height and width",
        "identical images": f"{info.cap:g} {info.unit}, counted" if info.cap is not None else "as the formula gives",
        "needs": ", ".join(info.needs) or "nothing",
        "implementation": info.implementation,
    }
    table = Table.grid(padding=(0, 2))
    for key, value in rows.items():
        table.add_row(key, escape(value))
    print_table(table)


def run(args: list[str]) -> int:
    """Run the command; without a subcommand, list the metrics."""
    return list_and_show("metrics", args, metrics_list, metrics_show)
