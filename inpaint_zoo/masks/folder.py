"""Common parts of the kinds that read folders: listing, content hash, pairing, polarity and flips.

Source: docs/papers/masks.md, "Mask files".
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import hashlib
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from inpaint_zoo.config import option, text
from inpaint_zoo.errors import MissingError, ZooError
from inpaint_zoo.io.atomic import sha256_or_unreadable
from inpaint_zoo.io.images import ImageError, read_image
from inpaint_zoo.io.listing import Role, list_images
from inpaint_zoo.masks.errors import MaskConfigError, MaskFilesNotFoundError, MaskWarning
from inpaint_zoo.masks.kind import Canvases, Kind, Mask, Notes, Size
from inpaint_zoo.masks.read import MaskCheck, luminance, mask_of
from inpaint_zoo.random import Draws

__all__ = ["Folder", "MaskFolder", "corner", "read_gray"]

T = TypeVar("T")
_PATIENCE = 100
"""Number of consecutive unreadable files after which reading stops; the folder is then probably gone."""
_SLOTS = 8  # file, hflip, vflip, rot90, angle, dilation or kernel side, crop row, crop column


@dataclass(frozen=True)
class Folder(Kind):
    """A kind that reads the images of a folder."""

    root: str = text()
    told: set[str] = field(default_factory=set, init=False, compare=False, repr=False)
    role: ClassVar[Role] = "any"

    def validate(self) -> None:
        _ = self.paths  # an empty or missing folder is an error of the configuration

    @property
    def folder(self) -> Path:
        """`root` with ~ expanded."""
        return Path(self.root).expanduser()

    @property
    def paths(self) -> list[Path]:
        """The files in use, in natural order; raises MaskConfigError if there are none."""
        return self._listed

    @cached_property
    def _listed(self) -> list[Path]:
        return self.listing()

    def listing(self) -> list[Path]:
        """Return all image files of the folder that match its role, in natural order."""
        try:
            return list_images(self.folder, self.role)
        except MissingError as error:
            raise MaskFilesNotFoundError(f"{self.kind}: {error}") from None
        except ZooError as error:
            raise MaskConfigError(f"{self.kind}: {error}") from None

    @cached_property
    def _content(self) -> str:
        """The SHA-256 of the names and contents of the files in use."""
        digest = hashlib.sha256()
        for path in self.paths:
            line = f"{path.relative_to(self.folder).as_posix()}\0{sha256_or_unreadable(path)}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))  # file names may contain any bytes
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        return {**self.config(), "root": f"sha256:{self._content}"}

    def readable(self, pick: int, read: Callable[[Path], T]) -> tuple[Path, T]:
        """Return file number ``pick`` and the result of ``read``; if unreadable, use the next readable file in order.

        Warns:
            MaskWarning: Once for each unreadable file.

        Raises:
            MaskConfigError: If 100 files in a row, or all files, cannot be read.
        """
        paths = self.paths
        count = min(_PATIENCE, len(paths))
        errors: list[ImageError] = []
        for step in range(count):
            path = paths[(pick + step) % len(paths)]
            try:
                found = read(path)
            except ImageError as error:
                errors.append(error)
                continue
            for passed in errors:
                self.tell(str(passed), f"{passed}; the next mask file is used instead")
            return path, found
        raise MaskConfigError(f"{self.kind}: {count} files in a row cannot be read; the first: {errors[0]}")

    def tell(self, topic: str, message: str) -> None:
        """Emit a warning once for each topic."""
        if topic not in self.told:
            self.told.add(topic)
            warnings.warn(message, MaskWarning, stacklevel=3)


@dataclass(frozen=True)
class MaskFolder(Folder):
    """A folder of masks.

    `pairing`: `mod` uses file i mod n for image i, `random` a random file; null means `random` in the stream "train"
    and `mod` in the others. `augment`: random flips and quarter turns; null means in the stream "train" only.
    """

    pairing: str | None = option(None, (None, "mod", "random"))
    augment: bool | None = option(None, (None, True, False))
    role: ClassVar[Role] = "masks"

    @property
    @abstractmethod
    def reading(self) -> tuple[int, bool]:
        """How files are binarized: (threshold in 0 ... 255, whether pixels at or below it are the hole)."""

    @abstractmethod
    def cut(self, path: Path, size: Size, u: list[float], train: bool) -> Mask:
        """Return a file's mask at (H, W) ``size``; ``u`` are the uniform random numbers of all slots."""

    def flips(self, u: list[float]) -> tuple[bool, bool, int]:
        """Return whether to flip horizontally, whether to flip vertically, and the number of quarter turns."""
        return u[1] < 0.5, u[2] < 0.5, int(4 * u[3])

    def by_turn(self, train: bool) -> bool:
        """Return whether image i uses file i mod n."""
        return self.pairing == "mod" or (self.pairing is None and not train)

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        train = draws.stream.split("/", 1)[0] == "train"
        u = draws.table(0, _SLOTS)
        count = len(self.paths)
        picks = (draws.indices % np.uint64(count)) if self.by_turn(train) else (u[:, 0] * count).astype(np.int64)
        augment = train if self.augment is None else self.augment
        for k, (canvas, pick, row) in enumerate(zip(canvases, picks.tolist(), u.tolist(), strict=True)):
            hflip, vflip, turns = self.flips(row) if augment else (False, False, 0)
            asked = (size[1], size[0]) if turns % 2 else size
            path, mask = self.readable(pick, partial(self.cut, size=asked, u=row, train=train))
            canvas[:] = np.rot90(mask[:: -1 if vflip else 1, :: -1 if hflip else 1], turns)
            if notes is not None:
                notes[k].update(file=str(path), hflip=hflip, vflip=vflip, rot90=turns)
                if doubts := self.loaded(path)[1]:
                    notes[k]["doubts"] = list(doubts.values())

    def loaded(self, path: Path) -> tuple[Mask, Mapping[str, str]]:
        """Return a file as a read-only mask at its own resolution, and its doubts (see `masks.read`)."""
        try:
            changed = path.stat().st_mtime_ns
        except OSError as error:
            raise ImageError(f"{path}: cannot be opened: {error.strerror}") from None
        return _load(path, changed, *self.reading)

    def native(self, path: Path) -> Mask:
        """Return a file as a read-only mask at its own resolution."""
        return self.loaded(path)[0]

    def check_files(self, limit: int | None, flipped: bool | None) -> MaskCheck:
        """Check all files in use, or ``limit`` evenly spaced ones, for masks that are probably a mistake.

        Args:
            limit: Number of files to check; None for all.
            flipped: Whether the masks are inverted after they are read; None if only some of them are.
        """
        paths = self.paths
        if limit is not None and len(paths) > limit:
            paths = [paths[k * len(paths) // limit] for k in range(limit)]
        check = MaskCheck(whole=len(paths) == len(self.paths))
        look = partial(self._looked_at, flipped=bool(flipped))
        with ThreadPoolExecutor() as pool:  # decoding releases Python's global interpreter lock
            for path, found in zip(paths, pool.map(look, paths), strict=True):
                if isinstance(found, ImageError):
                    check.add_unreadable(found)
                else:
                    check.add(path, *found)
        if flipped is None:  # the hole ratios of the files then tell nothing
            check.doubts = {kind: texts for kind, texts in check.doubts.items() if kind not in {"empty", "large"}}
        self.told.update(check.unreadable)
        return check

    def _looked_at(self, path: Path, flipped: bool) -> tuple[Mask, Mapping[str, str]] | ImageError:
        threshold, invert = self.reading
        try:
            if not flipped:
                return self.loaded(path)
            return mask_of(read_image(path), threshold=threshold, invert=not invert)
        except ImageError as error:
            return error


def read_gray(path: Path) -> Mask:
    """Return the gray values of a file as (H, W) uint8."""
    return luminance(read_image(path))


@lru_cache(maxsize=128)
def _load(path: Path, changed: int, threshold: int, invert: bool) -> tuple[Mask, Mapping[str, str]]:
    """Return a file's mask at its own resolution and its doubts; ``changed``, its mtime, is part of the cache key."""
    mask, doubts = mask_of(read_image(path), threshold=threshold, invert=invert)
    mask.flags.writeable = False
    return mask, doubts


def corner(what: str, path: Path, mask: Mask, size: Size, u: Iterable[float]) -> Mask:
    """Return a crop of (H, W) ``size`` at a random position; raise MaskConfigError if it does not fit."""
    if size[0] > mask.shape[0] or size[1] > mask.shape[1]:
        raise MaskConfigError(
            f"{what}: a crop of size {size[0]} x {size[1]} does not fit into {path}, {mask.shape[0]} x {mask.shape[1]}."
        )
    top, left = (int(v * (whole - part + 1)) for v, whole, part in zip(u, mask.shape, size, strict=True))
    return mask[top : top + size[0], left : left + size[1]]
