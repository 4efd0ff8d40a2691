"""Base classes of metrics per image and of metrics per set of images; both are `torchmetrics.Metric`s."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics.definitions import Result
from inpaint_zoo.metrics.inception import InceptionFeatures, Resize
from inpaint_zoo.ops import describe, without_autocast

__all__ = ["ImageMetric", "Region", "SetMetric", "check_images", "fixed_sum", "region_mean", "to_float64"]

Region = Literal["image", "hole", "known"]


def check_images(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
    """Check that ``pred`` and ``target`` are RGB batches in [0, 1] of one shape, and that the mask fits.

    This synchronizes with the device once.

    Args:
        pred: Float tensor (B, 3, H, W) in [0, 1].
        target: Float tensor (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W), or None.

    Raises:
        ZooError: If a check fails; the message names the argument, what it got and what was expected.
    """
    for name, value in (("pred", pred), ("target", target)):
        if not isinstance(value, Tensor) or value.ndim != 4 or value.shape[1] != 3 or not value.is_floating_point():
            raise ZooError(f"`{name}` must be a float tensor (B, 3, H, W) in [0, 1], got {describe(value)}.")
    if pred.shape != target.shape:
        raise ZooError(f"`target` must be {tuple(pred.shape)} to match `pred`, got {describe(target)}.")
    B, _, H, W = pred.shape
    if mask is not None and (not isinstance(mask, Tensor) or mask.shape != (B, 1, H, W)):
        raise ZooError(
            f"`mask` must be ({B}, 1, {H}, {W}) to match `pred`, got {describe(mask)}. "
            "If it came from an RGB file, keep one channel: `mask[:, :1]`."
        )
    if not pred.numel():
        return
    limits = torch.stack([bound.float() for value in (pred, target) for bound in value.aminmax()]).tolist()
    for name, low, high in (("pred", *limits[:2]), ("target", *limits[2:])):
        if not (low >= 0 and high <= 1):  # negated, so that NaN is an error
            raise ZooError(
                f"`{name}` must lie in [0, 1], got values from {low:g} to {high:g}. "
                "Convert values in [-1, 1] by `(x + 1) / 2`, 8-bit values by `x.float() / 255`, and clamp raw "
                "predictions by `.clamp(0, 1)`."
            )


def to_float64(x: Tensor) -> Tensor:
    """Convert to float64. Apple's GPUs do not support it, so tensors on the device "mps" move to the CPU."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def fixed_sum(x: Tensor) -> Tensor:
    """Return the sum of each image of a batch, (B, ...) -> (B,), in an order that does not depend on threads.

    PyTorch splits a sum over all elements between threads, but never the sum of a row.
    """
    x = x.contiguous()
    while x.ndim > 1:
        x = x.sum(-1)
    return x


def region_mean(values: Tensor, region: Tensor | None) -> Tensor:
    """Return the mean of each image over its pixels, or over its part of ``region``; NaN if that is empty.

    Args:
        values: (B, C, H, W).
        region: (B, 1, H, W) bool, or None.

    Returns:
        (B,).
    """
    if region is None:
        return fixed_sum(values) / values[0].numel()
    region = region.to(values.device)
    # a selection, so that values outside the region, including NaN, have no effect
    return fixed_sum(torch.where(region, values, 0.0)) / (region.flatten(1).sum(1) * values.shape[1])


def _together(images: Tensor) -> int:
    """Return how many images are measured in one call: as many as fit the caches of a CPU, or keep a GPU busy."""
    pixels = 2**16 if images.device.type == "cpu" else 2**20
    return max(1, pixels // (images.shape[-2] * images.shape[-1]))


_cudnn_flags = threading.RLock()  # the flags are global to the process: threads would restore each other's flags


@contextmanager
def _measuring(device: torch.device) -> Iterator[None]:
    # full precision even inside a bf16 training step, and bit-identical results in every run
    with torch.no_grad(), without_autocast(device):
        if device.type == "cuda":
            flags = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}
            with _cudnn_flags, torch.backends.cudnn.flags(**flags):
                yield
        else:
            yield


class _ZooMetric(Metric):
    """Common base class: networks inside stay in eval mode, and states are summed or concatenated over processes.

    Attributes:
        name: Registry name; empty if the metric was not created by `create_metric`.
        result: Whether the caller should round ``pred`` to 8 bits ("8-bit") or pass the network's output ("unrounded").
    """

    is_differentiable = False
    full_state_update = False
    name: str = ""
    result: Result = "8-bit"

    def __init__(self) -> None:
        super().__init__()
        self._same_in_batches: dict[tuple[object, ...], bool] = {}  # by device, type and shape of the batch

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, so that a training loop does not enable the dropout of LPIPS."""
        return super().train(False)

    def _each(self, call: Callable[..., Tensor], images: Tensor, *others: Tensor | None) -> Tensor:
        """Return the rows that ``call`` has for each image, with the bits that it has for the image alone.

        Images are passed in batches that fit in memory, if this does not change a bit: the first batch of each shape is
        also computed image by image, and if the rows differ, batches of that shape are not used again. Kernels are
        selected by shape and not by value, so the comparison holds for all later batches.

        Args:
            call: Function of a batch of each argument, which returns (B,) or (B, D).
            images: (N, 3, H, W), at least one.
            others: Further arguments of ``call`` with N rows, or None.
        """
        step = _together(images)
        starts = range(0, len(images), step)
        chunks = ([x if x is None else x[at : at + step] for x in (images, *others)] for at in starts)
        return torch.cat([self._chunk(call, min(step, len(images) - at), *next(chunks)) for at in starts])

    def _chunk(self, call: Callable[..., Tensor], count: int, *chunk: Tensor | None) -> Tensor:
        if count == 1:
            return call(*chunk)
        kind = tuple((x.device, x.dtype, x.shape, x.stride()) for x in chunk if x is not None)
        same = self._same_in_batches.get(kind)
        if same:
            return call(*chunk)
        # slices, because x[i, None] has another stride than an image that comes alone, which selects other kernels
        singles = torch.cat([call(*(x if x is None else x[i : i + 1] for x in chunk)) for i in range(count)])
        if same is None:  # compared as bits, because values may be NaN
            self._same_in_batches[kind] = torch.equal(call(*chunk).view(torch.uint8), singles.view(torch.uint8))
        return singles


class ImageMetric(_ZooMetric):
    """Metric with one value per image; `compute` returns the mean over the images.

    The values of `score` do not depend on the batch. The value of an image without pixels in the region (an empty hole)
    is NaN; such images are counted in ``undefined`` and omitted from the mean.

    Args:
        region: Pixels that count: "image" (all), "hole" or "known".
        cap: Largest value; larger values are replaced by it and counted in ``capped``. None means no limit.

    Shape:
        pred and target (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole (None allowed for "image") -> (B,).

    Attributes:
        min_side: Minimum height and width in pixels.
        total: Sum over the images, float64.
        count: Number of images in ``total``.
        undefined: Number of images without a value.
        capped: Number of images whose value was limited to ``cap``.
    """

    min_side: int = 1
    total: Tensor
    count: Tensor
    undefined: Tensor
    capped: Tensor

    def __init__(self, region: Region = "image", cap: float | None = None) -> None:
        super().__init__()
        self.region = region
        self.cap = cap
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for state in ("count", "undefined", "capped"):
            self.add_state(state, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @abstractmethod
    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return the value of each image, (B,).

        Args:
            pred: (B, 3, H, W) in [0, 1].
            target: Ground truth (B, 3, H, W) in [0, 1].
            region: The pixels that count, (B, 1, H, W) bool; None for all.
        """

    def score(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the value of each image, (B,) float64, limited to ``cap``, without accumulating it.

        Raises:
            ZooError: If an argument is invalid, the mask is missing, or height or width is below ``min_side``.
        """
        check_images(pred, target, mask)
        name = self.name or type(self).__name__
        if self.region != "image" and mask is None:
            raise ZooError(f"`{name}` measures only the region '{self.region}', so it needs a `mask`.")
        if min(pred.shape[-2:]) < self.min_side:
            raise ZooError(
                f"`{name}` needs a height and width of at least {self.min_side} px, got {pred.shape[-2]} x "
                f"{pred.shape[-1]}."
            )
        return self.score_checked(pred, target, mask)

    def score_checked(self, pred: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """Do the same as `score` for arguments that `score` would accept, without checking them."""
        if not len(pred):
            return to_float64(pred.new_zeros(0))
        region = None
        if mask is not None and self.region != "image":
            region = mask > 0.5 if self.region == "hole" else mask <= 0.5
        with _measuring(next(self.parameters(), pred).device):
            scores = to_float64(self._each(self.measure, pred, target, region))
            return scores if self.cap is None else scores.clamp(max=self.cap)  # clamp keeps NaN

    def update(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Accumulate the values of a batch; for the arguments see `score`."""
        scores = self.score(pred, target, mask).to(self.total.device)
        known = ~scores.isnan()
        self.total += torch.where(known, scores, 0.0).sum()
        self.count += known.sum()
        self.undefined += (~known).sum()
        if self.cap is not None:
            self.capped += (scores >= self.cap).sum()

    def compute(self) -> Tensor:
        """Return the mean over the images that have a value, float64; NaN if there is none."""
        return self.total / self.count


class SetMetric(_ZooMetric):
    """Metric with one value for a set of images, computed from features of each image.

    Features do not depend on the batch. To compare several methods, compute the features of the ground truth once with
    `extract` and call `from_features`.

    Args:
        extractor: Module that maps images (B, 3, H, W) in [0, 1] to features (B, D); None uses FID's Inception network.
        resize: How the Inception network resizes images, see `resize_images`.

    Shape:
        pred and target (B, 3, H, W) in [0, 1] -> scalar. A mask is accepted, like in `ImageMetric`, but ignored.

    Attributes:
        feature_key: Identifier of the features; metrics with the same key can share them.
        biased: Whether the last value comes from too few images to be comparable ("biased, small N").
        note: Text that a table should show next to the last value: number of images, subset size.
        limits: Smallest and largest possible value.
    """

    limits: ClassVar[tuple[float, float]] = (-torch.inf, torch.inf)
    pred_features: list[Tensor]
    target_features: list[Tensor]

    def __init__(self, extractor: nn.Module | None = None, resize: Resize = "tensorflow") -> None:
        super().__init__()
        self.feature_key = f"custom_{id(extractor):x}" if extractor else f"inception_{resize}"
        self.extractor = (extractor or InceptionFeatures(resize)).eval()
        self.biased = False
        self.note = ""
        self.add_state("pred_features", [], dist_reduce_fx="cat")
        self.add_state("target_features", [], dist_reduce_fx="cat")

    @abstractmethod
    def distance(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the metric on float64 features (N, D) and (M, D), N, M >= 2, and set ``biased`` and ``note``."""

    @abstractmethod
    def influences(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the influence of each pair of images on the value, (N,), for float64 features (N, D), N >= 2.

        This is the derivative of the value for a larger weight of the pair, with all weights summing to 1 (Jaeckel
        1972, infinitesimal jackknife). The influences sum to 0.
        """

    def extract(self, images: Tensor) -> Tensor:
        """Return the features (B, D) in float32 of images (B, 3, H, W) in [0, 1], on the extractor's device."""
        check_images(images, images)
        if not len(images):
            raise ZooError("`images` must hold at least one image.")
        return self.extract_checked(images)

    def extract_checked(self, images: Tensor) -> Tensor:
        """Do the same as `extract` for images that `extract` would accept, without checking them."""
        weight = next(self.extractor.parameters(), None)
        layout = torch.channels_last  # for all callers, because it selects the kernels, and with them the last bits
        images = images.to(images.device if weight is None else weight.device, torch.float32, memory_format=layout)
        with _measuring(images.device):
            return self._each(lambda batch: self.extractor(batch).flatten(1).float(), images)

    def from_features(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the metric's value, a float64 scalar, for features from `extract`.

        Args:
            pred: Features of the results, (N, D).
            target: Features of the ground truth, (M, D). For paired metrics, row i of both must be the same image.

        Returns:
            The value; NaN, explained in ``note``, if one of the sets has fewer than two images.

        Raises:
            ZooError: If the features do not have the same dimension.
        """
        if pred.ndim != 2 or target.ndim != 2 or pred.shape[1] != target.shape[1]:
            raise ZooError(
                f"Features must be (N, D) and (M, D) with the same D, got {describe(pred)}, {describe(target)}."
            )
        self.biased, self.note = False, ""
        if min(len(pred), len(target)) < 2:
            self.note = f"undefined: needs at least 2 images, got {min(len(pred), len(target))}"
            return to_float64(pred.new_full((), torch.nan))
        with _measuring(pred.device):
            wide = to_float64(pred)
            return self.distance(wide, to_float64(target).to(wide.device))

    def influences_from_features(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return `influences`, (N,) float64, for features (N, D) from `extract`; NaN for fewer than two images.

        Raises:
            ZooError: If the features do not have the same shape: row i of both must be the same image.
        """
        if pred.ndim != 2 or pred.shape != target.shape:
            raise ZooError(f"Features must be pairs (N, D), got {describe(pred)} and {describe(target)}.")
        if len(pred) < 2:
            return to_float64(pred.new_full((len(pred),), torch.nan))
        with _measuring(pred.device):
            wide = to_float64(pred)
            return self.influences(wide, to_float64(target).to(wide.device))

    def update(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Accumulate the features of a batch; ``mask`` is ignored."""
        check_images(pred, target, mask)
        if len(pred):
            self.pred_features.append(self.extract_checked(pred))
            self.target_features.append(self.extract_checked(target))

    def compute(self) -> Tensor:
        """Return the value over all accumulated images, float64; see `from_features`."""
        pred, target = (_stack(features) for features in (self.pred_features, self.target_features))
        return self.from_features(pred, target)


def _stack(features: Tensor | list[Tensor]) -> Tensor:
    if isinstance(features, Tensor):  # after a sync over processes
        return features
    return torch.cat(features) if features else torch.zeros(0, 1)
