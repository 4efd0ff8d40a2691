"""Our number for each cell of a printed table, what kind of number it is, and why it is missing.

Ours is the mean that the other tables of the report show, in the unit of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import stdev
from typing import Any

from inpaint_zoo.benchmark.cost_keys import FIGURES
from inpaint_zoo.benchmark.paper import PaperCell
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.typography import DASH, decimal, with_spread

__all__ = ["KINDS", "Compared", "compared_cells", "signed"]

KINDS = {
    "released": ("authors' weights", "converted from the files that the paper's authors released"),
    "trained": ("trained here", "trained with this package"),
    "reduced": (
        "trained here, N of M steps",
        "trained with this package in fewer steps than the recipe has, on other images, or with changed settings: not "
        "comparable",
    ),
    "stand-in": ("stand-in", "small or untrained model, or not the paper's images or masks: not comparable"),
    "none": ("no weights", "a method that needs no training"),
    "unknown": ("unknown weights", "a weight file that does not state its origin"),
    "elsewhere": ("elsewhere", "results of another program"),
    "counted": ("", "counted on the network; weights do not matter"),
    "measured": ("this machine", "measured on this machine; the paper's hardware differs"),
    "rehearsal": ("rehearsal", "sample images, stand-in masks and small networks: the number means nothing"),
}
STAND_IN_DATA = ("sample",)  # datasets that no paper uses
STAND_IN_MASKS = ("synthetic_",)  # prefixes of generated masks that replace a paper's files


@dataclass(frozen=True)
class Compared:
    """One cell of the table.

    Attributes:
        cell: The printed number with its names.
        status: "computed", "missing" (our method has no number yet) or "quoted" (there is no method of ours).
        ours: Our number in the paper's unit; None without one.
        kind: Key of KINDS; empty if there is no number of ours.
        reason: Why a number is missing, or what makes ours a stand-in.
        labels: Our methods, datasets and mask sets.
        metric: Name of our metric or figure; empty if none corresponds.
        times: Factor that was applied to ours.
        relative: Whether the difference is shown in percent of the paper's number.
        digits: Number of decimals.
        notes: Numbers of the notes that concern the cell.
        spread: Standard deviation of our number over the draws of the method; None without draws.
        draws: Number of these draws, such as "5 draws" or "3 of 5 draws"; empty without draws.
    """

    cell: PaperCell
    status: str
    ours: float | None = None
    kind: str = ""
    reason: str = ""
    labels: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = ((), (), ())
    metric: str = ""
    times: float = 1.0
    relative: bool = False
    digits: int = 0
    notes: tuple[int, ...] = ()
    spread: float | None = None
    draws: str = ""

    @property
    def paper_text(self) -> str:
        """The paper's number."""
        return decimal(self.cell.value, self.digits)

    @property
    def ours_text(self) -> str:
        """Our number."""
        if self.ours is None:
            return DASH
        return with_spread(self.ours, self.spread, self.digits) + (f" ({self.draws})" if self.draws else "")

    @property
    def difference_text(self) -> str:
        """Ours minus the paper's, with sign."""
        if self.ours is None:
            return DASH
        if self.relative:
            return f"{signed(100 * (self.ours / self.cell.value - 1), 1)} %"
        return signed(self.ours - self.cell.value, self.digits)

    @property
    def kind_text(self) -> str:
        """The kind of our number in a few words; for a reduced training, also its steps and whether it was changed."""
        if self.kind == "reduced":
            parts = [part.split(":")[0] for part in self.reason.split("; ")]  # without the changed settings
            return ", ".join((KINDS["trained"][0], *dict.fromkeys(parts)))
        return KINDS[self.kind][0] if self.kind else ""


def signed(value: float, digits: int) -> str:
    """Format a difference with its sign; one that rounds to zero has none.

    Example:
        >>> signed(0.26, 1), signed(0.01, 1)
        ('+0.3', '0.0')
    """
    rounded = round(value, digits) + 0.0
    return f"+{decimal(rounded, digits)}" if rounded > 0 else decimal(abs(rounded) if rounded == 0 else rounded, digits)


def compared_cells(run: Run, plain: dict[str, Any]) -> tuple[Compared, ...]:
    """Return every cell of the table that a suite names, in the order of the table.

    Args:
        run: The run.
        plain: The key `paper` of suite.json.
    """
    return tuple(_Reader(run, plain).all())


class _Reader:
    """Looks up our number for each cell of the table."""

    def __init__(self, run: Run, plain: dict[str, Any]) -> None:
        self._run, self._plain = run, plain
        self._cells = [PaperCell(*fields) for fields in plain["cells"]]
        self._rows = {(row["method"], row["setting"]): tuple(row["ours"]) for row in plain["rows"]}
        columns = ("method", "dataset", "mask", "metric")
        self._means = {tuple(row[column] for column in columns): row["mean"] for row in run.summary.to_dict("records")}
        self._figures = run.figures.get("methods", {})
        self._origins = {
            cell: (record.get("provenance") or {}).get("weights_origin") for cell, (_, record) in run.cells.items()
        }
        self._digits: dict[str, int] = {}
        for cell in self._cells:
            self._digits[cell.metric] = max(self._digits.get(cell.metric, 0), cell.decimals)

    def all(self) -> Iterator[Compared]:
        for cell in self._cells:
            yield self._one(cell)

    def _one(self, cell: PaperCell) -> Compared:
        digits = self._digits[cell.metric]
        notes = tuple(
            number
            for number, note in enumerate(self._plain["notes"], start=1)
            if (note["method"] or note["metric"])
            and note["method"] in ("", cell.method)
            and note["metric"] in ("", cell.metric)
        )
        methods = self._rows.get((cell.method, cell.setting), ())
        match = self._match(cell)
        if not methods or match is None:
            return Compared(cell, "quoted", digits=digits, notes=notes)
        figure = match["figure"]
        datasets = () if figure else tuple(self._plain["datasets"].get(cell.dataset, ()))
        masks = () if figure else self._masks(cell)
        if not figure and not (datasets and masks):
            return Compared(cell, "quoted", digits=digits, notes=notes)
        found = [
            self._figure(method, match["ours"]) if figure else self._mean(method, dataset, mask, match["ours"])
            for method, dataset, mask in product(methods, datasets or ("",), masks or ("",))
        ]
        reasons = list(dict.fromkeys(reason for _, _, reason in found if reason))
        values = [value for value, _, _ in found if value is not None]
        common: dict[str, Any] = {
            "labels": (methods, datasets, masks),
            "metric": match["ours"],
            "times": match["times"],
            "relative": figure,
            "digits": digits,
            "notes": notes,
        }
        if len(values) < len(found):
            part = f"{len(values)} of {len(found)} parts of the mean; " if values else ""
            return Compared(cell, "missing", reason=part + "; ".join(reasons), **common)
        kinds = [kind for _, kind, _ in found]
        order = ("stand-in", "unknown", "elsewhere", "reduced", "trained", "released", "measured", "none", "counted")
        kind = next(kind for kind in order if kind in kinds)  # a mean is no better than its weakest part
        if self._run.stamp:
            kind, reasons = "rehearsal", []  # no other origin is ever claimed for its numbers
        ours = match["times"] * math.fsum(values) / len(values)
        lacks = [
            self._run.incomplete[each] for each in product(methods, datasets, masks) if each in self._run.incomplete
        ]
        spread, draws = (None, "") if figure else self._draws(methods, datasets, masks, match)
        deviation = [] if spread is None else [f"standard deviation {spread:.4g}, {draws}"]
        return Compared(
            cell,
            "computed",
            ours,
            kind,
            "; ".join([*reasons, *lacks, *deviation]),
            spread=spread,
            draws=draws,
            **common,
        )

    def _draws(
        self, methods: Sequence[str], datasets: Sequence[str], masks: Sequence[str], match: dict[str, Any]
    ) -> tuple[float | None, str]:
        """Return the standard deviation of a cell's number over the draws of its method, and the number of draws.

        Each draw's number is the mean over all parts of the cell. A mean over several methods has no draws.
        """
        family = self._run.families.get(methods[0])
        if len(methods) > 1 or family is None or family.kind != "draws":
            return None, ""
        parts = [self._run.values.get((methods[0], *pair, match["ours"]), {}) for pair in product(datasets, masks)]
        shared = set.intersection(*map(set, parts))
        means = [match["times"] * math.fsum(part[number] for part in parts) / len(parts) for number in sorted(shared)]
        total = len(family.members)
        text = f"{total} draws" if len(shared) == total else f"{len(shared)} of {total} draws"
        return (stdev(means) if len(means) > 1 else None), text

    def _match(self, cell: PaperCell) -> dict[str, Any] | None:
        """Return what corresponds to the metric: a match for this method, else one for all methods."""
        matches = [match for match in self._plain["metrics"] if match["paper"] == cell.metric]
        own = [match for match in matches if cell.method in match["rows"]]
        return next(iter(own or [match for match in matches if not match["rows"]]), None)

    def _masks(self, cell: PaperCell) -> tuple[str, ...]:
        """Return our mask sets: those of this method alone if there are any."""
        own = [match for match in self._plain.get("own_masks", ()) if match["paper"] == cell.mask]
        return tuple(match["ours"] for match in own if cell.method in match["rows"]) or tuple(
            self._plain["masks"].get(cell.mask, ())
        )

    def _figure(self, method: str, name: str) -> tuple[float | None, str, str]:
        """Return value, kind, and why it is missing."""
        record = self._figures.get(method)
        if record is None:
            return None, "", "not run"
        kind = "measured" if FIGURES[name].counted is None else "counted"
        if name in record["figures"]:
            detail = _passes(record) if kind == "measured" else ""
            return record["figures"][name], kind, detail
        needed = FIGURES[name].device
        if needed and not str(self._run.figures.get("device", "")).startswith(needed):
            return None, "", f"needs the device {needed}"
        return None, "", record["error"] or "it cannot be counted"

    def _mean(self, method: str, dataset: str, mask: str, metric: str) -> tuple[float | None, str, str]:
        value = self._means.get((method, dataset, mask, metric), math.nan)
        if math.isnan(value):
            skipped = dict(self._run.skipped_metrics)
            return None, "", self._run.missing.get((method, dataset, mask)) or skipped.get(metric, "no value")
        stand_ins = [*self._other_images(dataset), *self._other_masks(mask)]
        origin = self._origins.get((method, dataset, mask)) or {}
        kind = origin.get("kind") or ("elsewhere" if self._is_elsewhere(method) else "unknown")
        detail = origin.get("detail", "")
        if stand_ins:
            shown = [detail] if kind in ("stand-in", "reduced") and detail else []
            return value, "stand-in", ", ".join([*stand_ins, *shown])
        return value, kind, detail

    def _is_elsewhere(self, method: str) -> bool:
        return any(each["label"] == method and each["kind"] != "model" for each in self._run.suite["methods"])

    def _other_images(self, dataset: str) -> list[str]:
        """Return what replaces the images of the paper; empty if they are the paper's own."""
        name = _name(self._run.suite["datasets"], dataset)
        difference = self._run.provenance.get("other_images", {}).get(dataset)
        return [name] if name in STAND_IN_DATA else [f"{name}: {difference}"] if difference else []

    def _other_masks(self, mask: str) -> list[str]:
        """Return which generated masks replace the paper's files; empty if the masks are the paper's own."""
        if files := self._run.stand_ins.get(mask):
            return [f"generated masks in place of {files}"]
        name = _name(self._run.suite["masks"], mask)
        return [name] if name.startswith(STAND_IN_MASKS) else []


def _passes(record: dict[str, Any]) -> str:
    """Return the passes and the latency of the measured images of a repeating method; empty if all took one pass."""
    passes, latency = (record.get("distribution", {}).get(name) for name in ("passes", "latency_ms"))
    if not passes or passes["max"] == 1:
        return ""
    return (
        f"{decimal(passes['mean'], 1)} passes for one image ({passes['min']:g} to {passes['max']:g}); latency of "
        f"{latency['n']} images: median {latency['median']:.3g}, 90 % {latency['p90']:.3g}, {latency['min']:.3g} to "
        f"{latency['max']:.3g} ms"
    )


def _name(entries: Sequence[dict[str, Any]], label: str) -> str:
    """Return the name of the dataset or mask set with a label."""
    return next((str(entry.get("name", "")) for entry in entries if entry["label"] == label), "")
