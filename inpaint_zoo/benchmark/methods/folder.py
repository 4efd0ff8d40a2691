"""Folders of pictures that another program completed, as methods."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo.benchmark.entries import FolderEntry
from inpaint_zoo.benchmark.methods.base import Answer, Method, Pixels, Question, Task
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_json, sha256_or_unreadable
from inpaint_zoo.io.listing import by_stem, pair_by_stem
from inpaint_zoo.io.pictures import read_picture

if TYPE_CHECKING:
    import torch

__all__ = ["FolderMethod"]


class FolderMethod(Method):
    """Finished pictures that another program wrote, paired by relative stem.

    They lie in `FOLDER/<dataset>/<mask>/<stem>.*`; in a suite with one dataset `FOLDER/<mask>/<stem>.*` will do, with
    one mask set (mosaics aside) as well `FOLDER/<stem>.*`: the first of these that exists. Known pixels come from the
    truth, as for every method; other files that lie there are ignored.
    """

    entry: FolderEntry
    computes = False

    def __init__(self, entry: FolderEntry, num_datasets: int, num_masks: int) -> None:
        super().__init__(entry)
        self.num_datasets, self.num_masks = num_datasets, num_masks
        self._files: dict[str, Path] = {}
        self._problem: ZooError | None = None
        if not entry.folder.is_dir():
            raise entry.table.error(f"no folder {entry.folder}.", "folder")

    def identity(self, task: Task) -> dict[str, Any]:
        """The content of every picture, in the order of the photographs."""
        digest = hashlib.sha256()
        files = self._paired(task)
        for key in task.keys:
            digest.update((sha256_or_unreadable(files[key]) if key in files else "missing").encode())
        return {"pictures_sha256": digest.hexdigest(), "keys_sha256": sha256_json(task.keys)}

    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Pair the files. A missing one is an error when it is asked for: photographs may be left out of a cell."""
        self._files = self._paired(task)
        self._problem = _mismatch(task, self._files)

    def close(self) -> None:
        """Forget the pairs."""
        self._files = {}

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Read the pictures."""
        return [Answer(self._read(question), None) for question in questions]

    def _read(self, question: Question) -> Pixels:
        if question.key not in self._files and self._problem is not None:
            raise self._problem
        path = self._files[question.key]
        rgb = read_picture(path).rgb
        if rgb.shape != question.image.shape:
            (height, width), (wanted_height, wanted_width) = rgb.shape[:2], question.mask.shape
            raise ZooError(
                f"{path} is {width}x{height} px, but '{question.key}' is {wanted_width}x{wanted_height} px here."
            )
        return rgb

    def _places(self, task: Task) -> list[Path]:
        places = [self.entry.folder / task.dataset / task.mask]
        if self.num_datasets == 1:
            places.append(self.entry.folder / task.mask)
            if self.num_masks == 1:
                places.append(self.entry.folder)
        return places

    def _paired(self, task: Task) -> dict[str, Path]:
        """Key -> file of the results that are there."""
        places = self._places(task)
        place = next((place for place in places if place.is_dir()), None)
        if place is None:
            wanted = " or ".join(f"{place.relative_to(self.entry.folder.parent).as_posix()}/" for place in places)
            raise ZooError(f"The results of '{self.label}' are wanted in {wanted}, which is not there.")
        return by_stem(place)


def _mismatch(task: Task, files: Mapping[str, Path]) -> ZooError | None:
    """What is missing for a task, in words; None if nothing is."""
    try:
        pair_by_stem({key: Path(key) for key in task.keys}, files, ("photographs", "results"), allow_extra=True)
    except ZooError as error:
        return error
    return None
