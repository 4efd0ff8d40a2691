"""Finished runs beside each other: the differences between two runs, and several runs of one suite as one run."""

from inpaint_zoo.benchmark.across_runs.differences import Difference, RunDifferences, compare_runs
from inpaint_zoo.benchmark.across_runs.leaderboard import Merged, merge_runs
from inpaint_zoo.benchmark.across_runs.pages import write_differences
from inpaint_zoo.benchmark.across_runs.verdict import Failing, failing_cells

__all__ = [
    "Difference",
    "Failing",
    "Merged",
    "RunDifferences",
    "compare_runs",
    "failing_cells",
    "merge_runs",
    "write_differences",
]
