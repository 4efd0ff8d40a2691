"""Compute the cells of a plan one after the other, store each one when it is done, and write the result tables."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inpaint_zoo._version import __version__
from inpaint_zoo.analysis.cost import SPREAD, cell_cost, measure_alone, timed_in_the_run
from inpaint_zoo.analysis.machine import describe_device, describe_environment
from inpaint_zoo.benchmark.breakdown import Clock, added
from inpaint_zoo.benchmark.compute import Sample, compute_part, load_sample, naming
from inpaint_zoo.benchmark.identity import code_sha256, git_commit
from inpaint_zoo.benchmark.images import ImageSet
from inpaint_zoo.benchmark.methods import Method, MethodInput, NetworkMethod
from inpaint_zoo.benchmark.missing import by_part
from inpaint_zoo.benchmark.options import Failure, LeftOut, Listener, Options
from inpaint_zoo.benchmark.parts import CellResult, Features, merge_parts
from inpaint_zoo.benchmark.plan import Cell, Plan
from inpaint_zoo.benchmark.store import Store
from inpaint_zoo.benchmark.totals import totals
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_path, sha256_json, write_bytes
from inpaint_zoo.io.images import write_image
from inpaint_zoo.io.names import plain_name
from inpaint_zoo.masks.bank import encode_png

if TYPE_CHECKING:
    import torch

__all__ = ["Execution"]


class Execution:
    """Compute and store the cells of a run."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        pool: ThreadPoolExecutor,
        device: torch.device,
        options: Options,
        listener: Listener,
    ) -> None:
        self.plan, self.store, self.pool, self.device = plan, store, pool, device
        self.options, self.listener = options, listener
        self.metrics = plan.scorer.identity()
        self._shown: set[tuple[str, str]] = set()
        self._warm: Method | None = None
        self._rehearsed: dict[str, tuple[CellResult, dict[str, Any] | None]] = {}  # by content
        self.clock = Clock()

    def compute(self, cells: Sequence[Cell]) -> list[Failure]:
        """Compute cells one after the other and store each one when it is done; return those that failed."""
        failed: list[Failure] = []
        for position, cell in enumerate(cells):
            self.listener.cell(cell.key)
            error = self._one(cell)
            if error is not None:
                failed.append(Failure(cell.key, error))
            self.listener.finish(cell.key, error)
            if position + 1 == len(cells) or cells[position + 1].method is not cell.method:
                cell.method.close()
        return failed

    def _one(self, cell: Cell) -> str | None:
        """Compute and store a cell. Errors of the cell are stored and returned; errors of the disk are raised."""
        try:
            if cell.problem is not None:
                raise ZooError(cell.problem)
            result, costs = self._known(cell) or self._computed(cell)
        except Exception as error:
            line = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
            line = plain_name(" ".join([*line.split(), *(f"({note})" for note in getattr(error, "__notes__", ()))]))
            with self.store.writing(cell.key, self._record(cell, "failed", line)) as folder:
                (folder / "traceback.txt").write_text(traceback.format_exc(), "utf-8", "backslashreplace")
            return line
        if self.plan.suite.rehearsal:  # many cells are the same network on the same images
            self._rehearsed[cell.content] = result, costs
        self._write(cell, result, costs)
        return None

    def _known(self, cell: Cell) -> tuple[CellResult, dict[str, Any] | None] | None:
        """Return the results of a rehearsed cell with the same content; None if there is none."""
        if (known := self._rehearsed.get(cell.content)) is not None:
            for _ in cell.task.keys:
                self.listener.image()
        return known

    def _computed(self, cell: Cell) -> tuple[CellResult, dict[str, Any] | None]:
        """Complete and score the images of a cell; return its results and its cost."""
        with self.clock.stage("start"):
            cell.method.start(cell.task, self.device, self.options.precision)
        first = self._first(cell)
        if first is not None:
            self._warm_up(cell, first)
        device, batch_size = self.device, self.options.batch_size
        in_the_run = cell.method.computes and timed_in_the_run(cell.method.repeats, device, batch_size)
        alone = None
        if cell.method.computes and not in_the_run and first is not None:
            fill = cell.method.fill
            with self.clock.stage("start"):
                alone = measure_alone(lambda item: fill([item])[0].seconds, self._spread(cell, first), device)
        part = compute_part(
            cell,
            self.plan.scorer,
            self.pool,
            positions=range(len(cell.task.keys)),
            first=first,
            workers=self.options.num_workers,
            batch_size=batch_size,
            gallery=self.options.gallery,
            alone=in_the_run,
            clock=self.clock,
            advance=self.listener.image,
        )
        result = merge_parts(
            cell,
            self.plan.scorer,
            [part],
            alone=in_the_run,
            target_features=self._target_features,
            clock=self.clock,
        )
        alone = result.alone or alone
        network = cell.method if isinstance(cell.method, NetworkMethod) else None
        return result, cell_cost(network, result.costs, alone, device) if alone else None

    def _write(self, cell: Cell, result: CellResult, costs: Mapping[str, Any] | None) -> None:
        whole: dict[str, Any] = {
            **self._record(cell, "done", None),
            "costs": costs,
            "capped": result.capped,
            "set_metric_notes": result.notes,
            "from_bytes": list(result.from_bytes),
            "n_images": result.scored,
            **({"left_out": result.left_out} if result.left_out else {}),
        }
        with self.clock.stage("write"):
            self._write_target(cell, result)  # before the cell, because a stored cell is never visited again
            with self.store.writing(cell.key, whole) as folder:
                pq.write_table(result.values, folder / "values.parquet", compression="zstd")
                pq.write_table(result.timings(), folder / "timings.parquet", compression="zstd")
                for position, shown in result.shown.items():
                    write_image(folder / "images" / f"{position}.png", shown.result)
                whole["seconds"] = added([result.seconds, self.clock.lap()])

    def _write_target(self, cell: Cell, result: CellResult) -> None:
        """Write the ground truth and masks of the gallery, once for each dataset and mask set."""
        pair = (cell.key.dataset, cell.key.mask)
        if pair in self._shown:
            return
        self._shown.add(pair)
        place = self.store.gallery / cell.key.dataset
        for position, (sample, _) in result.shown.items():
            write_image(place / f"{position}.png", sample.target)
            mask = sample.item.mask.astype(np.uint8)
            write_bytes(place / cell.key.mask / f"{position}.png", encode_png(mask))

    def _record(self, cell: Cell, status: str, error: str | None) -> dict[str, Any]:
        return {
            "status": status,
            "error": error,
            "provenance": {
                "weights_sha256": cell.identity.get("weights_sha256"),
                "weights_origin": None if cell.problem else cell.method.origin(),
                "method_identity": cell.identity,
                "code_version": __version__,
                "code_sha256": code_sha256(),
                "git_commit": git_commit(),
                "suite_seed": self.plan.suite.seed,
                "mask_identity": cell.masks.identity(),
                "dataset_identity": cell.image_set.identity(),
                "precision": self.options.precision,
                "device": describe_device(self.device),
                "metrics": {name: entry["implementation"] for name, entry in self.metrics.items()},
                "backbones": {name: entry["backbones"] for name, entry in self.metrics.items() if entry["backbones"]},
            },
            "n_images": len(cell.task.keys),
        }

    def _warm_up(self, cell: Cell, first: Sample) -> None:
        """Fill one image before the first measured one, so that one-time setup does not count as latency."""
        if cell.method.computes and self._warm is not cell.method:
            with naming([first]), self.clock.stage("start"):
                cell.method.fill([first.item])
            self._warm = cell.method

    def _spread(self, cell: Cell, first: Sample) -> Iterator[MethodInput]:
        """Yield up to `SPREAD` evenly spaced images of a cell, without those that cannot be read or get no mask."""
        samples = cell.samples
        count = min(SPREAD, len(samples))
        found = 0
        for part in range(count):
            with suppress(ZooError):
                index, draw = samples[(2 * part + 1) * len(samples) // (2 * count)]
                known = (index, draw) == (first.number, first.draw)
                sample = first if known else load_sample(cell.image_set, cell.masks, index, draw)
                found += 1
                yield sample.item
        if not found:
            yield first.item

    def _first(self, cell: Cell) -> Sample | None:
        """Return the first image that can be read and gets a mask; None if there is none."""
        for index, draw in cell.samples:
            with suppress(ZooError):
                return load_sample(cell.image_set, cell.masks, index, draw, self.clock)
        return None

    def _target_features(self, image_set: ImageSet) -> Features:
        """Return the features (N, D) of the original images by key; they are cached by content."""
        scorer = self.plan.scorer
        content = {"images": image_set.identity(), "features": scorer.feature_identity()}
        path = self.store.cache / "features" / f"{sha256_json(content)}.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {key: stored[key] for key in scorer.feature_keys}
        except (OSError, ValueError, KeyError):
            pass  # not cached yet, or damaged
        indices, size = image_set.indices, scorer.together
        batches = [indices[begin : begin + size] for begin in range(0, len(indices), size)]
        rows = [row for part in self.pool.map(partial(self._features, image_set), batches) for row in part]
        arrays: dict[str, Any] = {key: np.stack([row[key] for row in rows]) for key in scorer.feature_keys}
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)
        return arrays

    def _features(self, image_set: ImageSet, indices: Sequence[int]) -> list[dict[str, NDArray[np.float32]]]:
        with self.clock.stage("decode"):
            images = [image_set.load(index) for index in indices]
        with self.clock.stage("metrics"):
            return self.plan.scorer.features(images)

    def left_out(self, cells: Iterable[Cell]) -> list[LeftOut]:
        """Return the images of finished cells that lack values of some or all metrics, once for all methods."""
        return list(
            dict.fromkeys(
                LeftOut(cell.key.dataset, cell.key.mask, image, reason)
                for cell in cells
                for image, reason in (self.store.record(cell.key) or {}).get("left_out", {}).items()
            )
        )

    def mention_other_code(self) -> None:
        """Emit a note if stored cells were computed by other code of the same version."""
        records = [record for cell in self.plan.cells if (record := self.store.record(cell.key))]
        other = [record for record in records if record["provenance"]["code_sha256"] != code_sha256()]
        if other and not self.options.fresh:
            self.listener.note(
                f"{len(other)} finished cells were computed by other code of version {__version__}; "
                "--fresh computes them again"
            )

    def assemble(self) -> None:
        """Write the tables of all cells that are done."""
        suite, scorer = self.plan.suite, self.plan.scorer
        records = [(cell.key.method, self.store.record(cell.key) or {}) for cell in self.plan.cells]
        provenance = {
            "suite": {"name": suite.name, "seed": suite.seed, "version": __version__},
            "environment": {
                **describe_environment(self.device),
                "precision": self.options.precision,
                "workers": self.options.num_workers,
                "batch_size": self.options.batch_size,
            },
            "skipped_metrics": [{"metric": name, "reason": reason} for name, reason in scorer.skipped.items()],
            "unreadable": [problem._asdict() for problem in self.plan.sources.unreadable],
            **totals(records),
            "not_applicable": [cell._asdict() for cell in self.plan.not_applicable],
            "missing": [
                {**part._asdict(), "cells": [list(cell[:3]) for cell in cells]}
                for part, cells in by_part(self.plan.missing).items()
            ],
        }
        if left_out := self.left_out(self.plan.cells):
            provenance["left_out"] = [each._asdict() for each in left_out]
        self.store.assemble([cell.key for cell in self.plan.cells], provenance)
