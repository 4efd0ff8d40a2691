"""`inpaint-zoo masks`: list, show, write, measure and resolve mask generators."""

from __future__ import annotations

import io
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from inpaint_zoo.cli.bundled import bundled_path
from inpaint_zoo.cli.common import command_parser, console, err_console, print_table, progress_bar
from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.images import ImageError, read_image
from inpaint_zoo.masks import (
    MASK_SUITES,
    MaskConfigError,
    MaskGenerator,
    create_generator,
    list_masks,
    mask_info,
    mask_list,
    mask_suite,
    parse_size,
)
from inpaint_zoo.masks.bank import BATCH, write_bank
from inpaint_zoo.masks.document import is_mask_file
from inpaint_zoo.masks.kind import KINDS, Mask, Size
from inpaint_zoo.masks.overview import Measures, measure, summarize
from inpaint_zoo.masks.read import MaskCheck, mask_of

__all__ = [
    "is_mask_folder",
    "mask_batches",
    "mask_generator",
    "masks_list",
    "masks_of_files",
    "masks_resolve",
    "masks_show",
    "masks_stats",
    "masks_write",
    "run",
    "warn",
]

_SIZE = (256, 256)


def masks_list(pattern: str = "*") -> None:
    """List the presets and kinds of masks whose names match a shell pattern."""
    names = list_masks(pattern, ready=False)
    wide = not console.is_terminal or console.width >= 120
    table = Table(box=None, pad_edge=False)
    for heading in ("mask", "is a", "hole at 256"):
        table.add_column(heading, justify="right" if heading == "hole at 256" else "left", no_wrap=True)
    table.add_column("section", max_width=16 if console.is_terminal else None)
    table.add_column("description", ratio=1)
    if wide:
        table.add_column("source", no_wrap=True)
    for name in names:
        info = mask_info(name)
        mean = "" if info.mean_ratio is None else f"{100 * info.mean_ratio:.1f} %"
        needs = f" (needs {', '.join(info.required)})" if info.required else ""
        kind = "preset" if info.is_preset else "kind"
        row = (name, kind, mean, info.section, info.summary + needs, info.source)
        table.add_row(*(row if wide else row[:-1]))
    print_table(table)
    console.print(f"{len(names)} masks; section: see docs/papers/masks.md.")
    lists = [name for name in MASK_SUITES if fnmatchcase(name, pattern)]
    if lists:
        console.print("\nLists of masks for benchmark suites, {masks: NAME}:", markup=False)
        print_table(_mask_lists(lists))


def _mask_lists(names: list[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("list", "masks", "description", "files"):
        table.add_column(heading, justify="right" if heading == "masks" else "left")
    for name in names:
        found = mask_list(name)
        files = "" if found.files is None else f"{found.files.name}: {found.files.summary}"
        table.add_row(name, str(len(mask_suite(name))), found.summary, files)
    return table


def masks_show(
    name: str,
    n: int,
    size: Size | None,
    seed: int | None,
    stream: str | None,
    args: dict[str, Any] | None,
    out: Path,
) -> int:
    """Write a contact sheet of masks with their hole ratios; `_parser` describes the options.

    Returns:
        1 if some masks could not be made, such as those of empty files; else 0.
    """
    from inpaint_zoo.masks.overview import contact_sheet

    checked("--n", n, whole(1))
    _check_png(out)
    generator = mask_generator(name, seed, stream, args)
    shape = size or generator.size or _SIZE
    if is_mask_folder(name):
        n = min(n, len(generator.files()))
    warn(generator.check_files(n))
    masks = drawn_masks(generator, range(n), shape)
    notes = {index: generator.meta(index, shape) for index in masks}
    captions = [f"{_label(index, note)}: {100 * note['ratio']:.1f} %" for index, note in notes.items()]
    title = f"{generator.name}, {shape[0]} x {shape[1]}, seed {generator.seed}, hole ratio below each (dark is hole)"
    buffer = io.BytesIO()
    contact_sheet(list(masks.values()), captions, title).save(buffer, format="PNG")
    write_bytes(out, buffer.getvalue())
    console.print(f"{len(masks)} masks of {generator.name}: {out}", soft_wrap=True, markup=False)
    return int(len(masks) < n)


def _label(index: int, note: dict[str, Any]) -> str:
    return Path(note["file"]).name if "file" in note else str(index)


def masks_write(
    name: str,
    n: int,
    size: Size | None,
    seed: int | None,
    stream: str | None,
    args: dict[str, Any] | None,
    out: Path,
    overwrite: bool,
) -> None:
    """Write a bank: N mask files (255 = hole), manifest.csv and bank.json. An interrupted bank is continued."""
    generator = mask_generator(name, seed, stream, args)
    shape = size or generator.size or _SIZE
    warn(generator.check_files(n))
    with progress_bar() as progress:
        task = progress.add_task(f"masks of {generator.name}", total=n)
        manifest = write_bank(
            generator, n, shape, out, overwrite=overwrite, advance=lambda done: progress.advance(task, done)
        )
    console.print(f"{n} masks of {generator.name}: {manifest}", soft_wrap=True, markup=False)


def masks_stats(
    name: str,
    n: int,
    size: Size | None,
    seed: int | None,
    stream: str | None,
    args: dict[str, Any] | None,
    out: Path | None,
) -> int:
    """Measure hole ratios, and print a table and a histogram.

    Returns:
        1 if some masks could not be made or read; else 0.
    """
    checked("--n", n, whole(1))
    if out is not None:
        _check_png(out)
    generator = mask_generator(name, seed, stream, args)
    shape = size or generator.size or _SIZE
    native = size is None and not args and is_mask_folder(name)
    files = generator.files()
    if is_mask_folder(name):
        n = min(n, len(files))
    check = MaskCheck()
    if not native:
        warn(generator.check_files(n))
    with progress_bar() as progress:
        task = progress.add_task(f"masks of {generator.name}", total=n)
        batches = masks_of_files(files[:n], check) if native else mask_batches(generator, n, shape)
        measures = measure(_counted(batches, progress, task))
    warn(check.lines())
    where = "at their own resolution" if native else f"at {shape[0]} x {shape[1]}, seed {generator.seed}"
    title = f"{generator.name}: {len(measures.ratio)} masks {where}"
    _print_stats(title, name if shape == (256, 256) and not args else None, measures)
    if out is not None:
        from inpaint_zoo.masks.overview import histogram

        buffer = io.BytesIO()
        histogram(measures.ratio, title).save(buffer, format="PNG")
        write_bytes(out, buffer.getvalue())
        console.print(f"histogram: {out}", soft_wrap=True, markup=False)
    return int(len(measures.ratio) < n)


def masks_resolve(
    name: str, seed: int | None, stream: str | None, size: Size | None, args: dict[str, Any] | None, out: Path | None
) -> None:
    """Print a mask's configuration as YAML, with presets and defaults expanded, and its SHA-256."""
    generator = mask_generator(name, seed, stream, args)
    generator.size = size or generator.size
    text = generator.to_yaml()
    if out is None:
        console.print(text, end="", soft_wrap=True, markup=False)
        return
    write_bytes(out, text.encode())
    console.print(f"{generator.name}: {out}", soft_wrap=True, markup=False)


def _print_stats(title: str, name: str | None, measures: Measures) -> None:
    summary = summarize(measures)
    empty, full = summary.pop("empty"), summary.pop("all hole")
    table = Table(title=title, box=None, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    for heading in summary:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(*(f"{value:.{4 if heading == 'edge' else 3}f}" for heading, value in summary.items()))
    print_table(table)
    console.print("c, b: hole share inside, outside the centered rectangle of half the height and width")
    console.print("edge: differing pairs of adjacent pixels, per pixel")
    console.print(f"no hole: {100 * empty:.2f} %, all hole: {100 * full:.2f} %")
    mean = mask_info(name).mean_ratio if name in list_masks() else None
    if mean is not None:
        console.print(f"mean of the reference at 256 x 256: {mean:.3f}")
    counts, _ = np.histogram(measures.ratio, bins=20, range=(0, 1))
    width = max(10, min(60, console.width - 30))
    for k, count in enumerate(counts.tolist()):
        bar = "█" * round(width * count / counts.max())
        console.print(f"{5 * k:3d}-{5 * k + 5:3d} %  {bar:<{width}}  {count}", markup=False)


def _counted(batches: Iterator[Mask], progress: Progress, task: TaskID) -> Iterator[Mask]:
    for batch in batches:
        yield batch
        progress.advance(task, len(batch))


def mask_batches(generator: MaskGenerator, n: int, size: Size) -> Iterator[Mask]:
    """Yield the first ``n`` masks of a generator in batches (B, H, W)."""
    for first in range(0, n, BATCH):
        yield np.stack(list(drawn_masks(generator, range(first, min(first + BATCH, n)), size).values()))


def drawn_masks(generator: MaskGenerator, indices: range, size: Size) -> dict[int, Mask]:
    """Return masks by index; masks that cannot be made, such as an empty file's, are reported and left out.

    Raises:
        MaskConfigError: If no mask can be made.
    """
    try:
        return dict(zip(indices, generator.batch(indices, size), strict=True))
    except MaskConfigError as error:
        generator.out_size(size)  # raises an error for a size that suits no mask
        if len(indices) == 1:
            raise
        reasons = [error]
    found = {}
    for index in indices:
        try:
            found[index] = generator(index, size)
        except MaskConfigError as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    warn([str(reason) for reason in reasons[1:]])
    return found


def masks_of_files(files: list[Path], check: MaskCheck) -> Iterator[Mask]:
    """Yield masks at their own resolution, and add their doubts to ``check``."""
    for path in files:
        try:
            mask, doubts = mask_of(read_image(path))
        except ImageError as error:
            check.add_unreadable(error)
            continue
        check.add(path, mask, doubts)
        yield mask[None]
    if len(check.unreadable) == len(files):
        raise ZooError(f"no mask can be read; the first: {check.unreadable[0]}")


def warn(lines: list[str]) -> None:
    """Print lines as warnings."""
    for line in lines:
        err_console.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True)


def is_mask_folder(name: str) -> bool:
    """Return whether ``name`` is a folder. Mask names take precedence over folders; `./center` is the folder."""
    return name not in KINDS and name not in list_masks() and Path(name).is_dir()


def mask_generator(
    name: str, seed: int | None, stream: str | None = None, args: dict[str, Any] | None = None
) -> MaskGenerator:
    """Return the generator of a mask's name, a YAML file or its name in the package, or a folder of mask files."""
    found = None if Path(name).exists() else bundled_path("configuration", name)
    if found is not None and found.parent.name == "masks":
        name = str(found)
    if is_mask_file(name):
        return create_generator(name, seed=seed, stream=stream, **(args or {}))
    spec = {"bank": name} if is_mask_folder(name) else {"name": name}
    return create_generator({**spec, "args": args or {}}, seed=seed, stream=stream)


def _parse_size(values: list[int] | None) -> Size | None:
    if values is None:
        return None
    if len(values) > 2:
        raise MaskConfigError(f"--size must be one number or height and width, got {' '.join(map(str, values))}.")
    return parse_size(values if len(values) == 2 else values[0])


def _parse_args(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        args = json.loads(text)
    except ValueError:
        args = None
    if not isinstance(args, dict):
        raise MaskConfigError(f"--args must be a JSON object such as '{{\"side\": 64}}', got {text!r}.")
    return args


def _check_png(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise MaskConfigError(f"--out must end in .png, got {path}.")


def _parser() -> ArgumentParser:
    parser = command_parser("masks", "Masks: list, show, write, measure and resolve generators.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="the presets and kinds of masks")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern for the names")
    listing.set_defaults(function=masks_list)

    common = ArgumentParser(add_help=False)
    common.add_argument(
        "name",
        metavar="NAME",
        help="a mask of `inpaint-zoo masks list`, a YAML file, one of the package such as masks/lama_train, or a "
        "folder of mask files",
    )
    common.add_argument(
        "--size",
        type=int,
        nargs="+",
        metavar="PX",
        help="one number, or height and width (default: the file's, else 256)",
    )
    common.add_argument("--seed", type=int, help="suite seed (default: the file's, else 0)")
    common.add_argument("--stream", help="random stream: mask, train, val or test (default: the file's, else mask)")
    common.add_argument("--args", metavar="JSON", help="arguments of the kind, such as '{\"side\": 64}'")
    show = commands.add_parser("show", parents=[common], help="a sheet of masks with their hole ratios")
    show.add_argument("--n", type=int, default=16, help="number of masks (default: 16)")
    show.add_argument("--out", type=Path, default=Path("sheet.png"), metavar="PNG", help="default: sheet.png")
    show.set_defaults(function=masks_show)
    write = commands.add_parser(
        "write", parents=[common], help="a folder of mask files; an interrupted one is continued"
    )
    write.add_argument("--n", type=int, required=True, help="number of masks")
    write.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder")
    write.add_argument("--overwrite", action="store_true", help="replace the bank in the folder")
    write.set_defaults(function=masks_write)
    stats = commands.add_parser("stats", parents=[common], help="hole ratios as a table and a histogram")
    stats.add_argument("--n", type=int, default=1000, help="number of masks; for a folder, at most all (default: 1000)")
    stats.add_argument("--out", type=Path, metavar="PNG", help="also write the histogram as an image")
    stats.set_defaults(function=masks_stats)
    resolve = commands.add_parser("resolve", parents=[common], help="the full configuration as YAML, with its SHA-256")
    resolve.add_argument("--out", type=Path, metavar="YAML", help="write it to this file instead of printing it")
    resolve.set_defaults(function=masks_resolve)
    return parser


def run(args: list[str]) -> int:
    """Run `inpaint-zoo masks list|show|write|stats|resolve`; without a subcommand, run `list`."""
    options = vars(_parser().parse_args(args or ["list"]))
    function = options.pop("function")
    if "name" in options:
        options["size"], options["args"] = _parse_size(options["size"]), _parse_args(options["args"])
    return function(**options) or 0
