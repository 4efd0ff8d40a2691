"""Find data sets on this machine: the rule for relative paths, and the folders of registered data sets.

The environment variable `INPAINT_ZOO_DATA` names a folder that contains one folder for each data set. It has the same
meaning in suites, in the data module and on the command line.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from inpaint_zoo.data.lists import read_labels
from inpaint_zoo.data.records import DatasetRecord, SplitName, SplitRule
from inpaint_zoo.data.registry import DATASETS
from inpaint_zoo.data.splits import select
from inpaint_zoo.errors import MissingError, ZooError, unknown_name
from inpaint_zoo.io.listing import by_stem, natural_key

__all__ = [
    "DATA_FOLDER",
    "DatasetFolder",
    "DatasetLayoutError",
    "DatasetNotFoundError",
    "DatasetWarning",
    "folder_name",
    "locate",
    "named_folder",
]

_logger = logging.getLogger(__name__)

DATA_FOLDER = "INPAINT_ZOO_DATA"
_SHOWN = 8  # maximum number of entries of a folder that an error names


class DatasetNotFoundError(MissingError):
    """Error for a registered data set whose folder does not exist.

    Attributes:
        name: Name of the data set.
        place: The folder that was looked for.
    """

    def __init__(self, message: str, name: str = "", place: str = "") -> None:
        super().__init__(message)
        self.name, self.place = name, place


class DatasetLayoutError(ZooError):
    """Error for a folder that does not have the layout of its registered data set.

    Attributes:
        name: Name of the data set.
        place: The folder.
    """

    def __init__(self, message: str, name: str = "", place: str = "") -> None:
        super().__init__(message)
        self.name, self.place = name, place


class DatasetWarning(UserWarning):
    """Warning about a registered data set with another number of images than its source states.

    Attributes:
        difference: The numbers, without paths of this machine, such as "28 of 14,900 images in paris_train_original".
    """

    def __init__(self, message: str, difference: str = "") -> None:
        super().__init__(message)
        self.difference = difference


def folder_name(name: str) -> str:
    """Return the name of a data set's folder: that of its record, or its own name if it is not registered."""
    return DATASETS[name].folder if name in DATASETS else name


def data_folder() -> Path | None:
    """Return the folder of all data sets; None if `INPAINT_ZOO_DATA` is not set."""
    folder = os.environ.get(DATA_FOLDER)
    return Path(folder) if folder else None


def named_folder(name: str) -> Path | None:
    """Return the folder of a data set in `INPAINT_ZOO_DATA`; None if the variable is not set."""
    folder = data_folder()
    return None if folder is None else folder / folder_name(name)


def locate(path: str | Path, name: str) -> Path:
    """Return the place of a path that a dataset states: a folder, a file, or a pattern of shards.

    A relative path is looked for in the folder of a registered data set in `INPAINT_ZOO_DATA`, in `INPAINT_ZOO_DATA`
    itself, and in the working directory. The first place where it exists is returned. A path that starts with `./` or
    `../` refers to the working directory.

    Args:
        path: The path as stated.
        name: Name of the dataset.

    Raises:
        DatasetNotFoundError: If `INPAINT_ZOO_DATA` is set and a path of a registered data set exists in none of them.
        MissingError: Likewise, for other datasets.
    """
    folder = data_folder()
    if folder is None or Path(path).is_absolute() or f"{path}/".startswith(("./", "../")):
        return Path(path)
    places = [folder / path, Path(path)]
    if name in DATASETS:
        places.insert(0, folder / folder_name(name) / path)
    for place in places:
        if _exists(place):
            _logger.info("the path %s of the data set '%s' is %s", path, name, place)
            return place
    within = f"{folder / folder_name(name)}, " if name in DATASETS else ""
    reason = f"{path} exists neither in {within}in {folder} ({DATA_FOLDER}) nor in the working directory"
    if name in DATASETS:
        raise not_found(DATASETS[name], places[0], reason)
    raise MissingError(f"dataset '{name}': {reason}")


def _exists(place: Path) -> bool:
    """Return whether a file or folder exists, or files that match a pattern; with braces, whether the folder does."""
    if place.exists() or not place.parent.is_dir():
        return place.exists()
    return "{" in place.name or any(place.parent.glob(place.name))


def _layout(record: DatasetRecord) -> str:
    tree = "; ".join(f"{place} ({what})" for place, what in record.tree)
    return f"Expected: {tree}. {record.layout}"


def not_found(record: DatasetRecord, place: Path | None, reason: str = "") -> DatasetNotFoundError:
    """Return the error for a data set that is not on this machine.

    Args:
        record: The record of the data set.
        place: The folder that does not exist; None if `INPAINT_ZOO_DATA` is not set.
        reason: What was looked for; by default, ``place``.
    """
    where = f"${DATA_FOLDER}/{record.folder}" if place is None else str(place)
    if not reason:
        reason = f"{where}: no such folder" + (f" ({DATA_FOLDER} is not set)" if place is None else "")
    message = (
        f"The data set '{record.name}' ({record.title}) was not found. {reason}. {_layout(record)} Get it from "
        f"{record.url}. To use another folder, set `root: DIR` in the dataset, `--data.root DIR` for fit, "
        f"`--data {record.name}=DIR` for benchmark, or `--root DIR` for data check. `inpaint-zoo data info "
        f"{record.name}` shows the record."
    )
    return DatasetNotFoundError(message, record.name, where)


class DatasetFolder:
    """The folder of a registered data set on this machine.

    Args:
        record: The record of the data set.
        root: Its folder; by default the one in `INPAINT_ZOO_DATA`.

    Raises:
        DatasetNotFoundError: If the folder does not exist.
    """

    def __init__(self, record: DatasetRecord, root: str | Path | None = None) -> None:
        place = named_folder(record.name) if root is None else locate(root, record.name)
        if place is None or not place.is_dir():
            raise not_found(record, place)
        self.record, self.place = record, place
        self._listed: dict[str, Mapping[str, Path]] = {}

    def listed(self, folder: str) -> Mapping[str, Path]:
        """Return stem -> file of the images in one of the record's folders.

        Raises:
            DatasetLayoutError: If the folder does not exist or has no images, or two files have the same stem.
        """
        if folder not in self._listed:
            if not (self.place / folder).is_dir():
                raise self._layout_error(f"it has no folder {folder}")
            try:
                self._listed[folder] = by_stem(self.place / folder, role="images")
            except ZooError as error:
                raise self._layout_error(str(error)) from error
        return self._listed[folder]

    def files(self, split: SplitName) -> Mapping[str, Path]:
        """Return stem -> file of the images of a split.

        Raises:
            UnknownNameError: If the data set has no such split.
            DatasetLayoutError: If the folder does not have the layout of the data set.
        """
        rule = self._rule(split)
        files = self.listed(rule.folder)
        try:
            labels = read_labels(*(self.place / file for file in rule.labels)) if rule.labels else None
            return select(files, rule.select, labels)
        except ZooError as error:
            doubt = self.doubt(split)
            has = f"it has {doubt.difference}, and " if doubt else ""
            raise self._layout_error(f"{has}the {split} images cannot be selected: {error}") from error

    def doubt(self, split: SplitName) -> DatasetWarning | None:
        """Return a warning if the folder of a split has another number of images than expected."""
        folder = self._rule(split).folder
        found, expected = len(self.listed(folder)), self.record.folders[folder].images
        if expected is None or found == expected:
            return None
        place = f" in {folder}" if folder else ""
        return DatasetWarning(
            f"{self.place / folder} has {found:,} images, but '{self.record.name}' has {expected:,}, so its {split} "
            f"split differs from the published one: inpaint-zoo data check {self.record.name} --root {self.place}",
            f"{found:,} {'of' if found < expected else 'instead of'} {expected:,} images{place}",
        )

    def _rule(self, split: SplitName) -> SplitRule:
        if split not in self.record.splits:
            raise unknown_name(f"split of '{self.record.name}':", split, self.record.splits)
        return self.record.splits[split]

    def _layout_error(self, what: str) -> DatasetLayoutError:
        names = sorted((entry.name for entry in self.place.iterdir() if entry.name[0] != "."), key=natural_key)
        more = " and more" if len(names) > _SHOWN else ""
        found = f"{', '.join(names[:_SHOWN])}{more}" or "nothing"
        message = (
            f"{self.place}: is not laid out as the data set '{self.record.name}': {what}. Found: {found}. "
            f"{_layout(self.record)}"
        )
        return DatasetLayoutError(message, self.record.name, str(self.place))
