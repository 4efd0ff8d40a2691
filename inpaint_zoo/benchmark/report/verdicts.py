"""What the tests say about one metric of one table, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inpaint_zoo.benchmark.statistics import fewest_groups
from inpaint_zoo.io.listing import natural_key

__all__ = ["Verdict", "best_against_others", "joined"]

MANY = 4  # with more methods on both sides, the shorter list is named and the other one is counted


class Verdict(NamedTuple):
    """A sentence about the methods of a table.

    Attributes:
        better: Its beginning; with a p-value, the statement that the p-value belongs to.
        rest: Its end.
        p_value: Largest Holm-adjusted p-value of the stated differences; None if there is none.
    """

    better: str
    rest: str = ""
    p_value: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Equal for verdicts that state the same about the same methods."""
        return self.better, self.rest


def joined(verdicts: Sequence[Verdict]) -> str:
    """Return the sentence of verdicts with the same key, with the largest of their p-values."""
    p_values = [verdict.p_value for verdict in verdicts if verdict.p_value is not None]
    better, rest = verdicts[0].key
    return f"{better} (p ≤ {_rounded_up(max(p_values))}, Holm){rest}." if p_values else f"{better}{rest}."


def best_against_others(best: str, worse: dict[str, float], alike: Sequence[str], n_groups: int) -> Verdict:
    """Return what the tests against the best method say.

    Args:
        best: Label of the method with the best mean.
        worse: Label of each method that differs significantly from it -> Holm-adjusted p-value.
        alike: Labels of the other methods.
        n_groups: Number of source images.
    """
    images = f"{n_groups} image{'' if n_groups == 1 else 's'}"
    if not worse:
        needed = fewest_groups(len(alike))
        if n_groups < needed:
            few = f"{images} {'is' if n_groups == 1 else 'are'} too few to distinguish {len(alike) + 1} methods"
            return Verdict(f"{few} (at least {needed} are needed)")
        rest = alike[0] if len(alike) == 1 else f"the other {len(alike)} methods"
        return Verdict(f"{images} show no significant difference between {best}, which has the best mean, and {rest}")
    p_value = max(worse.values())
    names, others = sorted(worse, key=natural_key), sorted(alike, key=natural_key)
    if not alike:
        whom = ", ".join(names) if len(names) <= MANY else f"all {len(names)} other methods"
        return Verdict(f"{best} is better than {whom}", "", p_value)
    count = len(names) + len(others)
    whom = ", ".join(names) if len(names) <= max(MANY, len(others)) else f"{len(names)} of {count} other methods"
    same = ", ".join(others) if len(others) <= max(MANY, len(names)) else f"the other {len(others)}"
    return Verdict(f"{best} is better than {whom}", f"; no significant difference from {same}", p_value)


def _rounded_up(p_value: float) -> str:
    """Return a p-value with two significant digits that is not smaller than it."""
    text = f"{p_value:.2g}"
    if float(text) >= p_value:
        return text
    step = 10.0 ** (int(f"{p_value:e}".split("e")[1]) - 1)
    return f"{float(text) + step:.2g}"
