"""The two kinds of metric: per image, and per set of images. Both are `torchmetrics.Metric`, summed over processes."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics.definitions import Result
from inpaint_zoo.metrics.inception import InceptionFeatures, Resize
from inpaint_zoo.ops import without_autocast

__all__ = ["ImageMetric", "Region", "SetMetric", "check_images", "fixed_sum", "region_mean", "to_float64"]

Region = Literal["image", "hole", "known"]


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__


def check_images(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
    """Refuse what is not a pair of RGB batches in [0, 1] with a mask of their size. Waits for the device once.

    Args:
        pred: (B, 3, H, W) in [0, 1].
        target: As ``pred``.
        mask: (B, 1, H, W) or None.

    Raises:
        ZooError: Names the argument, what it got and what it wants.
    """
    for name, value in (("pred", pred), ("target", target)):
        if not isinstance(value, Tensor) or value.ndim != 4 or value.shape[1] != 3 or not value.is_floating_point():
            raise ZooError(f"`{name}` must be a float tensor (B, 3, H, W) in [0, 1], got {_describe(value)}.")
    if pred.shape != target.shape:
        raise ZooError(f"`target` must be {tuple(pred.shape)} to match `pred`, got {_describe(target)}.")
    B, _, H, W = pred.shape
    if mask is not None and (not isinstance(mask, Tensor) or mask.shape != (B, 1, H, W)):
        raise ZooError(
            f"`mask` must be ({B}, 1, {H}, {W}) to match `pred`, got {_describe(mask)}. "
            "If it came from an RGB file, keep one channel: `mask[:, :1]`."
        )
    if not pred.numel():
        return
    limits = torch.stack([bound.float() for value in (pred, target) for bound in value.aminmax()]).tolist()
    for name, low, high in (("pred", *limits[:2]), ("target", *limits[2:])):
        if not (low >= 0 and high <= 1):  # written so that NaN is refused
            raise ZooError(
                f"`{name}` must lie in [0, 1], got values from {low:g} to {high:g}. "
                "From [-1, 1]: `(x + 1) / 2`; from bytes: `x.float() / 255`; raw predictions: `.clamp(0, 1)`."
            )


def to_float64(x: Tensor) -> Tensor:
    """Double precision, where the tensor is; Apple's GPUs have none, so from there it moves to the CPU."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def fixed_sum(x: Tensor) -> Tensor:
    """Sum of all elements in one fixed order, whatever the number of threads or the batch the image came in.

    Summing everything at once would split the work by threads; row sums are never split.
    """
    x = x.contiguous()
    while x.ndim > 1:
        x = x.sum(-1)
    return x.sum()


def region_mean(values: Tensor, region: Tensor | None) -> Tensor:
    """Mean of (1, C, H, W) over everything, or over the pixels of ``region`` (1, 1, H, W); NaN where that is empty."""
    if region is None:
        return fixed_sum(values) / values.numel()
    region = region.to(values.device)
    # a selection: what lies outside, NaN too, has no way in
    return fixed_sum(torch.where(region, values, 0.0)) / (region.sum() * values.shape[1])


_cudnn_flags = threading.RLock()  # they belong to the process: two threads would restore each other's


@contextmanager
def _measuring(device: torch.device) -> Iterator[None]:
    # full precision even inside a bf16 training step, and the same bits in every run
    with torch.no_grad(), without_autocast(device):
        if device.type == "cuda":
            flags = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}
            with _cudnn_flags, torch.backends.cudnn.flags(**flags):
                yield
        else:
            yield


class _ZooMetric(Metric):
    """What both kinds share: networks inside stay in eval mode, and states add up over processes.

    Attributes:
        name: Registry name; empty where the metric was not built by `create_metric`.
        result: Whether ``pred`` is to be rounded to 8 bits by the caller, or handed over as the network gave it.
    """

    is_differentiable = False
    full_state_update = False
    name: str = ""
    result: Result = "8-bit"

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: a training loop must not switch on the dropout of LPIPS."""
        return super().train(False)


class ImageMetric(_ZooMetric):
    """A number for each image; the metric's own value is their mean.

    `score` looks at one image at a time, so that its value never depends on the batch that the image came in. An image
    without a pixel to look at (an empty hole) scores NaN, is counted in ``undefined`` and left out of the mean.

    Args:
        region: Pixels that count: the whole image, the hole, or what is known.
        cap: Values above it become it, and are counted in ``capped``.

    Shape:
        pred and target (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole (None allowed for "image") -> (B,).

    Attributes:
        min_side: Shortest side that the metric can measure.
        total: Sum over images, float64.
        count: Images in ``total``.
        undefined: Images that had no value.
        capped: Images whose value was cut to ``cap``.
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
        """Value of one image.

        Args:
            pred: (1, 3, H, W) in [0, 1].
            target: As ``pred``.
            region: (1, 1, H, W) bool, the pixels that count; None for all.

        Returns:
            A scalar.
        """

    def score(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Value of each image, (B,) float64, capped; nothing is accumulated.

        Raises:
            ZooError: Arguments that break the contract, a missing mask, or sides below ``min_side``.
        """
        check_images(pred, target, mask)
        name = self.name or type(self).__name__
        if self.region != "image" and mask is None:
            raise ZooError(f"`{name}` looks at the {self.region} only, so it needs a `mask`.")
        if min(pred.shape[-2:]) < self.min_side:
            raise ZooError(
                f"`{name}` needs sides of at least {self.min_side} pixels, got {pred.shape[-2]} x {pred.shape[-1]}."
            )
        region = None
        if mask is not None and self.region != "image":
            region = mask > 0.5 if self.region == "hole" else mask <= 0.5
        with _measuring(next(self.parameters(), pred).device):
            values = [
                to_float64(self.measure(pred[i, None], target[i, None], None if region is None else region[i, None]))
                for i in range(len(pred))
            ]
            scores = torch.stack(values) if values else to_float64(pred.new_zeros(0))
            return scores if self.cap is None else scores.clamp(max=self.cap)  # clamp keeps NaN

    def update(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add a batch; arguments as `score`."""
        scores = self.score(pred, target, mask).to(self.total.device)
        known = ~scores.isnan()
        self.total += torch.where(known, scores, 0.0).sum()
        self.count += known.sum()
        self.undefined += (~known).sum()
        if self.cap is not None:
            self.capped += (scores >= self.cap).sum()

    def compute(self) -> Tensor:
        """Mean over the images that have a value, float64; NaN when none has."""
        return self.total / self.count


class SetMetric(_ZooMetric):
    """One number for a set of images, from features of each.

    Features are taken image by image, so that they never depend on the batch. A runner that compares many methods
    takes the features of the truth once, by `extract`, and calls `from_features`.

    Args:
        extractor: Any module images (B, 3, H, W) in [0, 1] -> features (B, D); by default the FID's Inception network.
        resize: How that one resizes, see `resize_images`.

    Shape:
        pred and target (B, 3, H, W) in [0, 1] -> scalar. The mask is taken for the sake of one signature, and ignored.

    Attributes:
        feature_key: Names the features: metrics with the same key can share them.
        biased: Whether the last value stands on too few images to be compared with others' ("biased, small N").
        note: What a table must say beside the last value: number of images, subset size.
    """

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
        """The metric on float64 features (N, D) and (M, D), both with at least two rows; sets ``biased``, ``note``."""

    def extract(self, images: Tensor) -> Tensor:
        """Features (B, D) float32 of images (B, 3, H, W) in [0, 1], on the extractor's device."""
        check_images(images, images)
        if not len(images):
            raise ZooError("`images` must hold at least one image.")
        return self._extract(images)

    def _extract(self, images: Tensor) -> Tensor:
        weight = next(self.extractor.parameters(), None)
        images = images.float() if weight is None else images.to(weight.device, torch.float32)
        with _measuring(images.device):
            return torch.cat([self.extractor(image[None]).reshape(1, -1).float() for image in images])

    def from_features(self, pred: Tensor, target: Tensor) -> Tensor:
        """The metric's value, a float64 scalar, from features that `extract` gave.

        Args:
            pred: (N, D), features of the results.
            target: (M, D), features of the truth. Paired metrics need row i of both to be the same photograph.

        Returns:
            NaN when either set has fewer than two images; ``note`` says so.

        Raises:
            ZooError: The features do not belong together.
        """
        if pred.ndim != 2 or target.ndim != 2 or pred.shape[1] != target.shape[1]:
            raise ZooError(
                f"Features must be (N, D) and (M, D) with the same D, got {_describe(pred)}, {_describe(target)}."
            )
        self.biased, self.note = False, ""
        if min(len(pred), len(target)) < 2:
            self.note = f"undefined: needs at least 2 images, got {min(len(pred), len(target))}"
            return to_float64(pred.new_full((), torch.nan))
        with _measuring(pred.device):
            wide = to_float64(pred)
            return self.distance(wide, to_float64(target).to(wide.device))

    def update(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add the features of a batch; ``mask`` is ignored."""
        check_images(pred, target, mask)
        if len(pred):
            self.pred_features.append(self._extract(pred))
            self.target_features.append(self._extract(target))

    def compute(self) -> Tensor:
        """The value over all images seen, float64; see `from_features`."""
        pred, target = (_stack(features) for features in (self.pred_features, self.target_features))
        return self.from_features(pred, target)


def _stack(features: Tensor | list[Tensor]) -> Tensor:
    if isinstance(features, Tensor):  # after a sync over processes
        return features
    return torch.cat(features) if features else torch.zeros(0, 1)
