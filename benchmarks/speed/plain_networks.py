"""The layers of the released code that the package computes in another way, for the loops of `plain_training.py`.

They hold the parameters of the package's layers, give the same results up to rounding, and run the operations of the
released code: LaMa's fast Fourier convolution adds and multiplies by the constants of its unused options, LGNet's
attention stores the scores of all pairs of positions, output layers are ordinary convolutions, autograd differentiates
the spectral norm, and pretrained networks have their own norms and the layout of their input.
"""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.layers import ADE20KFeatures, VGGFeatures
from inpaint_zoo.layers.attention import SelfPatchAttention
from inpaint_zoo.layers.ffc import FFC, Branches, FourierUnit, SpectralTransform
from inpaint_zoo.layers.output_conv import OutputConv2d
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.losses import StyleLoss
from inpaint_zoo.ops import without_autocast

__all__ = ["PlainVGGFeatures", "as_released"]


class PlainFourierUnit(FourierUnit):
    """Fourier unit that copies real and imaginary parts to channels and back."""

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        batch = len(x)
        spectrum = torch.fft.rfftn(x, dim=(-2, -1), norm="ortho")
        parts = torch.stack((spectrum.real, spectrum.imag), dim=-1).permute(0, 1, 4, 2, 3).contiguous()
        mixed = self.conv_layer(parts.view(batch, -1, *parts.shape[3:]))
        mixed = F.relu(self.bn(mixed), inplace=True)
        mixed = mixed.view(batch, -1, 2, *mixed.shape[2:]).permute(0, 1, 3, 4, 2).contiguous()
        mixed = torch.complex(mixed[..., 0], mixed[..., 1])
        return torch.fft.irfftn(mixed, s=x.shape[-2:], dim=(-2, -1), norm="ortho")


class PlainSpectralTransform(SpectralTransform):
    """Path from global to global branch; the unused local Fourier unit adds 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of the global branch."""
        x = self.conv1(self.downsample(x))
        return self.conv2(x + self.fu(x) + 0)


class PlainFFC(FFC):
    """FFC with the factor 1 of its unused gates; a branch that does not exist is the number 0."""

    def forward(self, x: Branches) -> Branches:
        """Return both branches."""
        local, context = x[0], torch.tensor(0) if x[1] is None else x[1]
        assert local is not None
        assert self.convl2l is not None
        from_context = context if self.convg2l is None else self.convg2l(context)
        out = self.convl2l(local) + from_context * 1
        if self.convl2g is None:
            return out, None
        return out, self.convl2g(local) * 1 + (context if self.convg2g is None else self.convg2g(context))


class PlainAttention(SelfPatchAttention):
    """Attention of one image after the other: the features are the kernels of a convolution."""

    def attended(self, x: Tensor) -> Tensor:
        """Return the result of the attention before the 1x1 convolution."""
        B, C, H, W = x.shape
        kernels = x.view(B, C, H * W, 1, 1).permute(0, 2, 1, 3, 4)
        results = []
        for number in range(B):
            own = kernels[number] + 1e-7
            own = own / torch.sum(own**2, [1, 2, 3], keepdim=True) ** 0.5
            scores = F.avg_pool2d(F.conv2d(x[number : number + 1], own), 3, 1, padding=1) * 9
            results.append(F.conv_transpose2d(F.softmax(scores, dim=1), own))
        return torch.cat(results)


class PlainVGGFeatures(VGGFeatures):
    """VGG in the layout of its input."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the feature maps by tap."""
        found = {}
        with without_autocast(image.device) if self.full_precision else nullcontext():
            x = (image.to(self.shift.dtype) - self.shift) / self.scale
            for index, layer in enumerate(self.trunk):
                x = layer(x)
                found[index] = x
        return {tap: found[index] for tap, index in self.taps.items()}


class PlainStyleLoss(StyleLoss):
    """Style loss that differentiates both factors of a product of features."""

    def forward(self, pred: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the distance of the Gram matrices."""
        distance = torch.zeros((), device=pred[self.taps[0]].device)
        for tap in self.taps:
            ours, theirs = (side[tap].flatten(2) for side in (pred, target))
            size = ours.shape[1] * ours.shape[2]
            distance = distance + (ours @ ours.mT / size - theirs @ theirs.mT / size).abs().mean()
        return distance


class PlainSpectralConv2d(SpectralConv2d):
    """Quotient of the weight and its norm that autograd differentiates."""

    @property
    def normalized_weight(self) -> Tensor:
        """The weight divided by its spectral norm."""
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return self.weight_orig / torch.dot(u, torch.mv(self.weight_orig.flatten(1), v))


class PlainOutputConv2d(OutputConv2d):
    """Ordinary convolution."""

    forward = nn.Conv2d.forward


def unfold_norms(features: ADE20KFeatures) -> None:
    """Put batch norms that change nothing where those of the trained network are."""
    widths: dict[str, int] = {}
    for block in list(features.trunk.modules()):
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Conv2d):
                widths = {name.replace("conv", "bn") if name.startswith("conv") else "1": layer.out_channels}
            elif isinstance(layer, nn.Identity):
                norm = nn.BatchNorm2d(widths[name]).to(features.shift).requires_grad_(False).eval()
                norm.weight.fill_((1 + norm.eps) ** 0.5)
                block.add_module(name, norm)


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    FourierUnit: PlainFourierUnit,
    SpectralTransform: PlainSpectralTransform,
    FFC: PlainFFC,
    SelfPatchAttention: PlainAttention,
    VGGFeatures: PlainVGGFeatures,
    OutputConv2d: PlainOutputConv2d,
    SpectralConv2d: PlainSpectralConv2d,
    StyleLoss: PlainStyleLoss,
}


def as_released(module: nn.Module) -> None:
    """Let the layers of a training module and its losses compute as in the released code, with the same parameters."""
    for layer in module.modules():
        if isinstance(layer, ADE20KFeatures):
            unfold_norms(layer)
        plain = PLAIN.get(type(layer))
        if plain is not None:
            layer.__class__ = plain
