"""Compute the metrics of a suite for images, in batches on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.benchmark.statistics import jackknife_interval
from inpaint_zoo.io.atomic import sha256_file

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from inpaint_zoo.metrics import ImageMetric, SetMetric

__all__ = ["Pair", "Score", "Scorer", "SetScore"]

Pixels = NDArray[np.uint8]
Features = NDArray[np.float32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


TOGETHER = 16  # images in a batch on a GPU; a core of a CPU is not faster with more than one


class Pair(NamedTuple):
    """A result and its ground truth.

    Attributes:
        pred: (H, W, 3) uint8 result with the known pixels already pasted.
        target: (H, W, 3) uint8 ground truth.
        mask: (H, W), True in the hole.
        unrounded: (3, H, W) in [0, 1], ``pred`` before rounding; None for methods that return only 8-bit results.
            ``pred`` is then used instead.
    """

    pred: Pixels
    target: Pixels
    mask: NDArray[np.bool_]
    unrounded: Floats | None = None


class Score(NamedTuple):
    """Scores of one image.

    Attributes:
        values: Value by metric.
        features: Features (D,) for set metrics, by the key that these metrics share.
        too_small: Metrics for which the image is too small -> the reason.
    """

    values: dict[str, float]
    features: dict[str, Features]
    too_small: dict[str, str]


class SetScore(NamedTuple):
    """Score of a set of images by a set metric.

    Attributes:
        value: The value.
        influences: (N,) influence of each image on it, divided by N, for `jackknife_interval`.
    """

    value: float
    influences: Doubles


class Scorer:
    """The metrics of a suite that can be computed.

    Attributes:
        skipped: Metrics whose weights are missing -> a line that says which file to put where.
        image_metrics: Metrics with a value for each image, by name, in suite order.
        set_metrics: Metrics with one value for a whole set of images, by name.
        unrounded: Names of the metrics that measure a result before it is rounded to 8 bits.

    Args:
        names: Names of the metrics.
        device: Device on which they are computed.
        stand_ins: Whether small random networks replace their backbones.
    """

    def __init__(self, names: Sequence[str], device: torch.device, *, stand_ins: bool = False) -> None:
        from inpaint_zoo.metrics import create_metric, create_stand_in, metric_info
        from inpaint_zoo.weights import WeightsNotFoundError

        self.device, self.stand_ins = device, stand_ins
        create = create_stand_in if stand_ins else create_metric
        self.names = tuple(names)
        self.skipped: dict[str, str] = {}
        self.image_metrics: dict[str, ImageMetric] = {}
        self.set_metrics: dict[str, SetMetric] = {}
        for name in names:
            try:
                metric: Any = create(name).to(device)
            except WeightsNotFoundError as error:
                self.skipped[name] = str(error)
                continue
            if metric_info(name).per_image:
                self.image_metrics[name] = metric
            else:
                self.set_metrics[name] = metric
        self.unrounded = tuple(name for name, each in self.image_metrics.items() if each.result == "unrounded")

    def identity(self) -> dict[str, dict[str, Any]]:
        """Return how each metric is computed: implementation, hashes of its backbones, and form of the result.

        The form is included only if it is not "8-bit", so that cells without such metrics keep their identity.
        """
        from inpaint_zoo.metrics import metric_info
        from inpaint_zoo.weights import find_backbone

        identity: dict[str, dict[str, Any]] = {}
        for name in self.names:
            if name not in self.skipped:
                info = metric_info(name)
                backbones = {
                    need: "stand-in" if self.stand_ins else sha256_file(find_backbone(need)) for need in info.needs
                }
                form = {"result": info.result} if info.result == "unrounded" else {}
                identity[name] = {"implementation": info.implementation, "backbones": backbones, **form}
        return identity

    @property
    def feature_keys(self) -> tuple[str, ...]:
        """Keys of the features that the set metrics use."""
        return tuple(dict.fromkeys(metric.feature_key for metric in self.set_metrics.values()))

    @property
    def together(self) -> int:
        """Number of images that one call should get."""
        return 1 if self.device.type == "cpu" else TOGETHER

    def score(self, pairs: Sequence[Pair]) -> list[Score]:
        """Score completed images; those that follow each other and have the same size are a batch on the device.

        Values do not depend on the batch. Several threads may call this.
        """
        scores: list[Score] = []
        for _, group in groupby(pairs, lambda pair: (pair.mask.shape, pair.unrounded is None)):
            scores += self._same_size(list(group))
        return scores

    def _same_size(self, pairs: list[Pair]) -> list[Score]:
        import torch

        from inpaint_zoo.inference.batch import upload
        from inpaint_zoo.metrics.base import check_images, to_float64

        rounded = self._images([pair.pred for pair in pairs])
        target = self._images([pair.target for pair in pairs])
        forms = dict.fromkeys(("8-bit", "unrounded"), to_float64(rounded))
        unrounded = [pair.unrounded for pair in pairs if pair.unrounded is not None]
        if unrounded:
            forms["unrounded"] = to_float64(upload(np.stack(unrounded), self.device))
            check_images(forms["unrounded"], target)
        reference = to_float64(target)
        hole = upload(np.stack([pair.mask for pair in pairs]), self.device)[:, None].float()
        measured: dict[str, Tensor] = {}
        too_small: dict[str, str] = {}
        for name, metric in self.image_metrics.items():
            if min(hole.shape[-2:]) < metric.min_side:
                too_small[name] = f"{name} needs a height and width of at least {metric.min_side} pixels"
            else:
                measured[name] = metric.score_checked(forms[metric.result], reference, hole)
        rows = torch.stack(list(measured.values()), 1).tolist() if measured else [[] for _ in pairs]
        features = self._features(rounded)
        return [
            Score(dict(zip(measured, row, strict=True)), {key: each[i] for key, each in features.items()}, too_small)
            for i, row in enumerate(rows)
        ]

    def features(self, images: Sequence[Pixels]) -> list[dict[str, Features]]:
        """Return the features (D,) of each image (H, W, 3) uint8, by key."""
        rows: list[dict[str, Features]] = []
        for _, group in groupby(images, lambda image: image.shape):
            batch = list(group)
            features = self._features(self._images(batch))
            rows += [{key: each[i] for key, each in features.items()} for i in range(len(batch))]
        return rows

    def _features(self, images: Tensor) -> dict[str, Features]:
        """Return the features (B, D) of a batch, by key."""
        extractors = {metric.feature_key: metric for metric in self.set_metrics.values()}
        return {key: metric.extract_checked(images).cpu().numpy() for key, metric in extractors.items()}

    def feature_identity(self) -> dict[str, Any]:
        """Return what the features of an image depend on, by key: implementation, backbones, kind of device."""
        metrics = self.identity()
        return {
            metric.feature_key: {**metrics[name], "device": self.device.type}
            for name, metric in self.set_metrics.items()
        }

    def compare_sets(self, pred: Mapping[str, Features], target: Mapping[str, Features]) -> dict[str, SetScore]:
        """Return the scores by the set metrics from features (N, D) by key, with rows in the same order."""
        import torch

        scores: dict[str, SetScore] = {}
        for name, metric in self.set_metrics.items():
            features = [torch.from_numpy(each[metric.feature_key]) for each in (pred, target)]
            value, influences = metric.from_features(*features), metric.influences_from_features(*features)
            scores[name] = SetScore(float(value), influences.cpu().numpy() / max(len(influences), 1))
        return scores

    def set_interval(self, name: str, value: float, influences: Doubles, groups: Sequence[str]) -> tuple[float, float]:
        """Return the interval of a value of a set metric, within the metric's limits; see `jackknife_interval`."""
        low, high = jackknife_interval(value, influences, groups)
        smallest, largest = self.set_metrics[name].limits
        return max(low, smallest), min(high, largest)

    def notes(self) -> dict[str, str]:
        """Return the notes of set metrics about their last value, such as "biased, small N"."""
        return {name: metric.note for name, metric in self.set_metrics.items() if metric.note}

    def capped(self, scores: Sequence[Score]) -> dict[str, int]:
        """Return the number of values at their metric's cap, by metric."""
        counts: dict[str, int] = {}
        for name, metric in self.image_metrics.items():
            if metric.cap is not None:
                counts[name] = sum(score.values.get(name, -1) >= metric.cap for score in scores)
        return counts

    def _images(self, images: Sequence[Pixels]) -> Tensor:
        """Return a batch (B, 3, H, W) in [0, 1] on the device, which is contiguous, because metrics add up rows."""
        from inpaint_zoo.inference.batch import to_unit, upload

        planes = np.empty((len(images), 3, *images[0].shape[:2]), np.uint8)
        for plane, image in zip(planes, images, strict=True):
            plane[:] = image.transpose(2, 0, 1)
        return to_unit(upload(planes, self.device))
