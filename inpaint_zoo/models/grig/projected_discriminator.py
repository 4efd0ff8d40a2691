"""GRIG's projected discriminator: one head on features of a frozen network (specs/grig.md, section 5)."""

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
MAPS = (24, 40, 112, 320)  # channels of either backbone at strides 4, 8, 16 and 32
STAGES = ((0, 2), (2, 3), (3, 5), (5, 7))  # of the backbone, up to each map
CLASSIFIER = ("conv_head.", "bn2.", "classifier.")  # what the files hold behind the maps
SMALLEST = 128  # the side from which the head has a logit


class ProjectedDiscriminator(nn.Module):
    """A frozen EfficientNet-Lite, frozen random mixing of its four maps, and five learned convolutions on the largest.

    Source: GRIG as released, after Projected GAN (Sauer et al., NeurIPS 2021); the paper names Lite1, the code Lite0.
    2,829,120 learned parameters; frozen 376,768 of the mixing and 2,958,848 of Lite0 (3,723,520 of Lite1). The state
    dict is the authors', with backbone and mixing: a checkpoint needs no other file.

    Building it loads nothing, and it refuses to look until `load_backbone` or a state dict has brought the backbone's
    weights. So whoever goes on from a checkpoint or evaluates one needs no file of the backbone, and whoever starts a
    training calls `load_backbone` where losses are built (`TrainingModule.build_losses`), unless the trainer has a
    checkpoint to resume. The head is drawn here and only here: drawing this module anew as a whole would overwrite what
    is frozen.

    Frozen parts stay in eval mode and take no gradients; gradients flow through them to the picture.

    Args:
        backbone: timm's name.
        width: Channels of the largest mixed map and of the head's first map. It scales all but the backbone.
        resize_below: Pictures whose shorter side is below this are enlarged; 224 as released. From 128 on there is a
            logit without enlarging.
        resize_to: ... to this shorter side, bilinearly.
        init_std: Standard deviation of the head's drawn weights; biases stay as torch draws them.
        bug_compatible_reinit: `load_backbone` draws all that is frozen by `init_std` after loading, as the released
            code does: only the batch norms' statistics stay pretrained, and the head sees next to nothing.

    Attributes:
        backbone_source: Where the backbone's weights came from: a file's name, "random", "state dict"; None before.

    Shape:
        image (B, 3, H, W) in [-1, 1] -> logits (B, n), n = 16 at 224 px and 25 at 256 px.

    Raises:
        ZooError: Sizes at which the head has no logit.
        UnknownNameError: No such backbone.
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
                f"The head has no logit below {SMALLEST} px: {SMALLEST} <= `resize_below` <= `resize_to` is wanted, "
                f"got {resize_below} and {resize_to}."
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
        """Bring the backbone's pretrained weights; on the meta device, where only shapes count, nothing.

        Args:
            weights: A file in timm's layout; None searches by `find_backbone`; "random" draws the backbone as timm
                does, and one warning of the process says that results are not GRIG's.

        Raises:
            WeightsNotFoundError: No file, in one line that says which one goes where, and what the options are.
            ZooError: A file of another network.
        """
        own = self.feature_network.pretrained
        if any(parameter.is_meta for parameter in own.parameters()):
            return
        net = _backbone(self.backbone)
        if weights == "random":
            _warn_of_random_features()
            self.backbone_source = "random"
        else:
            path = self._find(weights)
            state = {key: value for key, value in load_state(path).items() if not key.startswith(CLASSIFIER)}
            net.load_state_dict(match_state(state, net.state_dict(), f"the backbone '{self.backbone}': {path}"))
            self.backbone_source = path.name
        own.load_state_dict(_cut(net).state_dict())
        if self.bug_compatible_reinit:
            init_normal(self.feature_network, self.init_std, zero_biases=False)

    def _find(self, weights: str | Path | None) -> Path:
        try:
            return find_backbone(self.backbone, weights)
        except WeightsNotFoundError as error:
            raise WeightsNotFoundError(
                f"{error} `backbone_weights` takes a file from elsewhere, or 'random' for results that are not GRIG's."
            ) from None

    def forward(self, image: Tensor) -> Tensor:
        """The logits.

        Raises:
            ZooError: The backbone has no weights yet.
        """
        if self.backbone_source is None:
            raise ZooError(
                f"The projected discriminator has no weights of '{self.backbone}' yet: "
                "load_backbone() or a state dict brings them."
            )
        return self.discriminator(self.feature_network(self._enlarged(image))).flatten(1)

    def _enlarged(self, image: Tensor) -> Tensor:
        H, W = image.shape[-2:]
        shorter = min(H, W)
        if shorter >= self.resize_below:
            return image
        size = [round(side * self.resize_to / shorter) for side in (H, W)]
        return F.interpolate(image, size, mode="bilinear", align_corners=False)


class _MixedFeatures(nn.Module):
    """The frozen part: four maps of the backbone, mixed across channels and scales by random 1x1 convolutions.

    Args:
        backbone: timm's name.
        width: Channels of the result.

    Shape:
        (B, 3, H, W) in [-1, 1] -> (B, width, H / 2, W / 2).
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
        """Stay in eval mode, whatever the owner's."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """The largest mixed map."""
        maps = []
        for number in range(len(MAPS)):
            image = self.pretrained[f"layer{number}"](image)
            maps.append(self.scratch[f"layer{number}_ccm"](image))
        mixed = maps.pop()
        for number in (3, 2, 1, 0):
            skip = maps.pop() if maps else None
            # twice as large, but for a side that is odd one level up
            size = [2 * side for side in mixed.shape[-2:]] if skip is None else skip.shape[-2:]
            mixed = self.scratch[f"layer{number}_csm"](F.interpolate(mixed, size, mode="bilinear", align_corners=True))
            mixed = mixed if skip is None else mixed + skip
        return mixed


def _backbone(name: BackboneName) -> nn.Module:
    """The network of timm up to its last map, drawn at random."""
    import timm

    return timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4))


def _cut(net: nn.Module) -> nn.ModuleDict:
    """The backbone's layers in four pieces, numbered as in the released state dict."""
    blocks = list(net.get_submodule("blocks").children())
    pieces = [nn.Sequential(*blocks[first:last]) for first, last in STAGES]
    # the identity stands where the authors' timm had the activation that is now within the norm
    pieces[0] = nn.Sequential(net.get_submodule("conv_stem"), net.get_submodule("bn1"), nn.Identity(), *pieces[0])
    return nn.ModuleDict({f"layer{number}": piece for number, piece in enumerate(pieces)})


def _head(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source, target in pairwise((width, width, 2 * width, 4 * width, 8 * width)):
        conv = SpectralConv2d(source, target, 4, 2, 1, bias=True)
        layers.append(_named("main", nn.Sequential(conv, nn.BatchNorm2d(target), nn.LeakyReLU(0.2, inplace=True))))
    return nn.Sequential(*layers, SpectralConv2d(8 * width, 1, 4))


def _named(name: str, module: nn.Module) -> nn.Sequential:
    """The module under a name that the released state dict has in front of it."""
    return nn.Sequential(OrderedDict({name: module}))


def _note_state_dict(net: ProjectedDiscriminator, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    if any(key.startswith(f"{prefix}feature_network.pretrained.") for key in state):
        net.backbone_source = "state dict"


@functools.cache
def _warn_of_random_features() -> None:
    logging.getLogger(__name__).warning(
        "The projected discriminator looks through a backbone with random weights: results are not GRIG's."
    )
