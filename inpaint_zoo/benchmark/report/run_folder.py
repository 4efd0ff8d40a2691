"""Read the output folder of a benchmark; the other modules of the report do not depend on its layout."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from inpaint_zoo.benchmark.cost_keys import COSTS_FILE
from inpaint_zoo.benchmark.images import DRAW
from inpaint_zoo.benchmark.report.families import FamilyRows, merge
from inpaint_zoo.benchmark.report.typography import DASH
from inpaint_zoo.benchmark.summary import RESULT_COLUMNS, Summary, summarize
from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics import MetricInfo, metric_info

__all__ = ["Cell", "Run", "flat", "read_run"]

Cell = tuple[str, str, str]  # labels of method, dataset and mask set
TIMING_COLUMNS = ("method", "dataset", "mask", "image", "seconds", "width", "height")


@dataclass(frozen=True)
class Run:
    """A finished or unfinished benchmark, in suite order.

    Attributes:
        folder: The output folder.
        suite: Content of suite.json.
        results: Content of results.parquet by method; cells that failed or were not run have no rows.
        timings: Content of timings.parquet by method.
        provenance: Content of provenance.json.
        infos: Description of each metric in the results.
        methods: Labels of the suite's methods; one for all draws, and one for all checkpoints of an entry.
        networks: Label of each network of the suite -> label of its method.
        families: The methods with draws or checkpoints.
        values: (method, dataset, mask set, metric) of these methods -> mean of each draw or checkpoint, by number.
        incomplete: Cells that lack a draw -> a sentence.
        problems: As ``missing``, for each network.
        tables: (dataset, mask set) pairs of the suite.
        missing: (method, dataset, mask set) of the suite's cells without numbers -> reason.
        absent: What the run lacked, in one line each with where it goes -> the cells that need it.
        stand_ins: Mask sets of generated masks -> name of the mask files that they replace.
        not_applicable: Number of cells that do not apply.
        draws: Mask sets with several masks for each image -> their number.
        deblurring: Mask sets whose holes show a mosaic of the ground truth; never averaged or ranked with others.
        cells: Identifier and record of each cell that was run.
        figures: Content of costs.json; empty if the suite states no costs.
    """

    folder: Path
    suite: dict[str, Any]
    results: pd.DataFrame
    timings: pd.DataFrame
    provenance: dict[str, Any]
    infos: dict[str, MetricInfo]
    methods: tuple[str, ...]
    networks: dict[str, str]
    families: dict[str, FamilyRows]
    values: dict[tuple[str, str, str, str], dict[int, float]]
    incomplete: dict[Cell, str]
    problems: dict[Cell, str]
    tables: tuple[tuple[str, str], ...]
    missing: dict[Cell, str]
    absent: dict[str, list[Cell]]
    stand_ins: dict[str, str]
    not_applicable: int
    draws: dict[str, int]
    deblurring: frozenset[str]
    cells: dict[Cell, tuple[str, dict[str, Any]]]
    figures: dict[str, Any]

    @cached_property
    def _summarized(self) -> Summary:
        directions = {name: info.higher_is_better for name, info in self.infos.items()}
        drawn = {label for label, family in self.families.items() if family.kind == "draws"}
        intervals = {
            (*cell, metric): (ends[0], ends[1])
            for cell, (_, record) in self.cells.items()
            if cell[0] not in drawn  # the number is a mean over the draws, and the record is that of the first one
            for metric, ends in record.get("set_metric_intervals", {}).items()
        }
        return summarize(self.results, directions, intervals)

    @property
    def summary(self) -> pd.DataFrame:
        """The means with their intervals and ranks, see `Summary`."""
        return self._summarized.table

    @property
    def pairs(self) -> pd.DataFrame:
        """The comparisons of all pairs of methods, see `Summary`."""
        return self._summarized.pairs

    @cached_property
    def summary_rows(self) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
        """The rows of ``summary`` by (dataset, mask set, metric)."""
        rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for row in self.summary.to_dict("records"):
            rows.setdefault((row["dataset"], row["mask"], row["metric"]), []).append(
                {str(k): v for k, v in row.items()}
            )
        return rows

    @property
    def stamp(self) -> str:
        """Mark of a rehearsal, which everything that shows its numbers repeats; empty for other runs."""
        return str(self.suite.get("rehearsal", {}).get("stamp", ""))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Labels of the datasets."""
        return tuple(dict.fromkeys(dataset for dataset, _ in self.tables))

    @cached_property
    def costs(self) -> dict[Cell, dict[str, Any]]:
        """Cost of each cell that computed something."""
        return {cell: record["costs"] for cell, (_, record) in self.cells.items() if record.get("costs")}

    @property
    def skipped_metrics(self) -> list[tuple[str, str]]:
        """(metric, reason) of every metric that the suite lists and the results do not contain."""
        reasons = {entry["metric"]: entry["reason"] for entry in self.provenance.get("skipped_metrics", ())}
        absent = [name for name in self.suite["metrics"] if name not in self.infos]
        return [
            (name, reasons.get(name, "no finished cell contains it")) for name in dict.fromkeys([*reasons, *absent])
        ]

    def draws_of(self, method: str, dataset: str, mask: str, metric: str) -> list[float]:
        """Return the means of the draws of a method; empty for a method without draws."""
        if method not in self.families or self.families[method].kind != "draws":
            return []
        return list(self.values.get((method, dataset, mask, metric), {}).values())

    def set_notes(self, metric: str, dataset: str, mask: str) -> list[str]:
        """Return the notes of a set metric about its values in one table, such as "biased, small N"."""
        found = [record for (_, *table), (_, record) in self.cells.items() if table == [dataset, mask]]
        notes = {record["set_metric_notes"][metric] for record in found if metric in record.get("set_metric_notes", {})}
        return sorted(self._with_unbiased(metric, note) for note in notes)

    def set_warnings(self, metric: str, dataset: str, mask: str) -> list[str]:
        """Return those of `set_notes` that limit what the values mean."""
        return [note for note in self.set_notes(metric, dataset, mask) if note.startswith(("biased", "undefined"))]

    def _with_unbiased(self, metric: str, note: str) -> str:
        """Append to a note on a bias where the unbiased metric is."""
        other = self.infos[metric].unbiased
        if not (other and note.startswith("biased")):
            return note
        title = metric_info(other).title
        return f"{note}; {title}, {'beside it' if other in self.infos else f'the metric {other}'}, is unbiased"

    def from_bytes(self, metric: str, dataset: str, mask: str) -> list[str]:
        """Return the methods of one table for which a metric for unrounded results was computed on 8-bit results."""
        return [
            method
            for method in self.methods
            if metric in self.cells.get((method, dataset, mask), ("", {}))[1].get("from_bytes", ())
        ]

    def scored_images(self, dataset: str, mask: str | None = None) -> dict[str, str]:
        """Return the scored images, each with all of its masks, in the order of scoring -> their source images.

        If a run has metrics of whole sets only, its results name no images, but its timings do. Folders of results have
        no timings; their images are then numbered.

        Args:
            dataset: Label of the dataset.
            mask: Label of the mask set; by default all of them.
        """
        if (dataset, mask) not in self._scored:
            self._scored[dataset, mask] = self._find_scored(dataset, mask)
        return self._scored[dataset, mask]

    @cached_property
    def _scored(self) -> dict[tuple[str, str | None], dict[str, str]]:
        """What `scored_images` has found."""
        return {}

    def _find_scored(self, dataset: str, mask: str | None) -> dict[str, str]:
        for table in (self.results, self.timings):
            rows = table[(table["dataset"] == dataset) & table["image"].notna()]
            if mask is not None:
                rows = rows[rows["mask"] == mask]
            rows = rows.drop_duplicates("image")
            if len(rows):
                images = [str(image) for image in rows["image"]]
                groups = rows["group"] if "group" in rows else [self._source(dataset, image) for image in images]
                return dict(zip(images, map(str, groups), strict=True))
        done = [
            record.get("n_images", 0)
            for (_, name, masks), (_, record) in self.cells.items()
            if name == dataset and mask in (None, masks) and record["status"] == "done"
        ]
        return {str(number): str(number) for number in range(max(done, default=0))}

    def _source(self, dataset: str, image: str) -> str:
        """Return the source image of a crop with one of several masks, by its name."""
        stem = re.sub(DRAW, "", image) if self.draws else image
        grid = any(data["label"] == dataset and data.get("crop") == "grid" for data in self.suite["datasets"])
        return re.sub(r"_crop\d+$", "", stem) if grid else stem

    def image_groups(self, dataset: str) -> dict[str, str]:
        """Return the images of a dataset, in the order in which they were scored -> their source images."""
        found = self.scored_images(dataset)
        return {image: group for image, group in found.items() if not (self.draws and re.search(DRAW, image))}

    def gallery_numbers(self, dataset: str) -> list[int]:
        """Return the positions of the images whose results were kept."""
        files = (self.folder / "gallery" / dataset).glob("*.png")
        return sorted(int(path.stem) for path in files if path.stem.isdigit())

    def gallery_keys(self, dataset: str) -> dict[int, str]:
        """Return the positions of the images whose results were kept -> their names."""
        keys = list(self.image_groups(dataset))
        return {at: keys[at] if at < len(keys) else str(at) for at in self.gallery_numbers(dataset)}

    def target_file(self, dataset: str, number: int) -> Path:
        """Return the path of the ground truth at a position."""
        return self.folder / "gallery" / dataset / f"{number}.png"

    def mask_file(self, dataset: str, mask: str, number: int) -> Path:
        """Return the path of its mask, white = hole."""
        return self.folder / "gallery" / dataset / mask / f"{number}.png"

    def result_file(self, cell: Cell, number: int) -> Path | None:
        """Return the path of a method's result at a position; None if it was not kept."""
        if cell in self.missing or cell not in self.cells:
            return None
        path = self.folder / "cells" / self.cells[cell][0] / "images" / f"{number}.png"
        return path if path.is_file() else None


def read_run(folder: str | Path) -> Run:
    """Read a benchmark's output folder.

    Raises:
        ZooError: If it is not a benchmark folder, a file is damaged, or a metric is unknown to this version.
    """
    folder = Path(folder)
    if not (folder / "suite.json").is_file():
        raise ZooError(
            f"{folder} is not a benchmark folder: it has no suite.json. Give the --out of `inpaint-zoo benchmark`."
        )
    suite = _read_json(folder / "suite.json")
    provenance = _read_json(folder / "provenance.json")
    results = _read_table(folder / "results.parquet", RESULT_COLUMNS)
    timings = _read_table(folder / "timings.parquet", TIMING_COLUMNS)
    infos = _metric_infos(results, suite["metrics"])
    tables = tuple((data["label"], mask["label"]) for data in suite["datasets"] for mask in suite["masks"])
    done = set(results[["method", "dataset", "mask"]].drop_duplicates().itertuples(index=False, name=None))
    errors = {_cell(entry): f"failed: {entry['error']}" for entry in provenance.get("failed", ())}
    refused = provenance.get("not_applicable", ())
    errors |= {_cell(entry): f"not applicable: {entry['reason']}" for entry in refused}
    absent = {
        f"{entry['what']}, {entry['where']}": [(cell[0], cell[1], cell[2]) for cell in entry["cells"]]
        for entry in provenance.get("missing", ())
    }
    for line, without in absent.items():
        for cell in without:
            errors[cell] = f"{errors[cell]}; {line}" if cell in errors else f"missing: {line}"
    cells = [(entry["label"], *table) for table in tables for entry in suite["methods"]]
    problems = {cell: errors.get(cell, "not run") for cell in cells if cell in errors or cell not in done}
    merged = merge(
        suite["methods"],
        tables,
        results,
        timings,
        provenance.get("complexity", ()),
        {_cell(record): (name, record) for name, record in provenance.get("cells", {}).items()},
        problems,
        {_cell(entry) for entry in refused},
    )
    results = merged.results
    return Run(
        folder=folder,
        suite=suite,
        results=results,
        timings=merged.timings,
        provenance={**provenance, "complexity": merged.complexity},
        infos=infos,
        methods=merged.methods,
        networks=merged.shown_as,
        families=merged.families,
        values=merged.values,
        incomplete=merged.incomplete,
        problems=problems,
        tables=tables,
        missing=merged.missing,
        absent=absent,
        stand_ins={mask["label"]: mask["stands_in_for"] for mask in suite["masks"] if "stands_in_for" in mask},
        not_applicable=len(refused),
        draws={mask["label"]: mask["draws"] for mask in suite["masks"] if mask.get("draws", 1) > 1},
        deblurring=frozenset(mask["label"] for mask in suite["masks"] if mask.get("input_mode") == "mosaic"),
        cells=merged.cells,
        figures=_read_json(folder / COSTS_FILE) if (folder / COSTS_FILE).is_file() else {},
    )


def flat(content: object, path: str = "") -> list[tuple[str, str]]:
    """Flatten nested plain values to (dotted name, text) pairs."""
    if isinstance(content, dict):
        return [pair for key, value in content.items() for pair in flat(value, f"{path}.{key}" if path else str(key))]
    return [(path, DASH if content is None else str(content))]


def _cell(record: dict[str, Any]) -> Cell:
    return record["method"], record["dataset"], record["mask"]


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ZooError(f"{path} is missing: run `inpaint-zoo benchmark` on this folder first.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ZooError(f"{path} is damaged ({error}); run the benchmark again to rewrite it.") from error
    if not isinstance(content, dict):
        raise ZooError(f"{path} must contain an object, got {type(content).__name__}.")
    return content


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise ZooError(f"{path} is missing: run `inpaint-zoo benchmark` on this folder first.")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ZooError(f"{path} is damaged ({error}); run the benchmark again to rewrite it.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ZooError(f"{path} lacks the column(s) {', '.join(missing)}.")
    return table


def _metric_infos(results: pd.DataFrame, order: list[str]) -> dict[str, MetricInfo]:
    found = list(results["metric"].unique())
    return {
        name: metric_info(name) for name in [*(n for n in order if n in found), *(n for n in found if n not in order)]
    }
