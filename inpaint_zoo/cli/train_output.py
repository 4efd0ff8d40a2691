"""Output of `inpaint-zoo fit | validate | test | predict`."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch.utilities import rank_zero_only
from rich.table import Table

from inpaint_zoo.cli.common import console, print_table
from inpaint_zoo.training.dry_run import DryRun

__all__ = ["say", "score_table", "show_dry_run"]


@rank_zero_only
def say(text: str) -> None:
    """Print one line, in the first process only."""
    console.print(text, soft_wrap=True, markup=False)


def score_table(results: Mapping[str, float]) -> Table:
    """Return a table with metrics as rows and, for networks with several stages, stages as columns, the result last.

    Args:
        results: Values by name, such as ``val/psnr`` of the result and ``val/coarse/psnr`` of an earlier stage.
    """
    cells: dict[str, dict[str, float]] = {}
    for key, value in results.items():
        subset, *stage, metric = key.split("/")
        cells.setdefault(f"{subset}/{metric}", {})["/".join(stage)] = value
    stages = [stage for stage in dict.fromkeys(stage for row in cells.values() for stage in row) if stage]
    table = Table("metric", *stages, "result" if stages else "value")
    for metric, row in cells.items():
        table.add_row(metric, *(f"{row[stage]:.6g}" if stage in row else "" for stage in (*stages, "")))
    return table


@rank_zero_only
def show_dry_run(result: DryRun) -> None:
    """Print the result of a dry run as a table."""
    table = Table("dry run", "")
    for name, count in result.parameters.items():
        table.add_row(f"parameters, {name}", f"{count:,}")
    table.add_row("batch", f"{result.batch_size} samples")
    table.add_row("steps per epoch", f"{result.steps_per_epoch:,.6g}")
    table.add_row("steps", "until stopped" if result.steps is None else f"{result.steps:,}")
    for name, loss in result.losses.items():
        table.add_row(f"first loss, {name}", f"{loss:.6g}")
    for name, size in result.memory_gib.items():
        table.add_row(f"memory, {name}", f"{size:.3f} GiB")
    table.add_row("memory in total, about", f"{sum(result.memory_gib.values()):.3f} GiB")
    if result.gpu is not None:
        table.add_row(
            f"memory of {result.gpu.name}", f"{result.gpu.free_gib:,.1f} of {result.gpu.total_gib:,.1f} GiB free"
        )
    table.add_row("checkpoints, at most", f"{result.disk.files} x {result.disk.file_gib:.3f} GiB")
    table.add_row("free disk space", f"{result.disk.free_gib:,.1f} GiB")
    table.add_row("loss terms dropped", ", ".join(result.dropped) or "none")
    table.add_row("data", "every image can be read" if result.checked else "one batch was read")
    print_table(table)
