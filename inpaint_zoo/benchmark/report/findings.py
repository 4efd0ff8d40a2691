"""What the tests of a run say, in sentences: the same lines on the terminal, on the page, and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inpaint_zoo.benchmark.report.tables import Column, ScoreTable, short_title
from inpaint_zoo.benchmark.report.verdicts import joined

__all__ = ["SHOWN_FINDINGS", "Finding", "findings"]

SHOWN_FINDINGS = 8  # at the top of the report and on the terminal; all verdicts are with their tables


class Finding(NamedTuple):
    """A verdict, with the metrics and the tables of one dataset that it holds for.

    Attributes:
        dataset: Label of the dataset.
        masks: (number of the table, from 1; label of its mask set).
        titles: Titles of the metrics.
        text: The sentence.
    """

    dataset: str
    masks: tuple[tuple[int, str], ...]
    titles: str
    text: str

    @property
    def line(self) -> str:
        """The finding as one line of text."""
        return f"{self.dataset}, {', '.join(mask for _, mask in self.masks)}: {self.titles}: {self.text}"


def findings(tables: Sequence[ScoreTable]) -> list[Finding]:
    """Return the verdicts on the per-image metrics, those with significant differences first.

    The verdicts of a dataset that agree are merged.

    Verdicts agree if they state the same about the same methods. Metrics are merged within a table first, then tables
    with the same metrics. The stated p-value is the largest one.
    """
    merged: dict[tuple[object, ...], list[tuple[int, str, list[Column]]]] = {}
    for number, table in enumerate(tables, start=1):
        alike: dict[tuple[str, str], list[Column]] = {}
        for column in table.columns:
            if column.info.per_image:
                alike.setdefault(column.verdict.key, []).append(column)
        for verdict, columns in alike.items():
            titles = ", ".join(short_title(column.info) for column in columns)
            content = (table.dataset, titles, table.deblurring, verdict)
            merged.setdefault(content, []).append((number, table.mask, columns))
    ordered = sorted(merged.items(), key=lambda item: item[1][0][2][0].verdict.p_value is None)  # stable
    return [
        Finding(
            str(dataset),
            tuple((number, mask) for number, mask, _ in found),
            str(titles),
            joined([column.verdict for _, _, columns in found for column in columns]),
        )
        for (dataset, titles, *_), found in ordered
    ]
