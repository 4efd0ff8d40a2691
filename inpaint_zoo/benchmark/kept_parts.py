"""Finished parts of cells that a run was stopped in, so that the next run computes only the other samples.

A part is a file `parts/<cell>/<first position>-<hash>.npz`. Several processes write into the folder at the same time,
each its own files. It is removed when its cell is done.
"""

from __future__ import annotations

import io
import json
import shutil
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from inpaint_zoo.analysis.cost import ImageCost
from inpaint_zoo.benchmark.breakdown import Clock, added
from inpaint_zoo.benchmark.compute import load_sample
from inpaint_zoo.benchmark.parts import Part, Scored, Shown
from inpaint_zoo.benchmark.plan import Cell
from inpaint_zoo.benchmark.scoring import Score
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes

__all__ = ["PARTS", "Keeping", "KeptParts"]

PARTS = "parts"
INTERVAL = 30.0  # seconds of work that a killed process loses at most, per process


class KeptParts:
    """The finished parts of a cell.

    Args:
        out: The folder of results.
        cell: The cell.
        made_by: What the numbers depend on beside the cell. Parts with another value are not used.
    """

    def __init__(self, out: Path, cell: Cell, made_by: Mapping[str, Any]) -> None:
        self._folder = out / PARTS / cell.key.id
        self._cell, self._made_by = cell, dict(made_by)

    def load(self) -> list[Part]:
        """Return the stored parts; no sample is in two of them."""
        parts: list[Part] = []
        known: set[int] = set()
        for path in sorted(self._folder.glob("*.npz")):
            try:
                part = self._read(path)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, ZooError):
                continue  # damaged, or an image of it is not there any more
            if part is not None and known.isdisjoint(part.positions):
                known |= part.positions
                parts.append(part)
        return parts

    def save(self, part: Part) -> None:
        """Store a part that has samples."""
        rows = [
            {"at": at, "values": each.score.values, "too_small": each.score.too_small, "ratio": each.hole_ratio}
            | {"cost": each.cost}
            for at, each in part.scored.items()
        ]
        content = {
            "made_by": self._made_by,
            "rows": rows,
            "left_out": list(part.left_out.items()),
            "peak_memory": part.peak_memory,
            "bytes_alone": part.bytes_alone,
            "alone": part.alone,
            "seconds": part.seconds,
        }
        arrays: dict[str, Any] = {f"shown {at}": shown.result for at, shown in part.shown.items()}
        scores = [each.score for each in part.scored.values()]
        for key in scores[0].features if scores else ():
            arrays[f"features {key}"] = np.stack([score.features[key] for score in scores])
        buffer = io.BytesIO()
        np.savez(buffer, content=np.frombuffer(json.dumps(content).encode(), np.uint8), **arrays)
        write_bytes(self._folder / f"{min(part.positions)}-{time.time_ns():x}.npz", buffer.getvalue())

    def remove(self) -> None:
        """Remove the stored parts."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # there are parts of other cells, or none at all
            self._folder.parent.rmdir()

    def _read(self, path: Path) -> Part | None:
        """Return the part in a file; None if it depends on something that is different now."""
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:  # numpy leaves bad files open
            content = json.loads(stored["content"].tobytes())
            if content["made_by"] != self._made_by:
                return None
            features = {name.removeprefix("features "): stored[name] for name in stored if name.startswith("features ")}
            results = {int(name.split()[1]): stored[name] for name in stored if name.startswith("shown ")}
        part = Part(
            left_out={int(at): str(reason) for at, reason in content["left_out"]},
            peak_memory=content["peak_memory"],
            bytes_alone=content["bytes_alone"],
            alone=content["alone"],
            seconds=content["seconds"],
        )
        for number, row in enumerate(content["rows"]):
            score = Score(row["values"], {key: rows[number] for key, rows in features.items()}, row["too_small"])
            cost = None if row["cost"] is None else ImageCost(*row["cost"])
            part.scored[row["at"]] = Scored(score, row["ratio"], cost)
        samples = self._cell.samples
        for at, result in results.items():
            part.shown[at] = Shown(load_sample(self._cell.image_set, self._cell.masks, *samples[at]), result)
        return part


class Keeping:
    """Stores what is finished of a growing part: now and then, and all of it if the run is interrupted.

    Args:
        kept: Where it is stored.
        part: The part that grows.
        clock: Counts its time.
    """

    def __init__(self, kept: KeptParts, part: Part, clock: Clock) -> None:
        self._kept, self._part, self._clock = kept, part, clock
        self._scored = self._left_out = 0  # numbers of the stored samples
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._save()

    def now_and_then(self) -> None:
        """Store what is new if enough time has passed."""
        if time.monotonic() - self._last >= INTERVAL:
            self._save()

    def _save(self) -> None:
        whole = self._part
        scored = dict(list(whole.scored.items())[self._scored :])
        left_out = dict(list(whole.left_out.items())[self._left_out :])
        if scored or left_out:
            shown = {at: each for at, each in whole.shown.items() if at in scored}
            seconds = self._clock.lap()
            whole.seconds = added([whole.seconds, seconds])
            new = replace(whole, scored=scored, left_out=left_out, shown=shown, seconds=seconds)
            with suppress(OSError):  # a full disk; the run fails when it stores the cell, not before
                self._kept.save(new)
        self._scored, self._left_out = len(whole.scored), len(whole.left_out)
        self._last = time.monotonic()
