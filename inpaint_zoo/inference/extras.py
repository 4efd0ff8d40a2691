"""Additional outputs of a model beside its result: its passes, feature maps of its branches, and its attention."""

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
from inpaint_zoo.inference.batch import Bytes, Filler, Levels, running, to_levels, to_tensors
from inpaint_zoo.inference.branches import branch_sheet
from inpaint_zoo.inference.inpaint import check_finite, fill_bytes, keep_gray
from inpaint_zoo.inference.optimize import OptimizedNetwork, fast_form
from inpaint_zoo.inference.strategy import AnySize
from inpaint_zoo.io.animation import write_gif
from inpaint_zoo.io.images import DecodedImage, write_image
from inpaint_zoo.io.names import exists
from inpaint_zoo.io.pixels import eight_bits
from inpaint_zoo.ops import crop_to

__all__ = ["Extras", "FrameFormat", "HasAttention", "HasBranches", "HasFrames", "Painted", "paint"]

FrameFormat = Literal["png", "gif"]

PASS, PASSES, BRANCHES, ATTENTION = "_pass_{:02d}.png", "_passes.gif", "_branches.png", "_attention.png"


@runtime_checkable
class HasFrames(Protocol):
    """A model that fills the hole in several passes; see `Progressive.frames`."""

    def frames(self, image: Tensor, mask: Tensor) -> list[list[Frame]]:
        """Return the passes of each sample."""


@runtime_checkable
class HasBranches(Protocol):
    """A model that can return feature maps of its branches."""

    def branches(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return feature maps (B, C, h, w) by name; names `<column>_<row>`, such as `phase_1_high`, form a table."""


@runtime_checkable
class HasAttention(Protocol):
    """A model whose attention copies features from other positions; see `AttendingNetwork`."""

    @property
    def attention_place(self) -> int:
        """Height and width of one attention position in pixels."""

    def attention_offsets(self, image: Tensor, mask: Tensor, *, hole_fill: Tensor | None = None) -> Tensor:
        """Return (B, 2, h, w): row and column offset, in positions, of the patch with the largest attention weight."""


class Painted(NamedTuple):
    """Outputs for one image: the result (H, W, 3), its passes (N, H, W, 3), and sheets by file name suffix."""

    result: Levels
    passes: Levels | None = None
    sheets: Mapping[str, Bytes] = MappingProxyType({})


class Extras(NamedTuple):
    """Which files to write beside each result.

    Attributes:
        frames: "png" writes each pass as `<stem>_pass_01.png` and so on, "gif" writes one `<stem>_passes.gif`, None
            writes no passes.
        branches: Write a sheet of feature maps, `<stem>_branches.png`.
        attention: Write a sheet of the attention, `<stem>_attention.png`.
    """

    frames: FrameFormat | None = None
    branches: bool = False
    attention: bool = False

    def check(self, net: Filler, name: str) -> None:
        """Check that the model supports the requested outputs.

        Raises:
            ZooError: If it does not. The message names the option and a model that supports it.
        """
        if self.frames and not isinstance(net, HasFrames):
            raise ZooError(f"--frames: '{name}' fills in one pass; `--model progressive:{name}` uses several.")
        if self.branches and not isinstance(net, HasBranches):
            raise ZooError(f"--branches: '{name}' has no branches to show; ISNet has, e.g. `--model isnet`.")
        if self.attention and not isinstance(net, HasAttention):
            raise ZooError(f"--attention: '{name}' has no attention to show; `--model contextual_attention` has.")

    def complete(self, target: Path) -> bool:
        """Return whether all additional files of the result ``target`` exist."""
        return all(exists(_beside(target, ending)) for ending in self._endings())

    def base(self, path: Path) -> Path | None:
        """Return the result path, without suffix, that the additional file ``path`` belongs to, or None."""
        pattern = "|".join(re.escape(ending).replace("01", r"\d{2,}") for ending in self._endings())
        found = re.fullmatch(f"(.+)({pattern})", path.name) if pattern else None
        return path.with_name(found[1]) if found else None

    def write(self, target: Path, painted: Painted, image: DecodedImage, alpha: Levels | None, fresh: bool) -> None:
        """Write the additional files of ``target``.

        Args:
            target: The result's path.
            painted: The outputs.
            image: The input image. Images of passes get its color profile, and are gray if it is.
            alpha: Alpha channel of the passes, of their dtype.
            fresh: Overwrite existing files, and delete images of surplus passes from an earlier run.

        Raises:
            ImageError: If an image cannot be encoded, as in `write_image`.
            OSError: If a file cannot be written.
        """

        def wanted(ending: str) -> Path | None:
            path = _beside(target, ending)
            return path if fresh or not exists(path) else None

        for ending, sheet in painted.sheets.items():
            if path := wanted(ending):
                write_image(path, sheet)
        if painted.passes is None:
            return
        if self.frames == "gif" and (path := wanted(PASSES)):
            write_gif(path, eight_bits(painted.passes))
        if self.frames == "png":
            if fresh:
                _remove_beyond(target, len(painted.passes))
            for number in range(len(painted.passes), 0, -1):  # the first one is written last: if it exists, all do
                if path := wanted(PASS.format(number)):
                    rgb, profile = painted.passes[number - 1], image.icc_profile
                    write_image(path, rgb, alpha, icc_profile=profile, gray=image.gray)

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


def paint(filler: AnySize, images: Levels, holes: NDArray[np.bool_], extras: Extras) -> list[Painted]:
    """Fill a batch of images and compute the outputs requested by `extras`; the model has passed `Extras.check`.

    Args:
        filler: The model and its strategy. Passes, feature maps and attention are those of the whole image.
        images: (B, H, W, 3) uint8 or uint16.
        holes: (B, H, W) bool, True = hole.
        extras: The requested outputs; they do not change the result.
    """
    net = filler.net
    if extras.frames:
        painted = [Painted(each[-1], each) for each in _passes(fast_form(net), images, holes)]
    else:
        painted = [Painted(result) for result in fill_bytes(filler, images, holes)]
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
    images: Levels,
    holes: NDArray[np.bool_],
    title: str,
) -> list[Painted]:
    rows = zip(painted, shown, eight_bits(images), holes, strict=True)
    return [
        each._replace(sheets={**each.sheets, ending: draw(what, image, hole, eight_bits(each.result), title)})
        for each, what, image, hole in rows
    ]


def _passes(net: Filler, images: Levels, holes: NDArray[np.bool_]) -> list[Levels]:
    image, hole = to_tensors(images, holes)
    size = (image.shape[-2], image.shape[-1])
    inner = net.network if isinstance(net, OptimizedNetwork) else net
    with running(net, image, hole) as (x, mask):
        assert isinstance(inner, HasFrames)
        samples = inner.frames(x, mask)
    found = []
    for k, frames in enumerate(samples):
        filled = crop_to(torch.stack([frame.image for frame in frames]), size).cpu()
        target, part = image[k : k + 1].expand_as(filled), hole[k : k + 1].expand(len(filled), 1, *size)
        check_finite(filled[-1:], part[-1:])
        found.append(to_levels(keep_gray(filled, target, part), images))
    return found


def _branches(net: Filler, images: Levels, holes: NDArray[np.bool_]) -> list[dict[str, Tensor]]:
    """Return the feature maps (C, h, w) of each image."""
    image, hole = to_tensors(images, holes)
    assert isinstance(net, HasBranches)
    with running(net, image, hole) as (x, mask):
        maps = {name: each.float().cpu() for name, each in net.branches(x, mask).items()}
    return [{name: each[k] for name, each in maps.items()} for k in range(len(images))]


def _offsets(net: Filler, images: Levels, holes: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the attention offsets of each image, (2, h, w)."""
    image, hole = to_tensors(images, holes)
    assert isinstance(net, HasAttention)
    with running(net, image, hole) as (x, mask):
        return list(net.attention_offsets(x, mask).cpu().numpy())
