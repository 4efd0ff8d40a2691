"""Decide whether a comparison of two runs fails: the condition of `inpaint-zoo report OLD NEW --fail-if-worse`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inpaint_zoo.benchmark.across_runs.differences import Difference, RunDifferences
from inpaint_zoo.benchmark.across_runs.obstacles import cell_name
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.metrics import list_metrics, metric_info

__all__ = ["Failing", "failing_cells"]


@dataclass(frozen=True)
class Failing:
    """Outcome of the condition.

    Attributes:
        worse: The cells that are worse.
        not_compared: (cell, reason) of the cells that were not compared, although one of the runs has their numbers.
        too_few: Lines about metrics with fewer source images than any corrected test needs to reject.
    """

    worse: tuple[Difference, ...]
    not_compared: tuple[tuple[str, str], ...]
    too_few: tuple[str, ...]


def failing_cells(
    found: RunDifferences, metrics: Sequence[str], tolerances: Mapping[str, float] | None = None
) -> Failing:
    """Return the cells that are worse in the new run.

    By a per-image metric, a cell is worse if the corrected test rejects and the mean is worse by more than the
    tolerance. A metric of a whole set has no test; it needs a tolerance, and a cell is worse if its value is worse by
    more.

    Args:
        found: The comparison.
        metrics: Names of the metrics.
        tolerances: Largest worsening that is accepted, by metric, in the metric's unit; 0 by default.

    Raises:
        ZooError: If a metric is unknown or was not compared, or a tolerance is invalid or missing.
    """
    tolerances = tolerances or {}
    for name in tolerances:
        if name not in metrics:
            raise ZooError(f"--tolerance {name}: give --fail-if-worse {name}, too.")
    worse: list[Difference] = []
    too_few = []
    for name in metrics:
        if name not in list_metrics():
            raise ZooError(f"--fail-if-worse: {unknown_name('metric', name, list_metrics())}")
        if name not in found.infos:
            raise ZooError(
                f"--fail-if-worse {name}: no compared cell has this metric; they have {', '.join(found.infos)}."
            )
        info, accepted = metric_info(name), tolerances.get(name, 0.0)
        if not (accepted >= 0 and np.isfinite(accepted)):
            raise ZooError(f"--tolerance {name}={accepted:g}: must be a number of at least 0.")
        if not info.per_image and name not in tolerances:
            raise ZooError(
                f"--fail-if-worse {name}: this is one number for a whole set of images, so there is no paired test. "
                f"Give --tolerance {name}=NUMBER, the largest worsening that you accept."
            )
        cells = found.of_metric(name)
        worse += [each for each in cells if (each.significant or not info.per_image) and each.worsening > accepted]
        if few := found.too_few(name):
            too_few.append(
                f"{info.title}: {few.images} source images are too few for {few.tests} tests, at least {few.needed} "
                "are needed; no difference can be significant"
            )
    missing = tuple((cell_name(key), reason) for key, reason in found.not_compared.items() if key[-1] in ("", *metrics))
    return Failing(tuple(worse), missing, tuple(too_few))
