"""List, describe and create metrics by name. torch is imported only when a metric is created."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.errors import unknown_name
from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.metrics.definitions import (
    ENTRIES,
    HOLE_ENTRIES,
    IMAGE_ENTRIES,
    PAPER_ENTRIES,
    REVISIONS,
    SET_ENTRIES,
    Entry,
    Result,
)

if TYPE_CHECKING:
    from inpaint_zoo.metrics.base import ImageMetric, SetMetric

__all__ = ["MetricInfo", "create_metric", "list_metrics", "metric_info", "metrics_markdown"]


class MetricInfo(NamedTuple):
    """Information about a metric.

    Attributes:
        name: Registry name.
        title: Title in table headers.
        unit: "dB", "%" or empty.
        higher_is_better: Whether larger values are better.
        per_image: Whether each image has a value (`ImageMetric`) or only a set of images (`SetMetric`).
        region: Pixels that count.
        source: Source of the definition.
        definition: What exactly is computed.
        needs: Names of the backbones it needs, as `find_backbone` knows them.
        implementation: Package that computes it, with its version.
        digits: Number of decimals to print.
        value_range: Smallest and largest value.
        min_side: Minimum height and width of an image in pixels.
        cap: Value for identical images, if the formula is not finite for them; else None.
        result: Whether it measures 8-bit results or float results before rounding.
        unbiased: Name of the metric that a suite shows beside it, because this one is biased for small sets; or empty.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    per_image: bool
    region: Literal["image", "hole", "known"]
    source: str
    definition: str
    needs: tuple[str, ...]
    implementation: str
    digits: int
    value_range: str
    min_side: int
    cap: float | None
    result: Result
    unbiased: str


def _entry(name: str) -> Entry:
    if name not in ENTRIES:
        raise unknown_name("metric", name, ENTRIES, "`inpaint-zoo metrics` lists them all.")
    return ENTRIES[name]


def list_metrics(pattern: str = "*") -> list[str]:
    """Return the names of the metrics that match a shell pattern, in natural order.

    Example:
        >>> list_metrics("fid*")
        ['fid', 'fid_clean', 'fid_pytorch']
    """
    return sorted(fnmatch.filter(ENTRIES, pattern), key=natural_key)


def metric_info(name: str) -> MetricInfo:
    """Return information about a metric.

    Raises:
        UnknownNameError: If the metric is unknown; the message suggests similar names.

    Example:
        >>> info = metric_info("psnr")
        >>> info.unit, info.higher_is_better, info.cap
        ('dB', True, 100.0)
    """
    entry = _entry(name)
    revision = REVISIONS.get(entry.home)
    implementation = f"inpaint-zoo {__version__}" + (f", revision {revision}" if revision else "")
    if entry.package:
        try:
            implementation = f"{entry.package} {version(entry.package)}, {implementation}"
        except PackageNotFoundError:
            implementation = f"{entry.package} (not installed), {implementation}"
    return MetricInfo(
        name=name,
        title=entry.title,
        unit=entry.unit,
        higher_is_better=entry.higher_is_better,
        per_image=name not in SET_ENTRIES,
        region=entry.options.get("region", "image"),
        source=entry.source,
        definition=entry.definition,
        needs=entry.needs,
        implementation=implementation,
        digits=entry.digits,
        value_range=entry.value_range,
        min_side=entry.min_side,
        cap=entry.cap,
        result=entry.result,
        unbiased=entry.unbiased,
    )


def create_metric(name: str, **options: Any) -> ImageMetric | SetMetric:
    """Create a metric by its name.

    Args:
        name: One of `list_metrics()`.
        options: Constructor arguments of the metric's class, which override those of the catalogue. Examples:
            ``extractor`` (any module that maps images to features) of fid, kid, p_ids and u_ids, ``weights`` of lpips,
            ``cap`` of psnr.

    Raises:
        UnknownNameError: If the metric or an option is unknown; the message suggests similar names.
        WeightsNotFoundError: If a backbone's weights are missing; the message names the file and the folders.

    Example:
        >>> import torch
        >>> metric = create_metric("l1")
        >>> metric.score(torch.zeros(2, 3, 16, 16), torch.full((2, 3, 16, 16), 0.5))
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    import torch

    entry = _entry(name)
    module, class_name = entry.home.rsplit(".", 1)
    build = getattr(importlib.import_module(f"inpaint_zoo.metrics.{module}"), class_name)
    accepted = inspect.signature(build).parameters
    for option in options:
        if option not in accepted:
            raise unknown_name(f"option of metric '{name}':", option, accepted, f"It takes: {', '.join(accepted)}.")
    metric: ImageMetric | SetMetric = build(**{**entry.options, **options})
    metric.name = name
    metric.result = entry.result
    if name not in SET_ENTRIES:
        # MetricCollection shares the states of metrics whose states are equal after the first batch, such as l1 and mse
        # of a perfect result. A state with a unique name prevents this.
        metric.add_state(f"is_{name}", torch.zeros(()), dist_reduce_fx="sum")
    return metric


def metrics_markdown() -> str:
    """Return the tables of docs/metrics.md: every metric with its definition, source, direction and range."""
    groups = {
        "Metrics per image": IMAGE_ENTRIES,
        "Metrics of the hole or of the known pixels, per image": HOLE_ENTRIES,
        "Metrics per set of images": SET_ENTRIES,
        "Metrics as single papers define them": PAPER_ENTRIES,
    }
    lines = []
    for title, names in groups.items():
        lines += [
            f"## {title}",
            "",
            "| name | better | unit | range | result | definition | source | needs |",
            "|" + " --- |" * 8,
        ]
        for name in names:
            info = metric_info(name)
            cells = (
                f"`{name}`",
                "higher" if info.higher_is_better else "lower",
                info.unit,
                info.value_range,
                info.result,
                info.definition.replace("|", "\\|")
                + (f" Height and width at least {info.min_side} px." if info.min_side > 16 else ""),
                info.source,
                ", ".join(f"`{need}`" for need in info.needs),
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
