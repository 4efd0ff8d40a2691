"""Measure training steps per second beside a loop written as in the released code, phase by phase.

    python benchmarks/speed/train.py [--families lama lgnet isnet grig] [--size 256] [--batch 2] [--steps 20]
                                     [--threads 2] [--clock wall] [--device cpu] [--channels-last] [--compile BACKEND]
                                     [--precision 32-true] [--fast-convolutions] [--same-updates] [--tiny]
                                     [--json FILE]

Both train the same network from the same weights on the same batches and alternate step by step in one process: the
package's module in Lightning's Trainer, and the loop of `plain_training.py` in a callback between its batches. The
loop's layers run the operations of the released code (`plain_networks.py`). The time of a step of the package is all
time between two steps of the loop, including that of Lightning. Backbones have random weights, which does not change
the time. The options `--channels-last`, `--compile`, `--precision` and `--fast-convolutions` apply to the package only.

With `--same-updates`, both compute in float64, and the losses of the first 20 steps must agree within 0.1 %.
Adversarial training is chaotic, so a second loop of the released code, whose initial weights differ by a rounding
error, shows how far such an error grows: a step is compared only while the losses of the two loops agree within 1e-6,
which must hold for at least 8 steps. Without `--same-updates`, the largest difference is only printed: in float32, a
difference of one unit in the last place grows to several percent within a few steps.

Run it on an idle machine; the load is printed. On a busy one, `--clock cpu --threads 1` compares processor time.
"""

import argparse
import json
import os
import time
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from machine import machine
from plain_networks import as_released
from plain_training import LOOPS, Loop
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader
from watch import Watch

from inpaint_zoo import models
from inpaint_zoo.training import AdversarialModule, Batch, FastConvolutions, Phase

SEED = 5
TARGET = {"cpu": 1.2, "cuda": 2.0}  # of the package's steps per second over the loop's
COMPARED, TOLERANCE = 20, 1e-3  # of the losses: steps, relative difference
ROUNDING, PREDICTABLE, AT_LEAST = 2.0**-52, 1e-6, 8  # of the weights; difference up to which steps are compared; steps
# family -> module, its options, those that make it small
FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "lama": ("LaMa", {"perceptual_weights": "random"}, {"network": "glama_tiny", "discriminator_width": 8}),
    "lgnet": ("LGNet", {"vgg_weights": "random"}, {"network": "lgnet_tiny", "discriminator_width": 8}),
    "isnet": ("ISNet", {"vgg_weights": "random"}, {"network": "isnet_tiny", "discriminator_width": 8}),
    "grig": (
        "GRIG",
        {"vgg_weights": "random", "backbone_weights": "random", "augment": []},
        {"network": "grig_tiny", "network_options": {"steps": 2}, "patch_width": 8, "projected_width": 8},
    ),
}


def build(family: str, args: argparse.Namespace, **options: Any) -> AdversarialModule:
    """Return the module of a family with its losses, with the same weights each time."""
    kind, common, small = FAMILIES[family]
    torch.manual_seed(SEED)
    module: AdversarialModule = getattr(models, kind)(**common, **(small if args.tiny else {}), **options)
    torch.manual_seed(SEED)
    module.build_losses()
    object.__setattr__(module, "build_losses", lambda: None)  # not again, with other random weights, when it is trained
    return module


def batches(args: argparse.Namespace, count: int) -> list[Batch]:
    """Return random images whose center is the hole."""
    generator = torch.Generator().manual_seed(SEED)
    mask = torch.zeros(args.batch, 1, args.size, args.size)
    border = args.size // 4
    mask[:, :, border:-border, border:-border] = 1
    return [
        {
            "image": torch.rand(args.batch, 3, args.size, args.size, generator=generator),
            "mask": mask,
            "index": torch.arange(args.batch),
            "name": [f"{number}"] * args.batch,
        }
        for number in range(count)
    ]


class Alternation(Callback):
    """Runs a step of the loop after each step of the package and measures both.

    Args:
        loop: The loop.
        watch: Stopwatch of the package.
        warm_up: Number of steps that are not measured.
        control: The same loop with weights that differ by a rounding error; None to run none.

    Attributes:
        ours: Seconds of each step of the package.
        theirs: Seconds of each step of the loop.
        differences: Largest relative difference of the losses in each step.
        growth: The same between the loop and the control.
    """

    def __init__(self, loop: Loop, watch: Watch, warm_up: int, control: Loop | None) -> None:
        self.loop, self.watch, self.warm_up, self.control = loop, watch, warm_up, control
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self.differences: list[float] = []
        self.growth: list[float] = []
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: AdversarialModule) -> None:
        """Start the measurement."""
        self._since = self.watch.now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: AdversarialModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Run the loop on the batch."""
        middle = self.watch.now()
        pl_module.seed_batch("train", batch_idx)  # the same random numbers as in the package
        self.loop.step(batch)
        end = self.watch.now()
        self.differences.append(difference(self.loop.losses, pl_module.values))
        if self.control is not None:
            pl_module.seed_batch("train", batch_idx)
            self.control.step(batch)
            self.growth.append(difference(self.loop.losses, self.control.losses))
        if batch_idx >= self.warm_up:
            self.ours.append(middle - self._since)
            self.theirs.append(end - middle)
        else:
            self.watch.seconds.clear()
            self.loop.watch.seconds.clear()
        self._since = self.watch.now()


def difference(losses: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    """Return the largest relative difference of the losses."""
    return max(abs(float(others[name]) - float(loss)) / abs(float(loss)) for name, loss in losses.items())


def round_weights(module: AdversarialModule) -> None:
    """Change the weights by a rounding error."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                noise = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.mul_(1 + ROUNDING * (2 * noise - 1).to(parameter.device))


def build_plain(family: str, args: argparse.Namespace, watch: Watch) -> tuple[AdversarialModule, Loop]:
    """Return a module whose layers compute as in the released code, and the loop that trains it."""
    module = build(family, args).to(args.device, torch.float64 if args.same_updates else torch.float32)
    loop = LOOPS[family](module, watch)  # loads the backbone of GRIG's discriminator, which is part of the state
    as_released(module)
    return module, loop


def watched(module: AdversarialModule, watch: Watch) -> AdversarialModule:
    """Measure the parts of a module's step."""
    parts = {
        "prepare": lambda *_: "prepare",
        "predict_stages": lambda *_: "forward",
        "_phase_loss": lambda phase, *_: f"{phase.name}: losses",
        "_update": lambda phase, *_, **__: f"{phase.name}: update",
    }
    for name, title in parts.items():
        object.__setattr__(module, name, watch.timed(getattr(module, name), title))
    running: list[str] = []
    only, backward = module.only, module.manual_backward

    def noted(phase: Phase) -> AbstractContextManager[None]:
        running[:] = [phase.name]
        return only(phase)

    object.__setattr__(module, "only", noted)
    object.__setattr__(module, "manual_backward", watch.timed(backward, lambda *_: f"{running[0]}: backward"))
    return module


def measure(family: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train both and return the figures."""
    settle = torch.cuda.synchronize if args.device == "cuda" else int
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    watches = Watch(clock, settle), Watch(clock, settle)
    plain, loop = build_plain(family, args, watches[1])
    control = None
    if args.same_updates:
        rounded, control = build_plain(family, args, Watch(clock, settle))
        round_weights(rounded)
    ours = build(family, args, channels_last=args.channels_last, compile=args.compile)
    ours.load_state_dict(plain.state_dict())
    alternation = Alternation(loop, watches[0], args.warm_up, control)
    count = args.warm_up + args.steps
    trainer = Trainer(
        accelerator="gpu" if args.device == "cuda" else "cpu",
        devices=1,
        precision="64-true" if args.same_updates else args.precision,
        max_steps=count,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=50,
        callbacks=[FastConvolutions(), alternation] if args.fast_convolutions else [alternation],
    )
    trainer.fit(watched(ours, watches[0]), DataLoader(batches(args, count), batch_size=None))  # type: ignore[arg-type]
    ratios = [theirs / mine for mine, theirs in zip(alternation.ours, alternation.theirs, strict=True)]
    unpredictable = (step for step, growth in enumerate(alternation.growth) if growth > PREDICTABLE)
    compared = min(COMPARED, count, next(unpredictable, count))
    parts = sorted({*watches[0].seconds, *watches[1].seconds})
    return {
        "ours_s": median(alternation.ours),
        "plain_s": median(alternation.theirs),
        "ratio": median(ratios),
        "worst_ratio": min(ratios),
        "difference": max(alternation.differences[:compared], default=float("inf")),
        "compared": compared,
        "parts_s": {name: [watch.seconds[name] / args.steps for watch in watches] for name in parts},
    }


def tables(rows: dict[str, dict[str, Any]], target: float) -> list[Table]:
    """Return the table of all families and that of the parts of their steps."""
    out = Table(title="Training beside a loop written as in the released code")
    for title in ("family", "step s", "plain step s", "steps/s over plain", "largest difference of a loss", "in steps"):
        out.add_column(title, justify="left" if title == "family" else "right")
    parts = Table(title="Seconds of a step: package, plain loop")
    for title in ("family", "part", "package", "plain"):
        parts.add_column(title, justify="right" if title in ("package", "plain") else "left")
    for family, row in rows.items():
        mark = "[green]" if row["ratio"] >= target else "[red]"
        ratio = f"{mark}{row['ratio']:.2f} (worst {row['worst_ratio']:.2f})"
        out.add_row(
            family,
            f"{row['ours_s']:.3f}",
            f"{row['plain_s']:.3f}",
            ratio,
            f"{row['difference']:.1e}",
            f"{row['compared']}",
        )
        for name, (mine, theirs) in row["parts_s"].items():
            parts.add_row(family, name, f"{mine:.3f}", f"{theirs:.3f}")
    return [out, parts]


def main() -> int:
    """Measure and print; return 1 if a ratio is below the target or, with ``--same-updates``, losses differ, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="measured steps")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", metavar="BACKEND", help="such as inductor")
    parser.add_argument("--precision", default="32-true", help="of Lightning's Trainer, such as bf16-mixed")
    parser.add_argument("--fast-convolutions", action="store_true", help="as in configs/trainer/cpu.yaml")
    parser.add_argument("--same-updates", action="store_true", help="compare the losses in float64")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try the script")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")  # Lightning's advice on loaders
    load = os.getloadavg()[0]
    rows = {family: measure(family, args) for family in args.families}
    console = Console(width=120)
    for table in tables(rows, TARGET[args.device]):
        console.print(table)
    options = {name: value for name, value in vars(args).items() if name not in ("families", "json")}
    described = machine(load, args.device) | options
    console.print(", ".join(f"{key} {value}" for key, value in described.items()))
    if args.json:
        args.json.write_text(json.dumps({"machine": described, "rows": rows}, indent=2) + "\n")
    if args.same_updates:
        return int(any(row["difference"] > TOLERANCE or row["compared"] < AT_LEAST for row in rows.values()))
    return int(any(row["ratio"] < TARGET[args.device] for row in rows.values()))


if __name__ == "__main__":
    raise SystemExit(main())
