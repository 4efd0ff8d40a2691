"""Optimize a network for inference without changing its outputs."""

from __future__ import annotations

import copy
import warnings
from contextlib import ExitStack
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.inference.batch import Filler
from inpaint_zoo.inference.fusion import fuse
from inpaint_zoo.inference.fusion.onednn import PackedConvolution, has_bfloat16
from inpaint_zoo.interfaces import InpaintingNetwork, check_network

__all__ = ["OptimizedNetwork", "Precision", "fast_form", "optimize"]

Precision = Literal["fp32", "bf16"]
PIXELS = 2**16  # pixels of the images that a CPU processes at once: the feature maps of more leave its caches


class OptimizedNetwork(InpaintingNetwork):
    """Frozen copy of a network in its fast form and a given precision, for inference only; same contract.

    Normalization layers are folded into convolutions, layers are replaced by their inference forms (see
    `inference.fusion`), and weights use the channels-last memory format.

    Args:
        network: The network to copy; it is not changed.
        precision: "fp32"; or "bf16": convolutions in bfloat16, other operations under autocast. Operations that a
            network keeps in float32 under autocast (FFT) stay in float32.
        compiled: Compile `predict` with torch.compile.
    """

    def __init__(self, network: InpaintingNetwork, precision: Precision, compiled: bool = False) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        fuse(self.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        if precision == "bf16":
            _to_bfloat16(self.network)
        if compiled:
            # bypasses nn.Module's registration, so that the state-dict names stay the same
            object.__setattr__(self.network, "predict", torch.compile(self.network.predict))
        self.precision = precision
        self.origin = network.origin

    def _inference(self, device: torch.device) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"))
        return stack

    def stages(self, image: Tensor, mask: Tensor, **options: Any) -> dict[str, Tensor]:
        """Return the network's stages, computed without gradients."""
        with self._inference(image.device):
            return self.network.stages(image, mask, **options)

    def forward(self, image: Tensor, mask: Tensor, **options: Any) -> Tensor:
        """Return the network's output, computed without gradients.

        A CPU processes large images one after the other. A network that draws random noise then draws other numbers
        than for the batch, from the same distribution.
        """
        with self._inference(image.device):
            count = max(1, PIXELS // max(1, image.shape[-2] * image.shape[-1])) if image.ndim == 4 else 0
            if options or image.device.type != "cpu" or torch.compiler.is_compiling() or not 0 < count < len(image):
                return self.network(image, mask, **options)
            self.network.check(image, mask, None)  # of the whole batch, so that errors state its shape
            pairs = zip(torch.split(image, count), torch.split(mask, count), strict=True)
            return torch.cat([self.network(part, hole) for part, hole in pairs])

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the network's raw predictions."""
        return self.network.predict(image, mask)


def _to_bfloat16(module: nn.Module) -> None:
    """Convert the weights of convolutions and linear layers to bfloat16, in place.

    A module whose attribute ``full_precision`` is True keeps its dtype, including all its submodules.
    """
    if getattr(module, "full_precision", False):
        return
    if isinstance(module, PackedConvolution | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        module.to(torch.bfloat16)
    for child in module.children():
        _to_bfloat16(child)


def optimize(
    net: InpaintingNetwork, precision: Precision | Literal["auto"] = "fp32", compiled: bool = False
) -> InpaintingNetwork:
    """Return a faster network with the same outputs; the given network is not changed.

    Args:
        net: Any network.
        precision: "fp32" for equal outputs up to rounding, "bf16" for speed on devices that have instructions for it.
            On a CPU without them, "bf16" is about ten times slower than "fp32", and a warning says so. "auto" selects
            "bf16" if the device of the network has these instructions, else "fp32".
        compiled: Also use torch.compile. It takes about a minute for each new size and is worth it on a GPU.

    Raises:
        UnknownNameError: If ``precision`` is not one of these.
        ZooError: If ``net`` is not a network.
    """
    check_network("net", net)
    allowed = ("auto", *get_args(Precision))
    if precision not in allowed:
        raise unknown_name("precision", precision, allowed)
    first = next(net.parameters(), None)
    if first is None:
        return net
    fast = has_bfloat16(first.device)
    if precision == "bf16" and not fast:
        warnings.warn(
            f"This {first.device.type.upper()} has no bfloat16 instructions, so precision 'bf16' is about ten times "
            "slower than 'fp32'. Use 'auto' or 'fp32'.",
            stacklevel=2,
        )
    chosen: Precision = ("bf16" if fast else "fp32") if precision == "auto" else precision
    return OptimizedNetwork(net, chosen, compiled)


_fast_forms: WeakKeyDictionary[nn.Module, tuple[object, InpaintingNetwork]] = WeakKeyDictionary()


def fast_form(net: Filler) -> Filler:
    """Return `optimize(net)`, cached as long as the weights of ``net`` are unchanged and at the same memory addresses.

    Returned as they are: functions, optimized networks, and networks in training mode, whose weights are about to
    change.
    """
    if not isinstance(net, InpaintingNetwork) or net.training or isinstance(net, OptimizedNetwork):
        return net
    values = (*net.parameters(), *net.buffers())
    weights = tuple((value.data_ptr(), 0 if value.is_inference() else value._version) for value in values)
    found = _fast_forms.get(net)
    if found is None or found[0] != weights:
        found = _fast_forms[net] = (weights, optimize(net))
    return found[1]
