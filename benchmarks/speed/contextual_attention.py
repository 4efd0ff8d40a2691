"""Compare contextual attention of a batch, in which each sample has its own mask, with a loop over the samples.

    python benchmarks/speed/contextual_attention.py [--size 256] [--batch 8] [--channels 128] [--threads 1] [--rounds 7]
                                                    [--device cpu] [--json FILE]

The loop is written like the released code: the background's patches are the filters of a convolution, "fuse" is a
convolution with a 3x3 identity, and patches are pasted by a transposed convolution. All variants alternate in one
process, on features at a quarter of the image's resolution, as in the network. Run it on an idle machine; the load is
printed.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from inference import SEED, per_call
from machine import machine
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.inference.fusion import fuse
from inpaint_zoo.layers.contextual_attention import ContextualAttention

SCALE = 4  # downsampling factor of the features
SLOWER = 1.05  # tolerance for noise in the check that a variant is not slower


def loop(foreground: Tensor, background: Tensor, mask: Tensor) -> Tensor:
    """Process the samples one by one."""
    return torch.cat(
        [one(f[None], b[None], m[None]) for f, b, m in zip(foreground, background, mask, strict=True)], dim=0
    )


def one(foreground: Tensor, background: Tensor, mask: Tensor) -> Tensor:
    """Process a single sample with rate 2, 3x3 patches, 3 neighbors and softmax scale 10."""
    C, (H, W) = foreground.shape[1], foreground.shape[2:]
    h, w = H // 2, W // 2
    pasted = F.unfold(background, 4, stride=2, padding=1)[0].T.reshape(-1, C, 4, 4)
    small_f, small_b = (F.interpolate(x, scale_factor=0.5, mode="nearest") for x in (foreground, background))
    filters = F.unfold(small_b, 3, padding=1)[0].T.reshape(-1, C, 3, 3)
    filters = filters / (filters.square() + 1e-4).sum((1, 2, 3), keepdim=True).sqrt()
    scores = F.conv2d(small_f, filters, padding=1)  # (1, h w, h, w)
    identity = torch.eye(3, device=scores.device)[None, None]
    scores = F.conv2d(scores.reshape(1, 1, h * w, h * w), identity, padding=1)
    scores = scores.reshape(h, w, h, w).permute(1, 0, 3, 2).reshape(1, 1, h * w, h * w)
    scores = F.conv2d(scores, identity, padding=1).reshape(w, h, w, h).permute(1, 0, 3, 2).reshape(1, h * w, h, w)
    holes = F.unfold(F.interpolate(mask, size=(h, w), mode="nearest"), 3, padding=1)[0].mean(0)
    valid = (holes == 0).float()[None, :, None, None]
    weights = (10 * scores * valid).softmax(1) * valid
    return F.conv_transpose2d(weights, pasted, stride=2, padding=1) / 4


def make_input(options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Return features (B, C, H / 4, W / 4), and masks (B, 1, H, W) with a square at a different position in each."""
    generator = torch.Generator().manual_seed(SEED)
    side = options.size // SCALE
    features = 0.05 * torch.randn(options.batch, options.channels, side, side, generator=generator)
    mask = torch.zeros(options.batch, 1, options.size, options.size)
    for k in range(options.batch):
        start = k * options.size // (2 * options.batch)
        mask[k, :, start : start + options.size // 2, start : start + options.size // 2] = 1
    return features.to(options.device), mask.to(options.device)


def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    """Measure all variants."""
    features, mask = make_input(options)
    sides: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
        "loop": loop,
        "batch": ContextualAttention(),
        "batch, fast form": fuse(ContextualAttention()),
    }
    took: dict[str, list[float]] = {side: [] for side in sides}
    with torch.inference_mode():
        outputs = {side: call(features, features, mask) for side, call in sides.items()}
        for _ in range(options.rounds):
            for side, call in sides.items():
                took[side].append(per_call(lambda call=call: call(features, features, mask), 1, options.device))
    rows = []
    for side, seconds in took.items():
        ratios = sorted(a / b for a, b in zip(took["loop"], seconds, strict=True))
        rows.append(
            {
                "side": side,
                "ms": 1000 * median(seconds),
                "times": {"of_medians": median(took["loop"]) / median(seconds), "rounds": ratios},
                "difference": (outputs[side] - outputs["loop"]).abs().max().item(),
            }
        )
    return rows


def show(rows: list[dict], machine: dict[str, object], options: argparse.Namespace) -> None:
    """Print the table, the machine, and whether the fast form is not slower than the loop."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    setting = f"{options.batch} x {options.channels} channels, {options.size} px, {options.device}"
    table = Table(title=f"{setting}; times the loop: ratio of medians, range of rounds", title_justify="left")
    for heading in ("side", "ms", "times the loop", "max diff."):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for row in rows:
        times = row["times"]
        spread = f"{times['of_medians']:.2f}, {times['rounds'][0]:.2f}-{times['rounds'][-1]:.2f}"
        own = row["side"] == "loop"
        table.add_row(
            row["side"], f"{row['ms']:,.1f}", "" if own else spread, "" if own else f"{row['difference']:.1e}"
        )
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()))
    reached = rows[-1]["times"]["of_medians"]
    text = f"a batch in its fast form is no slower than the loop ({reached:.2f} times)"
    console.print(f"[green]pass[/]  {text}" if reached * SLOWER >= 1 else f"[red]FAIL[/]  {text}")


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=256, help="height and width of the image in pixels (default: 256)")
    parser.add_argument("--batch", type=int, default=8, help="samples, each with its own mask (default: 8)")
    parser.add_argument("--channels", type=int, default=128, help="channels of the features (default: 128)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each variant (default: 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    options = parser.parse_args()
    if min(options.batch, options.channels, options.rounds, options.threads, options.size) < 1 or options.size % 8:
        parser.error("--size must be a multiple of 8, and all numbers at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: not available on this machine")
    torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    rows = measure(options)
    where = machine(before, options.device) | {"threads": options.threads}
    show(rows, where, options)
    if options.json:
        options.json.write_text(json.dumps({"machine": where, "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
