"""The form of a record in the registry of data sets: where a set's images are, how it is split, and its terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["IN_WORDS", "DatasetRecord", "Folder", "SplitName", "SplitRule"]

SplitName = Literal["train", "val", "test"]
IN_WORDS: dict[SplitName, str] = {"train": "training", "val": "validation", "test": "test"}


class Folder(NamedTuple):
    """A folder of images.

    Attributes:
        files: Pattern of the files in it, for the reader.
        images: Number of images; None if the source does not fix it.
    """

    files: str
    images: int | None


@dataclass(frozen=True)
class SplitRule:
    """The images of one split.

    Attributes:
        images: Number of images; None if the source does not fix it.
        folder: Folder of the images, one of `DatasetRecord.folders`.
        select: Rules that select the images of the folder (`splits.select`).
        labels: Label files for ``select``, relative to the data set's folder (`splits.read_labels`).
    """

    images: int | None
    folder: str = ""
    select: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetRecord:
    """A data set that is known by name.

    Attributes:
        name: Name in suites and configurations.
        title: Name in the literature.
        folder: Name of its folder in `INPAINT_ZOO_DATA`. Records with different splits of the same images share it.
        layout: The layout of the folder and the split, in words.
        folders: Relative folder -> its images; "" is the data set's folder itself.
        splits: The images of each split. "sample" and "kodak18" do not have all three.
        license: License or terms of use, in a few words.
        url: Home page, from which the data set can be obtained.
        source: Paper that uses the data set in this form, with the section.
        tables: Tables and figures that report results on it.
        note: What the source leaves open, and how it is decided here.
        license_read: Where the license was read; empty if it was not read at its source.
        included: Whether the images come with an installed package.
    """

    name: str
    title: str
    folder: str
    layout: str
    folders: Mapping[str, Folder]
    splits: Mapping[SplitName, SplitRule]
    license: str
    url: str
    source: str
    tables: tuple[str, ...] = ()
    note: str = ""
    license_read: str = ""
    included: bool = False

    @property
    def images(self) -> int | None:
        """Number of images in all folders; None if the source does not fix it."""
        counts = [folder.images for folder in self.folders.values()]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def license_text(self) -> str:
        """License for tables; one that was not read at its source is marked."""
        return self.license if self.license_read else f"{self.license} (unconfirmed)"

    @property
    def val_is_test(self) -> bool:
        """Whether the validation images are the test images, because the set is too small to hold others out."""
        return "val" in self.splits and self.splits["val"] == self.splits["test"]

    @property
    def tree(self) -> list[tuple[str, str]]:
        """Expected content of the folder that contains the data set: path patterns, and what they denote."""
        lines = []
        for name, folder in self.folders.items():
            place = "/".join(part for part in (self.folder, name, folder.files) if part)
            lines.append((place, "images" if folder.images is None else f"{folder.images:,} images"))
        lists = dict.fromkeys(file for split in self.splits.values() for file in split.labels)
        return lines + [(f"{self.folder}/{file}", "official list") for file in lists]
