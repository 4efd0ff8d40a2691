"""Which blocks of a network run in which order, the shapes of their outputs, and what each of them reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree
from torch.utils.weak import WeakTensorKeyDictionary

from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["IMAGE", "MASK", "TIMES", "Block", "trace"]

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
RESIZING = (nn.Upsample, nn.MaxPool2d)
NORMS = {"BatchNorm2d", "InstanceNorm2d", "LayerNorm", "Noise"}  # what follows a convolution belongs to its block
IMAGE, MASK = -1, -2  # sources that are no blocks
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass
class Block:
    """One block of a network, or several equal ones in a row.

    Attributes:
        path: Name in the network, such as `phases.0.inpainting`.
        group: Name of the part of the network that it belongs to; empty for the network itself.
        kind: Name of its class, or of its convolution.
        detail: Kernel size, stride and dilation, if it has one convolution.
        shapes: (channels, height, width) of its output; several, if it returns feature maps of several sizes. Channels
            of feature maps of one size are added up.
        parameters: Number of its parameters.
        sources: Positions of the blocks whose outputs it reads, or `IMAGE` and `MASK`.
        times: Number of equal blocks in a row.
    """

    path: str
    group: str
    kind: str
    detail: str
    shapes: tuple[tuple[int, int, int], ...]
    parameters: int
    sources: set[int] = field(default_factory=set)
    times: int = 1


class _Sources(TorchFunctionMode):
    """Keeps, for each tensor, the blocks that it was computed from."""

    def __init__(self) -> None:
        super().__init__()
        self.of = WeakTensorKeyDictionary()

    def read(self, values: object) -> set[int]:
        """Return the blocks that tensors in nested values come from."""
        tensors = [value for value in _pytree.tree_leaves(values) if isinstance(value, Tensor)]
        return set().union(*(self.of.get(tensor, set()) for tensor in tensors))

    def write(self, values: object, sources: set[int]) -> None:
        """State the blocks that tensors in nested values come from."""
        for value in _pytree.tree_leaves(values):
            if isinstance(value, Tensor):
                self.of[value] = set(sources)

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run a function of PyTorch; its results come from the blocks that its arguments come from."""
        result = func(*args, **(kwargs or {}))
        sources = self.read((args, kwargs))
        if sources:
            self.write(args[0] if result is None and args else result, sources)  # None: an assignment to args[0]
        return result


def _opens(module: nn.Module, opened: set[str]) -> bool:
    """Return whether the blocks inside a module are shown instead of the module."""
    if type(module).__name__ in opened:
        return True
    children = list(module.children())
    convolutions = sum(isinstance(child, CONVOLUTIONS) for child in children)
    return isinstance(module, CONTAINERS) and (convolutions != 1 or len(children) > 3)


def _blocks(
    module: nn.Module, opened: set[str], path: str = "", group: str = ""
) -> Iterator[tuple[str, str, nn.Module]]:
    """Yield (path, group, module) of the blocks that are shown."""
    for name, child in module.named_children():
        below = f"{path}.{name}" if path else name
        if _opens(child, opened):
            inside = group if isinstance(child, CONTAINERS) else f"{below}: {type(child).__name__}"
            yield from _blocks(child, opened, below, inside)
        elif _computes(child) or "Attention" in type(child).__name__:
            yield below, group, child


def _computes(module: nn.Module) -> bool:
    """Return whether a module has parameters or changes the resolution."""
    return any(True for _ in module.parameters()) or isinstance(module, RESIZING)


def _described(module: nn.Module) -> tuple[str, str]:
    """Return the kind of a block, and its convolution if it has exactly one."""
    convolutions = [part for part in module.modules() if "Conv" in type(part).__name__ and hasattr(part, "kernel_size")]
    kind = type(module).__name__.removeprefix("_")
    if isinstance(module, nn.Sequential):
        named = [type(part).__name__ for part in module if _computes(part)]
        kind = ", ".join(dict.fromkeys(name for name in named if name not in NORMS))
    if len(convolutions) != 1 or not ("Conv" in kind or kind.endswith(("Block", "Act"))):
        return kind, ""
    (convolution,) = convolutions
    height, width = convolution.kernel_size
    detail = f"{height}{TIMES}{width}"
    for value, word in ((convolution.stride[0], "stride"), (convolution.dilation[0], "dilation")):
        detail += f", {word} {value}" if value > 1 else ""
    return kind, detail


def trace(net: InpaintingNetwork, size: int, opened: set[str], **options: Any) -> list[Block]:
    """Return the blocks of a network in the order in which they run on an image, without computing values.

    Args:
        net: Network on the meta device.
        size: Height and width of the image in pixels.
        opened: Names of classes whose parts are shown instead of them.
        options: Options of `predict`.
    """
    blocks: list[Block] = []
    tags = _Sources()

    def end(path: str, group: str, module: nn.Module, args: object, kwargs: object, output: object) -> None:
        kind, detail = _described(module)
        channels: dict[tuple[int, int], int] = {}
        for value in _pytree.tree_leaves(output):
            if isinstance(value, Tensor):
                height, width = value.shape[-2:]
                channels[height, width] = channels.get((height, width), 0) + value.shape[1]
        shapes = tuple((number, *size) for size, number in channels.items())
        parameters = sum(parameter.numel() for parameter in module.parameters())
        sources = tags.read((args, kwargs))
        blocks.append(Block(path, group, kind, detail, shapes, parameters, sources))
        tags.write(output, {len(blocks) - 1})

    for path, group, module in _blocks(net, opened):
        hook = functools.partial(end, path, group)
        module.register_forward_hook(hook, with_kwargs=True)
    image, mask = torch.zeros(1, 3, size, size, device="meta"), torch.zeros(1, 1, size, size, device="meta")
    tags.write(image, {IMAGE})
    tags.write(mask, {MASK})
    with torch.no_grad(), tags:
        net.predict(image, mask, **options)
    return _merged(blocks)


def _equal(blocks: Block, block: Block) -> bool:
    """Return whether a block is like those that are shown as one."""
    shown, other = ((each.group, each.kind, each.detail, each.shapes) for each in (blocks, block))
    return shown == other and blocks.parameters == block.parameters * blocks.times


def _merged(blocks: list[Block]) -> list[Block]:
    """Return the blocks, with equal ones in a row as one, and norms as parts of their convolutions."""
    merged: list[Block] = []
    place: dict[int, int] = {IMAGE: IMAGE, MASK: MASK}
    read = [sum(index in block.sources for block in blocks) for index in range(len(blocks))]
    for index, block in enumerate(blocks):
        last = merged[-1] if merged else None
        follows = last is not None and block.sources == {index - 1} and read[index - 1] == 1
        if follows and block.kind in NORMS:
            last.parameters += block.parameters
        elif follows and _equal(last, block):
            last.times += 1
            last.parameters += block.parameters
        else:
            sources = {place[source] for source in block.sources}
            merged.append(Block(**{**vars(block), "sources": sources}))
        place[index] = len(merged) - 1
    return merged
