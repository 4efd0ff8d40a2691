"""Mask lists in suites: `{masks: isnet_eval, root: DIR}` stands for all mask sets that a paper tests on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inpaint_zoo.benchmark.entries import SourceEntry
from inpaint_zoo.benchmark.places import Places
from inpaint_zoo.config import Table, string
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks import MaskFiles, mask_list, mask_suite

__all__ = ["listed_masks"]


def listed_masks(table: Table, base: Path, places: Places) -> Iterator[SourceEntry]:
    """Yield the mask sets of a list, with its files if they are there, else with the generated masks that stand in.

    Args:
        table: The entry of the suite.
        base: Folder of the suite.
        places: Folders that are given from outside the suite.

    Raises:
        ZooError: If the list is unknown, or `root` is given for a list without files.
    """
    try:
        found = mask_list(table.need("masks", string))
    except ZooError as error:
        raise table.located(error) from error
    root = table.get("root", string)
    if root is not None and found.files is None:
        raise table.error(f"the masks of '{found.name}' are generated, so it takes no 'root'.", "root")
    folder = None if found.files is None else _folder(found.files, None if root is None else base / root, places)
    for mask in mask_suite(found.name, folder):
        spec = {key: value for key, value in mask.spec.items() if key != "root"}
        given = {"root": mask.spec["root"]} if "root" in mask.spec else {}
        yield SourceEntry(mask.label, table, spec, given=given, listed=mask)


def _folder(files: MaskFiles, root: Path | None, places: Places) -> Path | None:
    """Return the folder of mask files: the one of `--data`, the suite's, or the one in `INPAINT_ZOO_DATA`."""
    from inpaint_zoo.data.locate import named_folder

    if files.name in places.data:
        return Path(places.data[files.name]).expanduser()
    candidates = [root, named_folder(files.name)]
    return next((each.expanduser() for each in candidates if each is not None and each.expanduser().is_dir()), None)
