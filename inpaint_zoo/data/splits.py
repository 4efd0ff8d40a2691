"""Split the images of a folder into training and test images: rules, seeds, and list files.

Every rule works on stems in natural order and uses SplitMix64 random numbers from (seed, class, position in that
order), so that a split is the same on every machine. `read_list` reads splits that a paper published as files. Splits
that it described in words are rules here; `write_split` writes them out, so that a table can name its test images.

The class of an image is the folder that contains it, or its label if a label file gives one (`read_labels`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from inpaint_zoo.config import boolean, checked, list_of, or_null, whole
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.formats import FORMATS
from inpaint_zoo.io.listing import by_stem, natural_key
from inpaint_zoo.io.names import plain_name
from inpaint_zoo.io.stem_table import StemTable
from inpaint_zoo.random import permutation

__all__ = [
    "SELECT_KEYS",
    "Split",
    "by_class",
    "few_shot",
    "holdout",
    "read_labels",
    "read_list",
    "select",
    "write_list",
    "write_split",
]

T = TypeVar("T")

SELECT_KEYS = (
    *("flat", "classes", "by_class", "holdout", "part", "seed"),
    *("after", "first", "every", "val", "per_class", "few_shot"),
)
"""Keys of `select`, in the order in which they are applied."""
_CLASS_KEYS = ("classes", "by_class", "per_class")
_SHOWN = 5
_ZEROS = dict.fromkeys(map(ord, "123456789"), "0")
_ENDING = re.compile(rf"(?:{'|'.join(map(re.escape, FORMATS))})(?=[\s,;])", re.IGNORECASE)
"""Positions in a line where a path may end and a label may follow."""


class Split(NamedTuple):
    """Stems of the two parts, each in natural order."""

    train: list[str]
    test: list[str]


def _shuffled(stems: list[str], seed: int, stream: str) -> list[str]:
    return [stems[i] for i in permutation(seed, f"split/{stream}", len(stems)).tolist()]


def _parted(stems: list[str], test: Iterable[str]) -> Split:
    held = set(test)
    return Split([stem for stem in stems if stem not in held], [stem for stem in stems if stem in held])


def _classes_of(stems: Iterable[str], labels: Mapping[str, str] | None) -> dict[str, list[str]]:
    """Return class -> its stems in the order of ``stems``; the class "" contains images that are in no folder."""
    classes: dict[str, list[str]] = {}
    for stem in stems:
        classes.setdefault(stem.rpartition("/")[0] if labels is None else labels[stem], []).append(stem)
    return {name: classes[name] for name in sorted(classes, key=natural_key)}


def _need_classes(key: str, classes: Mapping[str, Sequence[str]]) -> None:
    if "" in classes:
        raise ZooError(f"`{key}` needs a folder (or a label) for each class, but '{classes[''][0]}' is in none")


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
    return _by_class(_sorted(stems), [test, train], seed, labels)


def _by_class(stems: list[str], ratio: object, seed: int, labels: Mapping[str, str] | None) -> Split:
    """Do what `by_class` does, with sorted stems."""
    test, train = checked("`by_class` [test, train]", ratio, list_of(whole(1), 2))
    classes = _classes_of(stems, labels)
    _need_classes("by_class", classes)
    held: list[str] = []
    for folder, members in classes.items():
        if len(members) < 2:
            raise ZooError(f"`by_class`: the class '{folder}' has only one image; a split needs two")
        count = max(1, (2 * len(members) * test + test + train) // (2 * (test + train)))
        held += _shuffled(members, seed, folder)[: min(count, len(members) - 1)]
    return _parted(stems, held)


def holdout(stems: Iterable[str], test: int, seed: int = 0) -> Split:
    """Hold out ``test`` random images of all, as for GRIG's datasets (whose seed is unpublished).

    Raises:
        ZooError: If one of the parts would be empty.

    Example:
        >>> holdout(["a", "b", "c", "d"], 1)
        Split(train=['a', 'b', 'c'], test=['d'])
    """
    return _holdout(_sorted(stems), test, seed)


def _holdout(stems: list[str], test: int, seed: int) -> Split:
    """Do what `holdout` does, with sorted stems."""
    if not 1 <= test < len(stems):
        raise ZooError(f"`holdout` must leave images on both sides: 1 to {len(stems) - 1} of {len(stems)}")
    return _parted(stems, _shuffled(stems, seed, "holdout")[:test])


def few_shot(stems: Iterable[str], count: int, seed: int | None = None) -> list[str]:
    """Return ``count`` images: the first ones by name, as in GRIG's code, or a random subset if a seed is given.

    With the same seed, a smaller subset is contained in a larger one. Source: docs/papers/grig.md, "Few-shot".

    Raises:
        ZooError: If there are fewer images.

    Example:
        >>> few_shot(["img10", "img9", "img1"], 2)
        ['img1', 'img9']
    """
    return _few_shot(_sorted(stems), count, seed)


def _few_shot(stems: list[str], count: int, seed: int | None) -> list[str]:
    """Do what `few_shot` does, with sorted stems."""
    if not 1 <= count <= len(stems):
        raise ZooError(f"`few_shot` must be 1 to {len(stems)} of the {len(stems)} images, got {count}")
    if seed is None:
        return stems[:count]
    return sorted(_shuffled(stems, seed, "few_shot")[:count], key=natural_key)


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
        labels: Stem -> class, if the folders do not give the classes (`read_labels`).

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
    if _is_flat(rules, labels):
        labels = dict.fromkeys(files, "")
    elif labels is not None:
        _check_labels(files, labels)
    stems = _sorted(files)
    if "classes" in rules:
        stems = _of_classes(stems, rules["classes"], labels)
    stems = _part(stems, rules, labels)
    if after := _number(rules, "after", 0, 0):
        left_out = set(_first(stems, after, labels))
        stems = [stem for stem in stems if stem not in left_out]
    if "first" in rules:
        stems = _first(stems, _number(rules, "first", 1), labels)
    stems = stems[:: _number(rules, "every", 1, 1)]
    if "val" in rules and rules["part"] != "test":
        stems = _part_of_train(stems, rules, labels)
    if not stems:
        raise ZooError(f"`select` leaves none of {len(files)} images")
    if "per_class" in rules:
        count, seed = _count_and_seed(rules, "per_class")
        stems = _per_class(stems, count, seed, labels)
    if rules.get("few_shot") is not None:
        stems = _few_shot(stems, *_count_and_seed(rules, "few_shot"))
    return files.select(stems) if isinstance(files, StemTable) else {stem: files[stem] for stem in stems}


def _sorted(stems: Iterable[str]) -> list[str]:
    """Return the stems in natural order. Folders are listed in it, and checking it takes less memory than sorting."""
    given = list(stems)
    if all(_are_in_order(first, second) for first, second in pairwise(given)):
        return given
    return sorted(given, key=natural_key)


def _are_in_order(first: str, second: str) -> bool:
    """Return whether two stems are in natural order."""
    if first.translate(_ZEROS) == second.translate(_ZEROS):  # numbers of equal length are in the order of their texts
        return first <= second
    return natural_key(first) <= natural_key(second)


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


def _of_classes(stems: list[str], wanted: object, labels: Mapping[str, str] | None) -> list[str]:
    if not isinstance(wanted, list | tuple) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise ZooError(f"`classes` of `select` must be a list of class names, got {wanted!r}")
    classes = _classes_of(stems, labels)
    _need_classes("classes", classes)
    for name in wanted:
        if name not in classes:
            raise unknown_name("class of `select`:", name, classes)
    kept = {stem for name in wanted for stem in classes[name]}
    return [stem for stem in stems if stem in kept]


def _first(stems: list[str], count: int, labels: Mapping[str, str] | None) -> list[str]:
    """Return ``count`` stems, evenly distributed over the classes, the first by name in each; in natural order."""
    classes = list(_classes_of(stems, labels).values())
    shares = shares_of([len(members) for members in classes], count)
    kept = {stem for members, share in zip(classes, shares, strict=True) for stem in members[:share]}
    return [stem for stem in stems if stem in kept]


def _part(stems: list[str], rules: Mapping[str, Any], labels: Mapping[str, str] | None) -> list[str]:
    """Apply `by_class` or `holdout`; the part "val" is still contained in the training part."""
    rule = [key for key in ("by_class", "holdout") if key in rules]
    if len(rule) > 1:
        raise ZooError("`select` takes `by_class` or `holdout`, not both")
    if not rule and "val" not in rules:
        for key in ("part", "seed"):
            if key in rules:
                raise ZooError(f"`{key}` of `select` applies only together with `by_class`, `holdout` or `val`")
        return stems
    part, seed = rules.get("part"), _number(rules, "seed", 0, 0)
    parts = ("train", *(["val"] if "val" in rules else []), *(["test"] if rule else []))
    if part not in parts:
        raise unknown_name("`part` of `select`:", part, parts)
    if not rule:
        return stems
    if rule == ["holdout"]:
        split = _holdout(stems, _number(rules, "holdout", 1), seed)
    else:
        split = _by_class(stems, rules["by_class"], seed, labels)
    return split.test if part == "test" else split.train


def _part_of_train(stems: list[str], rules: Mapping[str, Any], labels: Mapping[str, str] | None) -> list[str]:
    """Return the validation images that `val` takes from the training part, or the others."""
    count, seed = _number(rules, "val", 1), _number(rules, "seed", 0, 0)
    if count >= len(stems):
        raise ZooError(f"`val` of `select` must leave images to train on: 1 to {len(stems) - 1} of {len(stems)}")
    classes = _classes_of(stems, labels) if "by_class" in rules else {"": stems}
    shares = shares_of([len(members) for members in classes.values()], count)
    held: set[str] = set()
    for (name, members), share in zip(classes.items(), shares, strict=True):
        held.update(_shuffled(members, seed, f"val/{name}")[:share])
    return [stem for stem in stems if (stem in held) == (rules["part"] == "val")]


def _per_class(stems: list[str], count: int, seed: int | None, labels: Mapping[str, str] | None) -> list[str]:
    classes = _classes_of(stems, labels)
    _need_classes("per_class", classes)
    kept: set[str] = set()
    for name, members in classes.items():
        if len(members) < count:
            raise ZooError(f"`per_class` needs {count} images of each class, but '{name}' has {len(members)}")
        kept.update((members if seed is None else _shuffled(members, seed, f"per_class/{name}"))[:count])
    return [stem for stem in stems if stem in kept]


def _count_and_seed(rules: Mapping[str, Any], key: str) -> tuple[int, int | None]:
    value = rules[key]
    values = list(value) if isinstance(value, list | tuple) else [value, None]
    if len(values) != 2:
        raise ZooError(f"`{key}` must be N, or [N, seed], got {value!r}")
    count = checked(f"`{key}` (N, or [N, seed])", values[0], whole(1))
    return count, checked(f"the seed of `{key}`", values[1], or_null(whole(0)))


def _number(rules: Mapping[str, Any], key: str, low: int, default: int | None = None) -> int:
    return checked(f"`{key}` of `select`", rules.get(key, default), whole(low))


def write_list(path: str | Path, names: Iterable[str], note: str = "") -> None:
    """Write one name per line, after ``note`` as a comment, atomically."""
    lines = [f"# {line}" for line in note.splitlines()]
    for name in names:
        if not _is_text(name) or "\n" in name or "\r" in name or name != name.strip() or name.startswith("#"):
            raise ZooError(f"{path}: a list file has one name per line, so it cannot contain {name!r}; rename the file")
        lines.append(name)
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of a file name that are not UTF-8
        return False
    return True


def write_split(folder: str | Path, files: Mapping[str, Path], root: str | Path, split: Split, rule: str) -> None:
    """Write `train.txt` and `test.txt` with paths relative to ``root``, below a comment with the rule."""
    for part, stems in split._asdict().items():
        names = [files[stem].relative_to(root).as_posix() for stem in stems]
        write_list(Path(folder) / f"{part}.txt", names, f"{part} part of {len(files)} images; rule: {rule}")


def read_list(path: str | Path, root: str | Path | None = None) -> Mapping[str, Path]:
    """Return stem -> file of the images that a list file names, in its order.

    Args:
        path: UTF-8 text with one path per line, with `/`; empty lines and lines that start with `#` are ignored. A
            label may follow the path after a space, a comma or a semicolon, as in the lists of Places and ImageNet; it
            is ignored. Names with accents match in any Unicode normalization of the file system.
        root: The folder that the paths are relative to; the default is the list's folder. A path with a leading `/` is
            first looked up below ``root``, because some published lists use such paths; if the file is not there, the
            path is absolute. Files outside ``root`` are named by their path relative to their common folder.

    Raises:
        ZooError: If the list cannot be read, is empty, leaves ``root`` by `..`, names files that do not exist (the
            first ones are listed), or names two files with the same stem.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    folders = _Folders()
    found: list[Path] = []
    absent: list[str] = []
    for number, line in _lines(path, "list file"):
        file = _named(f"{path}, line {number}", root, line, folders)
        if isinstance(file, Path):
            found.append(file)
        else:
            absent.append(file)
    if absent:
        more = ", ..." if len(absent) > _SHOWN else ""
        count = len(found) + len(absent)
        raise ZooError(
            f"{path}: {len(absent)} of {count} files are not below {root}: {', '.join(absent[:_SHOWN])}{more}"
        )
    if not found:
        raise ZooError(f"{path}: names no images")
    return _stems(path, root, found)


def read_labels(labels: str | Path, names: str | Path | None = None) -> dict[str, str]:
    """Return stem -> class of the images that a label file lists, in the format of Places365 and ImageNet.

    Args:
        labels: UTF-8 text with `PATH LABEL` on each line, such as `Places365_val_00000001.jpg 165`. Empty lines and
            lines that start with `#` are ignored. The stem is the path without its suffix.
        names: UTF-8 text with `NAME LABEL` on each line, such as `/a/airfield 0`. The class is then the name, without a
            leading `/`. By default, the label is the class.

    Raises:
        ZooError: If a file cannot be read, a line has no label, an image has two, or a label has no name.
    """
    classes = None if names is None else {label: name.lstrip("/") for name, label in _pairs(Path(names))}
    found: dict[str, str] = {}
    for path, label in _pairs(Path(labels)):
        if classes is not None and label not in classes:
            raise ZooError(f"{labels}: the label {label} of '{path}' has no name in {names}")
        stem = Path(path.lstrip("/")).with_suffix("").as_posix()
        name = label if classes is None else classes[label]
        if found.setdefault(stem, name) != name:
            raise ZooError(f"{labels}: '{path}' has two labels, {found[stem]} and {name}")
    return found


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Return the two entries of each line of a label file: all but its last word, and its last word."""
    pairs = []
    for number, line in _lines(path, "label file"):
        words = line.rsplit(maxsplit=1)
        if len(words) < 2:
            raise ZooError(
                f"{path}, line {number}: must have two entries, a path (or a name) and a label, got '{line}'"
            )
        pairs.append((words[0], words[1]))
    return pairs


def _lines(path: Path, kind: str) -> list[tuple[int, str]]:
    """Return line numbers and stripped texts of the lines that are neither empty nor comments."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ZooError(f"{path}: no such {kind}") from None
    except UnicodeDecodeError:
        raise ZooError(f"{path}: is not UTF-8 text; a {kind} has the path of an image on each line") from None
    except OSError as error:
        raise ZooError(f"{path}: cannot be read: {error.strerror}") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if not line.startswith("#")]
    return [(number, stripped) for number, line in lines if (stripped := line.strip())]


def _named(where: str, root: Path, line: str, folders: _Folders) -> Path | str:
    """Return the file that a line names, with or without a label after it; if none exists, return the assumed name."""
    ends = [found.end() for found in _ENDING.finditer(line)]
    names = list(dict.fromkeys([line, *(line[:end] for end in reversed(ends))]))
    for name in names:
        below = Path(name)
        if ".." in below.parts:
            raise ZooError(f"{where}: '{name}' leads out of {root}")
        places = [root / below]
        if below.is_absolute():
            inside = below.relative_to(root if below.is_relative_to(root) else below.anchor)
            places = [root / inside, below]
        for place in places:
            if file := folders.find(place):
                return file
    return names[1] if len(names) > 1 else line


def _stems(path: Path, root: Path, found: list[Path]) -> Mapping[str, Path]:
    outside = [file for file in found if not file.is_relative_to(root)]
    if not outside:
        return by_stem(root, found)
    base = Path(os.path.commonpath([file.parent for file in outside]))
    apart = by_stem(base, outside)
    stems = {file: stem for stem, file in apart.items()}
    for stem, file in by_stem(root, (file for file in found if file not in stems)).items():
        if stem in apart:
            raise ZooError(f"{path}: {file} and {apart[stem]} would have the same stem '{stem}'; give `root`")
        stems[file] = stem
    return {stems[file]: file for file in found}


class _Folders:
    """Look-up of existing files that lists each folder once, because a million single queries take minutes."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, str] | None] = {}

    def _in(self, folder: Path) -> dict[str, str] | None:
        """Return the names in a folder, by normalized and by actual spelling; None if it cannot be listed."""
        if folder not in self._names:
            try:
                names = os.listdir(folder)  # noqa: PTH208 - names, not paths
            except OSError:
                self._names[folder] = None
            else:
                self._names[folder] = {plain_name(name): name for name in names} | {name: name for name in names}
        return self._names[folder]

    def find(self, path: Path) -> Path | None:
        """Return the file or folder called ``path`` in any Unicode normalization; None if there is none."""
        folder: Path | None = path.parent
        if self._in(path.parent) is None:
            folder = self.find(path.parent) if path.parent != path.parent.parent else None
        names = None if folder is None else self._in(folder)
        if folder is None or names is None:
            return None
        name = names.get(path.name) or names.get(plain_name(path.name))
        return None if name is None else folder / name
