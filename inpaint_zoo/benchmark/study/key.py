"""The key of a study, which raters do not get: what each image file of the page shows, and the plans of all raters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from inpaint_zoo.benchmark.store import read_json
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_json, write_json

__all__ = ["ANSWERS", "KEY", "PAGE", "TRUTH", "Item", "Key", "Shown", "read_key"]

ANSWERS, KEY, PAGE = "answers", "key.json", "page"
FORMAT = 1
TRUTH = "ground truth"  # label of the ground truth as one of the methods

Mode = Literal["rank", "pairs"]


class Item(NamedTuple):
    """An image with a mask.

    Attributes:
        dataset, mask: Labels.
        image: Name of the image.
        group: Name of its source image.
    """

    dataset: str
    mask: str
    image: str
    group: str


class Shown(NamedTuple):
    """An image file of the page: the position of its item, what it shows, and its hash.

    ``method`` is the label of a method, or None for a reference, which is shown beside the results.
    """

    item: int
    method: str | None
    sha256: str


@dataclass(frozen=True)
class Key:
    """Content of key.json.

    Attributes:
        run: Name of the suite.
        seed: Seed of all orders.
        mode: Whether raters rank all methods or choose one of two.
        question: Question of the page.
        methods: Labels of the methods, with the ground truth if it is one of them.
        items: The images.
        files: What each file shows, by name without extension.
        plans: For each rater, the files of each question, in the order of their places.
    """

    run: str
    seed: int
    mode: Mode
    question: str
    methods: tuple[str, ...]
    items: tuple[Item, ...]
    files: dict[str, Shown]
    plans: tuple[tuple[tuple[str, ...], ...], ...]

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format": FORMAT,
            "run": self.run,
            "seed": self.seed,
            "mode": self.mode,
            "question": self.question,
            "methods": list(self.methods),
            "items": [item._asdict() for item in self.items],
            "files": {name: shown._asdict() for name, shown in self.files.items()},
            "plans": [[list(files) for files in plan] for plan in self.plans],
        }

    @property
    def study(self) -> str:
        """Identity of the study: a hash of everything, including the content of the images."""
        return sha256_json(self.plain())[:20]

    def write(self, folder: Path) -> None:
        """Write key.json to the folder of a study."""
        write_json(folder / KEY, {"study": self.study, **self.plain()})


def read_key(folder: Path) -> Key:
    """Read key.json from the folder of a study.

    Raises:
        ZooError: If it is missing, damaged, changed, or of another version.
    """
    path = folder / KEY
    if not path.is_file():
        raise ZooError(
            f"{folder} is not the folder of a study: it has no {KEY}. Give the --out of `inpaint-zoo study`."
        )
    content = read_json(path)
    if content is None or "study" not in content:
        raise ZooError(f"{path} is damaged; restore it from a copy, because the answers cannot be read without it.")
    if content.get("format") != FORMAT:
        raise ZooError(f"{path} has the format {content.get('format')}; this version reads format {FORMAT}.")
    study = content.pop("study")
    if sha256_json(content)[:20] != study:
        raise ZooError(f"{path} was changed after the study was made; restore it from a copy.")
    return Key(
        run=content["run"],
        seed=content["seed"],
        mode=content["mode"],
        question=content["question"],
        methods=tuple(content["methods"]),
        items=tuple(Item(**item) for item in content["items"]),
        files={name: Shown(**shown) for name, shown in content["files"].items()},
        plans=tuple(tuple(tuple(files) for files in plan) for plan in content["plans"]),
    )
