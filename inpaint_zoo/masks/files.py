"""Folders of mask files (specs/masks.md, section 9.3), with optional bins of hole ratios."""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_file
from inpaint_zoo.io.listing import list_pictures
from inpaint_zoo.io.pictures import read_picture
from inpaint_zoo.masks.args import custom, option, text
from inpaint_zoo.masks.draws import Draws
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning
from inpaint_zoo.masks.kind import Canvases, Kind, Mask, Notes, Size, register_kind
from inpaint_zoo.masks.read import binarise, grey_share, luminance
from inpaint_zoo.masks.transforms import resize_mask

__all__ = ["Files"]

_GREY = 0.001


def _edges(value: Any) -> tuple[float, ...] | None:  # noqa: ANN401
    if value is None:
        return None
    wants = "a list of two or more growing ratios from 0 to 1, or null"
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) < 2:
        raise ValueError(wants)
    if not all(isinstance(edge, int | float) and not isinstance(edge, bool) and 0 <= edge <= 1 for edge in value):
        raise ValueError(wants)
    if any(low >= high for low, high in pairwise(value)):
        raise ValueError(wants)
    return tuple(float(edge) for edge in value)


@register_kind("files", section="9.3", source="zoo")
@dataclass(frozen=True)
class Files(Kind):
    """The mask files of a folder, resized to the image.

    `pairing`: `mod` gives image i file i mod n, `random` any; null means random in the stream train, mod elsewhere.
    `augment`: flips and quarter turns; null means in the stream train only. `bins`: only files whose ratio at their own
    size lies in (first, last] of these.
    """

    root: str = text()
    pairing: str | None = option(None, (None, "mod", "random"))
    augment: bool | None = option(None, (None, True, False))
    hole_value: str = option("white", ("white", "black"))
    bins: tuple[float, ...] | None = custom(None, _edges)
    warned: list[Path] = field(default_factory=list, init=False, compare=False, repr=False)

    def validate(self) -> None:
        if not self.paths:
            low, high = (self.bins or (0.0, 1.0))[0], (self.bins or (0.0, 1.0))[-1]
            raise MaskConfigError(f"files: no mask of {self.root} has a hole ratio in ({low:g}, {high:g}].")

    @cached_property
    def paths(self) -> list[Path]:
        """The files in use, in natural order."""
        try:
            paths = list_pictures(Path(self.root).expanduser())
        except ZooError as error:
            raise MaskConfigError(f"files: {error}") from None
        if self.bins is None:
            return paths
        low, high = self.bins[0], self.bins[-1]
        with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
            ratios = pool.map(lambda path: float(self._mask(path).mean(dtype=np.float64)), paths)
            return [path for path, ratio in zip(paths, ratios, strict=True) if low < ratio <= high]

    def _mask(self, path: Path) -> Mask:
        mask, grey = _load(path, self.hole_value == "black")
        if grey > _GREY and not self.warned:
            self.warned.append(path)
            message = (
                f"{path}: {100 * grey:.1f} % of the mask is grey; 128 and above was taken as white. No more warnings"
            )
            warnings.warn(f"{message} for {self.root}.", MaskWarning, stacklevel=2)
        return mask

    @cached_property
    def _content(self) -> str:
        """SHA-256 over names and contents of the files in use."""
        root = Path(self.root).expanduser()
        digest = hashlib.sha256()
        for path in self.paths:
            digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\n".encode())
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        return {**self.config(), "root": f"sha256:{self._content}"}

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        train = draws.stream.split("/", 1)[0] == "train"
        u = draws.table(0, 4)
        count = len(self.paths)
        by_turn = self.pairing == "mod" or (self.pairing is None and not train)
        picks = (draws.indices % np.uint64(count) if by_turn else u[:, 0] * count).astype(np.int64).tolist()
        augment = train if self.augment is None else self.augment
        for k, (canvas, pick) in enumerate(zip(canvases, picks, strict=True)):
            mask = self._mask(self.paths[pick])
            canvas[:] = _augmented(mask, size, u[k, 1:].tolist()) if augment else resize_mask(mask, size)
            if notes is not None:
                notes[k]["file"] = str(self.paths[pick])


def _augmented(mask: Mask, size: Size, u: list[float]) -> Mask:
    """Resized, flipped either way with probability 1/2, then turned by 0 to 3 quarters."""
    turns = int(4 * u[2])
    mask = resize_mask(mask, (size[1], size[0]) if turns % 2 else size)
    return np.rot90(mask[:: -1 if u[1] < 0.5 else 1, :: -1 if u[0] < 0.5 else 1], turns)


@lru_cache(maxsize=128)
def _load(path: Path, invert: bool) -> tuple[Mask, float]:
    """A file as a mask at its own size, and its share of grey pixels."""
    grey = luminance(read_picture(path))
    mask = binarise(grey, invert=invert)
    mask.flags.writeable = False
    return mask, grey_share(grey)
