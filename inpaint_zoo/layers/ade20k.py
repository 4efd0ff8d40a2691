"""Features of a dilated ResNet-50 trained for segmentation on ADE20K, used by LaMa's perceptual loss."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.features import IMAGENET_MEAN, IMAGENET_STD, FrozenFeatures
from inpaint_zoo.weights import find_backbone, load_state

__all__ = ["ADE20K_TAPS", "ADE20KFeatures", "DilatedResNet50"]

ADE20K_TAPS = ("layer1", "layer2", "layer3", "layer4")


class DilatedResNet50(nn.Module):
    """ResNet-50 with a stem of three 3x3 convolutions; the last two of its four stages dilate instead of striding."""

    def __init__(self) -> None:
        from torchvision.models.resnet import Bottleneck, ResNet  # importing torchvision takes longer than torch

        super().__init__()
        for number, (source, width, stride) in enumerate(((3, 64, 2), (64, 64, 1), (64, 128, 1)), 1):
            self.add_module(f"conv{number}", nn.Conv2d(source, width, 3, stride, 1, bias=False))
            self.add_module(f"bn{number}", nn.BatchNorm2d(width))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages = ResNet(Bottleneck, [3, 4, 6, 3], replace_stride_with_dilation=[False, True, True])
        for tap in ADE20K_TAPS:
            self.add_module(tap, stages.get_submodule(tap))
        # this stem outputs 128 channels, torchvision's 64
        first = self.get_submodule("layer1.0")
        first.conv1 = nn.Conv2d(128, 64, 1, bias=False)
        first.get_submodule("downsample").add_module("0", nn.Conv2d(128, 256, 1, bias=False))

    def fold_norms(self) -> None:
        """Fold the batch norms, which are constant in eval mode, into the convolutions before them."""
        for block in list(self.eval().modules()):
            for name, layer in list(block.named_children()):
                if isinstance(layer, nn.BatchNorm2d):
                    before = str(int(name) - 1) if name.isdigit() else name.replace("bn", "conv")
                    convolution = block.get_submodule(before)
                    assert isinstance(convolution, nn.Conv2d)
                    block.add_module(before, fuse_conv_bn_eval(convolution, layer))
                    block.add_module(name, nn.Identity())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the outputs of the four stages by name."""
        for number in (1, 2, 3):
            x = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(x)).relu()
        x = self.maxpool(x)
        found = {}
        for tap in ADE20K_TAPS:
            x = self.get_submodule(tap)(x)
            found[tap] = x
        return found


class ADE20KFeatures(FrozenFeatures):
    """Outputs of the four stages of MIT CSAIL's `resnet50dilated` encoder for ADE20K.

    The network is always in eval mode. In LaMa's code it follows the mode of its parent module, so its batch norm
    statistics may drift during training.

    Args:
        weights: The authors' file `encoder_epoch_20.pth`; None searches with `find_backbone`; "random" is for tests.

    Shape:
        (B, 3, H, W) in [0, 1] -> {layer1: (B, 256, H/4, W/4), layer2: (B, 512, H/8, W/8), layer3: (B, 1024, H/8, W/8),
        layer4: (B, 2048, H/8, W/8)}.

    Raises:
        WeightsNotFoundError: If there is no file; the message names the file and the folders.
        ZooError: If the file belongs to another network. (torchvision's ResNet-50 has another stem.)
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: str | Path | None = None) -> None:
        trunk = DilatedResNet50()
        source = _load(trunk, weights)
        trunk.fold_norms()
        super().__init__(trunk, source)
        self.register_buffer("shift", torch.tensor(IMAGENET_MEAN).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(IMAGENET_STD).view(1, -1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the four feature maps by name. For the ground truth, call this under `torch.no_grad()`."""
        return self.trunk((image.to(self.shift.dtype) - self.shift) / self.scale)

    def extra_repr(self) -> str:
        """Return the name of the weight file, for `print`."""
        return f"weights: {self.source}"


def _load(trunk: nn.Module, weights: str | Path | None) -> str:
    if weights == "random":
        return "random"
    path = find_backbone("ade20k_resnet50dilated", weights)
    state = load_state(path)
    wanted = {}
    for key, empty in trunk.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue  # not used in eval mode, and missing in the file, which an older PyTorch wrote
        value = state.get(key)
        if value is None or value.shape != empty.shape:
            got = "is missing" if value is None else f"is {tuple(value.shape)}"
            raise ZooError(
                f"{path} is not the resnet50dilated encoder of ADE20K: '{key}' {got}, expected {tuple(empty.shape)}."
            )
        wanted[key] = value.float()
    trunk.load_state_dict(wanted, strict=False)
    return path.name
