"""Which images a rater of a study sees, in which order and at which places.

The images are in one random order. The plan of rater number 1 is the first part of it, that of number 2 the next one,
and so on; after the last image, the order starts again. Each further round shows an image with its methods at other
places (`rank`) or with another pair of methods (`pairs`), as in a Latin square: after as many rounds as there are
methods, each method was at each place once for each image; after as many rounds as there are pairs, each pair was shown
once for each image. Within a plan, the questions are in random order.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

from inpaint_zoo.random import permutation

__all__ = ["Question", "pair_plans", "rank_plans"]


class Question(NamedTuple):
    """One question: an image, and the methods whose results are shown, in the order of their places."""

    item: int
    methods: tuple[int, ...]


def rank_plans(items: int, methods: int, questions: int, raters: int, seed: int) -> list[list[Question]]:
    """Return the questions of each rater who ranks all methods.

    Args:
        items: Number of images.
        methods: Number of methods.
        questions: Number of questions for each rater, at most ``items``.
        raters: Number of plans.
        seed: Seed of all orders.
    """
    order = permutation(seed, "study/images", items)

    def question(position: int) -> Question:
        turn, at = divmod(position, items)
        block, row = divmod(at, methods)  # a random Latin square for each block of images
        names = permutation(seed, f"study/methods/{block}", methods)
        places = permutation(seed, f"study/places/{block}", methods)
        shown = tuple(int(names[(row + turn + place) % methods]) for place in places)
        return Question(int(order[at]), shown)

    return _plans(question, questions, raters, seed)


def pair_plans(items: int, methods: int, questions: int, raters: int, seed: int) -> list[list[Question]]:
    """Return the questions of each rater who chooses one of two methods.

    Args:
        items: Number of images.
        methods: Number of methods.
        questions: Number of questions for each rater; more than ``items`` show an image again with another pair.
        raters: Number of plans.
        seed: Seed of all orders.
    """
    order = permutation(seed, "study/images", items)
    every = list(combinations(range(methods), 2))
    pairs = [every[at] for at in permutation(seed, "study/pairs", len(every))]

    def question(position: int) -> Question:
        turn, at = divmod(position, items)
        pair = pairs[(at + turn) % len(pairs)]
        swapped = (at // len(pairs) + turn + turn // len(pairs)) % 2
        return Question(int(order[at]), pair[::-1] if swapped else pair)

    return _plans(question, questions, raters, seed)


def _plans(question: Callable[[int], Question], questions: int, raters: int, seed: int) -> list[list[Question]]:
    plans = []
    for rater in range(raters):
        shuffled = permutation(seed, f"study/questions/{rater}", questions)
        plans.append([question(rater * questions + int(at)) for at in shuffled])
    return plans
