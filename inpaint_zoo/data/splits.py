"""Split the images of a folder into training and test images by rules and seeds.

Every rule works on stems in natural order and uses SplitMix64 random numbers from (seed, class, position in that
order), so that a split is the same on every machine. Splits that a paper published as files are read by
`lists.read_list`. Those that it described in words are rules here.

The class of an image is the folder that contains it, or its label if a label file gives one (`lists.read_labels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.config import boolean, checked, list_of, or_null, whole
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.natural_order import natural_order
from inpaint_zoo.io.stem_table import StemTable
from inpaint_zoo.random import permutation

__all__ = [
    "SELECT_KEYS",
    "Split",
    "by_class",
    "few_shot",
    "holdout",
    "select",
]

T = TypeVar("T")
Positions = NDArray[np.int64]

SELECT_KEYS = (
    *("flat", "classes", "by_class", "holdout", "part", "seed"),
    *("after", "first", "every", "val", "per_class", "few_shot"),
)
"""Keys of `select`, in the order in which they are applied."""
_CLASS_KEYS = ("classes", "by_class", "per_class")
_SHOWN = 5


class Split(NamedTuple):
    """Stems of the two parts, each in natural order."""

    train: list[str]
    test: list[str]


class _Images:
    """The stems of a set of images in natural order, and their classes. Positions are places in this order.

    Attributes:
        stems: The stems.
        order: Place of each of them in the given order.
    """

    def __init__(
        self, stems: Iterable[str] | NameList, labels: Mapping[str, str] | None = None, flat: bool = False
    ) -> None:
        given = stems if isinstance(stems, NameList) else NameList.of(stems)
        self.order = natural_order(given)
        self.stems = given if bool((self.order[1:] > self.order[:-1]).all()) else given.take(self.order)
        self._labels, self._flat = labels, flat

    @property
    def all(self) -> Positions:
        """All positions."""
        return np.arange(len(self.stems))

    def classes(self, positions: Positions) -> dict[str, Positions]:
        """Return class -> its positions in order; the class "" contains images that are in no folder."""
        if self._flat:
            return {"": positions}
        members: dict[str, list[int]] = {}
        for position, stem in zip(positions.tolist(), self.stems.take(positions), strict=True):
            name = stem.rpartition("/")[0] if self._labels is None else self._labels[stem]
            members.setdefault(name, []).append(position)
        return {name: np.array(members[name], np.int64) for name in sorted(members, key=natural_key)}

    def need_classes(self, key: str, classes: Mapping[str, Positions]) -> None:
        """Refuse images that are in no class."""
        if "" in classes:
            first = self.stems[int(classes[""][0])]
            raise ZooError(f"`{key}` needs a folder (or a label) for each class, but '{first}' is in none")

    def split(self, parts: tuple[Positions, Positions]) -> Split:
        """Return the stems of the two parts."""
        train, test = (list(self.stems.take(part)) for part in parts)
        return Split(train, test)


def _shuffled(positions: Positions, seed: int, stream: str) -> Positions:
    return positions[permutation(seed, f"split/{stream}", len(positions))]


def _parted(positions: Positions, held: Positions) -> tuple[Positions, Positions]:
    """Return the positions that are not held out, and those that are."""
    is_held = np.isin(positions, held)
    return positions[~is_held], positions[is_held]


def _joined(parts: Sequence[Positions]) -> Positions:
    return np.concatenate([np.empty(0, np.int64), *parts])


def shares_of(sizes: Sequence[int], count: int) -> list[int]:
    """Return how many of ``count`` images to take from each class: equal numbers, if the classes are large enough.

    If fewer images than classes remain to be taken, they come from classes that are spread evenly over the order.
    """
    taken = [0] * len(sizes)
    left = min(count, sum(sizes))
    while left:
        open_classes = [k for k, size in enumerate(sizes) if size > taken[k]]
        share = left // len(open_classes)
        if not share:
            open_classes = [open_classes[i * len(open_classes) // left] for i in range(left)]
        for k in open_classes:
            more = min(max(share, 1), sizes[k] - taken[k])
            taken[k] += more
            left -= more
    return taken


def by_class(
    stems: Iterable[str], test: int = 1, train: int = 11, seed: int = 0, labels: Mapping[str, str] | None = None
) -> Split:
    """Split every class in the ratio ``test`` : ``train``; the ratio of Animals-90 is 1 : 11.

    A class is a folder, or a label if ``labels`` (stem -> class) are given.

    The stems of a class are sorted and shuffled. The first n * test / (test + train) of them, rounded half up and at
    least one, are test images: 60 images give 5 and 55. Which files the paper used is unpublished. Source:
    docs/papers/glcic_ca.md, "Animals-90".

    Raises:
        ZooError: If an image is in no folder, or a class has a single image.

    Example:
        >>> stems = [f"{animal}/{n}" for animal in ("cat", "dog") for n in range(60)]
        >>> split = by_class(stems)
        >>> len(split.train), len(split.test), split.test[:5]
        (110, 10, ['cat/2', 'cat/42', 'cat/45', 'cat/55', 'cat/57'])
    """
    images = _Images(stems, labels)
    return images.split(_by_class(images, images.all, [test, train], seed))


def _by_class(images: _Images, positions: Positions, ratio: object, seed: int) -> tuple[Positions, Positions]:
    test, train = checked("`by_class` [test, train]", ratio, list_of(whole(1), 2))
    classes = images.classes(positions)
    images.need_classes("by_class", classes)
    held = []
    for folder, members in classes.items():
        if len(members) < 2:
            raise ZooError(f"`by_class`: the class '{folder}' has only one image; a split needs two")
        count = max(1, (2 * len(members) * test + test + train) // (2 * (test + train)))
        held.append(_shuffled(members, seed, folder)[: min(count, len(members) - 1)])
    return _parted(positions, _joined(held))


def holdout(stems: Iterable[str], test: int, seed: int = 0) -> Split:
    """Hold out ``test`` random images of all, as for GRIG's datasets (whose seed is unpublished).

    Raises:
        ZooError: If one of the parts would be empty.

    Example:
        >>> holdout(["a", "b", "c", "d"], 1)
        Split(train=['a', 'b', 'c'], test=['d'])
    """
    images = _Images(stems)
    return images.split(_holdout(images.all, test, seed))


def _holdout(positions: Positions, test: int, seed: int) -> tuple[Positions, Positions]:
    if not 1 <= test < len(positions):
        raise ZooError(f"`holdout` must leave images on both sides: 1 to {len(positions) - 1} of {len(positions)}")
    return _parted(positions, _shuffled(positions, seed, "holdout")[:test])


def few_shot(stems: Iterable[str], count: int, seed: int | None = None) -> list[str]:
    """Return ``count`` images: the first ones by name, as in GRIG's code, or a random subset if a seed is given.

    With the same seed, a smaller subset is contained in a larger one. Source: docs/papers/grig.md, "Few-shot".

    Raises:
        ZooError: If there are fewer images.

    Example:
        >>> few_shot(["img10", "img9", "img1"], 2)
        ['img1', 'img9']
    """
    images = _Images(stems)
    return list(images.stems.take(_few_shot(images.all, count, seed)))


def _few_shot(positions: Positions, count: int, seed: int | None) -> Positions:
    if not 1 <= count <= len(positions):
        raise ZooError(f"`few_shot` must be 1 to {len(positions)} of the {len(positions)} images, got {count}")
    if seed is None:
        return positions[:count]
    return np.sort(_shuffled(positions, seed, "few_shot")[:count])


def select(
    files: Mapping[str, T], rules: Mapping[str, Any], labels: Mapping[str, str] | None = None
) -> Mapping[str, T]:
    """Return the images that ``rules`` select, in natural order. Each rule acts on the result of the previous one.

    The rules, in the order of their application:

    - `flat: true`: folders only divide a long list into parts (FFHQ); by default, every folder is a class.
    - `classes: [NAME, ...]`: only the images of these classes.
    - `by_class: [test, train]` or `holdout: N`, with `part: train | val | test` and `seed` (default 0): see `by_class`
      and `holdout`. The parts train and val are taken from the training part.
    - `after: N`: leave out the images that `first: N` selects. `first: N`: N images, evenly distributed over the
      classes, in each the first ones by name; without folders, the first N. `every: N`: the first of every N images.
    - `val: N`, with `part` and `seed`: N random images of the training part are for validation. The part "val" contains
      these, the part "train" all others; the part "test" is unchanged. With `by_class`, they are distributed evenly
      over the classes. The parts are disjoint if all of them use the same rules up to this one.
    - `per_class: N` or `[N, seed]`: N images of each class, the first ones by name or random ones.
    - `few_shot: N` or `[N, seed]`: see `few_shot`.

    Args:
        files: Files by stem.
        rules: The rules above.
        labels: Stem -> class, if the folders do not give the classes (`lists.read_labels`).

    Raises:
        ZooError: If keys or classes are unknown, values are out of range, an image has no label, or no image is left.

    Example:
        >>> list(select({str(n): n for n in range(10)}, {"after": 2, "first": 6, "every": 3}))
        ['2', '5']
        >>> animals = {f"{animal}/{n}": n for animal in ("cat", "dog", "emu") for n in range(4)}
        >>> list(select(animals, {"first": 4}))
        ['cat/0', 'cat/1', 'dog/0', 'emu/0']
        >>> list(select(animals, {"holdout": 3, "val": 2, "part": "val"}))
        ['emu/2', 'emu/3']
    """
    for key in rules:
        if key not in SELECT_KEYS:
            raise unknown_name("key of `select`:", key, SELECT_KEYS)
    flat = _is_flat(rules, labels)
    if labels is not None:
        _check_labels(files, labels)
    images = _Images(files.stems if isinstance(files, StemTable) else files, labels, flat)
    chosen = images.all
    if "classes" in rules:
        chosen = _of_classes(images, chosen, rules["classes"])
    chosen = _part(images, chosen, rules)
    if after := _number(rules, "after", 0, 0):
        chosen, _ = _parted(chosen, _first(images, chosen, after))
    if "first" in rules:
        chosen = _first(images, chosen, _number(rules, "first", 1))
    chosen = chosen[:: _number(rules, "every", 1, 1)]
    if "val" in rules and rules["part"] != "test":
        chosen = _part_of_train(images, chosen, rules)
    if not len(chosen):
        raise ZooError(f"`select` leaves none of {len(files)} images")
    if "per_class" in rules:
        chosen = _per_class(images, chosen, *_count_and_seed(rules, "per_class"))
    if rules.get("few_shot") is not None:
        chosen = _few_shot(chosen, *_count_and_seed(rules, "few_shot"))
    if isinstance(files, StemTable):
        return files.take(images.order[chosen])
    return {stem: files[stem] for stem in images.stems.take(chosen)}


def _is_flat(rules: Mapping[str, Any], labels: Mapping[str, str] | None) -> bool:
    flat = checked("`flat` of `select`", rules.get("flat", False), boolean)
    used = [f"`{key}`" for key in _CLASS_KEYS if key in rules] + ["labels"] * (labels is not None)
    if flat and used:
        raise ZooError(f"`flat: true` of `select` means that there are no classes, so it excludes {used[0]}")
    return flat


def _check_labels(files: Iterable[str], labels: Mapping[str, str]) -> None:
    without = [stem for stem in files if stem not in labels]
    if without:
        more = ", ..." if len(without) > _SHOWN else ""
        raise ZooError(f"{len(without)} images have no label: {', '.join(without[:_SHOWN])}{more}")


def _of_classes(images: _Images, positions: Positions, wanted: object) -> Positions:
    if not isinstance(wanted, list | tuple) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise ZooError(f"`classes` of `select` must be a list of class names, got {wanted!r}")
    classes = images.classes(positions)
    images.need_classes("classes", classes)
    for name in wanted:
        if name not in classes:
            raise unknown_name("class of `select`:", name, classes)
    return np.unique(_joined([classes[name] for name in wanted]))


def _first(images: _Images, positions: Positions, count: int) -> Positions:
    """Return ``count`` positions, evenly distributed over the classes, the first by name in each; in order."""
    classes = list(images.classes(positions).values())
    shares = shares_of([len(members) for members in classes], count)
    return np.sort(_joined([members[:share] for members, share in zip(classes, shares, strict=True)]))


def _part(images: _Images, positions: Positions, rules: Mapping[str, Any]) -> Positions:
    """Apply `by_class` or `holdout`; the part "val" is still contained in the training part."""
    rule = [key for key in ("by_class", "holdout") if key in rules]
    if len(rule) > 1:
        raise ZooError("`select` takes `by_class` or `holdout`, not both")
    if not rule and "val" not in rules:
        for key in ("part", "seed"):
            if key in rules:
                raise ZooError(f"`{key}` of `select` applies only together with `by_class`, `holdout` or `val`")
        return positions
    part, seed = rules.get("part"), _number(rules, "seed", 0, 0)
    parts = ("train", *(["val"] if "val" in rules else []), *(["test"] if rule else []))
    if part not in parts:
        raise unknown_name("`part` of `select`:", part, parts)
    if not rule:
        return positions
    if rule == ["holdout"]:
        train, test = _holdout(positions, _number(rules, "holdout", 1), seed)
    else:
        train, test = _by_class(images, positions, rules["by_class"], seed)
    return test if part == "test" else train


def _part_of_train(images: _Images, positions: Positions, rules: Mapping[str, Any]) -> Positions:
    """Return the validation images that `val` takes from the training part, or the others."""
    count, seed = _number(rules, "val", 1), _number(rules, "seed", 0, 0)
    if count >= len(positions):
        raise ZooError(
            f"`val` of `select` must leave images to train on: 1 to {len(positions) - 1} of {len(positions)}"
        )
    classes = images.classes(positions) if "by_class" in rules else {"": positions}
    shares = shares_of([len(members) for members in classes.values()], count)
    held = [
        _shuffled(members, seed, f"val/{name}")[:share]
        for (name, members), share in zip(classes.items(), shares, strict=True)
    ]
    train, val = _parted(positions, _joined(held))
    return val if rules["part"] == "val" else train


def _per_class(images: _Images, positions: Positions, count: int, seed: int | None) -> Positions:
    classes = images.classes(positions)
    images.need_classes("per_class", classes)
    kept = []
    for name, members in classes.items():
        if len(members) < count:
            raise ZooError(f"`per_class` needs {count} images of each class, but '{name}' has {len(members)}")
        kept.append((members if seed is None else _shuffled(members, seed, f"per_class/{name}"))[:count])
    return np.sort(_joined(kept))


def _count_and_seed(rules: Mapping[str, Any], key: str) -> tuple[int, int | None]:
    value = rules[key]
    values = list(value) if isinstance(value, list | tuple) else [value, None]
    if len(values) != 2:
        raise ZooError(f"`{key}` must be N, or [N, seed], got {value!r}")
    count = checked(f"`{key}` (N, or [N, seed])", values[0], whole(1))
    return count, checked(f"the seed of `{key}`", values[1], or_null(whole(0)))


def _number(rules: Mapping[str, Any], key: str, low: int, default: int | None = None) -> int:
    return checked(f"`{key}` of `select`", rules.get(key, default), whole(low))
