"""The results that come with the package: what `recommend` needs of a finished run of `benchmarks/recommend.yaml`.

```bash
inpaint-zoo benchmark benchmarks/recommend.yaml --out runs/recommend
python -m inpaint_zoo.benchmark.recommend runs/recommend
```
The folder has the layout of a run, so that the same code reads both. It has no images, reports and times of single
images, and of the record of a cell only what `KEPT` names.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from inpaint_zoo.benchmark.store import TIMINGS, read_json
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes

__all__ = ["SHIPPED", "write_shipped"]

SHIPPED = Path(__file__).parent / "table"
KEPT = {
    "costs": (
        "n_images",
        "parameters",
        "latency_ms",
        "latency_convention",
        "peak_memory_mb",
        "memory_convention",
        "width",
        "height",
        "device",
    ),
    "provenance": ("weights_sha256", "code_version", "git_commit", "precision", "device", "metrics"),
}


def write_shipped(run: Path, target: Path = SHIPPED) -> None:
    """Write the part of a finished run that `recommend` needs.

    Args:
        run: Output folder of a finished benchmark in which no cell failed.
        target: Folder to write, which is replaced.

    Raises:
        ZooError: The run is unfinished, or parts of it are missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    suite, provenance = read_json(run / "suite.json"), read_json(run / "provenance.json")
    if suite is None or provenance is None:
        raise ZooError(f"{run} is not the output folder of a finished benchmark.")
    cells = {name: _kept(record) for name, record in provenance["cells"].items()}
    if missing := len(suite["methods"]) * len(suite["datasets"]) * len(suite["masks"]) - len(cells):
        raise ZooError(f"{run}: {missing} cells are missing; run the benchmark again.")
    if provenance["failed"] or provenance["missing"]:
        raise ZooError(f"{run}: cells failed or lack something; run the benchmark again.")
    shutil.rmtree(target, ignore_errors=True)
    (target / "masks").mkdir(parents=True)
    rows = pq.read_table(run / "results.parquet")
    pq.write_table(rows, target / "results.parquet", compression="zstd", compression_level=19)
    pq.write_table(pa.schema(TIMINGS).empty_table(), target / "timings.parquet")
    for name in (entry["label"] for entry in suite["masks"]):
        shutil.copyfile(run / "masks" / f"{name}.yaml", target / "masks" / f"{name}.yaml")
    write_bytes(target / "suite.json", _lines(suite))
    kept = {**{key: provenance[key] for key in ("environment", "failed", "missing", "skipped_metrics")}, "cells": cells}
    write_bytes(target / "provenance.json", _lines(kept))


def _kept(record: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a cell's record that is kept; of distributions, the number and the mean."""
    kept = {name: record[name] for name in ("method", "dataset", "mask", "status", "n_images")}
    for part, names in KEPT.items():
        kept[part] = {name: record[part][name] for name in names}
    latency = kept["costs"]["latency_ms"]
    kept["costs"]["latency_ms"] = {"n": latency["n"], "mean": round(latency["mean"], 2)}
    return kept


def _lines(content: dict[str, Any]) -> bytes:
    """Return JSON with one line for each entry, and for each entry of an entry, so that changes are readable."""
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in value.items())
            parts.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()
