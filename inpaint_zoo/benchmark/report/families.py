"""Show the networks of one entry as one method: the mean of its draws, or the last of its checkpoints.

The values of an image are averaged over the draws before anything is tested, so that intervals and tests are those of
the mean method. The standard deviation is that of the draws' means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

__all__ = ["FamilyRows", "Merged", "merge", "networks_csv"]

Cell = tuple[str, str, str]  # labels of method, dataset and mask set
Values = dict[tuple[str, str, str, str], dict[int, float]]
TABLE = ["dataset", "mask", "metric"]


class FamilyRows(NamedTuple):
    """An entry of the suite with several networks.

    Attributes:
        label: Label of the entry.
        kind: "draws" or "checkpoints".
        members: Label of each network -> number of the draw, or training step; None if there is no checkpoint.
    """

    label: str
    kind: str
    members: dict[str, int | None]


@dataclass(frozen=True)
class Merged:
    """Content of a run with one method for each entry.

    Attributes:
        methods: Labels of the entries.
        shown_as: Label of each network -> label of its entry.
        families: Entries with several networks.
        results, timings: The tables.
        complexity: Costs of the methods.
        cells: Cells of the networks, and of the entries: those of the first network that is shown.
        missing: Cells of the entries without numbers -> reason.
        incomplete: Cells of the entries that lack a draw -> a sentence.
        values: (method, dataset, mask set, metric) of an entry with several networks -> mean by number.
    """

    methods: tuple[str, ...]
    shown_as: dict[str, str]
    families: dict[str, FamilyRows]
    results: pd.DataFrame
    timings: pd.DataFrame
    complexity: list[dict[str, Any]]
    cells: dict[Cell, tuple[str, dict[str, Any]]]
    missing: dict[Cell, str]
    incomplete: dict[Cell, str] = field(default_factory=dict)
    values: Values = field(default_factory=dict)


def merge(
    methods: Sequence[Mapping[str, Any]],
    tables: Sequence[tuple[str, str]],
    results: pd.DataFrame,
    timings: pd.DataFrame,
    complexity: Sequence[dict[str, Any]],
    cells: dict[Cell, tuple[str, dict[str, Any]]],
    missing: dict[Cell, str],
    refused: Collection[Cell],
) -> Merged:
    """Merge the networks of each entry.

    Args:
        methods: The methods of suite.json.
        tables: (dataset, mask set) pairs of the suite.
        results: Content of results.parquet.
        timings: Content of timings.parquet.
        complexity: Costs of the networks.
        cells: Identifier and record of each cell that was run.
        missing: Cells without numbers -> reason.
        refused: The cells among them that do not apply.
    """
    families: dict[str, FamilyRows] = {}
    shown_as: dict[str, str] = {}
    for entry in methods:
        label, family = entry["label"], entry.get("family")
        shown_as[label] = family["label"] if family else label
        if family:
            rows = families.setdefault(family["label"], FamilyRows(family["label"], family["kind"], {}))
            rows.members[label] = family["number"]
    merged = Merged(
        tuple(dict.fromkeys(shown_as.values())),
        shown_as,
        families,
        results,
        timings,
        list(complexity),
        dict(cells),
        {cell: reason for cell, reason in missing.items() if shown_as[cell[0]] == cell[0]},
    )
    if not families:
        return merged
    # cell of a network -> label of the entry that shows it; times are those of the first draw, like costs and images
    shown = {cell: cell[0] for cell in cells if shown_as.get(cell[0]) == cell[0] and cell[0] not in families}
    timed = dict(shown)
    for family in families.values():
        for table in tables:
            members = _place(merged, family, table, missing, refused)
            shown |= dict.fromkeys(members, family.label)
            timed |= dict.fromkeys(members[:1], family.label)
    merged.values.update(_values(results, merged))
    without_costs = _without_costs(families, complexity)
    return replace(
        merged,
        results=_averaged(_relabeled(results, shown), merged),
        timings=_relabeled(timings, timed),
        complexity=[
            {**entry, "method": shown_as.get(entry["method"], entry["method"])}
            for entry in complexity
            if entry["method"] not in without_costs
        ],
    )


def _place(
    merged: Merged,
    family: FamilyRows,
    table: tuple[str, str],
    missing: Mapping[Cell, str],
    refused: Collection[Cell],
) -> list[Cell]:
    """Add the cell of an entry for one table, and return the cells of the networks that it shows."""
    label, cell = family.label, (family.label, *table)
    every: list[Cell] = [(member, *table) for member in family.members]
    applicable = [each for each in every if each not in refused] or every
    wanted = applicable if family.kind == "draws" else applicable[-1:]
    shown = [each for each in wanted if each not in missing]
    lacking = [each for each in wanted if each in missing]
    if not shown:
        merged.missing[cell] = missing[lacking[0]]
        return []
    merged.cells[cell] = merged.cells[shown[0]]
    if lacking:
        named = ", ".join(f"draw {family.members[each[0]]}: {missing[each]}" for each in lacking)
        merged.incomplete[cell] = f"{label}: mean of {len(shown)} of {len(wanted)} draws ({named})"
    return shown


def _without_costs(families: Mapping[str, FamilyRows], complexity: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the networks whose costs are not shown: all of an entry except the first one that has costs."""
    known = {entry["method"] for entry in complexity}
    rest: set[str] = set()
    for family in families.values():
        measured = [member for member in family.members if member in known]
        rest |= set(measured[1:])
    return rest


def _relabeled(rows: pd.DataFrame, shown: Mapping[Cell, str]) -> pd.DataFrame:
    """Return the rows of the cells that are shown, with the labels of their entries."""
    index = pd.MultiIndex.from_frame(rows[["method", "dataset", "mask"]])
    labels = index.map(lambda cell: shown.get(cell)) if len(index) else pd.Index([], dtype=object)
    rows = rows.assign(method=np.asarray(labels, dtype=object))
    return rows[rows["method"].notna()].reset_index(drop=True)


def _averaged(rows: pd.DataFrame, merged: Merged) -> pd.DataFrame:
    """Return the results with the mean over the draws for each image; NaN if a draw's value is not finite."""
    drawn = {label for label, family in merged.families.items() if family.kind == "draws"}
    parts = []
    for label in merged.methods:
        part = rows[rows["method"] == label]
        if label in drawn and len(part):
            keys = [column for column in rows.columns if column != "value"]
            part = part.assign(value=part["value"].where(np.isfinite(part["value"])))
            groups = part.groupby(keys, dropna=False, sort=False)["value"]
            part = groups.mean().where(groups.count() == groups.size()).reset_index()[rows.columns]
        parts.append(part)
    return pd.concat([part for part in parts if len(part)], ignore_index=True) if rows.size else rows


def _values(results: pd.DataFrame, merged: Merged) -> Values:
    """Return the mean of each network of an entry with several, by the number of the network."""
    numbers = {member: number for family in merged.families.values() for member, number in family.members.items()}
    rows = results[results["method"].isin(list(numbers)) & np.isfinite(results["value"])]
    found: Values = {}
    for (method, dataset, mask, metric), mean in rows.groupby(["method", *TABLE], sort=False)["value"].mean().items():
        number = numbers[method]
        if number is not None:
            found.setdefault((merged.shown_as[method], dataset, mask, metric), {})[number] = float(mean)
    return found


def networks_csv(families: Mapping[str, FamilyRows], values: Values, stamp: str) -> str:
    """Return the mean of every draw and checkpoint as CSV; ``stamp`` is the mark of a rehearsal or empty."""
    rows = [
        (label, families[label].kind, number, dataset, mask, metric, mean)
        for (label, dataset, mask, metric), means in values.items()
        for number, mean in sorted(means.items())
    ]
    frame = pd.DataFrame(rows, columns=["method", "kind", "number", *TABLE, "mean"])
    frame = frame.assign(rehearsal=stamp) if stamp else frame
    return frame.to_csv(index=False, lineterminator="\n")
