"""Wide 3x3 convolutions by Winograd's filtering while a module trains on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from inpaint_zoo.ops import winograd
from inpaint_zoo.training.phases import Batch

__all__ = ["FastConvolutions", "WinogradMode"]

MIN_POSITIONS = 512  # of an output in all images; with fewer, transforming weights that change takes too long
MIN_FOR_WEIGHTS = 4096  # for the gradient of the weights, whose transform reads and writes four times as many values


class FastConvolutions(Callback):
    """Callback that computes wide 3x3 convolutions of training steps by Winograd's filtering, on a CPU in float32.

    A convolution and its gradients then need a quarter of the multiplications. This concerns the trained networks and
    those of the losses, such as VGG. Rounding errors are up to eight times those of direct convolutions, so a run with
    this callback equals one without it up to rounding. Validation and tests use direct convolutions. On other devices
    and under autocast, the callback changes nothing.
    """

    def __init__(self) -> None:
        self._mode: WinogradMode | None = None
        self._runs = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which weights are trained."""
        groups = (group for optimizer in trainer.optimizers for group in optimizer.param_groups)
        self._mode = WinogradMode(parameter for group in groups for parameter in group["params"])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Start to compute convolutions by Winograd's filtering."""
        if self._mode is not None and pl_module.device.type == "cpu":
            self._mode.__enter__()  # type: ignore[no-untyped-call]
            self._runs = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Return to direct convolutions."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Return to direct convolutions."""
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Free the transformed kernels."""
        self._mode = None

    def _stop(self) -> None:
        if self._mode is not None and self._runs:
            self._mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._runs = False


class WinogradMode(TorchFunctionMode):
    """Context in which convolutions are computed by Winograd's filtering where that is estimated to be faster.

    See `ops.winograd.is_worthwhile`. The kernels of weights that are not trained are transformed once.

    Args:
        trained: Weights that change between the steps.
    """

    def __init__(self, trained: Iterable[Tensor]) -> None:
        super().__init__()
        self._trained = {id(parameter) for parameter in trained}
        self._constant: dict[int, tuple[Tensor, Tensor]] = {}  # by id: the weight, which keeps its id, and its kernels

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Call ``func``, or compute its convolution."""
        if func is not F.conv2d or kwargs or len(args) != 7:
            return func(*args, **(kwargs or {}))
        if not self._applies(*args):
            return func(*_in_layout_of_weight(*args))
        x, weight, bias, _, padding, dilation, _ = args
        out = cast(
            Tensor,
            _Convolution.apply(x, weight, self._kernels(weight), padding, dilation[0]),  # type: ignore[no-untyped-call]
        )
        return out if bias is None else out + bias[:, None, None]

    def _applies(self, x: Tensor, weight: Tensor, bias: Tensor | None, *shape: Any) -> bool:
        """Return whether a call of `F.conv2d` with these arguments is computed by Winograd's filtering."""
        if torch.is_autocast_enabled("cpu") or not winograd.applies(x, weight, *shape):
            return False
        _stride, padding, dilation, _groups = shape
        height, width = winograd.output_size(x, padding, dilation[0])
        return self._is_constant(weight) or len(x) * height * width >= MIN_POSITIONS

    def _is_constant(self, weight: Tensor) -> bool:
        return weight.is_leaf and not weight.requires_grad and id(weight) not in self._trained

    def _kernels(self, weight: Tensor) -> Tensor:
        if not self._is_constant(weight):
            return winograd.transform_kernels(weight.detach(), torch.float32)
        if id(weight) not in self._constant:
            self._constant[id(weight)] = weight, winograd.transform_kernels(weight.detach())
        return self._constant[id(weight)][1]


def _in_layout_of_weight(x: Tensor, weight: Tensor, *others: Any) -> tuple[Any, ...]:
    """Return the arguments of a direct convolution, with an input that is smaller than the weight in its layout.

    Winograd's filtering gives channels-last results. PyTorch would convert the weight to their layout in each pass.
    """
    if weight.numel() > x.numel() and weight.is_contiguous():
        x = x.contiguous()
    return x, weight, *others


class _Convolution(torch.autograd.Function):
    """Convolution (x, weight, transformed kernels, padding, dilation) without bias."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:  # noqa: ANN401 - as PyTorch declares it
        x, weight, kernels, ctx.padding, ctx.dilation = args
        ctx.save_for_backward(x, weight, kernels)
        return winograd.convolve(x, kernels, None, ctx.padding, ctx.dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: ANN401 - as PyTorch declares it
        (grad,) = grads
        x, weight, kernels = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        again = torch.is_grad_enabled()  # for a gradient penalty, whose gradient PyTorch's own operator has
        fast_x = needs_x and not again
        fast_weight = needs_weight and not again and grad[:, 0].numel() >= MIN_FOR_WEIGHTS
        of_x = of_weight = None
        if fast_x or fast_weight:
            shape = (ctx.padding, ctx.dilation)
            of_x, of_weight = winograd.gradients(grad, x, kernels, *shape, of_input=fast_x, of_weight=fast_weight)
        if (needs_x and not fast_x) or (needs_weight and not fast_weight):
            direct = torch.ops.aten.convolution_backward
            form = ([1, 1], list(ctx.padding), [ctx.dilation] * 2, False, [0, 0], 1)
            mask = [needs_x and not fast_x, needs_weight and not fast_weight, False]
            direct_x, direct_weight, _ = direct(grad, x, weight, None, *form, mask)
            of_x, of_weight = of_x if fast_x else direct_x, of_weight if fast_weight else direct_weight
        return of_x, of_weight, None, None, None
