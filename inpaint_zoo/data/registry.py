"""The registry of data sets: the records of `known` by name, and their table for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from inpaint_zoo.data.known import RECORDS
from inpaint_zoo.data.records import IN_WORDS, DatasetRecord
from inpaint_zoo.errors import unknown_name
from inpaint_zoo.io.listing import natural_key

__all__ = ["DATASETS", "dataset_info", "datasets_markdown", "list_datasets", "split_numbers"]

DATASETS: Mapping[str, DatasetRecord] = {record.name: record for record in RECORDS}


def list_datasets(pattern: str = "*") -> list[str]:
    """Return the names of the registered data sets that match a shell pattern, in natural order.

    Example:
        >>> list_datasets("celeba*")
        ['celeba', 'celeba_hq', 'celeba_hq_grig', 'celeba_isnet']
    """
    return sorted((name for name in DATASETS if fnmatchcase(name, pattern)), key=natural_key)


def dataset_info(name: str) -> DatasetRecord:
    """Return the record of a data set.

    Raises:
        UnknownNameError: If there is no such data set.

    Example:
        >>> record = dataset_info("celeba_hq")
        >>> record.images, {split: rule.images for split, rule in record.splits.items()}
        (30000, {'train': 26800, 'val': 200, 'test': 3000})
    """
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS, "`inpaint-zoo data list` lists the registered ones.")
    return DATASETS[name]


def split_numbers(record: DatasetRecord) -> tuple[str, str, str, str]:
    """Return the numbers of all, training, validation and test images, as text for tables."""
    train, val, test = (_number(record.splits[split].images) if split in record.splits else "-" for split in IN_WORDS)
    return _number(record.images), train, "= test" if record.val_is_test else val, test


def _number(count: int | None) -> str:
    return "not fixed" if count is None else f"{count:,}"


def datasets_markdown() -> str:
    """Return the table of all data sets for the documentation."""
    lines = [
        "| name | data set | folder | images | train | val | test | license | tables |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for record in map(dataset_info, list_datasets()):
        folder = "comes with scikit-image" if record.included else f"`{record.folder}`"
        title = f"[{record.title}]({record.url})"
        cells = (
            f"`{record.name}`",
            title,
            folder,
            *split_numbers(record),
            record.license_text,
            ", ".join(record.tables),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
