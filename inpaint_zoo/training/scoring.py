"""Metrics of validations and tests."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.losses import MissingWeightsWarning, OnMissing
from inpaint_zoo.metrics import ImageMetric, SetMetric, create_metric
from inpaint_zoo.ops import (
    composite,
    copy_from_first,
    to_uint8,
)
from inpaint_zoo.training.phases import Batch
from inpaint_zoo.weights import WeightsNotFoundError

__all__ = ["ScoredModule", "hole_fill_of", "without_padding"]


def without_padding(batch: Batch) -> Batch | None:
    """Return the batch without padding samples (index -1), which give all ranks equal counts; None if none is left."""
    keep = batch["index"] >= 0
    if bool(keep.all()):
        return batch
    if not bool(keep.any()):
        return None
    flags = keep.tolist()
    return {
        key: value[keep] if isinstance(value, Tensor) else [x for x, kept in zip(value, flags, strict=True) if kept]
        for key, value in batch.items()
    }


def hole_fill_of(batch: Batch) -> dict[str, Any]:
    """Return ``hole_fill`` as keyword argument of the network if the data's ``input_mode`` fills the hole, else {}."""
    return {"hole_fill": batch["hole_fill"]} if "hole_fill" in batch else {}


class ScoredModule(LightningModule):
    """Module that computes metrics of its network's results, and of the composites of its earlier stages.

    Attributes:
        network: The inpainting network.
        on_missing: What to do if the pretrained weights of a metric are missing: "refuse" or "drop".
        metric_names: Names of the metrics.
        results: Latest metrics by name, such as ``val/psnr``; metrics of earlier stages as ``val/coarse/psnr``.
        evaluates_average: Whether the latest metrics are those of the EMA; None if there is no EMA.
    """

    network: InpaintingNetwork
    on_missing: OnMissing

    def prepare_metrics(self, names: Sequence[str]) -> None:
        """Set the names of the metrics. They are built before training or evaluation."""
        self.metric_names = tuple(names)
        self.results: dict[str, float] = {}
        self.evaluates_average: bool | None = None
        # keys: "psnr" for the result, "coarse/psnr" for the composite of an earlier stage
        self._metrics: dict[str, ImageMetric | SetMetric] = {}

    def seed_batch(self, stream: str, number: int) -> None:
        """Seed the random numbers of batch ``number`` of a stream."""
        raise NotImplementedError

    def on_validation_epoch_start(self) -> None:
        """Reset the metrics, and give all processes the batch norm statistics of the first one, which it saves."""
        copy_from_first(self.network.buffers())
        self._reset_metrics()

    def on_test_epoch_start(self) -> None:
        """Reset the metrics."""
        self._reset_metrics()

    def build_metrics(self) -> None:
        """Build the metrics. Those whose weights are missing are dropped if ``on_missing`` is "drop"."""
        kept = []
        for name in self.metric_names:
            try:
                self._metric(name)
            except WeightsNotFoundError as error:
                if self.on_missing == "refuse":
                    raise
                warnings.warn(f"Without the metric {name}: {error}", MissingWeightsWarning, stacklevel=2)
            else:
                kept.append(name)
        self.metric_names = tuple(kept)

    def _reset_metrics(self) -> None:
        for name in self.metric_names:
            self._metric(name)
        for metric in self._metrics.values():
            metric.to(self.device).reset()

    def complete(self, batch: Batch) -> dict[str, Tensor]:
        """Return the composited prediction of every stage, (B, 3, H, W) in [0, 1], not rounded to 8 bits.

        The result is the first entry, with the key "". The key of an earlier stage is its name and a slash.
        """
        image, mask = batch["image"], batch["mask"]
        stages = self.network.stages(image, mask, **hole_fill_of(batch))
        *earlier, last = stages
        return {
            prefix: composite(stages[name].clamp(0, 1), image, mask)
            for prefix, name in {"": last, **{f"{name}/": name for name in earlier}}.items()
        }

    def _metric(self, key: str) -> ImageMetric | SetMetric:
        if key not in self._metrics:
            self._metrics[key] = create_metric(key.rpartition("/")[2]).to(self.device)
        return self._metrics[key]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the metrics with one batch."""
        self._score(batch, batch_idx, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the metrics with one batch."""
        self._score(batch, batch_idx, "test")

    def _score(self, batch: Batch, batch_idx: int, stage: str) -> None:
        self.seed_batch(stage, batch_idx)
        completed = self.complete(batch)
        metrics = {
            prefix + name: self._metric(prefix + name)  # also on ranks that get only padding: all must compute it
            for prefix in completed
            for name in self.metric_names
            if not prefix or isinstance(self._metric(name), ImageMetric)
        }
        kept = without_padding({**batch, **completed})
        if kept is None:
            return
        forms: dict[str, dict[str, Tensor]] = {
            prefix: {"unrounded": kept[prefix], "8-bit": to_uint8(kept[prefix]).float() / 255} for prefix in completed
        }
        for key, metric in metrics.items():
            metric.update(forms[key[: key.rfind("/") + 1]][metric.result], kept["image"], kept["mask"])

    def on_validation_epoch_end(self) -> None:
        """Compute the metrics over all ranks and store them in `results`."""
        self._report("val")

    def on_test_epoch_end(self) -> None:
        """Compute the metrics over all ranks and store them in `results`."""
        self._report("test")

    def _report(self, stage: str) -> None:
        in_order = sorted(self._metrics, key=lambda name: "/" not in name)  # earlier stages, then the result
        self.results = {f"{stage}/{name}": float(self._metrics[name].compute()) for name in in_order}
        if self.evaluates_average is not None:
            self.results[f"{stage}/ema"] = float(self.evaluates_average)
        # for callbacks that monitor a metric; MetricsLog writes the rows of the logs
        self.log_dict(self.results, logger=False, sync_dist=True)
