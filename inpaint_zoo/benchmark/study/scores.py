"""Score the answers of a study: average ranks or Bradley-Terry scores, with intervals and the agreement of raters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.benchmark.report.notes import count
from inpaint_zoo.benchmark.report.typography import NBSP
from inpaint_zoo.benchmark.statistics import ALPHA
from inpaint_zoo.benchmark.study.answers import Answers, Vote, read_answers
from inpaint_zoo.benchmark.study.key import Key, read_key
from inpaint_zoo.benchmark.study.preference import (
    bradley_terry,
    choice_agreement,
    kendall_w,
    no_agreement_p_value,
    resample,
)
from inpaint_zoo.errors import ZooError

__all__ = ["ALL", "MethodScore", "Scored", "StudyTable", "score_study"]

ALL = "all images"
FEW_RATERS = 10  # with fewer, percentile intervals are clearly too narrow

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A number with its 95 % interval; NaN without an interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MethodScore:
    """One method.

    Attributes:
        method: Its label.
        votes: Number of answers in which it was shown.
        score: Average rank (1 is best), or Bradley-Terry score (higher is better, mean 0).
        share: Share of the answers in which it was ranked first, or chosen.
        differs: Whether its score differs significantly from that of the best method; None if not tested.
    """

    method: str
    votes: int
    score: Estimate
    share: Estimate
    differs: bool | None


@dataclass(frozen=True)
class StudyTable:
    """The scores for one dataset or all images, best method first.

    Attributes:
        dataset: Label, or `ALL`.
        votes, raters, images: Numbers of answers, raters and images.
        rows: The methods that were shown.
        agreement: Sentence about the agreement of raters.
        verdict: Sentence about the best method.
        wins: For pairs, (M, M) number of times that the row was preferred to the column, in the order of ``rows``.
    """

    dataset: str
    votes: int
    raters: int
    images: int
    rows: tuple[MethodScore, ...]
    agreement: str
    verdict: str
    wins: NDArray[np.int64] | None


@dataclass(frozen=True)
class Scored:
    """The result of a study."""

    key: Key
    answers: Answers
    tables: tuple[StudyTable, ...]

    def caveats(self) -> list[str]:
        """Return the limits of the numbers."""
        lines = list(self.answers.notes)
        raters = len(self.answers.raters)
        if raters < FEW_RATERS:
            lines.append(f"Few raters ({raters}): bootstrap intervals are then too narrow.")
        return lines


def score_study(folder: str | Path) -> Scored:
    """Score the answers in the folder of a study.

    Raises:
        ZooError: If it is not the folder of a study, or no file of answers can be used.
    """
    folder = Path(folder)
    key = read_key(folder)
    answers = read_answers(folder, key)
    if not answers.votes:
        first = next(iter(answers.refused.items()))
        raise ZooError(f"No file in {folder / 'answers'} can be used. {first[0]}: {first[1]}.")
    datasets = list(dict.fromkeys(item.dataset for item in key.items))
    tables = [_table(key, answers.votes, ALL)]
    if len(datasets) > 1:
        parts = {name: [vote for vote in answers.votes if key.items[vote.item].dataset == name] for name in datasets}
        tables += [_table(key, votes, name) for name, votes in parts.items() if votes]
    return Scored(key, answers, tuple(tables))


def _table(key: Key, votes: Sequence[Vote], dataset: str) -> StudyTable:
    raters = np.array([vote.rater for vote in votes])
    names = [(key.items[vote.item].dataset, key.items[vote.item].group) for vote in votes]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = np.array([numbers[name] for name in names])
    shown = np.zeros((len(votes), len(key.methods)))
    for at, vote in enumerate(votes):
        shown[at, list(vote.methods)] = 1
    methods = np.flatnonzero(shown.any(axis=0))  # a method that nobody saw has no score
    best_of = np.zeros_like(shown)
    best_of[np.arange(len(votes)), [vote.methods[0] for vote in votes]] = 1
    wins = _wins(votes, len(key.methods))
    ranks = np.zeros_like(shown)
    for at, vote in enumerate(votes):
        ranks[at, list(vote.methods)] = np.arange(1, len(vote.methods) + 1)
    shown, best_of, ranks = shown[:, methods], best_of[:, methods], ranks[:, methods]
    wins = wins[:, methods][:, :, methods]

    def statistic(weights: Floats) -> Floats:
        """Return scores and shares, (n, 2, M)."""
        seen = weights @ shown
        with np.errstate(invalid="ignore"):
            shares = weights @ best_of / seen
            if key.mode == "rank":
                scores = weights @ ranks / seen
            else:
                flat = weights @ wins.reshape(len(votes), -1)
                scores = bradley_terry(flat.reshape(len(weights), len(methods), len(methods)))
        return np.stack([scores, shares], axis=1)

    value = statistic(np.ones((1, len(votes))))[0]
    drawn = resample(statistic, raters, groups)
    better = value[0] if key.mode == "rank" else -value[0]
    order = np.argsort(better, kind="stable")
    differs = _differs(drawn, order)
    rows = tuple(
        MethodScore(
            key.methods[methods[at]],
            int(shown[:, at].sum()),
            _estimate(value[0, at], drawn, 0, at),
            _estimate(value[1, at], drawn, 1, at),
            differs[at],
        )
        for at in order
    )
    return StudyTable(
        dataset,
        len(votes),
        len(set(raters.tolist())),
        len({vote.item for vote in votes}),
        rows,
        _rank_agreement(votes) if key.mode == "rank" else _pair_agreement(votes),
        _verdict(rows),
        None if key.mode == "rank" else wins.sum(axis=0)[order][:, order].astype(np.int64),
    )


def _wins(votes: Sequence[Vote], methods: int) -> Floats:
    """Return (V, M, M): 1 where a vote prefers the row to the column."""
    wins = np.zeros((len(votes), methods, methods))
    for at, vote in enumerate(votes):
        for better, worse in combinations(vote.methods, 2):
            wins[at, better, worse] = 1
    return wins


def _estimate(value: float, drawn: Floats | None, kind: int, at: int) -> Estimate:
    if drawn is None:
        return Estimate(float(value), float("nan"), float("nan"))
    low, high = np.nanquantile(drawn[:, kind, at], [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(float(value), float(low), float(high))


def _differs(drawn: Floats | None, order: NDArray[np.int64]) -> dict[int, bool | None]:
    """Return which methods differ from the best one: 0 is outside the interval, at a level corrected by Bonferroni."""
    if drawn is None or len(order) < 2:
        return dict.fromkeys(order.tolist())
    level = ALPHA / (len(order) - 1)
    found: dict[int, bool | None] = {int(order[0]): False}
    for at in order[1:]:
        low, high = np.nanquantile(drawn[:, 0, at] - drawn[:, 0, order[0]], [level / 2, 1 - level / 2])
        found[int(at)] = bool(low > 0 or high < 0)
    return found


def _verdict(rows: Sequence[MethodScore]) -> str:
    if len(rows) < 2:
        return "Only one method was shown."
    if rows[0].differs is None:
        return "At least two raters and two source images are needed to compare the methods."
    alike = [row.method for row in rows[1:] if not row.differs]
    if not alike:
        return f"{rows[0].method} is best; it differs significantly from every other method."
    if len(alike) == len(rows) - 1:
        return f"{rows[0].method} has the best score, but no method differs significantly from it."
    return f"{rows[0].method} is best; no significant difference: {', '.join(alike)}."


def _rank_agreement(votes: Sequence[Vote]) -> str:
    by_item: dict[int, list[Vote]] = {}
    for vote in votes:
        by_item.setdefault(vote.item, []).append(vote)
    tables = [np.array([np.argsort(vote.methods) + 1 for vote in each]) for each in by_item.values() if len(each) > 1]
    if not tables:
        return "No image was ranked by two raters, so their agreement is unknown."
    concordance = float(np.mean([kendall_w(table) for table in tables]))
    correlation = float(np.mean([(len(table) * kendall_w(table) - 1) / (len(table) - 1) for table in tables]))
    p_value = no_agreement_p_value(tables)
    return (
        f"Agreement on {count(len(tables), 'image')} with at least two raters: Kendall's W {concordance:.2f}, mean "
        f"rank correlation of two raters {correlation:.2f} (0 by chance, 1 if equal), p for random rankings "
        f"{p_value:.2g}."
    )


def _pair_agreement(votes: Sequence[Vote]) -> str:
    chosen: dict[tuple[int, tuple[int, ...]], list[bool]] = {}
    for vote in votes:
        pair = tuple(sorted(vote.methods))
        chosen.setdefault((vote.item, pair), []).append(vote.methods == pair)
    repeated = [each for each in chosen.values() if len(each) > 1]
    if not repeated:
        return "No question was answered by two raters, so their agreement is unknown."
    share, kappa = choice_agreement([sum(each) for each in repeated], [len(each) for each in repeated])
    return (
        f"Agreement on {count(len(repeated), 'question')} with at least two raters: two raters chose the same image in "
        f"{100 * share:.0f}{NBSP}% of cases (50{NBSP}% by chance), kappa {kappa:.2f}."
    )
