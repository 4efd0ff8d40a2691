"""What the kinds that read folders share: listing, content identity, pairing, polarity, flips (specs/masks.md, 9)."""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import hashlib
import warnings
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_file
from inpaint_zoo.io.listing import list_pictures
from inpaint_zoo.io.pictures import read_picture
from inpaint_zoo.masks.args import option, text
from inpaint_zoo.masks.draws import Draws
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning
from inpaint_zoo.masks.kind import Canvases, Kind, Mask, Notes, Size
from inpaint_zoo.masks.read import binarise, grey_share, luminance

__all__ = ["Folder", "MaskFolder", "corner", "read_grey"]

_GREY = 0.001
_SLOTS = 8  # file, hflip, vflip, rot90, angle, dilation or kernel side, crop row, crop column


@dataclass(frozen=True)
class Folder(Kind):
    """A kind that reads the pictures of a folder."""

    root: str = text()

    def validate(self) -> None:
        _ = self.paths  # an empty or missing folder is an error of the configuration

    @property
    def folder(self) -> Path:
        """`root`, with ~ spelled out."""
        return Path(self.root).expanduser()

    @property
    def paths(self) -> list[Path]:
        """The files in use, in natural order; MaskConfigError if there are none."""
        return self._listed

    @cached_property
    def _listed(self) -> list[Path]:
        return self.listing()

    def listing(self) -> list[Path]:
        """All pictures of the folder, in natural order."""
        try:
            return list_pictures(self.folder)
        except ZooError as error:
            raise MaskConfigError(f"{self.kind}: {error}") from None

    @cached_property
    def _content(self) -> str:
        """SHA-256 over names and contents of the files in use."""
        digest = hashlib.sha256()
        for path in self.paths:
            digest.update(f"{path.relative_to(self.folder).as_posix()}\0{sha256_file(path)}\n".encode())
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        return {**self.config(), "root": f"sha256:{self._content}"}


@dataclass(frozen=True)
class MaskFolder(Folder):
    """A folder of masks.

    `pairing`: `mod` gives image i file i mod n, `random` any; null means random in the stream train, mod elsewhere.
    `augment`: flips and quarter turns; null means in the stream train only.
    """

    pairing: str | None = option(None, (None, "mod", "random"))
    augment: bool | None = option(None, (None, True, False))
    warned: list[Path] = field(default_factory=list, init=False, compare=False, repr=False)

    @abstractmethod
    def cut(self, path: Path, size: Size, u: list[float], train: bool) -> Mask:
        """The mask of a file, brought to (H, W) ``size``; ``u`` are the uniforms of all slots."""

    def flips(self, u: list[float]) -> tuple[bool, bool, int]:
        """Whether to flip left and right, and up and down, then how many quarters to turn."""
        return u[1] < 0.5, u[2] < 0.5, int(4 * u[3])

    def by_turn(self, train: bool) -> bool:
        """Whether image i takes file i mod n."""
        return self.pairing == "mod" or (self.pairing is None and not train)

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        train = draws.stream.split("/", 1)[0] == "train"
        u = draws.table(0, _SLOTS)
        count = len(self.paths)
        picks = (draws.indices % np.uint64(count)) if self.by_turn(train) else (u[:, 0] * count).astype(np.int64)
        augment = train if self.augment is None else self.augment
        for k, (canvas, pick, row) in enumerate(zip(canvases, picks.tolist(), u.tolist(), strict=True)):
            hflip, vflip, turns = self.flips(row) if augment else (False, False, 0)
            mask = self.cut(self.paths[pick], (size[1], size[0]) if turns % 2 else size, row, train)
            canvas[:] = np.rot90(mask[:: -1 if vflip else 1, :: -1 if hflip else 1], turns)
            if notes is not None:
                notes[k].update(file=str(self.paths[pick]), hflip=hflip, vflip=vflip, rot90=turns)

    def native(self, path: Path, *, threshold: int = 127, invert: bool) -> Mask:
        """A file as a mask at its own size, not to be written into; the first grey one is warned of."""
        mask, grey = _load(path, path.stat().st_mtime_ns, threshold, invert)
        if grey > _GREY and not self.warned:
            self.warned.append(path)
            message = f"{path}: {100 * grey:.1f} % of the mask is grey; {threshold + 1} and above was taken as white."
            warnings.warn(f"{message} No more warnings for {self.root}.", MaskWarning, stacklevel=2)
        return mask


def read_grey(path: Path) -> Mask:
    """(H, W) uint8 brightness of a file."""
    return luminance(read_picture(path))


@lru_cache(maxsize=128)
def _load(path: Path, changed: int, threshold: int, invert: bool) -> tuple[Mask, float]:
    """A file, as it was changed last, as a mask at its own size, and its share of grey pixels."""
    grey = read_grey(path)
    mask = binarise(grey, threshold, invert)
    mask.flags.writeable = False
    return mask, grey_share(grey)


def corner(what: str, path: Path, mask: Mask, size: Size, u: Iterable[float]) -> Mask:
    """The crop of (H, W) ``size`` whose top left corner is drawn from all places; MaskConfigError if there is none."""
    if size[0] > mask.shape[0] or size[1] > mask.shape[1]:
        raise MaskConfigError(
            f"{what}: no crop of size {size[0]} x {size[1]} fits into {path}, {mask.shape[0]} x {mask.shape[1]}."
        )
    top, left = (int(v * (whole - part + 1)) for v, whole, part in zip(u, mask.shape, size, strict=True))
    return mask[top : top + size[0], left : left + size[1]]
