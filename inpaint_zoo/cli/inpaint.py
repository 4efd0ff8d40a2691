"""`inpaint-zoo inpaint`: fill the holes of one image, or of all images in folders, patterns and manifests."""

from __future__ import annotations

import copy
import math
import os
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.common import (
    add_option_argument,
    command_parser,
    console,
    err_console,
    note_console,
    parse_options,
    print_table,
    progress_bar,
)
from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import MAX_PIXELS
from inpaint_zoo.masks.read import doubt_lines

if TYPE_CHECKING:
    import torch

    from inpaint_zoo.inference.folder import FolderReport, Problem
    from inpaint_zoo.inference.jobs import Job
    from inpaint_zoo.inference.strategy import Choice
    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["run"]

MODEL_FILES = (".onnx", ".pt2", ".pt")  # that `inpaint-zoo export` writes


def _parser() -> ArgumentParser:
    parser = command_parser(
        "inpaint",
        "Fill the holes of one image, or of all images below a folder. Pixels outside the holes are kept: bit for bit "
        "in PNG, lossless WebP, BMP, TIFF and PPM results. The EXIF rotation is applied; transparency, 16 bits per "
        "channel, EXIF, color profile and the encoding of JPEG files are kept. Images whose output files all exist are "
        "skipped.",
    )
    add = parser.add_argument
    add(
        "images",
        metavar="IMAGE_OR_FOLDER",
        nargs="+",
        help="image files, folders that are searched recursively, shell patterns such as 'photos/**/*.jpg', or a CSV "
        "file with the columns image, mask and output, the last two optional",
    )
    add(
        "--mask",
        metavar="FILE_FOLDER_OR_NAME",
        help="one mask for all images, a folder of masks paired by stem or by number (white = hole), `alpha` for the "
        "transparent pixels of each image, or the name of a mask generator (`inpaint-zoo masks list`)",
    )
    add(
        "--mask-channel",
        choices=["gray", "alpha"],
        default="gray",
        help="channel of mask files: their gray values, or their alpha channel, whose opaque pixels are hole",
    )
    add("--dilate", type=int, default=0, metavar="N", help="let the hole grow by N pixels")
    add(
        "--feather",
        type=int,
        default=0,
        metavar="N",
        help="let the filling fade out over N pixels around the hole, which changes known pixels there",
    )
    add(
        "--expand",
        metavar="TOP,RIGHT,BOTTOM,LEFT",
        help="outpainting: add so many pixels at the borders, which are filled, such as 0,128,0,128",
    )
    add(
        "--model",
        metavar="NAME_OR_FILE",
        help="a model (`inpaint-zoo models` lists them), or a file that `inpaint-zoo export` wrote (.onnx, .pt2, .pt); "
        "default: the model that the file of --weights states",
    )
    add("--weights", metavar="FILE", help="weights of the model; default: the shipped weights")
    add_option_argument(parser)
    add("--out", required=True, metavar="DIR", help="folder of the results; sub-folders are kept")
    add(
        "--device",
        default="auto",
        metavar="NAME[,NAME...]",
        help="where the model runs: auto, cpu, cuda, cuda:1, mps; several, or cuda:all, share the images",
    )
    add("--batch-size", type=int, default=1, metavar="N", help="images of one padded size in one forward pass")
    add(
        "--strategy",
        choices=["auto", "full", "crop", "tile", "coarse_to_fine"],
        default="auto",
        help="how large images are divided: not at all, into a crop around each hole, into tiles with blended "
        "borders, or from coarse to fine; auto chooses by model, hole and memory",
    )
    add(
        "--max-memory",
        metavar="SIZE",
        help="maximum memory, such as 4GiB: of the process, or of the model on a GPU; default: 80 %% of what is free",
    )
    add(
        "--refine",
        action="store_true",
        help="for LaMa and its variants, optimize features at each resolution of coarse_to_fine (slow)",
    )
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
    add(
        "--format",
        choices=["same", "png", "jpg", "webp", "tif"],
        default="same",
        help="format of the results; what cannot be written, such as GIF, becomes PNG",
    )
    add(
        "--quality",
        type=int,
        metavar="1..100",
        help="JPEG quality; default: that of a JPEG input, else 95. WebP is lossless unless this is set",
    )
    add(
        "--subsampling",
        choices=["4:4:4", "4:2:2", "4:2:0"],
        help="color resolution of JPEG results; default: that of a JPEG input, else 4:4:4",
    )
    add("--max-pixels", type=int, default=MAX_PIXELS, metavar="N", help="reject larger images and masks")
    return parser


def run(args: list[str]) -> int:
    """Run the command; return 0 if all images are done, 1 if some failed."""
    options = _parser().parse_args(args)
    _check(options)

    from inpaint_zoo.inference.device import choose_devices
    from inpaint_zoo.inference.edits import NO_EXPANSION, Edits, parse_expand
    from inpaint_zoo.inference.extras import Extras
    from inpaint_zoo.inference.folder import Saving, fill_folder
    from inpaint_zoo.inference.inpaint import ALPHA
    from inpaint_zoo.inference.jobs import plan_jobs
    from inpaint_zoo.inference.mask_source import mask_source
    from inpaint_zoo.inference.strategy import AnySize

    out = Path(options.out)
    extras = Extras(options.frames, options.branches, options.attention)
    expand = parse_expand(options.expand) if options.expand else NO_EXPANSION
    jobs = plan_jobs(options.images, out, options.format, extras)
    if options.mask is None and not options.expand and any(job.mask is None for job in jobs):
        raise ZooError("Give the holes by --mask, by the column mask of a CSV file, or add pixels by --expand.")
    masks = mask_source(
        options.mask,
        jobs,
        threshold=options.mask_threshold,
        invert=options.invert_mask,
        channel=options.mask_channel,
        seed=options.seed,
        max_pixels=options.max_pixels,
    )
    devices = choose_devices(options.device)
    model = options.model or _stated_model(options.weights)
    nets = _networks(model, options, devices)
    extras.check(nets[0], model)
    if options.frames and options.strategy not in ("auto", "full"):
        raise ZooError(f"--frames shows passes over the whole image: use it without --strategy {options.strategy}.")
    fillers = [AnySize(net, options.strategy, max_memory=options.max_memory, refine=options.refine) for net in nets]
    _check_writable(out)
    todo = [job for job in jobs if options.overwrite or not job.done()]
    subsampling = ("4:4:4", "4:2:2", "4:2:0").index(options.subsampling) if options.subsampling else None
    with _counting(todo) as finished:
        report = fill_folder(
            fillers,
            todo,
            masks,
            batch_size=options.batch_size,
            edits=Edits(options.dilate, options.feather, expand),
            saving=Saving(options.quality, subsampling, opaque_holes=options.mask == ALPHA),
            max_pixels=options.max_pixels,
            overwrite=options.overwrite,
            finished=finished,
        )
    _conclude(report, len(jobs) - len(todo), _common_folder([job.image for job in jobs]), out)
    _tell_strategies([choice for filler in fillers for choice in filler.choices], devices)
    return 1 if report.problems else 0


def _tell_strategies(choices: Sequence[Choice], devices: Sequence[torch.device]) -> None:
    """Print how the images were divided, and the peak memory."""
    from inpaint_zoo.inference.device import peak_bytes
    from inpaint_zoo.inference.strategy import format_bytes

    words = []
    for strategy, count in Counter(choice.strategy for choice in choices).items():
        height, width = max((each.largest for each in choices if each.strategy == strategy), key=math.prod)
        words.append(f"{strategy} for {count} (up to {width} x {height} at once)")
    peaks = []
    for device in dict.fromkeys(devices):
        peak = peak_bytes(device)
        peaks += [] if peak is None else [f"{format_bytes(peak)} on {device}"]
    if words:
        estimates = [each.needed for each in choices if each.needed is not None]
        expected = f", expected {format_bytes(max(estimates))}" if estimates else ""
        memory = f"; peak memory {', '.join(peaks)}{expected}" if peaks else ""
        note_console.print(f"strategy: {', '.join(words)}{memory}", soft_wrap=True)


def _networks(model: str, options: Any, devices: Sequence[torch.device]) -> list[InpaintingNetwork]:  # noqa: ANN401
    """Return a registered model or an exported file, once for each device.

    Raises:
        ZooError: There is no such model or file, or an option does not apply to a file.
    """
    if Path(model).suffix in MODEL_FILES:
        from inpaint_zoo.export import load_exported

        for name, given in (
            ("weights", options.weights),
            ("option", options.option),
            ("batch-size", options.batch_size > 1),
        ):
            if given:
                raise ZooError(f"--{name} does not apply to the exported file {model}.")
        return [load_exported(model, device) for device in devices]

    from inpaint_zoo.inference.inpaint import ready_model

    net = ready_model(model, options.weights, **parse_options(options.option))
    nets = [net, *(copy.deepcopy(net) for _ in devices[1:])]
    return [each.to(device) for each, device in zip(nets, devices, strict=True)]


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
        "dilate": (options.dilate, 0, None),
        "feather": (options.feather, 0, None),
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
        begin = time.monotonic()

        def finished(job: Job) -> None:
            nonlocal count
            count += 1
            progress.advance(task)
            if progress.disable and count * 10 // len(jobs) > (count - 1) * 10 // len(jobs):
                left = round((time.monotonic() - begin) / count * (len(jobs) - count))
                text = f"{count}/{len(jobs)} {escape(str(job.image))}, about {timedelta(seconds=left)} left"
                note_console.print(text, soft_wrap=True)

        yield finished


def _common_folder(images: Sequence[Path]) -> Path:
    """Return the folder that contains all images, for tables; "." if there is none, as on two drives of Windows."""
    parents = [image.parent for image in images]
    if any(parent.is_absolute() for parent in parents):
        parents = [parent.absolute() for parent in parents]
    try:
        return Path(os.path.commonpath(parents))
    except ValueError:
        return Path()


def _conclude(report: FolderReport, skipped: int, root: Path, out: Path) -> None:
    for line in doubt_lines(report.doubts):
        err_console.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True)
    for note, noted in report.notes.items():
        more = f" and {len(noted) - 1} more" if len(noted) > 1 else ""
        note_console.print(f"[dim]note:[/dim] {escape(note)}: {escape(str(noted[0]))}{more}", soft_wrap=True)
    if report.problems:
        _show_problems(report.problems, root)
    words = [f"{report.done} inpainted"]
    words += [f"{skipped} skipped (already exist; --overwrite writes them again)"] if skipped else []
    words += [f"{len(report.problems)} failed"] if report.problems else []
    console.print(f"{', '.join(words)}: {escape(str(out))}", soft_wrap=True)


def _show_problems(problems: Sequence[Problem], root: Path) -> None:
    table = Table(title=f"not inpainted, of {escape(str(root))}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("image", overflow="fold")
    table.add_column("why it has no result", overflow="fold")
    for problem in problems:
        image = problem.image.relative_to(root) if problem.image.is_relative_to(root) else problem.image
        table.add_row(escape(str(image)), escape(problem.reason))
    print_table(table, err_console)
