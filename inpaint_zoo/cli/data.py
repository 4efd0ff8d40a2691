"""`inpaint-zoo data`: list and check data sets; select, split and pack the images of a folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

import yaml

from inpaint_zoo.cli.common import command_parser, console, progress_bar
from inpaint_zoo.cli.data_check import check_arguments
from inpaint_zoo.cli.data_list import info_arguments, list_arguments
from inpaint_zoo.data.fetching import is_remote
from inpaint_zoo.data.lists import read_labels, read_list, write_list, write_split
from inpaint_zoo.data.packing import write_shards
from inpaint_zoo.data.shards import INDEX, index_shards
from inpaint_zoo.data.splits import SELECT_KEYS, by_class, few_shot, holdout, select
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.listing import by_stem

__all__ = ["run"]

SHOTS = [5, 10, 30, 50]  # as in GRIG's paper


def _split(options: Namespace) -> int:
    """Write train.txt and test.txt."""
    files = by_stem(options.root, role="images")
    if options.by_class is not None:
        test, train = _ratio(options.by_class)
        split, rule = by_class(files, test, train, options.seed), f"by_class {test}:{train}, seed {options.seed}"
    else:
        split, rule = holdout(files, options.holdout, options.seed), f"holdout {options.holdout}, seed {options.seed}"
    write_split(options.out, files, options.root, split, rule)
    console.print(f"{len(split.train)} for training, {len(split.test)} for testing: {options.out}", markup=False)
    return 0


def _ratio(text: str) -> tuple[int, int]:
    test, found, train = text.partition(":")
    if not (found and test.isdecimal() and train.isdecimal()):
        raise ZooError(f"--by-class must be TEST:TRAIN, such as 1:11, got '{text}'")
    return int(test), int(train)


def _select(options: Namespace) -> int:
    """Write one list of images, such as a few-shot subset."""
    files = by_stem(options.root, role="images")
    rules = yaml.safe_load(options.select)
    if not isinstance(rules, Mapping):
        keys = ", ".join(SELECT_KEYS)
        raise ZooError(f"--select must be rules such as '{{few_shot: 10}}', got '{options.select}'; keys: {keys}")
    labels = None if options.labels is None else read_labels(options.labels, options.label_names)
    chosen = select(files, rules, labels)
    names = [path.relative_to(options.root).as_posix() for path in chosen.values()]
    write_list(options.out, names, f"{len(names)} of {len(files)} images; rule: {options.select}")
    console.print(f"{len(names)} of {len(files)} images: {options.out}", markup=False)
    return 0


def _shots(options: Namespace) -> int:
    """Write one list for each few-shot subset, each containing the smaller ones, and one list of all images."""
    files = by_stem(options.root, role="images")
    counts = sorted({count for count in options.counts if count < len(files)})
    seed = None if options.in_order else options.seed
    subsets = {f"{count}": few_shot(files, count, seed) for count in counts} | {"all": list(files)}
    for name, stems in subsets.items():
        names = [files[stem].relative_to(options.root).as_posix() for stem in stems]
        rule = "all" if name == "all" else "the first by name" if seed is None else f"drawn, seed {seed}"
        note = f"{len(names)} of {len(files)} images; rule: {rule}"
        write_list(options.out / f"shots_{name}.txt", names, note)
    console.print(f"shots of {len(files)} images: {', '.join(subsets)}: {options.out}", markup=False)
    return 0


def _shards(options: Namespace) -> int:
    """Pack a folder into shards; return 1 if some images were left out."""
    files = by_stem(options.root, role="images") if options.list is None else read_list(options.list, options.root)
    with progress_bar() as progress:
        task = progress.add_task("images packed", total=len(files))
        problems = write_shards(
            files,
            options.out,
            name=options.name,
            per_shard=options.per_shard,
            seed=None if options.in_order else options.seed,
            workers=options.workers,
            progress=lambda done: progress.update(task, completed=done),
        )
    for _, reason in problems:
        console.print(f"left out: {reason}", markup=False, soft_wrap=True)
    console.print(f"{len(files) - len(problems)} of {len(files)} images: {options.out}", markup=False)
    return int(bool(problems))


def _index(options: Namespace) -> int:
    """Write the index of a shard set that another program wrote."""
    local = Path(options.shards)
    beside = (local if local.is_dir() else local.parent) / INDEX
    if options.out is None and is_remote(options.shards):
        raise ZooError("remote shards need --out FILE; put that file beside the shards afterwards")
    out = Path(options.out or beside)
    count = index_shards(options.shards, out, cache=options.cache, workers=options.workers)
    console.print(f"{count} images: {out}", markup=False)
    return 0


def _parser() -> ArgumentParser:
    parser = command_parser("data", "List and check data sets; split and pack folders of images.")
    metavar = "list | info | check | select | split | shots | shards | index"
    verbs = parser.add_subparsers(dest="verb", metavar=metavar, required=True)

    list_arguments(verbs.add_parser("list", help="a table of the data sets that are known by name"))
    info_arguments(verbs.add_parser("info", help="layout, splits, license and home page of a data set"))
    check_help = "compare a data set with its record; find unreadable images, and images that two sets share"
    check_arguments(verbs.add_parser("check", help=check_help))

    split = verbs.add_parser("split", help="write train.txt and test.txt")
    split.add_argument("root", type=Path, metavar="DIR")
    rule = split.add_mutually_exclusive_group(required=True)
    rule.add_argument("--by-class", metavar="TEST:TRAIN", help="split each folder in this ratio; Animals-90: 1:11")
    rule.add_argument("--holdout", type=int, metavar="N", help="use N of all images for testing")
    split.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the two files")
    split.set_defaults(work=_split)

    selection = verbs.add_parser("select", help="write a list of images, such as a few-shot subset")
    selection.add_argument("root", type=Path, metavar="DIR")
    selection.add_argument(
        "--select", required=True, metavar="RULES", help="rules as in a dataset, such as '{few_shot: [10, 0]}'"
    )
    selection.add_argument(
        "--labels", type=Path, metavar="FILE", help="the class of each image, one `PATH LABEL` per line"
    )
    selection.add_argument(
        "--label-names", type=Path, metavar="FILE", help="names of the labels, one `NAME LABEL` per line"
    )
    selection.add_argument("--out", type=Path, required=True, metavar="FILE")
    selection.set_defaults(work=_select)

    shots = verbs.add_parser("shots", help="write lists of few-shot subsets, each containing the smaller ones")
    shots.add_argument("root", type=Path, metavar="DIR", help="the training images")
    shots.add_argument("--counts", type=int, nargs="+", default=SHOTS, metavar="N", help="default: 5 10 30 50")
    shots.add_argument("--in-order", action="store_true", help="use the first images by name, not random ones")
    shots.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of shots_<N>.txt")
    shots.set_defaults(work=_shots)

    shards = verbs.add_parser(
        "shards", aliases=["shard"], help="pack images into tar files with an index, for clusters"
    )
    shards.add_argument("root", type=Path, metavar="DIR")
    shards.add_argument("--list", type=Path, metavar="FILE", help="pack only the images in this list")
    shards.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    shards.add_argument("--name", default="shard", help="files are called NAME-000000.tar (default: shard)")
    shards.add_argument("--per-shard", type=int, default=1000, metavar="N", help="images per tar file (default: 1000)")
    shards.add_argument("--in-order", action="store_true", help="keep the order of the names; default: random order")
    shards.set_defaults(work=_shards)

    index = verbs.add_parser("index", help="write the index of shards that another program wrote")
    index.add_argument("shards", metavar="PATTERN", help="folder or pattern of *.tar files, or URLs with {000..099}")
    index.add_argument("--out", type=Path, metavar="FILE", help=f"default: {INDEX} beside the shards")
    index.add_argument("--cache", type=Path, metavar="DIR", help="folder into which remote shards are downloaded")
    index.set_defaults(work=_index)

    for verb in (split, shots, shards):
        verb.add_argument("--seed", type=int, default=0, help="seed of the random selection or order (default: 0)")
    for verb in (shards, index):
        verb.add_argument("--workers", type=int, default=4, metavar="N", help="threads (default: 4)")
    return parser


def run(args: list[str]) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(args)
    return int(options.work(options))
