"""Write the scores of a study: scores.csv, votes.csv (who preferred what) and scores.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inpaint_zoo.benchmark.report.files import csv_text
from inpaint_zoo.benchmark.report.markdown import bullets, escape, pipe_table
from inpaint_zoo.benchmark.report.notes import count
from inpaint_zoo.benchmark.report.typography import NBSP, decimal
from inpaint_zoo.benchmark.study.key import Mode
from inpaint_zoo.benchmark.study.scores import Estimate, MethodScore, Scored, StudyTable
from inpaint_zoo.io.atomic import write_bytes

__all__ = ["header", "headline", "row_texts", "write_scores"]

TITLES = {"rank": ("average rank ↓", "ranked first"), "pairs": ("Bradley-Terry score ↑", "chosen")}
NAMES = {"rank": ("average_rank", "first_share"), "pairs": ("bradley_terry", "chosen_share")}
EXPLAINED = {
    "rank": f"Rank 1 is best. Brackets are 95{NBSP}% intervals of a bootstrap that draws raters and source images.",
    "pairs": (
        "A method is preferred to another one with the probability 1 / (1 + exp(-d)), where d is the difference of "
        f"their scores; the mean score is 0. Brackets are 95{NBSP}% intervals of a bootstrap that draws raters and "
        "source images."
    ),
}
TEST = (
    f"A method differs from the best one if the bootstrap interval of the difference excludes 0, at 5{NBSP}% after "
    "Bonferroni's correction."
)


def header(mode: Mode) -> tuple[str, ...]:
    """Return the titles of the columns of `row_texts`."""
    return "method", "votes", *TITLES[mode], "differs from the best"


def headline(table: StudyTable) -> str:
    """Return what a table is based on."""
    return (
        f"{table.dataset}: {count(table.votes, 'answer')} of {count(table.raters, 'rater')} "
        f"about {count(table.images, 'image')}"
    )


def row_texts(row: MethodScore, first: bool) -> tuple[str, ...]:
    """Return one row as printed.

    Args:
        row: The method.
        first: Whether it is the best one.
    """
    differs = "" if first or row.differs is None else "yes" if row.differs else "no"
    return row.method, str(row.votes), _text(row.score, 1, 2, ""), _text(row.share, 100, 0, f"{NBSP}%"), differs


def write_scores(scored: Scored, folder: str | Path) -> Path:
    """Write the three files to the folder of a study, and return the path of scores.md."""
    folder = Path(folder)
    write_bytes(folder / "scores.csv", _scores_csv(scored).encode())
    write_bytes(folder / "votes.csv", _votes_csv(scored).encode())
    write_bytes(folder / "scores.md", _markdown(scored).encode())
    return folder / "scores.md"


def _text(estimate: Estimate, factor: float, digits: int, unit: str) -> str:
    value, low, high = (decimal(factor * each, digits) for each in estimate)
    return f"{value}{unit}" if np.isnan(estimate.low) else f"{value}{unit} [{low}, {high}]"


def _scores_csv(scored: Scored) -> str:
    score, share = NAMES[scored.key.mode]
    columns = [f"{name}{part}" for name in (score, share) for part in ("", "_low", "_high")]
    rows = (
        [table.dataset, row.method, row.votes, *map(_plain, (*row.score, *row.share)), row.differs]
        for table in scored.tables
        for row in table.rows
    )
    return csv_text(["dataset", "method", "votes", *columns, "differs_from_best"], rows)


def _votes_csv(scored: Scored) -> str:
    key = scored.key
    rows = (
        [vote.rater + 1, scored.answers.raters[vote.rater], *key.items[vote.item], key.methods[method], rank]
        for vote in scored.answers.votes
        for rank, method in enumerate(vote.methods, start=1)
    )
    return csv_text(["rater", "name", "dataset", "mask", "image", "group", "method", "rank"], rows)


def _plain(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))


def _markdown(scored: Scored) -> str:
    parts = [f"# User study of {escape(scored.key.run)}", f"Question: {escape(scored.key.question)}"]
    if scored.answers.refused:
        parts += ["**Refused files**", bullets(f"{name}: {why}" for name, why in scored.answers.refused.items())]
    if lines := scored.caveats():
        parts += ["**Caveats and limits**", bullets(lines)]
    for table in scored.tables:
        rows = [[escape(cell) for cell in row_texts(row, at == 0)] for at, row in enumerate(table.rows)]
        parts += [f"## {escape(table.dataset)}", f"{escape(headline(table))}. {escape(table.verdict)}"]
        parts += [pipe_table(header(scored.key.mode), rows), escape(table.agreement)]
        if table.wins is not None:
            parts.append(_matrix(table))
    parts += ["## How to read this", bullets([EXPLAINED[scored.key.mode], TEST])]
    return "\n\n".join(parts) + "\n"


def _matrix(table: StudyTable) -> str:
    """Return how often the row was preferred to the column."""
    wins = table.wins
    if wins is None:
        return ""
    names = [escape(row.method) for row in table.rows]
    rows = []
    for at, name in enumerate(names):
        totals = wins[at] + wins[:, at]
        rows.append([name, *(f"{n} of {m}" if m else "" for n, m in zip(wins[at], totals, strict=True))])
    return pipe_table(["row preferred to column", *names], rows)
