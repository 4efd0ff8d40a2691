"""What a model can show beside its result: its passes, maps of its branches, where its attention copies from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaint_zoo.combinators import Frame
from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.attention import attention_sheet
from inpaint_zoo.inference.branches import branch_sheet
from inpaint_zoo.inference.inpaint import (
    Bytes,
    Filler,
    check_finite,
    fill_bytes,
    keep_grey,
    paste,
    running,
    to_tensors,
)
from inpaint_zoo.inference.optimize import OptimizedNetwork
from inpaint_zoo.io.animation import write_gif
from inpaint_zoo.io.names import exists
from inpaint_zoo.io.pictures import Picture, write_picture
from inpaint_zoo.ops import crop_to

__all__ = ["Extras", "FrameFormat", "HasAttention", "HasBranches", "HasFrames", "Painted", "paint"]

FrameFormat = Literal["png", "gif"]

PASS, PASSES, BRANCHES, ATTENTION = "_pass_{:02d}.png", "_passes.gif", "_branches.png", "_attention.png"


@runtime_checkable
class HasFrames(Protocol):
    """A model that fills in several passes; see `Progressive.frames`."""

    def frames(self, image: Tensor, mask: Tensor) -> list[list[Frame]]:
        """The passes of each sample."""


@runtime_checkable
class HasBranches(Protocol):
    """A model with feature maps to look at."""

    def branches(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Maps (B, C, h, w) by name, `<column>_<row>` where they stand in a table, such as `phase_1_high`."""


@runtime_checkable
class HasAttention(Protocol):
    """A model whose attention copies from somewhere; see `AttendingNetwork`."""

    @property
    def attention_place(self) -> int:
        """Side of a place in pixels."""

    def attention_offsets(self, image: Tensor, mask: Tensor, *, filling: Tensor | None = None) -> Tensor:
        """(B, 2, h, w), how many places further, in rows and columns, the patch lies that weighs most in each place."""


class Painted(NamedTuple):
    """What was made of one photograph: the result (H, W, 3), each pass (N, H, W, 3), sheets by their file's ending."""

    result: Bytes
    passes: Bytes | None = None
    sheets: Mapping[str, Bytes] = MappingProxyType({})


class Extras(NamedTuple):
    """Which files are written beside each result.

    Attributes:
        frames: Each pass, as `<stem>_pass_01.png` and so on, as one `<stem>_passes.gif`, or not at all.
        branches: Whether there is a sheet of feature maps, `<stem>_branches.png`.
        attention: Whether there is one of the attention, `<stem>_attention.png`.
    """

    frames: FrameFormat | None = None
    branches: bool = False
    attention: bool = False

    def check(self, net: Filler, name: str) -> None:
        """Refuse a model that has not what is asked for.

        Raises:
            ZooError: Names the option and the way out.
        """
        if self.frames and not isinstance(net, HasFrames):
            raise ZooError(f"--frames: '{name}' fills in one pass; `--model progressive:{name}` takes several.")
        if self.branches and not isinstance(net, HasBranches):
            raise ZooError(f"--branches: '{name}' has no branches to show; ISNet has, e.g. `--model isnet`.")
        if self.attention and not isinstance(net, HasAttention):
            raise ZooError(f"--attention: '{name}' has no attention to show; `--model contextual_attention` has.")

    def complete(self, target: Path) -> bool:
        """Whether all that stands beside the result ``target`` is there."""
        return all(exists(_beside(target, ending)) for ending in self._endings())

    def base(self, path: Path) -> Path | None:
        """The result, without its ending, beside which a file called ``path`` would stand; None if it would nowhere."""
        pattern = "|".join(re.escape(ending).replace("01", r"\d{2,}") for ending in self._endings())
        found = re.fullmatch(f"(.+)({pattern})", path.name) if pattern else None
        return path.with_name(found[1]) if found else None

    def write(self, target: Path, painted: Painted, picture: Picture, fresh: bool) -> None:
        """Write what stands beside ``target``.

        Args:
            target: The result's file.
            painted: What was made.
            picture: The photograph; images of passes have its alpha, its colour profile, and are grey if it is.
            fresh: Files that exist are written again, and pictures of more passes than there are now go.

        Raises:
            PictureError: As `write_picture`.
            OSError: ...
        """

        def wanted(ending: str) -> Path | None:
            path = _beside(target, ending)
            return path if fresh or not exists(path) else None

        for ending, sheet in painted.sheets.items():
            if path := wanted(ending):
                write_picture(path, sheet)
        if painted.passes is None:
            return
        if self.frames == "gif" and (path := wanted(PASSES)):
            write_gif(path, painted.passes)
        if self.frames == "png":
            if fresh:
                _remove_beyond(target, len(painted.passes))
            for number in range(len(painted.passes), 0, -1):  # where the first one is, the others are
                if path := wanted(PASS.format(number)):
                    rgb, profile = painted.passes[number - 1], picture.icc_profile
                    write_picture(path, rgb, picture.alpha, icc_profile=profile, grey=picture.grey)

    def _endings(self) -> list[str]:
        frames = {"png": [PASS.format(1)], "gif": [PASSES], None: []}[self.frames]
        return frames + [BRANCHES] * self.branches + [ATTENTION] * self.attention


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(target.stem + ending)


def _remove_beyond(target: Path, passes: int) -> None:
    number = passes + 1
    while exists(path := _beside(target, PASS.format(number))):
        path.unlink()
        number += 1


def paint(net: Filler, images: Bytes, holes: NDArray[np.bool_], extras: Extras) -> list[Painted]:
    """Fill a batch of pictures, and make what `extras` asks for; ``net`` has passed `Extras.check`.

    Args:
        net: As `fill_bytes` takes it.
        images: (B, H, W, 3) uint8.
        holes: (B, H, W) bool, True = hole.
        extras: The result is the same whatever they are.
    """
    if extras.frames:
        passes = _passes(net, images, holes)
        painted = [Painted(each[-1], each) for each in passes]
    else:
        painted = [Painted(result) for result in fill_bytes(net, images, holes)]
    title = str(getattr(getattr(net, "origin", None), "name", type(net).__name__))
    if extras.branches:
        painted = _with_sheets(painted, BRANCHES, branch_sheet, _branches(net, images, holes), images, holes, title)
    if extras.attention:
        draw = partial(attention_sheet, place=cast(HasAttention, net).attention_place)
        painted = _with_sheets(painted, ATTENTION, draw, _offsets(net, images, holes), images, holes, title)
    return painted


def _with_sheets(
    painted: list[Painted],
    ending: str,
    draw: Callable[[Any, Bytes, NDArray[np.bool_], Bytes, str], Bytes],
    shown: Sequence[object],
    images: Bytes,
    holes: NDArray[np.bool_],
    title: str,
) -> list[Painted]:
    rows = zip(painted, shown, images, holes, strict=True)
    return [
        each._replace(sheets={**each.sheets, ending: draw(what, image, hole, each.result, title)})
        for each, what, image, hole in rows
    ]


def _passes(net: Filler, images: Bytes, holes: NDArray[np.bool_]) -> list[Bytes]:
    image, hole = to_tensors(images, holes)
    size = (image.shape[-2], image.shape[-1])
    with running(net, image.float() / 255, hole) as (model, x, mask):
        inner = model.network if isinstance(model, OptimizedNetwork) else model
        assert isinstance(inner, HasFrames)
        samples = inner.frames(x, mask)
    found = []
    for k, frames in enumerate(samples):
        filled = crop_to(torch.stack([frame.image for frame in frames]), size).cpu()
        truth, part = image[k : k + 1].expand_as(filled), hole[k : k + 1].expand(len(filled), 1, *size)
        check_finite(filled[-1:], part[-1:])
        found.append(paste(keep_grey(filled, truth, part), truth, part))
    return found


def _branches(net: Filler, images: Bytes, holes: NDArray[np.bool_]) -> list[dict[str, Tensor]]:
    """Of each picture its maps (C, h, w), by the network as it is: layers of its fast form may be others."""
    image, hole = to_tensors(images, holes)
    assert isinstance(net, HasBranches)
    with running(net, image.float() / 255, hole) as (_, x, mask):
        maps = {name: each.float().cpu() for name, each in net.branches(x, mask).items()}
    return [{name: each[k] for name, each in maps.items()} for k in range(len(images))]


def _offsets(net: Filler, images: Bytes, holes: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Of each picture (2, h, w)."""
    image, hole = to_tensors(images, holes)
    assert isinstance(net, HasAttention)
    with running(net, image.float() / 255, hole) as (_, x, mask):
        return list(net.attention_offsets(x, mask).cpu().numpy())
