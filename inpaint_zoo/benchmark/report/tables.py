"""Content of the tables before it is rendered as HTML, Markdown or LaTeX: entries, bold sets, and verdicts in words.

Bold are the best method and all methods that do not differ significantly from it, if at least one other method does. If
no difference is significant, nothing is bold, and a sentence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

import pandas as pd

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.typography import DASH, decimal, thousands, with_spread
from inpaint_zoo.benchmark.report.verdicts import Verdict, best_against_others, joined
from inpaint_zoo.metrics import MetricInfo

__all__ = [
    "Column",
    "Entry",
    "Matrix",
    "MatrixRow",
    "MethodRow",
    "ScoreTable",
    "count_images",
    "matrices",
    "short_title",
    "tables",
]


@dataclass(frozen=True)
class Entry:
    """One number of a table.

    Attributes:
        method: Label of the method.
        mean: NaN if no image gave a finite value.
        low, high: 95 % interval; NaN if there is none.
        rank: 1 is best.
        shared_rank: Rank in which methods that the tests cannot tell apart are equal; None if not tested.
        p_value: Holm-adjusted p-value against the best method; None if not tested.
        tied: Whether it does not differ significantly from the best method; None if not tested.
        bold: Whether it is printed in bold; see the module's docstring.
        n_images, n_groups: Numbers of images and source images; None if unknown.
        n_nan: Number of values that were left out because they were not finite.
        digits: Number of decimals to print.
        spread: Standard deviation over the draws; None for a method with fewer than two draws.
    """

    method: str
    mean: float
    low: float
    high: float
    rank: int | None
    p_value: float | None
    tied: bool | None
    bold: bool
    n_images: int | None
    n_groups: int | None
    n_nan: int
    digits: int
    spread: float | None = None
    shared_rank: int | None = None

    @property
    def text(self) -> str:
        """The mean as printed, with the standard deviation over the draws if there is one."""
        return DASH if pd.isna(self.mean) else with_spread(self.mean, self.spread, self.digits)

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return not (pd.isna(self.low) or pd.isna(self.high))

    @property
    def interval(self) -> str:
        """The interval as printed; empty if there is none."""
        if not self.has_interval:
            return ""
        return f"[{decimal(self.low, self.digits)}, {decimal(self.high, self.digits)}]"


@dataclass(frozen=True)
class Column:
    """One metric of one table, best method first; `span` gives the range of all its numbers."""

    info: MetricInfo
    entries: tuple[Entry, ...]
    verdict: Verdict

    @property
    def arrow(self) -> str:
        """Arrow in the direction of better values."""
        return "↑" if self.info.higher_is_better else "↓"

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest number of the column, including intervals; (0, 1) if there is none."""
        ends = [x for e in self.entries for x in (e.mean, e.low, e.high) if not pd.isna(x)]
        return (min(ends), max(ends)) if ends else (0.0, 1.0)


@dataclass(frozen=True)
class MethodRow:
    """One method of a table: its entry for every metric, or why it has none."""

    method: str
    entries: tuple[Entry | None, ...]
    missing: str | None


@dataclass(frozen=True)
class ScoreTable:
    """The table of one (dataset, mask set).

    Attributes:
        dataset, mask: Labels.
        deblurring: Whether the holes show a mosaic of the ground truth.
        images: Number of images, such as "12 crops of 4 images".
        columns: One per metric.
        rows: Best first by the suite's first metric; rows without numbers come last.
        verdicts: (metric titles, sentence); metrics with the same verdict are grouped.
        notes: Left-out values, and methods scored on fewer images or on another form of their results than others.
    """

    dataset: str
    mask: str
    deblurring: bool
    images: str
    columns: tuple[Column, ...]
    rows: tuple[MethodRow, ...]
    verdicts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MatrixRow:
    """One method for one metric over all tables; `missing` says why an entry is None."""

    method: str
    entries: tuple[Entry | None, ...]
    missing: tuple[str | None, ...]
    mean_rank: float | None
    n_ranks: int


@dataclass(frozen=True)
class Matrix:
    """One metric over all (dataset, mask set) tables: methods in most tables first, then by mean rank.

    ``counted`` is the number of tables in the mean ranks: all except the deblurring ones.
    """

    info: MetricInfo
    tables: tuple[tuple[str, str], ...]
    counted: int
    rows: tuple[MatrixRow, ...]


def tables(run: Run) -> list[ScoreTable]:
    """Return a table for every (dataset, mask set) of the suite, including those without numbers; none if all are."""
    return [] if run.results.empty else [_table(run, dataset, mask) for dataset, mask in run.tables]


def matrices(run: Run, score_tables: Sequence[ScoreTable]) -> list[Matrix]:
    """Return one matrix per metric."""
    return [_matrix(run, name, score_tables) for name in run.infos]


def count_images(n_images: int, n_groups: int, draws: int = 1) -> str:
    """Return the number of images and, for crops, of source images; and of the masks of each image if it has several.

    Example:
        >>> count_images(12, 4), count_images(1, 1), count_images(3, 3, draws=5)
        ('12 crops of 4 images', '1 image', '3 images, each with 5 masks')
    """
    images = f"{n_groups} image{'' if n_groups == 1 else 's'}"
    crops = images if n_images == n_groups else f"{n_images} crops of {images}"
    return crops if draws == 1 else f"{crops}, each with {draws} masks"


def short_title(info: MetricInfo) -> str:
    """Return the title for running text; "L1 %" is another metric than "L1"."""
    return f"{info.title} %" if info.unit == "%" else info.title


def _table(run: Run, dataset: str, mask: str) -> ScoreTable:
    columns = tuple(
        _column(run, run.summary_rows.get((dataset, mask, name), ()), info) for name, info in run.infos.items()
    )
    rows = [
        MethodRow(
            method,
            tuple(next((e for e in column.entries if e.method == method), None) for column in columns),
            run.missing.get((method, dataset, mask)),
        )
        for method in run.methods
    ]
    images = run.scored_images(dataset, mask)
    n_images, draws = len(images), run.draws.get(mask, 1)
    return ScoreTable(
        dataset=dataset,
        mask=mask,
        deblurring=mask in run.deblurring,
        images=count_images(-(-n_images // draws), len(set(images.values())), draws),
        columns=columns,
        rows=tuple(sorted(rows, key=_row_order)),
        verdicts=_together(columns),
        notes=(
            *_notes(columns, n_images),
            *_family_notes(run, dataset, mask),
            *(
                f"{info.title}: {text}."
                for name, info in run.infos.items()
                for text in run.set_notes(name, dataset, mask)
            ),
            *(
                f"{short_title(info)} measures results before they are rounded to 8 bits, but "
                f"{', '.join(methods)} returned only 8-bit results, which were measured instead."
                for name, info in run.infos.items()
                if (methods := run.from_bytes(name, dataset, mask))
            ),
        ),
    )


def _row_order(row: MethodRow) -> tuple[bool, float]:
    ranks = [entry.rank for entry in row.entries if entry is not None and entry.rank is not None]
    return row.missing is not None, ranks[0] if ranks else float("inf")


def _column(run: Run, rows: Sequence[dict[str, Any]], info: MetricInfo) -> Column:
    separated = any(not pd.isna(row["tied_with_best"]) and not row["tied_with_best"] for row in rows)
    draws = [run.draws_of(row["method"], row["dataset"], row["mask"], info.name) for row in rows]
    entries = [_entry(row, separated, info.digits, means) for row, means in zip(rows, draws, strict=True)]
    entries.sort(key=lambda entry: float("inf") if entry.rank is None else entry.rank)
    return Column(info, tuple(entries), _verdict(entries, info))


def _entry(row: dict[str, Any], separated: bool, digits: int, draws: Sequence[float]) -> Entry:
    """Return the entry for one row of the summary, whose method has draws with these means."""
    tied = None if pd.isna(row["tied_with_best"]) else bool(row["tied_with_best"])
    return Entry(
        method=row["method"],
        mean=row["mean"],
        low=row["ci_low"],
        high=row["ci_high"],
        rank=None if pd.isna(row["rank"]) else int(row["rank"]),
        p_value=None if pd.isna(row["p_value"]) else float(row["p_value"]),
        tied=tied,
        bold=separated and tied is True,
        n_images=None if pd.isna(row["n_images"]) else int(row["n_images"]),
        n_groups=None if pd.isna(row["n_groups"]) else int(row["n_groups"]),
        n_nan=int(row["n_nan"]),
        digits=digits,
        spread=stdev(draws) if len(draws) > 1 else None,
        shared_rank=None if pd.isna(row["shared_rank"]) else int(row["shared_rank"]),
    )


def _verdict(entries: Sequence[Entry], info: MetricInfo) -> Verdict:
    """Return what the data say about one metric of one table."""
    scored = [entry for entry in entries if entry.rank is not None]
    if not scored:
        return Verdict("no method has a value")
    if len(scored) == 1:
        return Verdict(f"only {scored[0].method} has a value, so there is nothing to compare")
    if not info.per_image:
        return Verdict("one number for a whole set: ranked, but without a test, so nothing is bold")
    return best_against_others(
        scored[0].method,
        {each.method: each.p_value for each in scored[1:] if not each.tied and each.p_value is not None},
        [each.method for each in scored[1:] if each.tied],
        max(each.n_groups or 0 for each in scored),
    )


def _together(columns: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    """Group metrics that share a verdict."""
    alike: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        alike.setdefault(column.verdict.key, []).append(column)
    return tuple(
        (", ".join(short_title(each.info) for each in found), joined([each.verdict for each in found]))
        for found in alike.values()
    )


def _notes(columns: Sequence[Column], n_images: int) -> list[str]:
    notes = []
    for column in columns:
        for entry in column.entries:
            if entry.n_nan:
                notes.append(
                    f"{short_title(column.info)}, {entry.method}: {entry.n_nan} value(s) were not finite and left out."
                )
            elif column.info.per_image and entry.n_images is not None and entry.n_images < n_images:
                notes.append(f"{short_title(column.info)}, {entry.method}: only {entry.n_images} of {n_images} images.")
    return notes


def _family_notes(run: Run, dataset: str, mask: str) -> list[str]:
    """Return what the numbers of methods with draws or checkpoints are."""
    notes = []
    for label, family in run.families.items():
        cell = (label, dataset, mask)
        if cell in run.missing:
            continue
        if cell in run.incomplete:
            notes.append(f"{run.incomplete[cell]}. The number after ± is their standard deviation.")
        elif family.kind == "draws":
            notes.append(f"{label}: mean ± standard deviation of {len(family.members)} draws.")
        else:
            steps = [step for key, means in run.values.items() if key[:3] == cell for step in means]
            if steps:
                notes.append(f"{label}: checkpoint of step {thousands(max(steps))}, the last of {len(set(steps))}.")
    return notes


def _matrix(run: Run, name: str, score_tables: Sequence[ScoreTable]) -> Matrix:
    at = list(run.infos).index(name)
    rows = []
    for method in run.methods:
        found = [next(row for row in table.rows if row.method == method) for table in score_tables]
        entries = tuple(row.entries[at] for row in found)
        ranks = [
            entry.rank
            for entry, table in zip(entries, score_tables, strict=True)
            if entry is not None and entry.rank is not None and not table.deblurring
        ]
        mean_rank = sum(ranks) / len(ranks) if ranks else None
        rows.append(MatrixRow(method, entries, tuple(row.missing for row in found), mean_rank, len(ranks)))
    rows.sort(key=lambda row: (-row.n_ranks, row.mean_rank))  # a mean over fewer tables does not compare
    names = tuple((table.dataset, table.mask) for table in score_tables)
    return Matrix(run.infos[name], names, sum(not table.deblurring for table in score_tables), tuple(rows))
