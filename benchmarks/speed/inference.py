"""Compare the speed of networks with that of their optimized forms, and with the machine's peak rate.

    python benchmarks/speed/inference.py [MODEL ...] [--size 256] [--threads 1 2] [--mask box] [--rounds 7] [--json F]

All forms alternate in one process, as do the convolutions whose best rate is the roofline: 3x3, 256 and 512 channels,
both memory formats, same precision and thread count. Memory is measured in a new process for each figure. Weights are
PyTorch's default initialization with a fixed seed. Speed does not depend on them but differences do, so the spread of
the plain output (std) is printed with them. Run it on an idle machine; the load is printed. On a GPU, float32
convolutions use PyTorch's default, which is TF32, for all forms and for the roofline.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from machine import machine
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.analysis.machine import cores, resident_growth_mib
from inpaint_zoo.analysis.macs import count_macs

SEED = 2026
TINY = 64
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
CONVOLUTIONS = [(256, 64), (512, 32), (512, 64)]  # channels, height and width
GATED = {"size": 256, "batch": 1, "mask": "box"}
FLAT = 0.05  # if the output spreads less, as with random weights, differences are not meaningful
PLAIN_SHARE = {"lama": 0.65, "lgnet": 0.30}  # share of the roofline of plain networks on a CPU, for reference
TARGETS = {  # (model, device) -> form -> minimum speed-up, maximum and mean difference
    ("aot_gan", "cpu"): {"fp32": (1.2, 1e-4, None)},
    ("lama", "cpu"): {"fp32": (1.3, 1e-4, None), "bf16": (1.8, 1e-2, 1e-3)},
    ("lama", "cuda"): {"bf16, compiled": (3.0, None, None)},
    ("lgnet", "cpu"): {"fp32": (1.6, 2e-4, None), "bf16": (2.5, None, None)},
    ("isnet", "cpu"): {"fp32": (1.3, 1e-4, None), "bf16": (2.2, None, None)},
    ("grig", "cpu"): {"fp32": (1.3, 1e-4, None), "bf16": (1.8, None, None)},
    ("contextual_attention", "cpu"): {"fp32": (1.3, 1e-4, None), "bf16": (2.0, None, None)},
}


@dataclass(frozen=True)
class Case:
    """The settings that all forms in a row share."""

    model: str
    size: int
    batch: int
    threads: int
    device: str
    mask: str = "box"


@dataclass(frozen=True)
class Form:
    """A form of the network; the plain network if `optimized` is False."""

    precision: str = "fp32"
    optimized: bool = True
    compiled: bool = False

    def __str__(self) -> str:
        return (self.precision + ", compiled" * self.compiled) if self.optimized else "plain"

    def build(self, case: Case) -> iz.InpaintingNetwork:
        """Build the network; every form has the same weights."""
        torch.manual_seed(SEED)
        net = iz.create_model(case.model).to(case.device)
        return iz.optimize(net, self.precision, compiled=self.compiled) if self.optimized else net


def forms(device: str, precisions: list[str]) -> list[Form]:
    """Return the forms, the plain one first."""
    compiled = [Form("bf16", compiled=True)] if device == "cuda" and "bf16" in precisions else []
    return [Form(optimized=False), *map(Form, precisions), *compiled]


def make_input(case: Case, size: int) -> tuple[Tensor, Tensor]:
    """Return a smooth image (B, 3, H, W) in [0, 1] and a mask (B, 1, H, W): a central box or generated."""
    coarse = torch.rand(case.batch, 3, 8, 8, generator=torch.Generator().manual_seed(SEED))
    image = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    if case.mask == "box":
        mask = torch.zeros(case.batch, 1, size, size)
        mask[..., size // 4 : size // 4 + size // 2, size // 4 : size // 4 + size // 2] = 1
    else:
        drawn = [iz.create_mask(case.mask, size=(size, size), seed=SEED, index=k) for k in range(case.batch)]
        mask = torch.from_numpy(np.stack(drawn))[:, None].float()
    return image.to(case.device), mask.to(case.device)


def wait(device: str) -> None:
    """Wait until the device has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def per_call(call: Callable[[], Tensor], calls: int, device: str) -> float:
    """Return the seconds per call."""
    wait(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    wait(device)
    return (time.perf_counter() - start) / calls


def calibrated(call: Callable[[], Tensor], seconds: float, device: str) -> int:
    """Return the number of calls that take about ``seconds``, after two warm-up calls."""
    per_call(call, 2, device)
    return max(1, round(seconds / per_call(call, 1, device)))


@dataclass
class Convolution:
    """A convolution whose rate is a lower bound of the roofline."""

    precision: str
    flops: int
    call: Callable[[], Tensor]
    calls: int


def convolutions(case: Case, precisions: set[str], seconds: float) -> list[Convolution]:
    """Return the convolutions whose best rate is the roofline of their precision."""
    found = []
    for precision in sorted(precisions):
        for channels, side in CONVOLUTIONS:
            for layout in (torch.contiguous_format, torch.channels_last):
                weight = torch.randn(channels, channels, 3, 3) / (3 * channels**0.5)
                x = torch.randn(case.batch, channels, side, side)
                weight, x = (t.to(case.device, PRECISIONS[precision], memory_format=layout) for t in (weight, x))

                def call(x: Tensor = x, weight: Tensor = weight) -> Tensor:
                    return F.conv2d(x, weight, padding=1)

                flops = 2 * 9 * channels**2 * side**2 * case.batch
                found.append(Convolution(precision, flops, call, calibrated(call, seconds, case.device)))
    return found


def memory_mib(case: Case, form: Form) -> float | None:
    """Return the growth of peak memory in MiB in the first call of a form, without weights; call it in a new process.

    On a CPU, a second copy processes a tiny image first, so that threads and libraries have started. On a GPU, the
    allocator's own count is exact, and the form is warmed up.
    """
    torch.set_num_threads(case.threads)
    image, mask = make_input(case, case.size)
    net, copy = form.build(case), form.build(case)
    with torch.inference_mode():
        if case.device == "cuda":
            net(image, mask)
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            net(image, mask)
            return (torch.cuda.max_memory_allocated() - before) / 2**20
        copy(*make_input(case, TINY))
        del copy
        _, grown = resident_growth_mib(lambda: net(image, mask))
        return None if grown is None else max(0.0, grown)


def memory_in_fresh_process(case: Case, form: Form) -> float | None:
    """Run `memory_mib` in a new process; freed memory is returned to the system, so that its reuse is counted."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # glibc reads it when a process starts
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(memory_mib, (case, form))
    finally:
        del os.environ["MALLOC_MMAP_THRESHOLD_"]


def difference(output: Tensor, plain: Tensor, mask: Tensor) -> dict[str, float]:
    """Return the differences in the hole, since known pixels are equal by contract."""
    off = (output - plain).abs()[mask.expand_as(plain) > 0]
    return {"largest": off.max().item(), "mean": off.mean().item()}


def run(case: Case, sides: list[Form], rounds: int, seconds: float) -> tuple[list[dict[str, object]], dict[str, float]]:
    """Measure all forms of one model and thread count; return rows, and the best convolution rate by precision."""
    torch.set_num_threads(case.threads)
    image, mask = make_input(case, case.size)
    nets = {form: form.build(case) for form in sides}  # built for each thread count, since forms arrange weights once
    macs = count_macs(nets[sides[0]], case.size, case.size)
    gflop = 2 * macs.true * case.batch / 1e9 if macs else None
    memory = {form: memory_in_fresh_process(case, form) for form in sides}
    peaks = {form.precision: 0.0 for form in sides}
    took: dict[Form, list[float]] = {form: [] for form in sides}
    with torch.inference_mode():
        outputs = {form: net(image, mask).float() for form, net in nets.items()}
        calls = {form: calibrated(lambda net=net: net(image, mask), seconds, case.device) for form, net in nets.items()}
        points = convolutions(case, set(peaks), seconds / 10)
        for _ in range(rounds):
            for form, net in nets.items():
                took[form].append(per_call(lambda net=net: net(image, mask), calls[form], case.device))
            for point in points:
                rate = point.flops / per_call(point.call, point.calls, case.device) / 1e9
                peaks[point.precision] = max(peaks[point.precision], rate)
    plain = sides[0]
    rows = []
    for form in sides:
        ms, ratios = 1000 * median(took[form]), [a / b for a, b in zip(took[plain], took[form], strict=True)]
        rows.append(
            {
                **asdict(case),
                "form": str(form),
                "precision": form.precision,
                "ms": ms,
                "speedup": {
                    "of_medians": median(took[plain]) / median(took[form]),
                    "least": min(ratios),
                    "greatest": max(ratios),
                },
                "gflop": gflop,
                "gflop_per_s": gflop / ms * 1000 if gflop else None,
                "difference": difference(outputs[form], outputs[plain], mask),
                "output_std": outputs[plain][mask.expand_as(image) > 0].std().item(),
                "peak_memory_growth_mib": memory[form],
            }
        )
    return rows, peaks


def measure(cases: list[Case], sides: list[Form], rounds: int, seconds: float) -> tuple[list[dict], list[dict]]:
    """Return the rows with their shares of the rooflines, and the rooflines."""
    rows: list[dict] = []
    best: dict[tuple[int, str], float] = {}
    for case in cases:
        print(f"{case.model}, {case.threads} thread(s) ...", file=sys.stderr)
        found, peaks = run(case, sides, rounds, seconds)
        rows += found
        for precision, rate in peaks.items():
            best[case.threads, precision] = max(rate, best.get((case.threads, precision), 0.0))
    for row in rows:
        rate = row["gflop_per_s"]
        row["share_of_roofline"] = rate / best[row["threads"], row["precision"]] if rate else None
    return rows, [{"threads": n, "precision": precision, "gflop_per_s": rate} for (n, precision), rate in best.items()]


def gated(row: dict) -> bool:
    """Return whether the targets apply to this row."""
    return all(row[key] == value for key, value in GATED.items()) and (row["device"] == "cuda" or row["threads"] == 2)


def verdicts(rows: list[dict]) -> list[dict[str, object]]:
    """Return the results of the targets whose model was measured at their size and thread count."""
    found = []
    for row in filter(gated, rows):
        speedup, largest, mean = TARGETS.get((row["model"], row["device"]), {}).get(row["form"], (None, None, None))
        reached = row["speedup"]["of_medians"]
        off = row["difference"]
        if speedup:
            text = f"{row['model']}, {row['form']}: {reached:.2f} times (at least {speedup:g})"
            found.append({"text": text, "met": reached >= speedup})
        for name, limit in (("largest", largest), ("mean", mean)):
            if limit:
                text = f"{row['model']}, {row['form']}: {name} difference {off[name]:.1e} (at most {limit:g})"
                found.append({"text": text, "met": off[name] <= limit})
    return found


def table(rows: list[dict], title: str) -> Table:
    """Return the table to print."""
    out = Table(title=title, title_justify="left")
    headings = ("ms", "times plain", "GFLOP/s", "peak", "max diff.", "mean diff.", "MiB")
    for heading in ("model", "thr.", "form", *headings):
        out.add_column(heading, justify="left" if heading in ("model", "form") else "right", no_wrap=True)
    for k, row in enumerate(rows):
        first = k == 0 or any(row[key] != rows[k - 1][key] for key in ("model", "threads"))
        last = k + 1 == len(rows) or any(row[key] != rows[k + 1][key] for key in ("model", "threads"))
        speedup, off, memory = row["speedup"], row["difference"], row["peak_memory_growth_mib"]
        times = f"{speedup['of_medians']:.2f} [{speedup['least']:.2f}-{speedup['greatest']:.2f}]"
        plain = row["form"] == "plain"
        out.add_row(
            row["model"] if first else "",
            str(row["threads"]) if first else "",
            row["form"],
            f"{row['ms']:,.1f}" if row["ms"] >= 10 else f"{row['ms']:.2f}",
            "" if plain else times,
            "-" if row["gflop_per_s"] is None else f"{row['gflop_per_s']:,.0f}",
            "-" if row["share_of_roofline"] is None else f"{row['share_of_roofline']:.0%}",
            f"std {row['output_std']:.1e}" if plain else f"{off['largest']:.1e}",
            "" if plain else f"{off['mean']:.1e}",
            "-" if memory is None else f"{memory:,.0f}",
            end_section=last,
        )
    return out


def show(rows: list[dict], rooflines: list[dict], machine: dict[str, object], checks: list[dict]) -> None:
    """Print the table, the rooflines, the machine and the targets."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    size, batch, device, mask = (rows[0][key] for key in ("size", "batch", "device", "mask"))
    console.print(
        table(rows, f"{size} px, batch {batch}, {device}, hole {mask}; times plain: ratio of medians [range of rounds]")
    )
    console.print(
        "Peak: share of the roofline. Differences: in the hole; compare them with the plain output's std. MiB: growth."
    )
    for peak in rooflines:
        console.print(
            f"Roofline, {peak['precision']}, {peak['threads']} thread(s): {peak['gflop_per_s']:,.0f} GFLOP/s, "
            "the best 3x3 convolution"
        )
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if not checks:
        return
    console.print(f"Targets at {GATED['size']} px:")
    aimed = [row for row in rows if gated(row) and row["form"] == "plain" and (row["model"], device) in TARGETS]
    for plain in aimed if device == "cpu" else []:
        known = PLAIN_SHARE.get(plain["model"])
        beside = f" ({known:.0%} for reference)" if known else ""
        console.print(f"   -  {plain['model']}, plain: {plain['share_of_roofline']:.0%} of the roofline{beside}")
    for check in checks:
        console.print(f"[green]pass[/]  {check['text']}" if check["met"] else f"[red]FAIL[/]  {check['text']}")
    for plain in aimed:
        if plain["output_std"] < FLAT:
            console.print(
                f"The plain output of {plain['model']}'s random weights spreads by only {plain['output_std']:.1e}: "
                "differences below their limits are not meaningful, compare them with that value."
            )


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="registered names (default: all learned models)")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels (default: 256)")
    parser.add_argument("--mask", default="box", help="the hole: box, or a mask generator by name (default: box)")
    parser.add_argument("--batch", type=int, default=1, help="batch size (default: 1)")
    parser.add_argument("--threads", type=int, nargs="+", metavar="N", default=[1, 2], help="(default: 1 2)")
    parser.add_argument("--precisions", nargs="+", choices=list(PRECISIONS), default=list(PRECISIONS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each form (default: 7)")
    parser.add_argument("--seconds", type=float, default=0.3, help="approximate seconds per measurement (default: 0.3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    options = parser.parse_args()
    try:
        learned = [info.name for info in map(iz.model_info, options.models or iz.list_models()) if info.learned]
    except iz.UnknownNameError as error:
        parser.error(str(error))
    names = options.models or learned
    if min(options.size, options.batch, options.rounds, *options.threads) < 1:
        parser.error("--size, --batch, --rounds and --threads must be at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: not available on this machine")
    threads = sorted({min(n, cores()) for n in options.threads}) if options.device == "cpu" else [1]
    load = os.getloadavg()[0]
    cases = [
        Case(name, options.size, options.batch, n, options.device, options.mask) for name in names for n in threads
    ]
    rows, rooflines = measure(cases, forms(options.device, options.precisions), options.rounds, options.seconds)
    where = machine(load, options.device)
    checks = verdicts(rows)
    show(rows, rooflines, where, checks)
    if options.json:
        figures = {"machine": where, "rooflines": rooflines, "targets": checks, "rows": rows}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
