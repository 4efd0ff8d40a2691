"""Frozen feature extractors for losses: VGG-16 and VGG-19 up to the deepest requested layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.weights import find_backbone, load_state

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "FrozenFeatures", "VGGFeatures", "VGGInput", "VGGName"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

VGGName = Literal["vgg16", "vgg19"]
VGGInput = Literal["zero_one", "minus_one_one", "imagenet"]
CONVS: dict[VGGName, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions per block
WIDTHS = (64, 128, 256, 512, 512)
AFFINE: dict[VGGInput, tuple[Sequence[float], Sequence[float]]] = {  # (x - shift) / scale, x in [0, 1]
    "zero_one": ((0.0,), (1.0,)),
    "minus_one_one": ((0.5,), (0.5,)),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
}


class FrozenFeatures(nn.Module):
    """Feature extractor with a pretrained network that is neither trained nor saved.

    The network is a plain attribute of this module, not a submodule. It is therefore not part of the owner's
    `state_dict`, optimizers, EMA, gradient reduction and parameter count, and `train()` does not change its eval mode.
    `to()` and similar methods still move it. Gradients flow through it to the images.

    Args:
        trunk: The network; its parameters are frozen.
        source: Source of the weights (a file name or "random"), for logs and model cards.
    """

    trunk: nn.Module

    def __init__(self, trunk: nn.Module, source: str) -> None:
        super().__init__()
        object.__setattr__(self, "trunk", trunk.requires_grad_(False).eval())  # avoids registration as a submodule
        self.source = source

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Apply `to`, `cuda`, `float` and similar methods to the trunk as well."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.trunk._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class VGGFeatures(FrozenFeatures):
    """Feature maps of VGG-16 or VGG-19 without batch norm, with torchvision's layers.

    Taps are the layers whose outputs are returned. Their names are `relu<block>_<conv>` and `pool<block>`, counted from
    1: `relu1_1` is torchvision's `features[1]`, VGG-16's `pool3` is its `features[16]`. Outputs of convolutions are not
    available, because the following ReLU works in place. Only the layers up to the deepest tap are built, so a weight
    file that ends there is sufficient.

    Args:
        backbone: The network.
        taps: Names of the layers, in any order.
        input_norm: Input normalization. The papers differ, and their loss weights depend on it: images in [0, 1]
            without normalization (ISNet), scaled to [-1, 1] (LGNet), or normalized by ImageNet's mean and standard
            deviation (AOT-GAN, partial convolution, LPIPS).
        value_range: (low, high) of the images. They are converted together with the normalization.
        weights: Weight file with torchvision's keys; None searches with `find_backbone`; "random" is for tests.
        full_precision: Compute in float32 even under autocast. LPIPS needs it: its epsilon of 1e-10 vanishes in half
            precision.

    Shape:
        (B, 3, H, W) in ``value_range`` -> {tap: (B, C, H / 2^k, W / 2^k)} in the order of ``taps``, where k is the
        number of pooling layers up to the tap.

    Raises:
        WeightsNotFoundError: If there is no file; the message names the file and the folders.
        ZooError: If a tap is unknown, or the file belongs to another network.

    Example:
        >>> vgg = VGGFeatures("vgg19", ("relu1_1", "pool2"), input_norm="zero_one", weights="random")
        >>> {tap: tuple(x.shape) for tap, x in vgg(torch.rand(1, 3, 32, 32)).items()}
        {'relu1_1': (1, 64, 32, 32), 'pool2': (1, 128, 8, 8)}
        >>> vgg.state_dict(), list(vgg.parameters())
        (OrderedDict(), [])
    """

    trunk: nn.Sequential
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        backbone: VGGName,
        taps: Sequence[str],
        *,
        input_norm: VGGInput,
        value_range: tuple[float, float] = (0.0, 1.0),
        weights: str | Path | None = None,
        full_precision: bool = False,
    ) -> None:
        if backbone not in CONVS:
            raise unknown_name("VGG", backbone, CONVS)
        if input_norm not in AFFINE:
            raise unknown_name("VGG input", input_norm, AFFINE)
        indices = _tap_indices(backbone)
        for tap in taps:
            if tap not in indices:
                raise unknown_name(f"tap of {backbone}", tap, indices)
        if not taps:
            raise ZooError(f"`taps` is empty: name at least one layer of {backbone}, such as 'relu1_1' or 'pool3'.")
        trunk = _build(backbone, max(indices[tap] for tap in taps))
        super().__init__(trunk, _load(trunk, backbone, weights))
        self.taps = {tap: indices[tap] for tap in taps}
        self.full_precision = full_precision
        low, high = value_range
        shift, scale = ([x * (high - low) for x in part] for part in AFFINE[input_norm])
        self.register_buffer("shift", torch.tensor([x + low for x in shift]).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the feature maps by tap.

        For the ground truth, call this under `torch.no_grad()` and reuse the result for all loss terms.
        """
        precise = without_autocast(image.device) if self.full_precision else nullcontext()
        found = {}
        with precise:
            x = (image.to(self.shift.dtype) - self.shift) / self.scale
            if x.device.type == "cpu":  # convolutions that train no weights are faster in this layout
                x = x.contiguous(memory_format=torch.channels_last)
            for index, layer in enumerate(self.trunk):
                x = layer(x)
                if index in self.taps.values():
                    found[index] = x
        return {tap: found[index] for tap, index in self.taps.items()}

    def each(self, *images: Tensor) -> list[dict[str, Tensor]]:
        """Return the feature maps of several batches of the same shape.

        On a GPU, they are computed in a single forward pass. On a CPU, larger tensors only leave the caches.
        """
        if images[0].device.type == "cpu":
            return [self(image) for image in images]
        features = self(torch.cat(images))
        parts = {tap: x.chunk(len(images)) for tap, x in features.items()}
        return [{tap: part[number] for tap, part in parts.items()} for number in range(len(images))]

    def extra_repr(self) -> str:
        """Return the taps and the name of the weight file, for `print`."""
        return f"{', '.join(self.taps)}; weights: {self.source}"


def _tap_indices(backbone: VGGName) -> dict[str, int]:
    """Return torchvision's index in `features` for every tap."""
    indices, index = {}, 0
    for block, convs in enumerate(CONVS[backbone], 1):
        for conv in range(1, convs + 1):
            indices[f"relu{block}_{conv}"] = index + 1
            index += 2
        indices[f"pool{block}"] = index
        index += 1
    return indices


def _conv_indices(backbone: VGGName) -> set[int]:
    return {index - 1 for tap, index in _tap_indices(backbone).items() if tap.startswith("relu")}


def _build(backbone: VGGName, last: int) -> nn.Sequential:
    """Build layers 0 to ``last`` of `features` on the meta device."""
    layers: list[nn.Module] = []
    channels = 3
    for convs, width in zip(CONVS[backbone], WIDTHS, strict=True):
        for _ in range(convs):
            layers += [nn.Conv2d(channels, width, 3, 1, 1, device="meta"), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers[: last + 1])


def _load(trunk: nn.Sequential, backbone: VGGName, weights: str | Path | None) -> str:
    """Load the weights into ``trunk`` and return their source."""
    if weights == "random":
        trunk.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(0)
        for layer in trunk:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        return "random"
    path = find_backbone(backbone, weights)
    state = load_state(path)
    other: VGGName = "vgg16" if backbone == "vgg19" else "vgg19"
    # the first layers of both networks have the same names and shapes; only deeper ones distinguish the files
    for index in _conv_indices(other) - _conv_indices(backbone):
        if f"features.{index}.weight" in state:
            raise ZooError(f"{path} holds {other}, not {backbone}.")
    wanted: dict[str, Tensor] = {}
    for key, empty in trunk.state_dict().items():
        value = state.get(f"features.{key}")
        if value is None or value.shape != empty.shape:
            got = "is missing" if value is None else f"is {tuple(value.shape)}"
            raise ZooError(
                f"{path} does not hold torchvision's {backbone}, or ends before the deepest of the taps: "
                f"'features.{key}' {got}, expected {tuple(empty.shape)}."
            )
        wanted[key] = value.float()
    trunk.load_state_dict(wanted, assign=True)
    return path.name
