"""A model that can be given in any convention, and files of it."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

from inpaint_zoo.benchmark.convention import Convention


class Outside(nn.Module):
    """Fills each hole pixel with the mean of the known pixels in a window, times another factor for each channel.

    It takes and returns images in ``convention``, and its result is composited. What it computes is the same in every
    convention.
    """

    factors = (0.9, 0.6, 0.3)

    def __init__(self, convention=None, returned=None):
        super().__init__()
        self.convention = convention or Convention()
        self.returned = returned or self.convention.output_range
        self.shapes = []

    def forward(self, *arguments):
        c = self.convention
        self.shapes.append(tuple(arguments[0].shape))
        parts = {}
        for names, x in zip(c.inputs, arguments, strict=True):
            x = x.permute(0, 3, 1, 2) if c.layout == "channels_last" else x
            order = names.split("+")
            sizes = {"image": 3, "mask": c.mask_channels}
            parts |= dict(zip(order, x.split([sizes[name] for name in order], 1), strict=True))
        image = parts["image"].flip(1) if c.channels == "bgr" else parts["image"]
        low, high = c.range
        image = (image - low) / (high - low)
        known = 1 - (parts["mask"][:, :1] - c.mask_known) / (c.mask_hole - c.mask_known)
        filled = fill(image, known)
        low, high = self.returned
        out = filled * (high - low) + low
        out = out.flip(1) if c.channels == "bgr" else out
        return out.permute(0, 2, 3, 1) if c.layout == "channels_last" else out


def fill(image, known):
    """Return what `Outside` computes, for an image in [0, 1] and its known pixels."""
    share = F.avg_pool2d(known, 31, 1, 15)
    mean = F.avg_pool2d(image * known, 31, 1, 15) / share.clamp(min=1e-3)
    pred = mean * torch.tensor(Outside.factors).reshape(1, 3, 1, 1)
    return torch.where(known > 0.5, image, pred)


class TwoArguments(nn.Module):
    """A module with named arguments, for files."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, image, mask):
        return self.module(image, mask)


def sample(size=(64, 64)):
    """Return a smooth image (1, 3, H, W) in [0, 1] and a hole (1, 1, H, W) away from the border."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size[0]), torch.linspace(0, 1, size[1]), indexing="ij")
    image = torch.stack([0.2 + 0.6 * x, 0.1 + 0.8 * y, 0.9 - 0.4 * x * y])[None]
    hole = torch.zeros(1, 1, *size)
    hole[..., 24:40, 20:44] = 1
    return image, hole


def write_torchscript(path, module, size=(64, 64)):
    """Write a module of image and mask as a TorchScript file."""
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        torch.jit.trace(module, sample(size), check_trace=False).save(str(path))
    return path


def write_exported(path, module, size=(64, 64)):
    """Write a module of image and mask as a program of torch.export."""
    with torch.no_grad():
        torch.export.save(torch.export.export(module, sample(size)), path)
    return path


def write_onnx(path, module, size=(64, 64), names=("image", "mask")):
    """Write a module of image and mask as an ONNX file; the exporter of TorchScript needs no further packages."""
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        torch.onnx.export(module, sample(size), str(path), dynamo=False, input_names=list(names))
    return path
