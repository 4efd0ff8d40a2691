"""The keys of a suite that place a paper's numbers beside those of a run.

```yaml
paper: {table: ../paper_tables/lgnet.csv, number: I, notes: [...]}   # once for each suite
methods:
  - {model: lgnet, weights: lgnet.safetensors, paper: LGNet}                      # a row of the table
  - {model: lgnet, weights: h1.safetensors, paper: {method: LGNet, setting: "lambda_h=1"}}
  - {quoted: [PEN, "M*"]}                                                         # rows without a method of ours
datasets: [{name: celeba_hq, paper: CelebA-HQ}]
masks:
  - {name: synthetic_10_20, paper: 10-20%}
  - {name: center, size: 128, input_mode: mosaic, paper: {mask: 20-30%, methods: [Deblurring]}}  # for these rows only
metrics: [{name: mae_isnet, paper: {metric: l1_percent, times: 100}}]
```
Entries without `paper` are not compared. If the table has one dataset or one mask set and the suite as well, they
belong together without the key. An entry that stands for several mask sets (`bins`) takes a list of names, null
for those that the table does not have.
`average: [masks]` in `paper` compares the mean over several entries with one name.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from inpaint_zoo.benchmark.paper import PaperRow, PaperTable, read_paper_table
from inpaint_zoo.config import Keys, Table, listing, mapping, number, string
from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["Labeled", "MetricMatch", "Note", "PaperMap", "PaperReader"]

AVERAGED = ("methods", "datasets", "masks")
Labeled = tuple[Table, str]  # an entry of the suite and its label


class MetricMatch(NamedTuple):
    """A metric or cost figure that corresponds to a metric of the table.

    Attributes:
        ours: Name of ours.
        paper: Name in the table.
        times: Factor that converts ours to the unit of the table.
        figure: Whether it is a figure of `costs`.
        rows: Methods of the table to which it applies; empty for all that no other match names.
        hardware: Hardware on which the paper measured; empty if it does not matter or is not stated.
    """

    ours: str
    paper: str
    times: float = 1.0
    figure: bool = False
    rows: tuple[str, ...] = ()
    hardware: str = ""


class MaskMatch(NamedTuple):
    """A mask set that some rows of a table were made with, in place of the others that have its name in the table.

    Attributes:
        ours: Label of ours.
        paper: Name in the table.
        rows: Methods of the table to which it applies.
    """

    ours: str
    paper: str
    rows: tuple[str, ...]


class Note(NamedTuple):
    """A remark on the comparison; it concerns the cells of a method and metric, or all if these are empty."""

    text: str
    method: str = ""
    metric: str = ""


@dataclass(frozen=True)
class PaperMap:
    """Correspondence between a suite and a printed table.

    Attributes:
        table: The table.
        rows: Row -> labels of our methods.
        datasets, masks: Name in the table -> labels of ours.
        own_masks: Mask sets that apply to some rows only.
        metrics: Matching metrics and figures.
        quoted: Rows that are shown with the paper's numbers only.
        average: Axes over which several entries of one name are averaged.
        notes: Remarks.
    """

    table: PaperTable
    rows: dict[PaperRow, list[str]] = field(default_factory=dict)
    datasets: dict[str, list[str]] = field(default_factory=dict)
    masks: dict[str, list[str]] = field(default_factory=dict)
    own_masks: tuple[MaskMatch, ...] = ()
    metrics: tuple[MetricMatch, ...] = ()
    quoted: tuple[PaperRow, ...] = ()
    average: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return plain values that contain the table itself, so that a report needs no other file."""
        return {
            "paper": self.table.paper,
            "table": self.table.number,
            "rows": [{**row._asdict(), "ours": labels} for row, labels in self.rows.items()],
            "quoted": [row._asdict() for row in self.quoted],
            "datasets": self.datasets,
            "masks": self.masks,
            **(
                {"own_masks": [{**match._asdict(), "rows": list(match.rows)} for match in self.own_masks]}
                if self.own_masks
                else {}
            ),
            "metrics": [{**match._asdict(), "rows": list(match.rows)} for match in self.metrics],
            "average": list(self.average),
            "notes": [note._asdict() for note in self.notes],
            "cells": [list(cell) for cell in self.table.cells],
        }


class PaperReader:
    """Reads the paper's keys of a suite: `take` removes them from the entries, `read` checks them.

    Args:
        top: Top level of the suite.
        base: Folder of the suite file.
    """

    def __init__(self, top: Table, base: Path) -> None:
        self._top, self._base = top, base
        self._given: dict[Keys, Any] = {}
        self._quoted: list[Table] = []

    def take(self, tables: Sequence[Table]) -> list[Table]:
        """Return the entries of one list without the key `paper`, and without quoted rows.

        Raises:
            ZooError: If an entry has such keys and the suite names no table.
        """
        kept = []
        for table in tables:
            for key in ("paper", "quoted"):
                if key in table.values and "paper" not in self._top.values:
                    example = "`paper: {table: FILE.csv, number: NUMBER}`"
                    raise table.error(f"'{key}' refers to a table of a paper: add {example} to the suite.", key)
            if "quoted" in table.values:
                table.allow(("quoted",))
                self._quoted.append(table)
                continue
            if "paper" in table.values:
                self._given[table.keys] = table.values["paper"]
                rest = {key: value for key, value in table.values.items() if key != "paper"}
                table = Table(table.document, table.title, rest, table.keys)
            kept.append(table)
        return kept

    def read(
        self,
        methods: Iterable[Labeled],
        datasets: Iterable[Labeled],
        masks: Iterable[Labeled],
        metrics: Iterable[Labeled],
        figures: Iterable[Labeled],
    ) -> PaperMap | None:
        """Return the correspondence; None if the suite names no table.

        Raises:
            ZooError: If the table is not found or lacks a name, or two entries claim the same name.
        """
        if "paper" not in self._top.values:
            return None
        self._top.need("paper", mapping)
        keys = Table(self._top.document, "`paper`", self._top.values["paper"], (*self._top.keys, "paper"))
        keys.allow(("table", "number", "average", "notes"))
        try:
            table = read_paper_table(self._base / keys.need("table", string), keys.need("number", _number))
        except ZooError as error:
            raise keys.located(error) from error
        average = tuple(str(axis) for axis in keys.get("average", listing) or ())
        for axis in average:
            if axis not in AVERAGED:
                raise keys.error(str(unknown_name("axis in `average`:", axis, AVERAGED)), "average")
        rows: dict[PaperRow, list[str]] = {}
        for entry, label, value in self._claims(methods):
            row = _row(entry, table, value)
            self._claim(rows, row, label, entry, "methods" in average)
        matches = [
            *self._matches(table, metrics, figure=False),
            *self._matches(table, figures, figure=True),
        ]
        masks = list(masks)
        own_masks = tuple(self._own_masks(table, masks))
        general = [entry for entry in masks if entry[1] not in {match.ours for match in own_masks}]
        return PaperMap(
            table=table,
            rows=rows,
            datasets=self._axis("dataset", table.datasets, datasets, "datasets" in average),
            masks=self._axis("mask set", table.masks, general, "masks" in average),
            own_masks=own_masks,
            metrics=tuple(matches),
            quoted=tuple(row for row in table.rows if row in self._quoted_rows(table, rows)),
            average=average,
            notes=tuple(self._notes(keys, table)) if "notes" in keys.values else (),
        )

    def _claims(self, entries: Iterable[Labeled]) -> Iterator[tuple[Table, str, Any]]:
        """Yield (entry, label, value of `paper`) of the entries that have the key."""
        by_entry: dict[Keys, list[Labeled]] = {}
        for entry, label in entries:
            if entry.keys in self._given:
                by_entry.setdefault(entry.keys, []).append((entry, label))
        for keys, labeled in by_entry.items():
            value = self._given[keys]
            if isinstance(value, list) and len(value) != len(labeled):
                raise labeled[0][0].error(
                    f"'paper' lists {len(value)} names, but the entry stands for {len(labeled)}: "
                    f"{', '.join(label for _, label in labeled)}."
                )
            values = value if isinstance(value, list) else [value] * len(labeled)
            yield from ((*pair, each) for pair, each in zip(labeled, values, strict=True) if each is not None)

    def _claim(self, found: dict[Any, list[str]], name: object, label: str, entry: Table, several: bool) -> None:
        if name in found and not several:
            shown = ", ".join(filter(None, name)) if isinstance(name, tuple) else name
            raise entry.error(
                f"'{label}' and '{found[name][0]}' are both compared with the paper's '{shown}'; to compare their "
                "mean, name the list in `average` of `paper`."
            )
        found.setdefault(name, []).append(label)

    def _axis(self, kind: str, names: Sequence[str], entries: Iterable[Labeled], several: bool) -> dict[str, list[str]]:
        """Return name in the table -> labels; a single name belongs to entries without the key."""
        entries = list(entries)
        found: dict[str, list[str]] = {}
        for entry, label, value in self._claims(entries):
            if value not in names:
                raise entry.error(str(unknown_name(f"{kind} of the paper's table:", value, names)))
            self._claim(found, value, label, entry, several)
        if not found and len(names) == 1 and (several or len(entries) == 1):
            found = {names[0]: [label for _, label in entries]}
        return found

    def _own_masks(self, table: PaperTable, masks: Iterable[Labeled]) -> Iterator[MaskMatch]:
        for entry, label, value in self._claims(masks):
            if not isinstance(value, dict):
                continue
            keys = Table(entry.document, "`paper`", value, entry.keys)
            keys.allow(("mask", "methods"))
            single = "mask" not in value and len(table.masks) == 1
            name = table.masks[0] if single else keys.need("mask", string)
            if name not in table.masks:
                raise entry.error(str(unknown_name("mask set of the paper's table:", name, table.masks)))
            rows = tuple(str(row) for row in keys.need("methods", listing))
            for row in rows:
                _check(entry, "method", row, table.methods)
            yield MaskMatch(label, name, rows)

    def _matches(self, table: PaperTable, entries: Iterable[Labeled], figure: bool) -> Iterator[MetricMatch]:
        for entry, label, value in self._claims(entries):
            given = value if isinstance(value, dict) else {"metric": value}
            keys = Table(entry.document, "`paper`", given, entry.keys)
            keys.allow(("metric", "times", "methods", "hardware"))
            name = keys.need("metric", string)
            if name not in table.metrics:
                raise entry.error(str(unknown_name("metric of the paper's table:", name, table.metrics)))
            rows = tuple(str(row) for row in keys.get("methods", listing) or ())
            for row in rows:
                _check(entry, "method", row, table.methods)
            times = keys.get("times", number(0), 1.0) or 1.0
            yield MetricMatch(label, name, times, figure, rows, keys.get("hardware", string, "") or "")

    def _quoted_rows(self, table: PaperTable, mapped: Collection[PaperRow]) -> set[PaperRow]:
        found: set[PaperRow] = set()
        for entry in self._quoted:
            value = entry.values["quoted"]
            for pattern in value if isinstance(value, list) else [value]:
                matching = fnmatch.filter(table.methods, str(pattern))
                if not matching:
                    raise entry.error(str(unknown_name("method of the paper's table:", pattern, table.methods)))
                rows = {row for row in table.rows if row.method in matching}
                if pattern in table.methods and rows <= set(mapped):
                    raise entry.error(f"'{pattern}' is quoted, but another method of the suite is compared with it.")
                found |= rows - set(mapped)
        return found

    def _notes(self, keys: Table, table: PaperTable) -> Iterator[Note]:
        for entry in keys.items("notes", "a note", "text"):
            entry.allow(("text", "method", "metric"))
            note = Note(
                entry.need("text", string), entry.get("method", string, "") or "", entry.get("metric", string, "") or ""
            )
            for kind, name, names in (("method", note.method, table.methods), ("metric", note.metric, table.metrics)):
                if name:
                    _check(entry, kind, name, names)
            yield note


def _number(value: object) -> str:
    """Parse the number of a table, such as 4 or IV."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value):
        raise ValueError("the number of a table as printed, such as 4 or IV")
    return str(value)


def _check(entry: Table, kind: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise entry.error(str(unknown_name(f"{kind} of the paper's table:", name, names)))


def _row(entry: Table, table: PaperTable, value: object) -> PaperRow:
    """Return the row that the key `paper` of a method names."""
    given = value if isinstance(value, dict) else {"method": value}
    keys = Table(entry.document, "`paper`", given, entry.keys)
    keys.allow(("method", "setting"))
    methods = table.methods
    method = methods[0] if "method" not in given and len(methods) == 1 else keys.need("method", string)
    _check(entry, "method", method, methods)
    settings = table.settings(method)
    if "setting" in given:
        setting = str(given["setting"])
        _check(entry, "setting", setting, settings)
        return PaperRow(method, setting)
    if len(settings) > 1:
        raise entry.error(
            f"the paper's table has several rows of '{method}'; name one with "
            f"`paper: {{method: {method}, setting: ...}}`: {', '.join(settings)}."
        )
    return PaperRow(method, settings[0])
