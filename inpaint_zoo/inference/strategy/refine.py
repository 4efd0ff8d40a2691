"""Refine a filling by optimizing features of the network, for LaMa.

Source: Kulshreshtha et al., "Feature Refinement to Improve High Resolution Image Inpainting", 2022, section 2: at each
scale, the features between encoder and residual blocks are optimized so that the downscaled prediction agrees with the
result of the scale below inside the hole. The weights of the network do not change.
"""

from __future__ import annotations

import copy
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.inference.strategy.memory import WORKSPACE, peak_of
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.ops import composite, crop_to, from_range

__all__ = ["HasFeatures", "Refiner"]

STEPS, LEARNING_RATE = 15, 0.002  # as in the paper
ERODED = 15  # size in pixels of the square that erodes the hole before results are compared, as in the paper


Features = tuple[Tensor | None, Tensor | None]
"""Feature maps that the encoder returns; None for one that the network does not have."""


@runtime_checkable
class HasFeatures(Protocol):
    """A network that consists of an encoder and the rest, which predicts from its features."""

    def encode_features(self, image: Tensor, mask: Tensor) -> Features:
        """Return the features of an image (B, 3, H, W) with a mask (B, 1, H, W), both as in `predict`."""

    def decode_features(self, features: Features) -> Tensor:
        """Return the raw prediction (B, 3, H, W) from features."""


class Refiner:
    """Optimizes the features of a network for one image after the other.

    Args:
        network: The network. It is copied, because its weights must not require gradients.
        budget: Maximum memory for activations in bytes.

    Raises:
        TypeError: The network has no separate encoder; see `HasFeatures`.
    """

    def __init__(self, network: InpaintingNetwork, budget: float) -> None:
        if not isinstance(network, HasFeatures):
            raise TypeError(f"{type(network).__name__} has no features to refine")
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.budget = budget
        self._shapes: InpaintingNetwork | None = None

    def __call__(self, image: Tensor, hole: Tensor, coarse: Tensor) -> Tensor | None:
        """Return the refined result, or None if it does not fit into the memory.

        Args:
            image: (1, 3, H, W) in [0, 1].
            hole: (1, 1, H, W) bool.
            coarse: Result of the scale below, (1, 3, h, w) in [0, 1], smaller than ``image``.
        """
        if self.needed(image.shape[-2], image.shape[-1]) > self.budget:
            return None
        device = next(self.network.parameters()).device
        x, mask, target = image.to(device), hole.float().to(device), coarse.to(device)
        compared = _eroded(1 - F.interpolate(1 - mask, target.shape[-2:], mode="area"))
        with torch.inference_mode(False), torch.enable_grad():
            state = _State(self.network, x.clone(), mask.clone())
            optimizer = torch.optim.Adam(state.variables, lr=LEARNING_RATE)
            for _ in range(STEPS):
                optimizer.zero_grad()
                torch.autograd.backward(_difference(state.predict(), target, compared))
                optimizer.step()
        with torch.no_grad():
            prediction = state.predict()
        return composite(prediction.clamp(0, 1), x, mask).to(image.device)

    def needed(self, height: int, width: int) -> int:
        """Return the memory in bytes of one optimization step, computed from shapes."""
        if self._shapes is None:
            self._shapes = copy.deepcopy(self.network).to("meta")
        shapes = self._shapes
        image, mask = (torch.zeros(1, channels, height, width, device="meta") for channels in (3, 1))

        def step() -> None:
            with torch.enable_grad():
                state = _State(shapes, image, mask)
                target = torch.zeros(1, 3, height // 2, width // 2, device="meta")
                torch.autograd.backward(_difference(state.predict(), target, target[:, :1]))

        return int(WORKSPACE * peak_of(step))


class _State:
    """Features of one image, as variables to optimize."""

    def __init__(self, network: InpaintingNetwork, image: Tensor, mask: Tensor) -> None:
        self.network, self.size = network, (image.shape[-2], image.shape[-1])
        with torch.no_grad():
            self.padded, hole = network.preprocess(image, mask)
            encoded = cast(HasFeatures, network).encode_features(self.padded, hole)
        local, context = (None if part is None else part.clone().requires_grad_() for part in encoded)
        self.features = (local, context)

    @property
    def variables(self) -> list[Tensor]:
        """The features that exist."""
        return [part for part in self.features if part is not None]

    def predict(self) -> Tensor:
        """Return the raw prediction (1, 3, H, W), scaled to [0, 1]."""
        raw = self.network.to_prediction(cast(HasFeatures, self.network).decode_features(self.features), self.padded)
        return crop_to(from_range(raw, *self.network.value_range), self.size)


def _eroded(coverage: Tensor) -> Tensor:
    """Return (1, 1, h, w), 1 inside the hole away from its border; if nothing is left, the hole itself."""
    hole = (coverage > 0.99).float()
    inside = -F.max_pool2d(-hole, ERODED, 1, ERODED // 2)
    return inside if bool(inside.any()) else hole


def _difference(prediction: Tensor, target: Tensor, compared: Tensor) -> Tensor:
    """Return the mean absolute difference to ``target`` at its resolution, where ``compared`` is 1."""
    small = F.interpolate(prediction, target.shape[-2:], mode="bilinear", antialias=True)
    return ((small - target).abs() * compared).sum() / (3 * compared.sum().clamp_min(1))
