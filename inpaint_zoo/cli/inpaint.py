"""`inpaint-zoo inpaint`: fill the holes of one image, or of every image in a folder."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.common import (
    add_option_argument,
    command_parser,
    console,
    err_console,
    parse_options,
    progress_bar,
)
from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import MAX_PIXELS
from inpaint_zoo.masks.read import doubt_lines

if TYPE_CHECKING:
    from inpaint_zoo.inference.folder import FolderReport, Job, Problem

__all__ = ["run"]


def _parser() -> ArgumentParser:
    parser = command_parser(
        "inpaint",
        "Fill the holes of one image, or of all images below a folder. Pixels outside the holes are kept: bit for bit "
        "in PNG, lossless WebP, BMP, TIFF and PPM results. The EXIF rotation is applied, and transparency is kept. "
        "Images whose output files all exist are skipped.",
    )
    add = parser.add_argument
    add("images", metavar="IMAGE_OR_FOLDER", help="an image file, or a folder that is searched recursively")
    add(
        "--mask",
        required=True,
        metavar="FILE_FOLDER_OR_NAME",
        help="one mask for all images, a folder of masks paired by stem (white = hole), or the name of a mask "
        "generator (`inpaint-zoo masks list`)",
    )
    add(
        "--model",
        metavar="NAME",
        help="a model; `inpaint-zoo models` lists them; default: the one that the file of --weights states",
    )
    add("--weights", metavar="FILE", help="weights of the model; default: the shipped weights")
    add_option_argument(parser)
    add("--out", required=True, metavar="DIR", help="folder of the results; sub-folders are kept")
    add("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where the model runs")
    add("--batch-size", type=int, default=1, metavar="N", help="images of one size in one forward pass")
    add("--invert-mask", action="store_true", help="black is hole")
    add("--mask-threshold", type=int, default=127, metavar="0..254", help="brighter pixels of a mask file are hole")
    add("--seed", type=int, default=0, metavar="N", help="seed of a mask generator; image i gets mask i")
    add("--overwrite", action="store_true", help="write existing files again")
    add(
        "--frames",
        nargs="?",
        const="png",
        choices=["png", "gif"],
        help="for a model with several passes (`progressive:NAME`), write each pass beside the result: as images "
        "STEM_pass_01.png and so on (png, the default), or as one animation STEM_passes.gif (gif)",
    )
    add(
        "--branches",
        action="store_true",
        help="for a model with branches (`isnet`), write a sheet of their feature maps beside the result: "
        "STEM_branches.png",
    )
    add(
        "--attention",
        action="store_true",
        help="for a model with attention (`contextual_attention`), write a sheet of where it copies from beside the "
        "result: STEM_attention.png",
    )
    add("--format", choices=["same", "png", "jpg"], default="same", help="format of the results; GIF becomes PNG")
    add("--quality", type=int, metavar="1..100", help="JPEG quality (default 95); WebP is lossless unless this is set")
    add("--max-pixels", type=int, default=MAX_PIXELS, metavar="N", help="reject larger images and masks")
    return parser


def run(args: list[str]) -> int:
    """Run the command; return 0 if all images are done, 1 if some failed."""
    options = _parser().parse_args(args)
    _check(options)

    from inpaint_zoo.inference.device import choose_device
    from inpaint_zoo.inference.extras import Extras
    from inpaint_zoo.inference.folder import fill_folder, mask_source, plan_jobs
    from inpaint_zoo.inference.inpaint import ready_model

    out = Path(options.out)
    extras = Extras(options.frames, options.branches, options.attention)
    jobs = plan_jobs(options.images, out, options.format, extras)
    masks = mask_source(
        options.mask,
        jobs,
        options.images,
        threshold=options.mask_threshold,
        invert=options.invert_mask,
        seed=options.seed,
        max_pixels=options.max_pixels,
    )
    device = choose_device(options.device)
    model = options.model or _stated_model(options.weights)
    net = ready_model(model, options.weights, **parse_options(options.option)).to(device)
    extras.check(net, model)
    _check_writable(out)
    todo = [job for job in jobs if options.overwrite or not job.done()]
    with _counting(todo) as finished:
        report = fill_folder(
            net,
            todo,
            masks,
            batch_size=options.batch_size,
            quality=options.quality,
            max_pixels=options.max_pixels,
            overwrite=options.overwrite,
            finished=finished,
        )
    _conclude(report, len(jobs) - len(todo), Path(options.images), out)
    return 1 if report.problems else 0


def _stated_model(weights: str | None) -> str:
    """Return the name of the model that a weight file or checkpoint states.

    Raises:
        ZooError: There is no file, or it states no model.
    """
    from inpaint_zoo.weights import read_header

    if weights is None:
        raise ZooError("Give a model by --model, or a weight file or checkpoint of this package by --weights.")
    name = read_header(weights).name
    if name is None:
        raise ZooError(f"{weights} does not state its model: name it by --model.")
    return name


def _check(options: Any) -> None:  # noqa: ANN401 - a parsed namespace
    limits = {
        "batch-size": (options.batch_size, 1, None),
        "mask-threshold": (options.mask_threshold, 0, 254),
        "quality": (options.quality, 1, 100),
        "max-pixels": (options.max_pixels, 1, None),
    }
    for name, (value, low, high) in limits.items():
        if value is not None:
            checked(f"--{name}", value, whole(low, high))


def _check_writable(out: Path) -> None:
    """Check that the folder is writable before the model starts to work."""
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise ZooError(f"{out}: cannot write to this folder (permission denied)")


@contextmanager
def _counting(jobs: Sequence[Job]) -> Iterator[Any]:
    """Show a progress bar on a terminal, and otherwise print a line after every tenth of the images."""
    with progress_bar() as progress:
        task = progress.add_task("inpainting", total=len(jobs))
        count = 0

        def finished(job: Job) -> None:
            nonlocal count
            count += 1
            progress.advance(task)
            if progress.disable and count * 10 // len(jobs) > (count - 1) * 10 // len(jobs):
                err_console.print(f"{count}/{len(jobs)} {escape(str(job.image))}", soft_wrap=True)

        yield finished


def _conclude(report: FolderReport, skipped: int, images: Path, out: Path) -> None:
    for line in doubt_lines(report.doubts):
        err_console.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True)
    for note, noted in report.notes.items():
        more = f" and {len(noted) - 1} more" if len(noted) > 1 else ""
        err_console.print(f"[dim]note:[/dim] {escape(note)}: {escape(str(noted[0]))}{more}", soft_wrap=True)
    if report.problems:
        _show_problems(report.problems, images)
    words = [f"{report.done} inpainted"]
    words += [f"{skipped} skipped (already exist; --overwrite writes them again)"] if skipped else []
    words += [f"{len(report.problems)} failed"] if report.problems else []
    console.print(f"{', '.join(words)}: {escape(str(out))}", soft_wrap=True)


def _show_problems(problems: Sequence[Problem], images: Path) -> None:
    root = images if images.is_dir() else images.parent
    table = Table(title=f"not inpainted, of {escape(str(root))}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("image", overflow="fold")
    table.add_column("why it has no result", overflow="fold")
    for problem in problems:
        table.add_row(escape(str(problem.image.relative_to(root))), escape(problem.reason))
    if err_console.is_terminal:
        err_console.print(table)
        return
    # without a terminal nothing is folded, so that every path can be searched for
    columns = ([str(problem.image) for problem in problems], [problem.reason for problem in problems])
    widest = sum(max(map(cell_len, column)) for column in columns)
    Console(stderr=True, emoji=False, width=widest + 40).print(table)
