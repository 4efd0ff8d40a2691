"""`inpaint-zoo data check`: check a registered data set, a folder, shards, or the sets of a configuration."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from inpaint_zoo.cli.bundled import bundled_file
from inpaint_zoo.cli.common import console, print_table, progress_bar
from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.data import DatasetFolder, DatasetLayoutError, ImageDataset, create_dataset, dataset_info, sample_files
from inpaint_zoo.data.crops import Size
from inpaint_zoo.data.datasets import Examined
from inpaint_zoo.data.overlap import find_copies, find_overlaps
from inpaint_zoo.data.records import IN_WORDS, DatasetRecord, SplitName
from inpaint_zoo.data.splits import few_shot
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_or_unreadable

__all__ = ["check_arguments"]

_HASHED = 5  # number of files of each split whose hashes are shown
_Files = Mapping[SplitName, Mapping[str, Path]]


def _check(options: Namespace) -> int:
    """Check what the options name; return 1 if something is wrong with it."""
    if options.name is not None:
        if options.config or options.shards is not None:
            raise ZooError("data check NAME takes the folder of the data set as --root DIR, not --config or --shards")
        return _check_named(options)
    if options.config:
        return _check_sets(options)
    if options.root is None and options.shards is None:
        raise ZooError("data check needs the name of a data set, --root DIR, --shards PATTERN or --config FILE")
    if options.names_only:
        raise ZooError("--names-only compares sets, so it needs the name of a data set or --config FILE")
    where = {"root": options.root} if options.shards is None else {"shards": options.shards}
    return int(_unreadable(_decode(create_dataset({"name": "images", **where}), "images", options.workers)))


def _unreadable(examined: Sequence[Examined]) -> bool:
    return any(each.reason for each in examined)


def _decode(data: ImageDataset, name: str, workers: int, *, hashes: bool = False) -> list[Examined]:
    """Decode every image of a dataset, and print those that cannot be read and the sizes of the others."""
    examined = []
    with progress_bar() as progress:
        task = progress.add_task(f"{name} decoded", total=len(data.files))
        for each in data.examine(workers, hashes=hashes):
            examined.append(each)
            progress.advance(task)
    problems = [each for each in examined if each.reason]
    if problems:
        table = Table(box=None, pad_edge=False)
        for heading in ("image", "why it cannot be read"):
            table.add_column(heading, overflow="fold")
        for problem in problems:
            table.add_row(problem.key + Path(str(problem.path)).suffix, problem.reason)
        print_table(table, markup=False)
    converted = f", {len(data.notes)} of them after a conversion" if data.notes else ""
    sizes = _in_words([each.size for each in examined if each.size is not None])
    count = f"{len(examined) - len(problems)} of {len(examined)} {name} can be read{converted}"
    console.print(f"{count}{sizes}", soft_wrap=True)
    return examined


def _in_words(sizes: list[Size]) -> str:
    """Return the smallest, median and largest size by number of pixels."""
    if not sizes:
        return ""
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    low, middle, high = (f"{W} x {H}" for H, W in (ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]))
    return f"; {low} pixels" if ordered[0] == ordered[-1] else f"; from {low} to {high} pixels, median {middle}"


def _check_named(options: Namespace) -> int:
    """Check a registered data set: numbers, unreadable images, images in two splits. Print hashes of a few files."""
    record = dataset_info(options.name)
    folder = None
    if not record.included:
        folder = DatasetFolder(record, options.root)
    elif options.root is not None:
        raise ZooError(f"the data set '{record.name}' comes with a package, so it takes no --root")
    console.print(f"{record.title}: {'included' if folder is None else folder.place}", markup=False, soft_wrap=True)
    files, wrong = _listed(record, folder)
    wrong |= _counts_differ(record, folder, files)
    if record.val_is_test:
        console.print("The validation images are the test images.")
    apart = {split: found for split, found in files.items() if split != "val" or not record.val_is_test}
    sets = {IN_WORDS[split]: found for split, found in apart.items()}
    if options.names_only:
        overlaps = find_overlaps(sets)
    else:
        hashes = {}
        for name, found in sets.items():
            examined = _decode(ImageDataset(record.name, found), f"{name} images", options.workers, hashes=True)
            wrong |= _unreadable(examined)
            hashes[name] = {str(each.path): each.sha256 for each in examined if not each.reason}
        overlaps = find_copies(hashes)
    for overlap in overlaps:
        console.print(str(overlap), markup=False, soft_wrap=True)
    _print_hashes(apart)
    wrong |= bool(overlaps)
    console.print(f"{record.name}: {'differs from its record, see above' if wrong else 'as expected'}")
    return int(wrong)


def _listed(record: DatasetRecord, folder: DatasetFolder | None) -> tuple[_Files, bool]:
    """Return the files of each split, and whether some splits do not have the expected layout.

    Raises:
        DatasetLayoutError: If no split has the expected layout.
    """
    if folder is None:
        return {split: sample_files(split) for split in record.splits}, False
    found: dict[SplitName, Mapping[str, Path]] = {}
    errors: dict[SplitName, DatasetLayoutError] = {}
    for split in record.splits:
        try:
            found[split] = folder.files(split)
        except DatasetLayoutError as error:
            errors[split] = error
    if not found:
        raise next(iter(errors.values()))
    for split, problem in errors.items():
        console.print(f"{split}: {problem}", markup=False, soft_wrap=True)
    return found, bool(errors)


def _counts_differ(record: DatasetRecord, folder: DatasetFolder | None, files: _Files) -> bool:
    """Print the numbers of images beside the expected ones, and return whether some differ."""
    rows: list[tuple[str, int, int | None]] = []
    for name, expected in record.folders.items():
        used = any(record.splits[split].folder == name for split in files)
        if folder is not None and used:
            rows.append((f"folder {name or '.'}", len(folder.listed(name)), expected.images))
    rows += [(split, len(found), record.splits[split].images) for split, found in files.items()]
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("images", "expected"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for name, count, number in rows:
        differs = number not in (None, count)
        table.add_row(
            name, f"{count:,}", "not fixed" if number is None else f"{number:,}", "differs" if differs else ""
        )
    print_table(table, markup=False)
    return any(number not in (None, count) for _, count, number in rows)


def _print_hashes(files: _Files) -> None:
    """Print the SHA-256 of a few files of each split, the same ones for everyone who has the same file names.

    Each file has one line, whatever the width of the terminal, so that two outputs can be compared.
    """
    console.print("SHA-256 of a sample of the files:")
    for split, found in files.items():
        for stem in few_shot(found, min(_HASHED, len(found)), 0):
            line = f"{sha256_or_unreadable(found[stem])}  {split} {stem}{found[stem].suffix}"
            console.print(line, markup=False, soft_wrap=True)


def _check_sets(options: Namespace) -> int:
    """Check the datasets of a configuration: unreadable images, and images that two of them share."""
    from inpaint_zoo.data.module import InpaintingDataModule
    from inpaint_zoo.training import Checkpoints

    if options.shards is not None:
        raise ZooError(
            "data check takes --shards or --config, not both; in a configuration, shards are set in a dataset"
        )
    given: dict[str, Any] = {}
    monitor = Checkpoints().monitor
    for path in options.config:
        settings = read_config(bundled_file("configuration", path))
        given.update((settings.get("data") or {}).get("init_args") or {})
        monitor = (settings.get("checkpoints") or {}).get("monitor", monitor)
    if options.root is not None:
        given["root"] = options.root
    data = InpaintingDataModule(**given)
    failed = False
    for split, name in IN_WORDS.items():
        spec = data.specs[split]
        if spec is None:
            continue
        files = data.files(split)
        if options.names_only:
            console.print(f"{len(files)} {name} images")
        else:
            whole = {key: value for key, value in spec.items() if key not in ("size", "crop", "seed")}
            failed |= _unreadable(_decode(create_dataset(whole, files), f"{name} images", options.workers))
    for overlap in data.overlaps():
        curve = "training" not in (overlap.smaller, overlap.larger) and monitor is None
        failed |= not curve
        advice = "; allowed, since nothing is selected on them (checkpoints.monitor is null)" if curve else ""
        console.print(f"{overlap}{advice}", markup=False, soft_wrap=True)
    return int(failed)


def check_arguments(check: ArgumentParser) -> None:
    """Add the arguments of `inpaint-zoo data check` to its parser."""
    check.add_argument("name", nargs="?", metavar="NAME", help="a registered data set, whose record is compared")
    where = check.add_mutually_exclusive_group()
    where.add_argument(
        "--root",
        metavar="DIR",
        help="folder, searched recursively; with NAME, that of the data set; with --config, its data.root",
    )
    where.add_argument("--shards", metavar="PATTERN", help="folder or pattern of *.tar files")
    check.add_argument(
        "--config",
        type=Path,
        action="append",
        metavar="FILE",
        help="a configuration of `fit`: check its sets, and whether two of them share images; may be repeated",
    )
    check.add_argument("--names-only", action="store_true", help="with NAME or --config: decode no image")
    check.add_argument("--workers", type=int, default=4, metavar="N", help="threads (default: 4)")
    check.set_defaults(work=_check)
