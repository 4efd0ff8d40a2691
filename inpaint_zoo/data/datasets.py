"""Datasets of images: files in order, and the crops of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.data.crops import Size, cut, windows
from inpaint_zoo.data.shards import Member, MemberTable, Shard
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_or_unreadable
from inpaint_zoo.io.image_cache import ImageCache
from inpaint_zoo.io.images import MAX_PIXELS, DecodedImage, ImageError, decode_image, image_size, read_image
from inpaint_zoo.io.stem_table import StemTable
from inpaint_zoo.random import Draws

__all__ = ["Examined", "ImageDataset", "ImageFile", "Problem"]

BLOCK = 4096  # images that are queued for the threads of `examine` at a time, because the queue of a million takes 1 GB
ImageFile = Path | Member
Keep = Callable[[int, NDArray[np.uint8]], None]


class Problem(NamedTuple):
    """An unreadable image: its stem (the ``groups`` entry of its items), its file, and the reason."""

    key: str
    path: ImageFile
    reason: str


class Examined(NamedTuple):
    """What decoding an image found.

    Attributes:
        key: Its stem.
        path: Its file.
        reason: Why it cannot be read; empty if it can.
        size: (H, W) in pixels; None if it cannot be read.
        sha256: Hash of its file; empty if it was not asked for.
    """

    key: str
    path: ImageFile
    reason: str
    size: Size | None
    sha256: str


class ImageDataset:
    """Images cropped by one rule, by index. Reading is thread-safe, and the object can be sent to other processes.

    Args:
        name: Name in tables.
        files: Relative stem -> file or member of a shard, in order.
        crop: One of `CROPS`.
        size: (H, W) of each item in pixels; None keeps every image as it is.
        seed: Seed of the random crops.
        max_pixels: Images with more pixels raise an error.
        keep_mib: Size in MiB of a cache of the first decoded images, in each loading process; useful for few-shot sets,
            which are read repeatedly.

    Attributes:
        keys: Unique key of each item: the stem, or `<stem>_crop<k>` for the rule "grid".
        groups: The stem of the image that each item was cropped from.
        files: Stem -> file of all images, including unreadable ones.
        notes: Stem -> conversions and enlargements, in words; filled by `load` and `check`.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[str, ImageFile],
        *,
        crop: str = "none",
        size: Size | None = None,
        seed: int = 0,
        max_pixels: int = MAX_PIXELS,
        keep_mib: int = 0,
    ) -> None:
        self.name = name
        self.files: Mapping[str, ImageFile] = files if isinstance(files, StemTable) else dict(files)
        self.crop, self.size, self.seed, self.max_pixels = crop, size, seed, max_pixels
        self.notes: dict[str, tuple[str, ...]] = {}
        self._hashes: dict[str, str] = {}
        self._kept: ImageCache[str, NDArray[np.uint8]] = ImageCache(keep_mib * 2**20)
        self._windows: list[int] | None = None  # index of each item's window in its image; None for the first one
        if crop == "grid":
            items = [(stem, number) for stem in self.files for number in range(self._count(stem))]
            self.groups: Sequence[str] = [stem for stem, _ in items]
            self.keys: Sequence[str] = [f"{stem}_crop{number}" for stem, number in items]
            self._windows = [number for _, number in items]
        else:
            self.groups = self.keys = files.stems if isinstance(files, StemTable) else list(self.files)

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        size = "" if self.size is None else f" to {self.size[0]} x {self.size[1]}"
        return f"ImageDataset({self.name!r}: {len(self)} items of {len(self.files)} images, crop {self.crop}{size})"

    def _count(self, stem: str) -> int:
        """Return the number of crops of an image by the rule "grid"."""
        try:
            # it does not depend on an EXIF rotation
            return len(windows("grid", _size(self.files[stem], self.max_pixels), self.size))
        except ZooError:
            return 0  # check() reports the error

    def _file(self, index: int) -> ImageFile:
        if self._windows is None and isinstance(self.files, StemTable):
            return self.files.at(index)
        return self.files[self.groups[index]]

    def load(self, index: int) -> NDArray[np.uint8]:
        """Return item ``index`` as upright RGB (H, W, 3) uint8; transparency is dropped.

        Raises:
            ImageError: If the file cannot be read; the message starts with its path.
        """
        return self._cut(index, self._read(self.groups[index], self._file(index)))

    def load_crops(self, index: int) -> dict[int, NDArray[np.uint8]]:
        """Return all items that were cropped from the same image as item ``index``; the image is decoded once.

        Raises:
            ImageError: If the file cannot be read; the message starts with its path.
        """
        stem = self.groups[index]
        return self._crops(index - self._window(index), stem, self._read(stem, self._file(index)))

    def _crops(self, first: int, stem: str, rgb: NDArray[np.uint8]) -> dict[int, NDArray[np.uint8]]:
        """Return the items of an image, which are consecutive, by index."""
        crops: dict[int, NDArray[np.uint8]] = {}
        for index in range(first, len(self)):
            if self.groups[index] != stem:
                break
            crops[index] = self._cut(index, rgb)
        return crops

    def _window(self, index: int) -> int:
        """Return the number of an item's window in its image."""
        return 0 if self._windows is None else self._windows[index]

    def _cut(self, index: int, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        draws = (0, 0)
        if self.crop == "random":
            table = Draws(self.seed, "crop", np.array([index], dtype=np.uint64)).table(0, 2)[0]
            draws = (int(table[0] * 2**32), int(table[1] * 2**32))
        every = windows(self.crop, (rgb.shape[0], rgb.shape[1]), self.size, draws)
        return cut(rgb, every[self._window(index)])

    def _read(self, stem: str, file: ImageFile) -> NDArray[np.uint8]:
        rgb = self._kept.get(stem)
        if rgb is None:
            rgb = self._decoded(stem, file)
            self._kept.keep(stem, rgb)
        return rgb.copy()

    def _decoded(self, stem: str, file: ImageFile) -> NDArray[np.uint8]:
        image = _read(file, self.max_pixels)
        notes = list(image.notes)
        if image.alpha is not None:
            notes.append("alpha left out")
        H, W = image.size
        try:
            resized = windows(self.crop, (H, W), self.size)[0].resized
        except ZooError as error:
            raise ImageError(f"{image.path}: {error}") from None
        if resized[0] > H or resized[1] > W:
            notes.append(f"enlarged from {W} x {H} to {resized[1]} x {resized[0]}")
        if notes:
            self.notes[stem] = tuple(notes)
        return image.rgb

    def blame(self, index: int, error: ZooError) -> str:
        """Return what is wrong with item ``index``, in one line that starts with its file."""
        file = str(self._file(index))
        return f"{file}: {str(error).removeprefix(f'{file}: ')}"

    @property
    def blocks(self) -> NDArray[np.int64] | None:
        """(items,) number of the shard that contains each item, from 0; None if some image is a separate file."""
        numbers: dict[Shard, int] = {}
        found = []
        if isinstance(self.files, MemberTable) and self._windows is None:
            return self.files.blocks
        for file in self.files.values() if self._windows is None else (self.files[stem] for stem in self.groups):
            if not isinstance(file, Member):
                return None
            found.append(numbers.setdefault(file.shard, len(numbers)))
        return np.array(found, dtype=np.int64)

    def identity(self) -> dict[str, Any]:
        """Return what determines the items' pixels: SHA-256 of each file by stem, and the rules; no paths or dates.

        Example:
            >>> from inpaint_zoo.data import create_dataset
            >>> identity = create_dataset({"name": "sample", "size": 64}).identity()
            >>> identity["crop"], identity["size"], list(identity["files"])
            ('center', [64, 64], ['astronaut', 'chelsea', 'rocket', 'retina'])
        """
        for stem, path in self.files.items():
            if stem not in self._hashes:
                self._hashes[stem] = _sha256(path)
        return {
            "files": dict(self._hashes),
            "crop": self.crop,
            "size": None if self.size is None else list(self.size),
            "seed": self.seed if self.crop == "random" else None,
            "filter": None if self.size is None else "bicubic",
            "max_pixels": self.max_pixels,
        }

    def check(self, workers: int = 1, keep: Keep | None = None) -> list[Problem]:
        """Decode every image once, in ``workers`` threads, and return the unreadable ones, in order.

        Args:
            workers: Number of threads.
            keep: See `examine`.
        """
        found = self.examine(workers, keep=keep)
        return [Problem(each.key, each.path, each.reason) for each in found if each.reason]

    def examine(self, workers: int = 1, *, hashes: bool = False, keep: Keep | None = None) -> Iterator[Examined]:
        """Decode every image once, in ``workers`` threads, and yield what was found, in order.

        Args:
            workers: Number of threads.
            hashes: Whether to compute the SHA-256 of each file.
            keep: Function that gets index and pixels of every item, from any of the threads.
        """
        firsts: dict[str, int] = {}  # stem -> index of its first item
        for index, stem in enumerate(self.groups if keep else ()):
            firsts.setdefault(stem, index)

        def examined(item: tuple[str, ImageFile]) -> Examined:
            stem, file = item
            sha256 = _sha256(file) if hashes else ""
            try:
                rgb = self._read(stem, file)
            except ImageError as error:
                return Examined(stem, file, str(error).removeprefix(f"{file}: "), None, sha256)
            if keep is not None and stem in firsts:
                for index, crop in self._crops(firsts[stem], stem, rgb).items():
                    keep(index, crop)
            return Examined(stem, file, "", (rgb.shape[0], rgb.shape[1]), sha256)

        items = iter(self.files.items())
        with ThreadPoolExecutor(max(1, workers)) as pool:
            while block := list(islice(items, BLOCK)):
                yield from pool.map(examined, block)


def _read(file: ImageFile, max_pixels: int) -> DecodedImage:
    if isinstance(file, Member):
        return decode_image(file.read(), str(file), max_pixels=max_pixels)
    return read_image(file, max_pixels=max_pixels)


def _size(file: ImageFile, max_pixels: int) -> Size:
    return _read(file, max_pixels).size if isinstance(file, Member) else image_size(file, max_pixels=max_pixels)


def _sha256(file: ImageFile) -> str:
    if isinstance(file, Path):
        return sha256_or_unreadable(file)
    try:
        return hashlib.sha256(file.read()).hexdigest()
    except (OSError, ImageError):
        return "unreadable"
