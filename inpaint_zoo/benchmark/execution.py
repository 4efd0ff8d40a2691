"""Compute the cells of a plan one after the other, store each one when it is done, and write the result tables.

This is what rank 0 of a run does, and what a run with one process does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from inpaint_zoo._version import __version__
from inpaint_zoo.analysis.cost import SPREAD, cell_cost, measure_alone, timed_in_the_run
from inpaint_zoo.analysis.machine import describe_device, describe_environment
from inpaint_zoo.benchmark.breakdown import added
from inpaint_zoo.benchmark.compute import load_sample
from inpaint_zoo.benchmark.identity import code_sha256, git_commit
from inpaint_zoo.benchmark.images import ImageSet
from inpaint_zoo.benchmark.methods import MethodInput, NetworkMethod
from inpaint_zoo.benchmark.missing import by_part
from inpaint_zoo.benchmark.options import Failure, LeftOut, Listener, Options
from inpaint_zoo.benchmark.parts import CellResult, Features, Sample, merge_parts
from inpaint_zoo.benchmark.plan import Cell, Plan
from inpaint_zoo.benchmark.ranks.group import Ranks
from inpaint_zoo.benchmark.ranks.orders import CheckPlan, ComputeCell, ComputeFeatures, Failed, whole
from inpaint_zoo.benchmark.ranks.shares import Shares
from inpaint_zoo.benchmark.store import Store
from inpaint_zoo.benchmark.totals import totals
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_path, sha256_json, write_bytes
from inpaint_zoo.io.images import write_image
from inpaint_zoo.masks.bank import encode_png

if TYPE_CHECKING:
    import torch

__all__ = ["Execution"]

_logger = logging.getLogger(__name__)


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
        ranks: Ranks,
    ) -> None:
        self.plan, self.store, self.device = plan, store, device
        self.options, self.listener, self.ranks = options, listener, ranks
        self.shares = Shares(plan, pool, device, options, ranks, store.out, listener.image)
        self.metrics = plan.scorer.identity()
        self._shown: set[tuple[str, str]] = set()
        self.clock = self.shares.clock
        self._rehearsed: dict[str, tuple[CellResult, dict[str, Any] | None]] = {}  # by content

    def check_ranks(self) -> None:
        """Check that all ranks have the same plan.

        Raises:
            ZooError: If one has another plan or cannot make one.
        """
        import torch

        identities = tuple(cell.key.id for cell in self.plan.cells)
        self.ranks.announce(CheckPlan(identities, code_sha256(), torch.get_num_threads()))
        for rank, problem in enumerate(self.ranks.collect(None)):
            if problem is not None:
                raise ZooError(f"Rank {rank} cannot take part in this run: {problem}")

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
            failed = Failed.of(error, -1)
            with self.store.writing(cell.key, self._record(cell, "failed", failed.line)) as folder:
                (folder / "traceback.txt").write_text(failed.trace, "utf-8", "backslashreplace")
            return failed.line
        if self.plan.suite.rehearsal:  # many cells are the same network on the same images
            self._rehearsed[cell.content] = result, costs
        self._write(cell, result, costs)
        self.shares.kept(cell).remove()
        return None

    def _known(self, cell: Cell) -> tuple[CellResult, dict[str, Any] | None] | None:
        """Return the results of a rehearsed cell with the same content; None if there is none."""
        if (known := self._rehearsed.get(cell.content)) is not None:
            for _ in cell.task.keys:
                self.listener.image()
        return known

    def _computed(self, cell: Cell) -> tuple[CellResult, dict[str, Any] | None]:
        """Complete and score the images of a cell; return its results and its cost."""
        kept = self.shares.kept(cell)
        if self.options.fresh:
            kept.remove()
        parts = kept.load()
        done = set[int]().union(*(part.positions for part in parts))
        positions = [at for at in range(len(cell.task.keys)) if at not in done]
        for _ in done:
            self.listener.image()
        mine = self.ranks.share(positions) or range(len(cell.task.keys))
        first = self.shares.start(cell, mine)
        computes, device = cell.method.computes, self.device
        in_the_run = computes and timed_in_the_run(cell.method.repeats, device, self.options.batch_size)
        in_the_run = in_the_run and self.ranks.count == 1 and all(part.alone for part in parts)
        alone = None
        if computes and not in_the_run and first is not None:  # the other ranks wait meanwhile
            fill = cell.method.fill
            with self.clock.stage("start"):
                alone = measure_alone(lambda item: fill([item])[0].seconds, self._spread(cell, first, mine), device)
        number = next(number for number, each in enumerate(self.plan.cells) if each is cell)
        self.ranks.announce(ComputeCell(number, np.array(positions, np.int64)))
        parts += whole(self.shares.compute(cell, positions, first, in_the_run))
        result = merge_parts(cell, self.plan.scorer, parts, self._target_features, self.clock)
        alone = result.alone or alone
        network = cell.method if isinstance(cell.method, NetworkMethod) else None
        return result, cell_cost(network, result.costs, alone, device) if alone else None

    def _write(self, cell: Cell, result: CellResult, costs: Mapping[str, Any] | None) -> None:
        whole: dict[str, Any] = {
            **self._record(cell, "done", None),
            "costs": costs,
            "capped": result.capped,
            "set_metric_notes": result.notes,
            "set_metric_intervals": result.set_intervals,
            "from_bytes": list(result.from_bytes),
            "n_images": result.scored,
            **({"left_out": result.left_out} if result.left_out else {}),
            **({"method_notes": list(result.method_notes)} if result.method_notes else {}),
        }
        for note in result.method_notes:
            self.listener.note(f"{cell.key}: {note}")
        with self.clock.stage("write"):
            self._write_target(cell, result)  # before the cell, because a stored cell is never visited again
            with self.store.writing(cell.key, whole) as folder:
                pq.write_table(result.values, folder / "values.parquet", compression="zstd")
                pq.write_table(result.timings(), folder / "timings.parquet", compression="zstd")
                for position, shown in result.shown.items():
                    write_image(folder / "images" / f"{position}.png", shown.result)
                whole["seconds"] = added([result.seconds, self.clock.lap()])
        _logger.info("%s: %s images in %.1f s", cell.key, result.scored, sum(whole["seconds"].values()))

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

    def _spread(self, cell: Cell, first: Sample, mine: Sequence[int]) -> Iterator[MethodInput]:
        """Yield up to `SPREAD` evenly spaced images of a cell, without those that cannot be read or get no mask.

        Args:
            cell: The cell.
            first: An image that was loaded already.
            mine: Positions of the samples of this rank, the only ones that a method knows that `takes_all`.
        """
        samples = cell.samples
        if cell.method.takes_all:
            samples = [samples[at] for at in mine]
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
        self.ranks.announce(ComputeFeatures(self.plan.sources.image_sets.index(image_set)))
        answers = whole(self.shares.features(image_set))
        arrays: dict[str, Any] = {}
        for key in scorer.feature_keys:
            rows = answers[0][key]
            arrays[key] = np.empty((len(image_set.indices), *rows.shape[1:]), rows.dtype)
            for rank, answer in enumerate(answers):
                arrays[key][rank :: len(answers)] = answer.get(key, rows[:0])
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)
        return arrays

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
                **({"processes": self.ranks.count} if self.ranks.count > 1 else {}),
            },
            "skipped_metrics": [{"metric": name, "reason": reason} for name, reason in scorer.skipped.items()],
            "unreadable": [problem._asdict() for problem in self.plan.sources.unreadable],
            "other_images": {each.label: each.difference for each in self.plan.sources.image_sets if each.difference},
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
