"""`inpaint-zoo ship`: train a small model from its sample configuration and add its weights to the package.

This produces the `_tiny` model of each family. The command trains (or resumes training), computes the metrics on the
held-out images, and writes 16-bit weights with their provenance and a model card.
"""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo._version import __version__
from inpaint_zoo.cli.bundled import bundled_file
from inpaint_zoo.cli.common import command_parser, console
from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_json, write_bytes
from inpaint_zoo.io.locks import lock_folder

if TYPE_CHECKING:
    from inpaint_zoo.benchmark import Suite

__all__ = ["MAX_BYTES", "run"]

MAX_BYTES = 4_000_000  # maximum size of a weight file in the package, because every clone contains it
LICENSE = "Apache-2.0"

CARD = """\
# {name}
{description}

| | |
| --- | --- |
| parameters | {parameters:,} |
| file | `{name}.safetensors`, 16 bit, {size:.2f} MB, tensors' SHA-256 `{sha256}` |
| license | {license} |
| configuration | `{config}`; SHA-256 of its settings `{config_sha256}` |
| training data | {train} |
| network options | `{options}` |
| budget | {steps:,} steps in {minutes:.1f} minutes on {machine} |
| seed | {seed} |
| code | inpaint-zoo {version}, commit `{commit}` |

## Results on images that were not used for training

The weights are those after the last step of a fixed budget; nothing was selected on these images.

{results}

## Training curve

Metrics by step on the validation images of the configuration:

| step | {curve_names} |
| ---: | {curve_rule} |
{curve}

## Limits

The model was trained for minutes. It shows that the architecture works and gives the quickstart a learned method. Its
results say nothing about what the architecture reaches when it is trained as in its paper.{difference}
"""
DIFFERENCE = """ Unlike the paper's
network, this one predicts the difference from the image that `neighbor_fill` completes, because within its budget a
network that predicts colors does not learn to continue smooth surroundings."""


def run(args: list[str]) -> int:
    """Run the command and return its exit code: 0 if the weights were written, 1 if training did not finish.

    Args:
        args: Command-line arguments after `ship`.

    Raises:
        ZooError: The configuration, the suite or an argument is wrong, or the weight file is larger than `MAX_BYTES`.
    """
    parser = command_parser("ship", "Train a small model from its configuration and add its weights to the package.")
    parser.add_argument("config", metavar="CONFIG.yaml", help="such as configs/tiny/autoencoder.yaml")
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the run; an interrupted run is resumed (default: runs/ship/MODEL)"
    )
    parser.add_argument("--package", metavar="DIR", help="folder for the weights (default: in the package)")
    parser.add_argument(
        "--suite",
        metavar="SUITE.yaml",
        help="score the model for its card with this suite, beside its methods without weights",
    )
    options = parser.parse_args(args)

    from lightning.pytorch.callbacks import Timer

    from inpaint_zoo.benchmark import load_suite
    from inpaint_zoo.cli.train import train
    from inpaint_zoo.registry import model_info
    from inpaint_zoo.weights.files import SHIPPED_FOLDER

    config = bundled_file("configuration", options.config)
    settings = _settings(config)
    suite = load_suite(bundled_file("suite", options.suite)) if options.suite else None
    name = str(settings["model"]["init_args"]["network"])
    if not model_info(name).learned:
        raise ZooError(f"{config}: '{name}' is not a learned model, so it has no weights to ship.")
    out = Path(options.out or f"runs/ship/{name}")
    words = ["--config", str(config), "--out", str(out), "--ckpt_path", "last"]
    with lock_folder(out, "ship"):
        # every checkpoint stores the timer's state, so the time of a resumed run includes earlier calls
        if code := train("fit", words, [Timer()]):
            return code
        checkpoint = _finished(out / "checkpoints", int(settings["trainer"]["max_steps"]))
        if checkpoint is None:
            console.print("not shipped: training is not finished. Run the same command to resume it.", soft_wrap=True)
            return 1
        if code := train("test", words):
            return code
        provenance = _provenance(settings, config, out, checkpoint)
        path = _save(name, out, checkpoint, provenance)
        results = _suite_results(suite, name, path, out) if suite is not None else _test_results(provenance)
        folder = Path(options.package or SHIPPED_FOLDER)
        write_bytes(folder / path.name, path.read_bytes())
        write_bytes(folder / f"{name}.md", _card(path, out, settings, provenance, results).encode())
        size = path.stat().st_size / 1e6
        console.print(f"shipped: {folder / path.name} ({size:.2f} MB)", soft_wrap=True, markup=False)
    return 0


def _settings(config: Path) -> dict[str, Any]:
    settings = read_config(config)
    try:
        settings["model"]["init_args"]["network"], settings["trainer"]["max_steps"]
    except (KeyError, TypeError):
        raise ZooError(f"{config}: must name model.init_args.network and trainer.max_steps.") from None
    return settings


def _provenance(settings: Mapping[str, Any], config: Path, out: Path, checkpoint: Path) -> dict[str, Any]:
    from inpaint_zoo.analysis.machine import cores
    from inpaint_zoo.benchmark.identity import git_commit

    scores = json.loads((out / "test.json").read_text(encoding="utf-8"))
    data = settings["data"]["init_args"]
    return {
        "config": config.as_posix(),
        "config_sha256": sha256_json(settings),
        "train": data["train"],
        "held_out": data["test"],
        "steps": settings["trainer"]["max_steps"],
        "minutes": round(_seconds(checkpoint) / 60, 1),
        "machine": f"{cores()} core{'s' * (cores() > 1)} of {platform.machine()}, CPU",
        "seed": settings.get("seed_everything", 0),
        "metrics": {key.removeprefix("test/"): round(value, 5) for key, value in scores["metrics"].items()},
        "commit": git_commit(),
        "version": __version__,
    }


def _finished(checkpoints: Path, steps: int) -> Path | None:
    """Return the checkpoint of the last step; None if training was stopped before it."""
    from inpaint_zoo.training import newest_readable
    from inpaint_zoo.training.resume import checkpoint_path

    newest = newest_readable(checkpoints)
    return newest if newest is not None and newest == checkpoint_path(checkpoints, steps) else None


def _seconds(checkpoint: Path) -> float:
    """Return the time of training and validation in seconds, over all calls of the run."""
    import torch

    elapsed = torch.load(checkpoint, map_location="cpu", weights_only=True)["callbacks"]["Timer"]["time_elapsed"]
    return float(elapsed["train"] + elapsed["validate"])


def _save(name: str, out: Path, checkpoint: Path, provenance: dict[str, Any]) -> Path:
    """Write the weights to the folder of the run and return their path.

    Raises:
        ZooError: The file is larger than `MAX_BYTES`.
    """
    from inpaint_zoo.registry import create_model
    from inpaint_zoo.weights import save_weights

    net = create_model(name, weights=checkpoint)
    path = save_weights(net, out / f"{name}.safetensors", licence=LICENSE, training=provenance, half=True)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ZooError(f"{path} has {size:,} bytes, but at most {MAX_BYTES:,} are allowed. Use a smaller model.")
    return path


def _test_results(provenance: Mapping[str, Any]) -> str:
    rows = [f"| {key} | {value:g} |" for key, value in provenance["metrics"].items()]
    return "\n".join([f"Dataset: `{provenance['held_out']}`.\n", "| metric | value |", "| --- | ---: |", *rows])


def _suite_results(suite: Suite, name: str, weights: Path, out: Path) -> str:
    """Score the weights and the suite's methods without weights, and return the tables of the report.

    Raises:
        ZooError: The suite has no method without weights, a cell failed, or `run_suite` raises it.
    """
    from dataclasses import replace

    from inpaint_zoo.benchmark import run_suite
    from inpaint_zoo.benchmark.entries import ModelEntry
    from inpaint_zoo.benchmark.report.markdown import section
    from inpaint_zoo.benchmark.report.run_folder import read_run
    from inpaint_zoo.benchmark.report.tables import tables

    references = [entry for entry in suite.methods if isinstance(entry, ModelEntry) and entry.weights is None]
    if not references:
        raise ZooError(f"{suite.path}: list at least one method without weights, such as telea, to compare with.")
    entry = replace(references[0], label=name, model=name, weights=str(weights.resolve()), options={})
    outcome = run_suite(replace(suite, methods=(entry, *references)), out / "suite")
    if outcome.missing:
        part = outcome.missing[0].parts[0]
        raise ZooError(f"{suite.path}: {part.what} is missing: {part.where}")
    if outcome.failed:
        first = outcome.failed[0]
        raise ZooError(f"{first.key} failed: {first.error}")
    return "\n\n".join(section(table, "###") for table in tables(read_run(out / "suite")))


def _curve(out: Path) -> tuple[list[str], list[tuple[int, list[float]]]]:
    """Return the names of the validation metrics, and the step and values of each validation."""
    with (out / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("val/")]
    scored = [row for row in rows if names and row[names[0]]]
    return names, [(int(row["step"]), [round(float(row[name]), 5) for name in names]) for row in scored]


def _data(spec: Mapping[str, Any]) -> str:
    """Return the datasets and their terms of use in one line."""
    parts = spec.get("parts", [spec])
    return "; ".join(f"{part['name']} ({part['terms']})" if "terms" in part else str(part["name"]) for part in parts)


def _card(path: Path, out: Path, settings: Mapping[str, Any], provenance: Mapping[str, Any], results: str) -> str:
    from inpaint_zoo.registry import create_model, model_info
    from inpaint_zoo.weights import load_weights

    file = load_weights(path)
    names, curve = _curve(out)
    info = model_info(str(file.name))
    fields = {
        **provenance,
        "train": _data(settings["data"]["init_args"]["train"]),
        "name": file.name,
        "options": file.options or "the defaults",
        "description": info.description,
        "parameters": info.parameters,
        "size": path.stat().st_size / 1e6,
        "sha256": file.sha256,
        "license": LICENSE,
        "difference": DIFFERENCE if create_model(info.name, weights=path).predicts_difference else "",
        "results": results,
        "curve_names": " | ".join(names),
        "curve_rule": " | ".join("---:" for _ in names),
        "curve": "\n".join(f"| {step} | {' | '.join(f'{value:g}' for value in values)} |" for step, values in curve),
    }
    return CARD.format(**fields)
