"""Make the page of a blind study from the results that a run kept, and its key.

`page/` is what raters get: index.html and PNG files whose names say nothing. `key.json` says what they show. `answers/`
is the place of the files that raters save. The methods' results, and nothing else, differ between the places of a
question: all images are PNG files of the same size without metadata, numbered in random order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.benchmark.axes import matching
from inpaint_zoo.benchmark.report.files import environment, resource
from inpaint_zoo.benchmark.report.gallery import Pixels, masked_rgb, read_hole, read_rgb
from inpaint_zoo.benchmark.report.notes import count
from inpaint_zoo.benchmark.report.run_folder import Cell, Run
from inpaint_zoo.benchmark.study.design import Question, pair_plans, rank_plans
from inpaint_zoo.benchmark.study.key import ANSWERS, PAGE, TRUTH, Item, Key, Mode, Shown
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_folder, sha256_file, write_bytes
from inpaint_zoo.io.images import write_image
from inpaint_zoo.random import permutation

__all__ = ["MOST_RANKED", "REFERENCES", "Built", "StudyOptions", "build_study"]

MOST_RANKED = 9  # methods in one ranking: the keys 1 to 9, and more than people can rank
REFERENCES = {"none": (), "masked": ("masked",), "truth": ("truth",), "both": ("masked", "truth")}
TITLES = {"masked": "Image with missing region", "truth": "Original image"}
QUESTIONS = {"rank": "Order the images from the most to the least natural.", "pairs": "Which image looks more natural?"}
DEFAULT_QUESTIONS = {"rank": 20, "pairs": 48}  # for each rater, as in GRIG's and LGNet's studies

Show = Literal["none", "masked", "truth", "both"]


@dataclass(frozen=True)
class StudyOptions:
    """Options of a study.

    Attributes:
        mode: "rank": order all methods (GRIG, Table 2). "pairs": choose one of two (LGNet, Fig. 6).
        only: Methods, datasets and mask sets, as for `matching`.
        images: Number of images, drawn at random from those that the run kept; all by default.
        questions: Number of questions for each rater; by default 20 rankings or 48 pairs, if there are as many.
        raters: Number of different plans; further raters get the first plans again.
        seed: Seed of all random orders.
        show: References beside the results; by default both for rankings and none for pairs, as in the papers.
        include_truth: Whether the ground truth is one more method.
        question: Question of the page; by default one about naturalness.

    Raises:
        ZooError: If a number is too small.
    """

    mode: Mode = "rank"
    only: tuple[str, ...] = ()
    images: int | None = None
    questions: int | None = None
    raters: int = 24
    seed: int = 0
    show: Show | None = None
    include_truth: bool = False
    question: str | None = None

    def __post_init__(self) -> None:
        for name in ("images", "questions", "raters"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ZooError(f"--{name} must be at least 1, got {value}.")
        if self.seed < 0:
            raise ZooError(f"--seed must be at least 0, got {self.seed}.")


@dataclass(frozen=True)
class Built:
    """A study.

    Attributes:
        page: Path of index.html.
        methods, images, questions, raters: Numbers of methods, images, questions for each rater, and plans.
        notes: What was left out.
    """

    page: Path
    methods: int
    images: int
    questions: int
    raters: int
    notes: tuple[str, ...]


class _Scene(NamedTuple):
    """An image with a mask, and the files of its results by method."""

    item: Item
    target: Path
    mask: Path
    results: dict[str, Path]


def build_study(run: Run, out: str | Path, options: StudyOptions | None = None) -> Built:
    """Write the folder of a study.

    Args:
        run: A run; its results must have been kept with `inpaint-zoo benchmark --gallery N`.
        out: A new or empty folder.
        options: Options of the study.

    Raises:
        ZooError: If ``out`` is not empty, too few methods or images are left, or more questions are wanted than there
            are.
    """
    out, options = Path(out), options or StudyOptions()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ZooError(f"{out} is not empty; --out needs a new folder, so that no key or answer is overwritten.")
    notes: list[str] = []
    methods, scenes = _scenes(run, options, notes)
    if options.images is not None:
        if options.images > len(scenes):
            raise ZooError(
                f"--images {options.images}: only {len(scenes)} images have results of all methods.{_more(run)}"
            )
        chosen = sorted(permutation(options.seed, "study/sample", len(scenes))[: options.images])
        scenes = [scenes[at] for at in chosen]
    shown_methods = [*methods, TRUTH] if options.include_truth else methods
    questions = _number_of_questions(options, len(scenes), len(shown_methods))
    make = rank_plans if options.mode == "rank" else pair_plans
    plans = make(len(scenes), len(shown_methods), questions, options.raters, options.seed)
    if out.exists():
        out.rmdir()
    with atomic_folder(out) as folder:
        names, references, shown = _write_images(scenes, shown_methods, options, folder / PAGE / "images")
        key = Key(
            run=run.suite["name"],
            seed=options.seed,
            mode=options.mode,
            question=options.question or QUESTIONS[options.mode],
            methods=tuple(shown_methods),
            items=tuple(scene.item for scene in scenes),
            files=shown,
            plans=tuple(_files(plan, shown_methods, names, shown, options.mode) for plan in plans),
        )
        notes += _identical(key)
        key.write(folder)
        (folder / ANSWERS).mkdir()
        write_bytes(folder / PAGE / "index.html", _page(key, references).encode())
    return Built(out / PAGE / "index.html", len(shown_methods), len(scenes), questions, options.raters, tuple(notes))


def _more(run: Run) -> str:
    kept = max((len(run.gallery_numbers(dataset)) for dataset in run.datasets), default=0)
    return (
        f" The run kept the results of {kept} images of a dataset; `inpaint-zoo benchmark --gallery N --fresh` keeps "
        "those of N."
    )


def _scenes(run: Run, options: StudyOptions, notes: list[str]) -> tuple[list[str], list[_Scene]]:
    """Return the methods and the images that have results of all of them."""
    cells: list[Cell] = [(method, *table) for table, method in product(run.tables, run.methods)]
    chosen = [cell for cell, yes in zip(cells, matching(cells, options.only), strict=True) if yes]
    methods = [method for method in run.methods if any(cell[0] == method for cell in chosen)]
    if options.include_truth and TRUTH in methods:
        raise ZooError(f"A method has the label '{TRUTH}', so the ground truth cannot be one more method.")
    count = len(methods) + options.include_truth
    if count < 2 or (options.mode == "rank" and count > MOST_RANKED):
        limits = f"2 to {MOST_RANKED}" if options.mode == "rank" else "at least 2"
        raise ZooError(
            f"A study needs {limits} methods, got {count}. Select them with --only method=GLOB, which may be repeated."
        )
    scenes: list[_Scene] = []
    lacking: dict[str, int] = {}
    for dataset, mask in dict.fromkeys(cell[1:] for cell in chosen):
        groups = run.image_groups(dataset)
        for number, image in run.gallery_keys(dataset).items():
            files = {method: run.result_file((method, dataset, mask), number) for method in methods}
            without = [method for method, file in files.items() if file is None]
            if without or not run.mask_file(dataset, mask, number).is_file():
                for method in without:
                    lacking[f"{method} on {dataset}, {mask}"] = lacking.get(f"{method} on {dataset}, {mask}", 0) + 1
                continue
            item = Item(dataset, mask, image, str(groups.get(image, image)))
            target, hole = run.target_file(dataset, number), run.mask_file(dataset, mask, number)
            scenes.append(_Scene(item, target, hole, {method: file for method, file in files.items() if file}))
    notes += [f"{cell}: {number} images have no result and are left out." for cell, number in lacking.items()]
    if not scenes:
        first = f" The first: {next(iter(lacking))}." if lacking else ""
        raise ZooError(f"No image has results of all methods in {run.folder}.{first}{_more(run)}")
    return methods, scenes


def _number_of_questions(options: StudyOptions, images: int, methods: int) -> int:
    most = images if options.mode == "rank" else images * methods * (methods - 1) // 2
    if options.questions is not None and options.questions > most:
        kind = "images" if options.mode == "rank" else "pairs of results of one image"
        raise ZooError(f"--questions {options.questions}: there are only {most} {kind}.")
    return options.questions or min(most, DEFAULT_QUESTIONS[options.mode])


def _write_images(
    scenes: list[_Scene], methods: list[str], options: StudyOptions, folder: Path
) -> tuple[dict[tuple[int, str], str], dict[int, list[tuple[str, str]]], dict[str, Shown]]:
    """Write all images under random numbers.

    Returns:
        The file of each (item, method); the titles and files of each item's references; what each file shows.
    """
    show = options.show or ("both" if options.mode == "rank" else "none")
    wanted: list[tuple[int, str | None, str]] = [
        *((item, method, method) for item in range(len(scenes)) for method in methods),
        *((item, None, kind) for item in range(len(scenes)) for kind in REFERENCES[show]),
    ]
    names: dict[tuple[int, str], str] = {}
    references: dict[int, list[tuple[str, str]]] = {item: [] for item in range(len(scenes))}
    shown: dict[str, Shown] = {}
    numbers = permutation(options.seed, "study/files", len(wanted))
    stems = {at: f"{number + 1:0{len(str(len(wanted)))}d}" for number, at in enumerate(numbers)}
    for at in numbers:  # in the order of the names, so that times of the files say nothing, either
        item, method, kind = wanted[at]
        path = folder / f"{stems[at]}.png"
        write_image(path, _pixels(scenes[item], method, kind))
        shown[stems[at]] = Shown(item, method, sha256_file(path))
    for at, (item, method, kind) in enumerate(wanted):
        if method is None:
            references[item].append((TITLES[kind], stems[at]))
        else:
            names[item, method] = stems[at]
    return names, references, shown


def _pixels(scene: _Scene, method: str | None, kind: str) -> Pixels:
    if method is not None:
        return read_rgb(scene.target if method == TRUTH else scene.results[method])
    target = read_rgb(scene.target)
    return target if kind == "truth" else masked_rgb(target, read_hole(scene.mask))


def _files(
    plan: list[Question], methods: list[str], names: dict[tuple[int, str], str], shown: dict[str, Shown], mode: Mode
) -> tuple[tuple[str, ...], ...]:
    """Return the files of each question; pairs of identical images are left out, because no answer is right."""
    found = [tuple(names[question.item, methods[at]] for at in question.methods) for question in plan]
    return tuple(files for files in found if mode == "rank" or shown[files[0]].sha256 != shown[files[1]].sha256)


def _identical(key: Key) -> list[str]:
    """Return a line about images for which two methods have the same result."""
    seen: dict[tuple[int, str], list[str]] = {}
    for shown in key.files.values():
        if shown.method is not None:
            seen.setdefault((shown.item, shown.sha256), []).append(shown.method)
    items: dict[tuple[str, ...], set[int]] = {}
    for (item, _), methods in seen.items():
        if len(methods) > 1:
            items.setdefault(tuple(name for name in key.methods if name in methods), set()).add(item)
    what = "their places are arbitrary" if key.mode == "rank" else "questions about them were left out"
    return [
        f"{', '.join(methods)}: identical results for {len(found)} of {count(len(key.items), 'image')}; {what}."
        for methods, found in items.items()
    ]


def _page(key: Key, references: dict[int, list[tuple[str, str]]]) -> str:
    data: dict[str, Any] = {
        "study": key.study,
        "mode": key.mode,
        "plans": [
            [{"references": references[key.files[question[0]].item], "files": question} for question in plan]
            for plan in key.plans
        ],
    }
    package = "inpaint_zoo.benchmark.study"
    return (
        environment(package)
        .get_template("study.html")
        .render(
            version=__version__,
            mode=key.mode,
            question=key.question,
            data=data,
            style=resource(package, "study.css"),
            script=resource(package, "study.js"),
        )
    )
