"""Folders with results of another program, as methods."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo.benchmark.entries import FolderEntry
from inpaint_zoo.benchmark.methods.base import (
    Method,
    MethodInput,
    MethodOutput,
    Pixels,
    Task,
    colors_of_result,
    composited,
)
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_json, sha256_or_unreadable
from inpaint_zoo.io.images import read_image
from inpaint_zoo.io.listing import by_stem, pair_by_stem

if TYPE_CHECKING:
    import torch

__all__ = ["FolderMethod"]


class FolderMethod(Method):
    """Finished results of another program, paired with the images by relative stem.

    They are in `FOLDER/<dataset>/<mask>/<stem>.*`. In a suite with one dataset, `FOLDER/<mask>/<stem>.*` is also
    accepted, and with one mask set (not counting mosaics) also `FOLDER/<stem>.*`; the first folder that exists is used.
    As for every method, the known pixels are replaced by the ground truth. Other files in the folder are ignored.
    """

    entry: FolderEntry
    computes = False

    def __init__(self, entry: FolderEntry, num_datasets: int, num_masks: int) -> None:
        super().__init__(entry)
        self.num_datasets, self.num_masks = num_datasets, num_masks
        self._files: Mapping[str, Path] = {}
        self._problem: ZooError | None = None
        if not entry.folder.is_dir():
            raise entry.table.error(f"no folder {entry.folder}.", "folder")

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the hash of the content of all results, in the order of the images."""
        digest = hashlib.sha256()
        files = self._paired(task)
        for key in task.keys:
            digest.update((sha256_or_unreadable(files[key]) if key in files else "missing").encode())
        return {"pictures_sha256": digest.hexdigest(), "keys_sha256": sha256_json(task.keys)}

    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Pair the files. A missing file is an error only when it is needed, since images may be left out of a cell."""
        self._files = self._paired(task)
        self._problem = _mismatch(task, self._files)

    def close(self) -> None:
        """Drop the pairs."""
        self._files = {}

    def fill(self, items: Sequence[MethodInput]) -> list[MethodOutput]:
        """Read the results."""
        return [MethodOutput(composited(self._read(item), item), None) for item in items]

    def _read(self, item: MethodInput) -> Pixels:
        if item.key not in self._files and self._problem is not None:
            raise self._problem
        path = self._files[item.key]
        try:
            rgb = colors_of_result(read_image(path), item.mask)
        except ZooError as error:
            raise ZooError(f"{path}: {error}") from error
        if rgb.shape != item.image.shape:
            (height, width), (wanted_height, wanted_width) = rgb.shape[:2], item.mask.shape
            raise ZooError(
                f"{path} is {width}x{height} px, but the image '{item.key}' is {wanted_width}x{wanted_height} px."
            )
        return rgb

    def _places(self, task: Task) -> list[Path]:
        places = [self.entry.folder / task.dataset / task.mask]
        if self.num_datasets == 1:
            places.append(self.entry.folder / task.mask)
            if self.num_masks == 1:
                places.append(self.entry.folder)
        return places

    def _paired(self, task: Task) -> Mapping[str, Path]:
        """Return key -> file of the existing results."""
        places = self._places(task)
        place = next((place for place in places if place.is_dir()), None)
        if place is None:
            wanted = " or ".join(f"{place.relative_to(self.entry.folder.parent).as_posix()}/" for place in places)
            raise ZooError(f"The results of '{self.label}' are wanted in {wanted}, which is not there.")
        return by_stem(place)


def _mismatch(task: Task, files: Mapping[str, Path]) -> ZooError | None:
    """Return an error that names the missing results of a task; None if there are none."""
    try:
        pair_by_stem({key: Path(key) for key in task.keys}, files, ("images", "results"), allow_extra=True)
    except ZooError as error:
        return error
    return None
