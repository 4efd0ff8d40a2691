"""Plot metrics against the training step, for methods whose checkpoints were scored."""

from __future__ import annotations

from dataclasses import dataclass

from inpaint_zoo.benchmark.report.charts import SIZES, Series, trend
from inpaint_zoo.benchmark.report.plots import Plot
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.typography import DASH, decimal, thousands
from inpaint_zoo.metrics import MetricInfo

__all__ = ["Curve", "curves"]


@dataclass(frozen=True)
class Curve:
    """The plot of one metric on one dataset with one mask set."""

    mask: str
    plot: Plot


def curves(run: Run) -> list[Curve]:
    """Return a plot for each table and metric in which a method has checkpoints, in suite order."""
    families = [family.label for family in run.families.values() if family.kind == "checkpoints"]
    found = []
    for dataset, mask in run.tables:
        for name, info in run.infos.items():
            values = {method: run.values.get((method, dataset, mask, name), {}) for method in families}
            if any(values.values()):
                found.append(Curve(mask, _plot(run, dataset, mask, info, values)))
    return found


def _plot(run: Run, dataset: str, mask: str, info: MetricInfo, values: dict[str, dict[int, float]]) -> Plot:
    steps = sorted({step for means in values.values() for step in means})
    series = [
        Series(method, run.methods.index(method), (), sorted(means.items()))
        for method, means in values.items()
        if means
    ]
    absent = [method for method, means in values.items() if not means]
    label = f"{info.title}{f', {info.unit}' if info.unit else ''}"
    title = f"{info.title} against training step on {dataset}, {mask}; the same numbers are in the table below."
    return Plot(
        dataset=dataset,
        info=info,
        drawings=tuple(
            trend(series, size, x_label="training step", y_label=label, title=title, ratio=False) for size in SIZES
        ),
        notes=(f"Not shown, because it has no checkpoint here: {', '.join(absent)}.",) if absent else (),
        header=("training step", *(thousands(step) for step in steps)),
        numbers=tuple(
            (method, *(decimal(means[step], info.digits) if step in means else DASH for step in steps))
            for method, means in values.items()
            if means
        ),
    )
