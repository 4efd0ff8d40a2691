"""Export models in all formats, compare the files with the networks, and time them; the table of docs/export.md.

    python benchmarks/speed/export_all.py [MODEL ...] --lines results.jsonl [--formats onnx torch-export] [--size 256]

Every model runs in a process of its own, which appends a line for each file to `--lines`. A file is for all sizes, and
the export itself compares it with the network at three sizes; if that fails, the reason is kept, and the file is
exported for images of `--size` alone. Weights are the shipped ones or, without them, random (seed 0). The network, its
fast form and the files then take turns on one image of `--size`; times are processor time of one thread, the median of
the rounds' ratios to the network. PSNR is the mean over four sample images and only measured for shipped weights.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from export import IMAGES, psnr
from torch import Tensor

import inpaint_zoo as iz
from inpaint_zoo.export import FORMATS, ExportError
from inpaint_zoo.export.check import sample_pair

Forms = Mapping[str, iz.InpaintingNetwork]


@dataclass(frozen=True)
class Settings:
    """What is measured for each model."""

    formats: list[str]
    precisions: list[str]
    size: int
    rounds: int


def exported(net: iz.InpaintingNetwork, path: Path, precision: str, side: int) -> dict[str, Any]:
    """Export for all sizes, else for one; return what the table says of the file."""
    begin, reason = time.process_time(), ""
    for size in (None, (side, side)):
        try:
            done = iz.export_model(net, path, size=size, precision=precision)
        except ExportError as error:
            reason = reason or str(error)
            continue
        convention = done.metadata["convention"]
        return {
            "sizes": f"{side} px only" if size else f"from {convention.get('min_size', 1)} px",
            "largest": max(each.largest for each in done.differences),
            "mean": max(each.mean for each in done.differences),
            "not_all_sizes": reason,
            "export_seconds": time.process_time() - begin,
            "mib": path.stat().st_size / 2**20,
        }
    return {"failed": reason}


def time_ratios(forms: Forms, pair: tuple[Tensor, Tensor], rounds: int) -> tuple[float, dict[str, float]]:
    """Return the network's seconds, and the median ratio of each form's time to it; all take turns."""
    took: dict[str, list[float]] = {name: [] for name in forms}
    with torch.inference_mode():
        for _ in range(rounds + 1):
            for name, net in forms.items():
                begin = time.process_time()
                net(*pair)
                took[name].append(time.process_time() - begin)
    warm = {name: values[1:] for name, values in took.items()}
    ratios = {name: median(a / b for a, b in zip(values, warm["eager"], strict=True)) for name, values in warm.items()}
    return median(warm["eager"]), ratios


def measure(model: str, settings: Settings) -> list[dict[str, Any]]:
    """Return a line for each format and precision of a model; call it in a new process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shipped = bool(iz.model_info(model).weights)
    net = iz.create_model(model, "shipped" if shipped else None)
    lines: list[dict[str, Any]] = []
    forms = {"eager": net, "fast": iz.optimize(net)}
    with tempfile.TemporaryDirectory() as folder:
        for name in settings.formats:
            for precision in settings.precisions:
                if precision not in FORMATS[name].precisions:
                    continue
                path = Path(folder) / (precision + FORMATS[name].suffix)
                line = {"model": model, "format": name, "precision": precision, "shipped": shipped}
                line |= exported(net, path, precision, settings.size)
                lines.append(line)
                if "failed" not in line:
                    forms[f"{name} {precision}"] = iz.load_exported(path)
        if not settings.rounds:
            return lines
        pairs = [sample_pair(index, (settings.size, settings.size)) for index in range(IMAGES)]
        seconds, ratios = time_ratios(forms, pairs[0], settings.rounds)
        with torch.inference_mode():
            levels = {key: psnr(form, pairs) for key, form in forms.items() if key != "fast"} if shipped else {}
        for line in lines:
            key = f"{line['format']} {line['precision']}"
            line |= {"side": settings.size, "eager_seconds": seconds, "fast_ratio": ratios["fast"]}
            if key in forms:
                line["ratio"] = ratios[key]
                line["psnr_change"] = levels[key] - levels["eager"] if shipped else None
    return lines


def collect(models: list[str], settings: Settings, lines: Path) -> None:
    """Measure each model in a new process, and append its lines to the file."""
    for model in models:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            try:
                found = pool.apply(measure, (model, settings))
            except Exception as error:  # the other models still run
                found = [{"model": model, "error": f"{type(error).__name__}: {error}"}]
        with lines.open("a") as file:
            file.writelines(json.dumps({**line, "settings": asdict(settings)}) + "\n" for line in found)
        for line in found:
            shown = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in line.items()}
            print(shown, flush=True)


def main() -> None:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="registered names (default: all learned models)")
    parser.add_argument("--lines", type=Path, required=True, help="file of results, one JSON object a line")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--precisions", nargs="+", default=["fp32"], choices=["fp32", "fp16", "bf16", "int8"])
    parser.add_argument("--size", type=int, default=256, help="height and width of the timed image (default: 256)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the timing; 0 skips it (default: 3)")
    options = parser.parse_args()
    models = options.models or [info.name for info in map(iz.model_info, iz.list_models()) if info.learned]
    collect(models, Settings(options.formats, options.precisions, options.size, options.rounds), options.lines)


if __name__ == "__main__":
    main()
