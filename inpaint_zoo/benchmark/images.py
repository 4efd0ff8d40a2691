"""The inputs that all methods share: the images of a dataset, decoded once, and the masks of a mask set."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo._version import __version__
from inpaint_zoo.benchmark.entries import SourceEntry
from inpaint_zoo.benchmark.identity import MASK_STREAM
from inpaint_zoo.benchmark.store import read_json
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import MissingError, ZooError
from inpaint_zoo.io.atomic import sha256_json, write_json
from inpaint_zoo.io.names import plain_name
from inpaint_zoo.io.scratch import Scratch

if TYPE_CHECKING:
    from inpaint_zoo.masks import MaskGenerator

__all__ = ["DRAW", "ImageSet", "MaskSet", "Unreadable", "samples"]

Pixels = NDArray[np.uint8]
LOCKS = 64  # images of a dataset that can be decoded at the same time
DRAW = r"#\d+$"
"""Pattern of what `ImageSet.key` adds to the name of an image for its second mask and the following ones."""


class Unreadable(NamedTuple):
    """A file of a dataset that is not a readable image."""

    dataset: str
    path: str
    reason: str


class ImageSet:
    """A dataset of a suite.

    An image keeps its index, and therefore its mask, if other files cannot be read. If the dataset is not there, a
    `MissingError` is raised.

    Attributes:
        label: Its label in the suite.
        name: Its name in the suite.
        indices: Indices of the readable images, in order.
        unreadable: The unreadable files.
        difference: How the number of images differs from that of the registered data set; empty if it does not.
    """

    def __init__(self, entry: SourceEntry, workers: int, cache: Path, scratch: Scratch) -> None:
        from inpaint_zoo.data import DatasetWarning, create_dataset

        self.label, self.name = entry.label, str(entry.spec["name"])
        try:
            with warnings.catch_warnings(record=True, action="always", category=DatasetWarning) as caught:
                self._data = create_dataset(entry.resolved)
        except MissingError:
            raise
        except ZooError as error:
            raise entry.table.located(error) from error
        for each in caught:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        doubts = [each.message for each in caught if isinstance(each.message, DatasetWarning)]
        self.difference = "; ".join(doubt.difference for doubt in doubts)
        self._scratch = scratch
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._content = sha256_json(self._data.identity())
        self._verdict = cache / "checks" / f"{sha256_json([__version__, self._content])}.json"
        self._problems = self._check(workers)
        # a problem concerns a file, which may contain several crops
        self.indices = tuple(i for i, group in enumerate(self._data.groups) if group not in self._problems)
        self.unreadable = [Unreadable(self.label, *problem) for problem in self._problems.values()]

    def _check(self, workers: int) -> dict[str, tuple[str, str]]:
        """Return (path, reason) of the unreadable images by stem; cached by the content of all files."""
        known = read_json(self._verdict)
        if known is not None:
            return {stem: (path, reason) for stem, (path, reason) in known.items()}
        problems = self._data.check(workers, lambda index, image: self._scratch.keep((self.label, index), image))
        return {each.key: (plain_name(str(each.path)), plain_name(each.reason)) for each in problems}

    def remember(self) -> None:
        """Store which files are readable, so that the next run does not decode all of them to find out."""
        if not self._verdict.is_file():
            write_json(self._verdict, self._problems)

    def identity(self) -> dict[str, Any]:
        """Return hashes of the content of all files with the cropping rules, and of the readable indices."""
        return {"content_sha256": self._content, "indices_sha256": sha256_json(self.indices)}

    @property
    def count(self) -> int:
        """Number of images, including those that cannot be read."""
        return len(self._data.keys)

    @property
    def files(self) -> list[Path]:
        """Files that contain the images, except those in shards."""
        return [file for file in self._data.files.values() if isinstance(file, Path)]

    def key(self, index: int, draw: int = 0) -> str:
        """Return the relative stem of an image, with `#1` for its second mask, `#2` for its third, and so on."""
        return f"{self._data.keys[index]}#{draw}" if draw else self._data.keys[index]

    def group(self, index: int) -> str:
        """Return the source image that a crop was taken from."""
        return self._data.groups[index]

    def load(self, index: int) -> Pixels:
        """Return an image (H, W, 3) uint8; safe to call from several threads.

        A file is decoded once for all methods and for all crops of it, as long as there is room on the disk.
        """
        key = (self.label, index)
        image = self._scratch.get(key)
        if image is not None:
            return image
        with self._locks[hash(self.group(index)) % LOCKS]:
            image = self._scratch.get(key)  # another thread may have loaded a crop of the same file
            if image is None:
                crops = self._data.load_crops(index)
                for each, crop in crops.items():
                    self._scratch.keep((self.label, each), crop)
                image = crops[index]
        return image

    def gallery(self, size: int) -> dict[int, int]:
        """Return up to ``size`` images to show: first one crop of each source image, then a second one, and so on.

        Returns:
            Index -> position among the readable images, which is the name of the image file.
        """
        turns: dict[str, int] = {}
        ranked = []
        for position, index in enumerate(self.indices):
            turn = turns[self.group(index)] = turns.get(self.group(index), -1) + 1
            ranked.append((turn, position, index))
        return {index: position for _, position, index in sorted(ranked)[:size]}


class MaskSet:
    """A mask set of a suite: mask i is a function of the suite's seed, i and the size of the image.

    If the folder of its files is not there, a `MissingError` is raised.

    Args:
        entry: Its entry in the suite.
        suite: The suite.
        scratch: Where masks are kept for the next method; None makes them anew each time.

    Attributes:
        label: Its label in the suite.
        mosaic: The filling that networks see in the holes; None for empty holes.
        draws: Number of masks for each image.
        doubts: Lines about probable mistakes in its mask files, found by `check`.
    """

    def __init__(self, entry: SourceEntry, suite: Suite, scratch: Scratch | None = None) -> None:
        from inpaint_zoo.masks import create_generator

        self.label, self.mosaic, self.draws = entry.label, entry.mosaic, entry.draws
        spec: Mapping[str, Any] = entry.resolved
        try:
            generator: MaskGenerator = create_generator(spec, seed=suite.seed, stream=MASK_STREAM)
        except MissingError:
            raise
        except ZooError as error:
            raise entry.table.located(error) from error
        self._generator = generator.scaled(suite.rehearsal.scale) if suite.rehearsal else generator
        self._scratch = scratch
        self._entry = entry
        self._verdict: Path | None = None
        self.doubts: list[str] = []

    def files(self) -> list[Path]:
        """Return the mask files that the masks are read from; empty if they are generated."""
        return self._generator.files()

    def refuse_few(self, image_set: ImageSet) -> None:
        """Check that a paper's pairing of image i with file i modulo the size of the complete set is possible.

        Raises:
            ZooError: If an incomplete copy of the paper's files has fewer files than the dataset has images.
        """
        listed = self._entry.listed
        if listed is None or listed.files is None or listed.stand_in:
            return
        count, complete = len(self.files()), listed.files.per_mask
        if count < min(image_set.count * self.draws, complete):
            raise self._entry.table.error(
                f"the mask set '{self.label}' has {count} files for {image_set.count} images of '{image_set.label}'. "
                f"The complete set has {complete}, and the papers use file i modulo {complete} for image i. Complete "
                f"it, or list {{name: {listed.spec['name']}, root: DIR}}, which starts again after its last file."
            )

    def refuse_equal_draws(self, image_set: ImageSet) -> None:
        """Check that an image gets different masks, and that no name of an image looks like that of another mask.

        Raises:
            ZooError: If all masks of the first image are equal, if a folder has too few files for different masks, or
                if a name ends like `#1`.
        """
        if self.draws == 1 or not image_set.indices:
            return
        first = image_set.indices[0]
        odd = next((key for key in map(image_set.key, image_set.indices) if re.search(DRAW, key)), None)
        if odd is not None:
            raise self._entry.table.error(
                f"the image '{odd}' of '{image_set.label}' has the name of an image's second mask; rename it, or "
                f"remove 'draws' from the mask set '{self.label}'."
            )
        try:
            height, width, _ = image_set.load(first).shape
            count = image_set.count
            masks = {self.load(first, (height, width), draw, count).tobytes() for draw in range(self.draws)}
        except ZooError:
            return  # an error of the cells
        if len(masks) == 1:
            raise self._entry.table.error(
                f"the mask set '{self.label}' has one mask for an image of '{image_set.label}', not {self.draws}; "
                "remove 'draws'.",
                "draws",
            )
        if self.files() and len(masks) < self.draws:
            raise self._entry.table.error(
                f"{len(self.files())} files give only {len(masks)} different masks for an image of "
                f"'{image_set.label}', which has {count} images; use fewer 'draws' or more files.",
                "draws",
            )

    def check(self, cache: Path) -> None:
        """Check every mask file once; the findings are cached by the content of all files.

        Raises:
            ZooError: If no file has a usable mask; the message gives file and line of the suite.
        """
        if not self.files():
            return
        self._verdict = cache / "checks" / f"{sha256_json([__version__, 'masks', self._generator.identity()])}.json"
        known = read_json(self._verdict)
        try:
            found = self._generator.check_files(0 if known else None)  # 0: known from the cache, check no file
        except ZooError as error:
            raise self._entry.table.located(error) from error
        self.doubts = known["doubts"] if known else [plain_name(line) for line in found]

    def remember(self) -> None:
        """Store what `check` found, so that the next run does not decode all files to find out."""
        if self._verdict is not None and not self._verdict.is_file():
            write_json(self._verdict, {"doubts": self.doubts})

    def identity(self) -> dict[str, Any]:
        """Return the hash of the resolved configuration, and the mosaic and the number of draws if there are any."""
        mosaic = {"mosaic": self.mosaic._asdict()} if self.mosaic else {}
        draws = {"draws": self.draws} if self.draws > 1 else {}
        return {"generator_sha256": self._generator.identity(), **mosaic, **draws}

    def to_yaml(self) -> str:
        """Return the resolved configuration that `identity` hashes, with presets and defaults expanded."""
        return self._generator.to_yaml()

    def load(self, index: int, size: tuple[int, int], draw: int = 0, count: int = 0) -> NDArray[np.bool_]:
        """Return a mask (H, W) of image ``index``, True in the hole.

        Mask ``draw`` of an image is mask ``index + draw * count`` of the generator. The masks of a draw therefore
        differ from those of all others, and a folder with enough files gives every image files of its own.

        Args:
            index: Index of the image.
            size: (H, W) of the image.
            draw: Number of the mask, from 0.
            count: Number of images of the dataset; it does not matter for draw 0.

        Raises:
            ZooError: If the generator changes the size, so that its masks do not fit the images.
        """
        number = index + draw * count
        key = ("mask", self.label, number, size)
        bits = self._scratch.get(key) if self._scratch else None
        if bits is not None:
            return np.unpackbits(bits, count=size[0] * size[1]).reshape(size).view(np.bool_)
        drawn = self._generator(number, size)
        if drawn.shape != size:
            raise ZooError(f"The mask set '{self.label}' gives masks {drawn.shape} for images {size}.")
        mask = drawn.astype(bool)
        if self._scratch:
            self._scratch.keep(key, np.packbits(mask))
        return mask

    def hole_fill(self, target: Pixels, mask: NDArray[np.bool_]) -> NDArray[np.float32] | None:
        """Return the filling (3, H, W) in [0, 1] that networks see in the hole; None for an empty hole.

        Raises:
            ZooError: If the image is smaller than a mosaic block.
        """
        if self.mosaic is None:
            return None
        import torch

        from inpaint_zoo.ops import mosaic

        image, hole = torch.tensor(target).permute(2, 0, 1)[None].float() / 255, torch.tensor(mask)[None, None].float()
        return mosaic(image, hole, self.mosaic.unit, self.mosaic.interpolation)[0].numpy()


def samples(image_set: ImageSet, masks: MaskSet) -> list[tuple[int, int]]:
    """Return (index of the image, draw of the mask) of every sample: all images with draw 0, then with draw 1, ..."""
    return [(index, draw) for draw in range(masks.draws) for index in image_set.indices]
