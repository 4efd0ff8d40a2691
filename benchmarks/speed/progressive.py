"""Compare progressive reconstruction of a batch of different masks with one image at a time.

    python benchmarks/speed/progressive.py [MODEL ...] [--size 256] [--batch 8] [--rounds 5] [--json FILE]

Both variants alternate in one process, with the same network in its fast form, the same images and the same masks. The
masks range from small to large, so that every sample needs another number of passes. One call of each variant before
the measurement counts the calls of the network and the samples in them. Weights are the shipped ones, or PyTorch's
default initialization with a fixed seed; speed does not depend on them. On a CPU, a call gets no more pixels than the
caches hold (`CPU_PIXELS`), so that from 256 px on both variants make the same calls. Run it on an idle machine; the
load is printed.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from statistics import median

import torch
from inference import SEED, make_input, per_call, wait
from inference import Case as Input
from machine import machine
from rich.console import Console
from rich.table import Table
from torch import Tensor

import inpaint_zoo as iz

MODELS = ["autoencoder_tiny", "isnet"]
SHARES = (0.1, 0.85)  # hole ratio of the first and the last sample
SLOWER = 1.05  # tolerance for noise in the check that a batch is not slower than one image at a time


def make_masks(batch: int, size: int, device: str) -> Tensor:
    """Return masks (B, 1, size, size): central squares with evenly increasing hole ratios."""
    masks = torch.zeros(batch, 1, size, size)
    for mask, share in zip(masks, torch.linspace(*SHARES, batch).tolist(), strict=True):
        side = round(size * share**0.5)
        start = (size - side) // 2
        mask[:, start : start + side, start : start + side] = 1
    return masks.to(device)


def count(net: iz.InpaintingNetwork, call: Callable[[], Tensor]) -> list[int]:
    """Return the number of samples in each call of the network inside a progressive call."""
    sizes: list[int] = []
    inner = net.network.network
    original = inner.predict

    def counted(image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        sizes.append(len(image))
        return original(image, mask)

    inner.predict = counted
    try:
        call()
    finally:
        del inner.predict
    return sizes


def measure(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure both variants of one model."""
    torch.manual_seed(SEED)
    weights = "shipped" if iz.model_info(name).weights else None
    net = iz.optimize(iz.progressive(iz.create_model(name, weights=weights)).to(options.device))
    case = Input(name, options.size, options.batch, options.threads, options.device)
    image, _ = make_input(case, options.size)
    mask = make_masks(options.batch, options.size, options.device)

    def together() -> Tensor:
        return net(image, mask)

    def singly() -> Tensor:
        return torch.cat([net(image[k : k + 1], mask[k : k + 1]) for k in range(options.batch)])

    sides = {"batch": together, "one at a time": singly}
    took: dict[str, list[float]] = {side: [] for side in sides}
    with torch.inference_mode():
        samples = {side: count(net, call) for side, call in sides.items()}  # also the first calls
        difference = (together() - singly()).abs().max().item()
        wait(options.device)
        for _ in range(options.rounds):
            for side, call in sides.items():
                took[side].append(per_call(call, 1, options.device))
    ratios = [alone / batch for batch, alone in zip(*took.values(), strict=True)]
    return {
        "model": name,
        "calls": {side: len(sizes) for side, sizes in samples.items()},
        "samples": samples,
        "ms": {side: 1000 * median(seconds) for side, seconds in took.items()},
        "times": {"of_medians": median(took["one at a time"]) / median(took["batch"]), "rounds": sorted(ratios)},
        "difference": difference,
    }


def show(rows: list[dict], machine: dict[str, object], options: argparse.Namespace) -> None:
    """Print the table, the machine, and whether a batch is not slower."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    setting = f"{options.batch} masks, {options.size} px, {options.device}, {options.threads} thread(s)"
    table = Table(title=f"{setting}; times: ratio of medians, range of rounds", title_justify="left")
    for heading in ("model", "side", "calls", "samples in them", "ms", "times", "max diff."):
        table.add_column(heading, justify="left" if heading in ("model", "side", "samples in them") else "right")
    for row in rows:
        for side, ms in row["ms"].items():
            sizes, times = row["samples"][side], row["times"]
            alone = side != "batch"
            table.add_row(
                "" if alone else row["model"],
                side,
                str(row["calls"][side]),
                f"{sum(sizes)} = {' + '.join(f'{len(list(same))} x {n}' for n, same in groupby(sizes))}",
                f"{ms:,.1f}",
                "" if alone else f"{times['of_medians']:.2f}, {times['rounds'][0]:.2f}-{times['rounds'][-1]:.2f}",
                "" if alone else f"{row['difference']:.1e}",
                end_section=alone,
            )
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()))
    for row in rows:
        fast = row["times"]["of_medians"] * SLOWER >= 1
        text = f"{row['model']}: a batch is no slower than one at a time ({row['times']['of_medians']:.2f} times)"
        console.print(f"[green]pass[/]  {text}" if fast else f"[red]FAIL[/]  {text}")


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"registered names (default: {' '.join(MODELS)})")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels (default: 256)")
    parser.add_argument("--batch", type=int, default=8, help="images, each with its own mask (default: 8)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each variant (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    options = parser.parse_args()
    if min(options.size // 16, options.batch, options.rounds, options.threads) < 1:
        parser.error("--size must be at least 16; --batch, --rounds and --threads must be at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: not available on this machine")
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]
    try:
        rows = [measure(name, options) for name in options.models or MODELS]
    except iz.UnknownNameError as error:
        parser.error(str(error))
    where = machine(load, options.device)
    show(rows, where, options)
    if options.json:
        options.json.write_text(json.dumps({"machine": where, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
