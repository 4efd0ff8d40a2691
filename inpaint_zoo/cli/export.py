"""`inpaint-zoo export`: write a model as an ONNX, `torch.export` or TorchScript file, and check the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from inpaint_zoo.cli.common import add_option_argument, command_parser, console, parse_options, print_table
from inpaint_zoo.errors import ZooError

if TYPE_CHECKING:
    from inpaint_zoo.export import Exported
    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["run"]


def run(args: list[str]) -> int:
    """Run the command."""
    parser = command_parser(
        "export",
        "Write a model as a file that runs without this package, run the file, and compare it with the model at three "
        "sizes. The file takes an image in [0, 1] and a mask with 1 = hole and returns the completed image; its "
        "metadata state that convention. Suites run it as a method, and `inpaint-zoo inpaint --model FILE` as a model.",
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="a learned model; `inpaint-zoo models` lists them")
    add(
        "--format",
        metavar="FORMAT",
        help="onnx, torch-export or torchscript; default: the one that the suffix of --out belongs to",
    )
    add(
        "--size",
        default="dynamic",
        metavar="HxW|dynamic",
        help="the only size of the images, or dynamic (the default): any size",
    )
    add(
        "--precision",
        default="fp32",
        metavar="P",
        help="fp32 (default), fp16 or bf16 (convolutions in 16 bits), or int8 (ONNX: convolutions in 8 bits)",
    )
    add(
        "--weights",
        metavar="FILE",
        help="a weight file or checkpoint, `official`, or `random`; default: the shipped weights",
    )
    add_option_argument(parser)
    add("--out", required=True, metavar="FILE", help="the file to write: X.onnx, X.pt2 (torch.export) or X.pt")
    add("--overwrite", action="store_true", help="replace the file if it exists")
    options = parser.parse_args(args)
    out = Path(options.out)
    if out.exists() and not options.overwrite:
        raise ZooError(f"{out} exists; pass --overwrite to replace it.")
    size = _size(options.size)

    from inpaint_zoo.export import export_model

    net = _network(options.name, options.weights, options.option)
    _show(export_model(net, out, format=options.format, size=size, precision=options.precision))
    return 0


def _size(text: str) -> tuple[int, int] | None:
    if text == "dynamic":
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise ZooError(f"--size must be HEIGHTxWIDTH in pixels, such as 256x256, or dynamic, got '{text}'.")
    return int(found[1]), int(found[2])


def _network(name: str, weights: str | None, words: list[str]) -> InpaintingNetwork:
    from inpaint_zoo.inference.inpaint import ready_model
    from inpaint_zoo.registry import create_model

    if weights == "random":
        return create_model(name, **parse_options(words))
    return ready_model(name, weights, **parse_options(words))


def _show(exported: Exported) -> None:
    table = Table(box=None, pad_edge=False)
    titles = ("size", "largest difference", "mean in the hole", "PSNR of the model", "PSNR of the file")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for each in exported.differences:
        table.add_row(
            "x".join(map(str, each.size)),
            f"{each.largest:.1e}",
            f"{each.mean:.1e}",
            f"{each.psnr_network:.2f} dB",
            f"{each.psnr_file:.2f} dB",
        )
    print_table(table)
    facts = exported.metadata
    stated = ", ".join(f"{key} {value}" for key, value in facts["convention"].items()) or "the package's"
    console.print(
        f"{exported.path}: {facts['model']}, {facts['format']}, {facts['precision']}, "
        f"{exported.path.stat().st_size / 1e6:.1f} MB; convention: {stated}",
        soft_wrap=True,
        markup=False,
    )
