"""Check that runs belong to one suite: the same seed, and the same images, masks and metrics by label and content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from inpaint_zoo.benchmark.report.run_folder import Cell, Run
from inpaint_zoo.errors import ZooError

__all__ = ["LISTS", "finished", "further_keys", "refuse_other_suites"]

LISTS = {"datasets": "datasets", "masks": "mask sets"}
# keys of suite.json that are compared or made in another way, or concern one run
OWN = ("name", "seed", "methods", *LISTS, "metrics", "identity", "version", "costs", "paper", "merged")


def refuse_other_suites(runs: Sequence[Run]) -> None:
    """Check that all runs have the seed, labels and content of the first one; the error names all that differ.

    Raises:
        ZooError: If a run differs.
    """
    found = []
    for run in runs[1:]:
        reasons = list(_differing(runs[0], run))
        if reasons:
            found.append(f"{run.folder}: {'; '.join(reasons)}")
    if found:
        raise ZooError(f"These runs do not belong to the suite of {runs[0].folder}. {'. '.join(found)}.")


def _differing(first: Run, run: Run) -> Iterator[str]:
    if run.suite["seed"] != first.suite["seed"]:
        yield f"the seed is {run.suite['seed']}, not {first.suite['seed']}"
    for key, name in LISTS.items():
        labels = [[entry["label"] for entry in each.suite[key]] for each in (first, run)]
        yield from _listed(name, labels[0], labels[1])
    yield from _listed("metrics", first.suite["metrics"], run.suite["metrics"])
    further = [further_keys(each) for each in (first, run)]
    for key in dict.fromkeys([*further[0], *further[1]]):
        if further[0].get(key) != further[1].get(key):
            yield f"`{key}` of suite.json differs"
    contents = [_contents(each) for each in (first, run)]
    for what, content in contents[1].items():
        if contents[0].get(what, content) != content:
            yield f"{what} differs"


def further_keys(run: Run) -> dict[str, Any]:
    """Return the content of suite.json that all runs of a leaderboard share, such as a stamp of what the run is."""
    return {key: value for key, value in run.suite.items() if key not in OWN}


def _listed(name: str, first: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    lacks, more = ([each for each in a if each not in b] for a, b in ((first, other), (other, first)))
    if lacks:
        yield f"it lacks the {name} {', '.join(lacks)}"
    if more:
        yield f"it has further {name}: {', '.join(more)}"


def _contents(run: Run) -> dict[str, Any]:
    """Return what the finished cells of a run state about images, masks and metrics."""
    found: dict[str, Any] = {}
    for (_, dataset, mask), (_, record) in finished(run).items():
        made = record["provenance"]
        found[f"the content of the dataset '{dataset}'"] = made["dataset_identity"]
        found[f"the content of the mask set '{mask}'"] = made["mask_identity"]
        for metric, how in made["metrics"].items():
            found[f"the implementation of {metric}"] = (how, made.get("backbones", {}).get(metric))
    return found


def finished(run: Run) -> dict[Cell, tuple[str, dict[str, Any]]]:
    """Return the cells whose values are in the tables of a run."""
    return {
        cell: made
        for cell, made in run.cells.items()
        if made[1]["status"] == "done" and cell not in run.missing and cell not in run.problems
    }
