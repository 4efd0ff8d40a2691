"""GRIG's projected discriminator: a head on features of a frozen network (docs/papers/grig.md)."""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.layers.init import init_normal
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.weights import WeightsNotFoundError, find_backbone, load_state, match_state

__all__ = ["BackboneName", "ProjectedDiscriminator"]

BackboneName = Literal["tf_efficientnet_lite0", "tf_efficientnet_lite1"]
MAPS = (24, 40, 112, 320)  # channels of both backbones at strides 4, 8, 16 and 32
STAGES = ((0, 2), (2, 3), (3, 5), (5, 7))  # ranges of the backbone's blocks that end at each of these feature maps
CLASSIFIER = ("conv_head.", "bn2.", "classifier.")  # layers in the weight files that are not used here
SMALLEST = 128  # smallest image size in px for which the head returns a logit


class ProjectedDiscriminator(nn.Module):
    """GRIG's projected discriminator, which classifies whole images.

    It consists of a frozen EfficientNet-Lite, frozen random convolutions that mix its four feature maps, and a head of
    five learned convolutions on the largest mixed map.

    Source: GRIG as released, after Projected GAN (Sauer et al., NeurIPS 2021). The paper names EfficientNet-Lite1, the
    code uses Lite0. 2,829,120 learned parameters; 376,768 frozen ones in the mixing, 2,958,848 in Lite0 (3,723,520 in
    Lite1). The state dict has the authors' layout and includes backbone and mixing, so a checkpoint needs no other
    file.

    The constructor loads no weights, and `forward` raises an error until `load_backbone` or a state dict has provided
    the backbone's weights. Resuming or evaluating a checkpoint therefore needs no backbone file. To start a training,
    call `load_backbone` where the losses are built (`TrainingModule.build_losses`), unless the trainer resumes from a
    checkpoint. Only the constructor initializes the head. Do not re-initialize this module as a whole, because this
    would overwrite the frozen weights.

    The frozen parts stay in eval mode and their parameters get no gradients; gradients flow through them to the image.

    Args:
        backbone: Name of the backbone in timm.
        width: Channels of the largest mixed map and of the head's first feature map. It scales everything except the
            backbone.
        resize_below: Images whose shorter side is below this number of pixels are upsampled; 224 in the released code.
            The head itself needs at least 128.
        resize_to: Length in pixels of the shorter side after this bilinear upsampling.
        init_std: Standard deviation of the head's initial weights; biases keep PyTorch's default initialization.
        bug_compatible_reinit: `load_backbone` re-initializes all frozen weights with ``init_std`` after loading, as the
            released code does. Only the batch norms' running statistics then stay pretrained, and the features hardly
            depend on the image.

    Attributes:
        backbone_source: Source of the backbone's weights: a file name, "random" or "state dict"; None before loading.

    Shape:
        image (B, 3, H, W) in [-1, 1] -> logits (B, n), n = 16 for 224x224 and 25 for 256x256 images.

    Raises:
        ZooError: If the sizes allow images for which the head has no logit.
        UnknownNameError: If the backbone is unknown.
    """

    def __init__(
        self,
        backbone: BackboneName = "tf_efficientnet_lite0",
        width: int = 64,
        resize_below: int = 224,
        resize_to: int = 224,
        init_std: float = 0.02,
        bug_compatible_reinit: bool = False,
    ) -> None:
        super().__init__()
        if backbone not in get_args(BackboneName):
            raise unknown_name("backbone", backbone, get_args(BackboneName))
        if not SMALLEST <= resize_below <= resize_to:
            raise ZooError(
                f"The head needs images of at least {SMALLEST} px: expected {SMALLEST} <= `resize_below` <= "
                f"`resize_to`, got {resize_below} and {resize_to}."
            )
        self.backbone: BackboneName = backbone
        self.resize_below, self.resize_to = resize_below, resize_to
        self.init_std = init_std
        self.bug_compatible_reinit = bug_compatible_reinit
        self.backbone_source: str | None = None
        self.feature_network = _MixedFeatures(backbone, width)
        self.discriminator = _named("mini_discs", nn.Sequential(_named("main", _head(width))))
        init_normal(self.discriminator, init_std, zero_biases=False)
        self.register_load_state_dict_pre_hook(_note_state_dict)  # type: ignore[no-untyped-call]

    def load_backbone(self, weights: str | Path | None = None) -> None:
        """Load the backbone's pretrained weights. Do nothing on the meta device, where tensors have only shapes.

        Args:
            weights: Weight file with timm's key names; None searches with `find_backbone`; "random" keeps timm's random
                initialization and warns, once per process, that results are not GRIG's.

        Raises:
            WeightsNotFoundError: If there is no file; the message names the file, the folders and the options.
            ZooError: If the file belongs to another network.
        """
        own = self.feature_network.pretrained
        if any(parameter.is_meta for parameter in own.parameters()):
            return
        if weights == "random":
            warn_of_random_features()
            self.backbone_source = "random"
        else:
            path = self.find_backbone(weights)
            net = _backbone(self.backbone)
            state = {key: value for key, value in load_state(path).items() if not key.startswith(CLASSIFIER)}
            net.load_state_dict(match_state(state, net.state_dict(), f"the backbone '{self.backbone}': {path}"))
            self.backbone_source = path.name
            own.load_state_dict(_cut(net).state_dict())
        if self.bug_compatible_reinit:
            init_normal(self.feature_network, self.init_std, zero_biases=False)

    def find_backbone(self, weights: str | Path | None = None) -> Path:
        """Return the weight file that `load_backbone` loads.

        Raises:
            WeightsNotFoundError: If there is no file; the message names the file, the folders and the options.
        """
        try:
            return find_backbone(self.backbone, weights)
        except WeightsNotFoundError as error:
            raise WeightsNotFoundError(
                f"{error} Or set `backbone_weights` to a file, or to 'random' for results that are not GRIG's."
            ) from None

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n).

        Raises:
            ZooError: If the backbone has no weights yet.
        """
        return self.judge(self.features(image))

    def features(self, image: Tensor) -> Tensor:
        """Return the frozen part's features of an image, which do not change when the discriminator is trained.

        Raises:
            ZooError: If the backbone has no weights yet.
        """
        if self.backbone_source is None:
            raise ZooError(
                f"The projected discriminator has no weights of '{self.backbone}' yet: "
                "call load_backbone() or load a state dict first."
            )
        return self.feature_network(self._enlarged(image))

    def judge(self, features: Tensor) -> Tensor:
        """Return the logits (B, n) for the features of an image."""
        return self.discriminator(features).flatten(1)

    def _enlarged(self, image: Tensor) -> Tensor:
        H, W = image.shape[-2:]
        shorter = min(H, W)
        if shorter >= self.resize_below:
            return image
        size = [round(side * self.resize_to / shorter) for side in (H, W)]
        return F.interpolate(image, size, mode="bilinear", align_corners=False)


class _MixedFeatures(nn.Module):
    """Frozen part: random 1x1 convolutions mix the channels and scales of the backbone's four feature maps.

    Args:
        backbone: Name of the backbone in timm.
        width: Output channels.

    Shape:
        (B, 3, H, W) in [-1, 1] -> (B, width, H/2, W/2).
    """

    def __init__(self, backbone: BackboneName, width: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 8 * width)
        self.pretrained = _cut(_backbone(backbone))
        self.scratch = nn.ModuleDict()
        for number, (source, target) in enumerate(zip(MAPS, widths, strict=True)):
            self.scratch[f"layer{number}_ccm"] = nn.Conv2d(source, target, 1)
        for number in (3, 2, 1, 0):
            self.scratch[f"layer{number}_csm"] = _named(
                "out_conv", nn.Conv2d(widths[number], widths[max(number - 1, 0)], 1)
            )
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode for any ``mode``."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the largest mixed map, (B, width, H/2, W/2)."""
        maps = []
        for number in range(len(MAPS)):
            image = self.pretrained[f"layer{number}"](image)
            maps.append(self.scratch[f"layer{number}_ccm"](image))
        mixed = maps.pop()
        for number in (3, 2, 1, 0):
            skip = maps.pop() if maps else None
            # the size of the next feature map: twice the size, or one less if that is odd
            size = [2 * side for side in mixed.shape[-2:]] if skip is None else skip.shape[-2:]
            mixed = self.scratch[f"layer{number}_csm"](F.interpolate(mixed, size, mode="bilinear", align_corners=True))
            mixed = mixed if skip is None else mixed + skip
        return mixed


def _backbone(name: BackboneName) -> nn.Module:
    """Return timm's network up to its last feature map, with random weights."""
    import timm

    return timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4))


def _cut(net: nn.Module) -> nn.ModuleDict:
    """Return the backbone's layers in four pieces, numbered as in the released state dict."""
    blocks = list(net.get_submodule("blocks").children())
    pieces = [nn.Sequential(*blocks[first:last]) for first, last in STAGES]
    # the identity keeps the authors' indices: in their timm version the activation was a layer after the norm
    pieces[0] = nn.Sequential(net.get_submodule("conv_stem"), net.get_submodule("bn1"), nn.Identity(), *pieces[0])
    return nn.ModuleDict({f"layer{number}": piece for number, piece in enumerate(pieces)})


def _head(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source, target in pairwise((width, width, 2 * width, 4 * width, 8 * width)):
        conv = SpectralConv2d(source, target, 4, 2, 1, bias=True)
        layers.append(_named("main", nn.Sequential(conv, nn.BatchNorm2d(target), nn.LeakyReLU(0.2, inplace=True))))
    return nn.Sequential(*layers, SpectralConv2d(8 * width, 1, 4))


def _named(name: str, module: nn.Module) -> nn.Sequential:
    """Wrap the module so that ``name`` precedes its keys, as in the released state dict."""
    return nn.Sequential(OrderedDict({name: module}))


def _note_state_dict(net: ProjectedDiscriminator, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    if any(key.startswith(f"{prefix}feature_network.pretrained.") for key in state):
        net.backbone_source = "state dict"


@functools.cache
def warn_of_random_features() -> None:
    """Log a warning once per process: the backbone's weights are random."""
    logging.getLogger(__name__).warning(
        "The projected discriminator uses a backbone with random weights: results are not GRIG's."
    )
