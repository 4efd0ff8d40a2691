"""Compare fast forms with the authors' networks on a CPU, for two instruction sets: one table for all families.

    python benchmarks/speed/cpu.py [MODEL ...] [--isa native avx2] [--batches 1 4] [--rounds 3] [--lines F] [--markdown]

Prints for each model, instruction set and batch size: seconds of the plain network per image, how many times faster its
fast form is, the fast form's share of the roofline, and how much longer it takes for holes all over the image than for
a box. Every model and instruction set runs in a process of its own; there, all of them take turns with the 3x3
convolutions whose best rate is the roofline. Times are processor time with one thread, so that other programs on the
machine change them little, and the median of the rounds counts. The share of the roofline counts the multiplications of
direct convolutions, also where the fast form needs fewer. Weights are random (seed 0).

`--isa avx2` sets ONEDNN_MAX_CPU_ISA, ATEN_CPU_CAPABILITY and MKL_ENABLE_INSTRUCTIONS, so that no other instruction
is used. The processor stays another one: its clock, caches and execution units differ.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs

MODELS = (
    *("aot_gan", "autoencoder", "big_lama", "context_encoder", "contextual_attention", "gated_conv", "glama", "glcic"),
    *("grig", "isnet", "isnet_unet", "lama", "lgnet", "partial_conv"),
)
LIMITS = {
    "native": {},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
}
SCATTERED = "blocks"
CONVOLUTIONS = ((256, 64), (512, 32))  # channels, height and width
HEADINGS = ("model", "ISA", "batch", "plain", "times faster", "roofline", "plain's", "scattered/box", "difference")


def make_input(batch: int, size: int, scattered: bool) -> tuple[Tensor, Tensor]:
    """Return an image and a mask with a central box of a quarter of the image, or with holes all over it."""
    coarse = torch.rand(batch, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    mask = torch.zeros(batch, 1, size, size)
    if scattered:  # a grid of 16 boxes with a quarter of the image's area
        side = size // 4
        for top in range(side // 4, size, side):
            for left in range(side // 4, size, side):
                mask[..., top : top + side // 2, left : left + side // 2] = 1
    else:
        mask[..., size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
    return image, mask


def roofline_calls() -> list[tuple[float, Callable[[], Tensor]]]:
    """Return the convolutions of the roofline with their GFLOP."""
    calls = []
    for channels, side in CONVOLUTIONS:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(1, channels, side, side).to(memory_format=layout)
            weight = torch.randn(channels, channels, 3, 3).to(memory_format=layout)

            def call(x: Tensor = x, weight: Tensor = weight) -> Tensor:
                return F.conv2d(x, weight, padding=1)

            calls.append((2 * 9 * channels**2 * side**2 / 1e9, call))
    return calls


def measure(model: str, size: int, batches: list[int], rounds: int) -> list[dict[str, Any]]:
    """Return a line for each batch size."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = iz.create_model(model)
    fast = iz.optimize(net)
    macs = count_macs(net, size, size)
    calls: dict[Any, Callable[[], Tensor]] = {}
    for batch in batches:
        box, scattered = make_input(batch, size, False), make_input(batch, size, True)
        calls |= {
            (batch, "plain"): lambda pair=box: net(*pair),
            (batch, "fast"): lambda pair=box: fast(*pair),
            (batch, "scattered"): lambda pair=scattered: fast(*pair),
        }
    peaks = roofline_calls()
    took: dict[Any, list[float]] = {key: [] for key in calls}
    roofline = 0.0
    with torch.inference_mode():
        results = {key: call() for key, call in calls.items()}
        for _ in range(rounds):
            for key, call in calls.items():
                took[key].append(seconds(call))
            for gflop, call in peaks:
                roofline = max(roofline, gflop / min(seconds(call) for _ in range(3)))
    lines = []
    for batch in batches:
        plain, quick, spread = (took[batch, name] for name in ("plain", "fast", "scattered"))
        gflop = 2 * macs.true * batch / 1e9 if macs else None
        lines.append(
            {
                "model": model,
                "batch": batch,
                "size": size,
                "plain_seconds": median(plain) / batch,
                "faster": median(a / b for a, b in zip(plain, quick, strict=True)),
                "share": gflop / median(quick) / roofline if gflop else None,
                "plain_share": gflop / median(plain) / roofline if gflop else None,
                "scattered": median(a / b for a, b in zip(spread, quick, strict=True)),
                "difference": float((results[batch, "plain"] - results[batch, "fast"]).abs().max()),
                "std": float(results[batch, "plain"].std()),
                "roofline_gflops": roofline,
                "load": os.getloadavg()[0],
            }
        )
    return lines


def seconds(call: Callable[[], Tensor]) -> float:
    """Return the processor time of a call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def in_new_process(model: str, isa: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run `measure` in a new process whose environment limits the instruction set."""
    arguments = [sys.executable, __file__, model, "--child", "--size", str(options.size)]
    arguments += ["--batches", *map(str, options.batches), "--rounds", str(options.rounds)]
    environment = {**os.environ, **LIMITS[isa], "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [{**line, "isa": isa} for line in json.loads(done.stdout.splitlines()[-1])]


def row(line: dict[str, Any]) -> list[str]:
    """Return a line as text, in the order of `HEADINGS`."""
    shares = ["-" if line[key] is None else f"{line[key]:.0%}" for key in ("share", "plain_share")]
    return [
        line["model"],
        line["isa"],
        str(line["batch"]),
        f"{line['plain_seconds']:.2f} s",
        f"{line['faster']:.2f}",
        *shares,
        f"{line['scattered']:.2f}",
        f"{line['difference']:.0e}",
    ]


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--isa", nargs="+", choices=list(LIMITS), default=list(LIMITS))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=Path, metavar="F", help="also append the figures to this file, as JSON lines")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.models[0], options.size, options.batches, options.rounds)))
        return
    shown = "| {} |" if options.markdown else "{}"
    between = " | " if options.markdown else "  "
    print(shown.format(between.join(HEADINGS)))
    if options.markdown:
        print("| --- | --- |" + " ---: |" * (len(HEADINGS) - 2))
    for model in options.models:
        for isa in options.isa:
            for line in in_new_process(model, isa, options):
                print(shown.format(between.join(row(line))), flush=True)
                if options.lines:
                    with options.lines.open("a") as file:
                        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
