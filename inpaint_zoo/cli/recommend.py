"""`inpaint-zoo recommend`: name the models that suit given masks and limits, by the results of a benchmark."""

from __future__ import annotations

import json
import math
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.common import command_parser, console, err_console, print_table
from inpaint_zoo.cli.masks import is_mask_folder, mask_batches, mask_generator, masks_of_files, warn
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.masks import MASK_SUITES, create_generator, list_masks, mask_suite
from inpaint_zoo.masks.document import is_mask_file
from inpaint_zoo.masks.kind import Mask
from inpaint_zoo.masks.overview import Measures, measure
from inpaint_zoo.masks.read import MaskCheck

if TYPE_CHECKING:
    from inpaint_zoo.benchmark.recommend import Evidence, HoleShape, Left, MaskSet, Ranked
    from inpaint_zoo.metrics import MetricInfo

__all__ = ["run"]

MEASURED = 256  # masks of a folder or generator
SIZE = (256, 256)


def _parser() -> ArgumentParser:
    parser = command_parser(
        "recommend",
        "Name the registered models with ready weights that suit given masks, by the results of a benchmark with masks "
        "whose hole ratio and hole width differ from theirs by a factor of at most 2.",
    )
    add = parser.add_argument
    add(
        "--mask",
        required=True,
        metavar="FILE_FOLDER_OR_NAME",
        help="your masks: a file or a folder (white = hole), a mask generator or its YAML file, or a list of masks "
        "(`inpaint-zoo masks list`)",
    )
    add(
        "--from",
        dest="source",
        metavar="RUN",
        help="folder of a finished `inpaint-zoo benchmark`; default: the results that come with the package "
        "(benchmarks/recommend.yaml)",
    )
    add("--metric", metavar="NAME", help="metric by which models are ranked; default: the first one of the benchmark")
    add(
        "--device", choices=["cpu", "cuda", "mps"], help="use only latencies and memory measured on this kind of device"
    )
    add("--max-latency", metavar="TIME", help="maximum mean time of an image, such as 200ms or 1.5s")
    add("--max-memory", metavar="SIZE", help="maximum of weights and peak memory, such as 500MiB")
    add("--json", action="store_true", help="print everything as JSON")
    return parser


def run(args: list[str]) -> int:
    """Run the command."""
    options = _parser().parse_args(args)
    latency = _milliseconds(options.max_latency)
    memory = None
    if options.max_memory is not None:
        from inpaint_zoo.inference.strategy import parse_bytes

        memory = parse_bytes(options.max_memory) / 2**20

    from inpaint_zoo.benchmark.recommend import SHIPPED, HoleShape, Limits, evidence_for, recommend
    from inpaint_zoo.benchmark.report.run_folder import read_run

    measures = _measures(options.mask)
    try:
        shape = HoleShape.of(measures)
    except ZooError as error:
        raise ZooError(f"{options.mask}: {error}.") from None
    evidence = evidence_for(read_run(options.source or SHIPPED), shape, options.metric)
    ranked, left = recommend(evidence, Limits(options.device, latency, memory))
    if not ranked:
        reasons = "; ".join(f"{each.method}: {each.reason}" for each in left)
        raise ZooError(f"No model fits. The smallest excess is first: {reasons}.")
    if options.json:
        console.print_json(json.dumps(_plain(options.mask, measures, shape, evidence, ranked, left)))
        return 0
    _show(options.mask, measures, shape, evidence, ranked, left, options.source)
    return 0


def _milliseconds(text: str | None) -> float | None:
    """Return a time in milliseconds.

    Raises:
        ZooError: The text is not a positive number with the unit ms or s.

    Example:
        >>> _milliseconds("200ms"), _milliseconds("1.5 s")
        (200.0, 1500.0)
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(ms|s)\s*", text)
    value = float(found[1]) * {"ms": 1.0, "s": 1000.0}[found[2]] if found else 0.0
    if value <= 0:
        raise ZooError(f"--max-latency must be a positive time such as 200ms or 1.5s, got '{text}'.")
    return value


def _measures(mask: str) -> Measures:
    """Return the measures of the masks that the user names.

    Raises:
        ZooError: There are no such masks, or none can be read.
    """
    check = MaskCheck()
    measures = measure(_batches(mask, check))
    warn(check.lines())
    return measures


def _batches(mask: str, check: MaskCheck) -> Iterator[Mask]:
    path = Path(mask)
    if mask in MASK_SUITES:
        lists = mask_suite(mask)
        for each in lists:
            yield from mask_batches(create_generator(each.spec), MEASURED // len(lists), SIZE)
    elif is_mask_folder(mask):
        files = mask_generator(mask, None).files()
        yield from masks_of_files(_spread(files), check)
    elif mask not in list_masks() and not is_mask_file(mask) and path.is_file():
        yield from masks_of_files([path], check)
    elif mask in list_masks() or is_mask_file(mask):
        generator = mask_generator(mask, None)
        yield from mask_batches(generator, MEASURED, generator.size or SIZE)
    elif len(path.parts) > 1 or path.suffix:
        raise ZooError(f"--mask {mask}: there is no such file or folder.")
    else:
        raise unknown_name("mask", mask, [*list_masks(), *MASK_SUITES], "`inpaint-zoo masks list` lists all of them.")


def _spread(files: list[Path]) -> list[Path]:
    """Return at most `MEASURED` files, evenly spaced."""
    places = np.unique(np.linspace(0, len(files) - 1, min(len(files), MEASURED)).round().astype(int))
    return [files[place] for place in places]


def _show(
    mask: str,
    measures: Measures,
    shape: HoleShape,
    evidence: Evidence,
    ranked: list[Ranked],
    left: list[Left],
    source: str | None,
) -> None:
    from inpaint_zoo.benchmark.recommend import verdict
    from inpaint_zoo.benchmark.report.notes import count

    console.print(f"{escape(mask)}: {count(len(measures.ratio), 'mask')}, {_described(shape)}", soft_wrap=True)
    for line in _evidence_lines(evidence, ranked[0], source):
        console.print(escape(line), soft_wrap=True)
    if not _alike(evidence):
        err_console.print(
            "[yellow]warning:[/yellow] no masks of this benchmark resemble yours, so the order may differ on your "
            "images; the nearest ones are used. A suite with your masks gives real evidence: --from RUN.",
            soft_wrap=True,
        )
    print_table(_table(evidence.info, ranked))
    console.print(escape(verdict(ranked)), soft_wrap=True)
    tied = [each for each in ranked if each.tied_with_best and each.latency_ms is not None]
    if len(tied) > 1:
        fastest = min(tied, key=lambda each: each.latency_ms or math.inf)
        info = evidence.info
        distance = abs(fastest.means[info.name] - ranked[0].means[info.name])
        far = f", {info.title} {distance:.{info.digits}f} {info.unit}".rstrip() + " from the best" if distance else ""
        console.print(
            f"The fastest one that is not significantly worse than the best: {escape(fastest.method)}, "
            f"{fastest.latency_ms:.0f} ms{far}.",
            soft_wrap=True,
        )
    for each in left:
        console.print(f"[dim]left out:[/dim] {escape(each.method)}: {escape(each.reason)}", soft_wrap=True)
    weights = "" if ranked[0].weights in (None, "shipped") else f" --weights {ranked[0].weights}"
    console.print(
        f"\ninpaint-zoo inpaint IMAGES --mask MASKS --model {ranked[0].model}{weights} --out OUT", markup=False
    )


def _evidence_lines(evidence: Evidence, first: Ranked, source: str | None) -> list[str]:
    from inpaint_zoo.benchmark.report.notes import count

    where = source or "the results that come with the package"
    version = f"version {first.provenance['code_version']}"
    commit = first.provenance["git_commit"]
    version += f", commit {commit[:9]}" if commit else ""
    sets = "; ".join(f"{each.mask} ({_described(each.shape)})" for each in evidence.masks)
    datasets = ", ".join(dict.fromkeys(each.dataset for each in evidence.masks))
    sizes = ", ".join(f"{width} x {height}" for width, height in evidence.sizes)
    environment = evidence.run.provenance.get("environment", {})
    measured = f"latency and memory: images of {sizes} px, one at a time, on {' and '.join(evidence.devices)}"
    measured += f" ({environment['cores']} cores, {environment['torch_threads']} threads)" if environment else ""
    return [
        f"evidence: {where} (suite {evidence.run.suite['name']}, {version}): {count(first.n_images, 'result')} of "
        f"{count(first.n_groups, 'image')} for each model, of {datasets}",
        f"masks like yours: {sets}",
        *([measured] if sizes else []),
    ]


def _alike(evidence: Evidence) -> bool:
    from inpaint_zoo.benchmark.recommend import ALIKE

    return evidence.masks[0].factor <= ALIKE


def _described(shape: HoleShape) -> str:
    width = "" if shape.width is None else f", hole width {100 * shape.width:.1f} % of the side"
    return f"hole ratio {100 * shape.ratio:.1f} %{width}"


def _table(info: MetricInfo, ranked: list[Ranked]) -> Table:
    from inpaint_zoo.metrics import metric_info

    others = [metric_info(name) for name in ranked[0].means if name != info.name]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column(f"{_title(info)}, 95 % interval", justify="right")
    table.add_column("difference to the next", justify="right")
    for title in (*map(_title, others), "latency", "memory"):
        table.add_column(title, justify="right")
    for each in ranked:
        low, high = (f"{end:.{info.digits}f}" for end in each.interval)
        table.add_row(
            f"[bold]{escape(each.method)}[/bold]" if each.tied_with_best else escape(each.method),
            f"{each.means[info.name]:.{info.digits}f}, {low} to {high}",
            _difference(each, info.digits),
            *(f"{each.means[other.name]:.{other.digits}f}" for other in others),
            "" if each.latency_ms is None else f"{each.latency_ms:.0f} ms",
            "" if each.memory_mb is None else f"{each.memory_mb:.0f} MiB",
        )
    table.caption = "bold: best, or not significantly different from the best"
    return table


def _title(info: MetricInfo) -> str:
    return f"{f'{info.title} {info.unit}'.strip()} {'↑' if info.higher_is_better else '↓'}"


def _difference(each: Ranked, digits: int) -> str:
    if math.isnan(each.difference):
        return ""
    sure = "" if math.isnan(each.difference_p) else f", p = {each.difference_p:.2g}"
    word = "" if each.differs_from_next else ", not significant"
    return f"{each.difference:+.{digits}f}{sure}{word}"


def _plain(
    mask: str, measures: Measures, shape: HoleShape, evidence: Evidence, ranked: list[Ranked], left: list[Left]
) -> dict[str, Any]:
    return {
        "mask": {"name": mask, "count": len(measures.ratio), **_holes(shape)},
        "benchmark": {
            "folder": str(evidence.run.folder),
            "suite": evidence.run.suite["name"],
            "environment": evidence.run.provenance.get("environment", {}),
            "devices": list(evidence.devices),
            "sizes": [list(size) for size in evidence.sizes],
        },
        "masks_alike": _alike(evidence),
        "mask_sets": [_mask_set(each) for each in evidence.masks],
        "metric": evidence.info.name,
        "models": [_model(each) for each in ranked],
        "left_out": [each._asdict() for each in left],
    }


def _holes(shape: HoleShape) -> dict[str, float | None]:
    return {"hole_ratio": shape.ratio, "hole_width": shape.width}


def _mask_set(each: MaskSet) -> dict[str, Any]:
    return {"dataset": each.dataset, "mask": each.mask, **_holes(each.shape), "factor": each.factor}


def _model(each: Ranked) -> dict[str, Any]:
    plain = each._asdict() | {"interval": list(each.interval), "significant": each.differs_from_next}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in plain.items()}
