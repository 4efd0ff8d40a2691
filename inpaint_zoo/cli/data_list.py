"""`inpaint-zoo data list | info`: the registry of data sets."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import yaml
from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.common import console, print_table
from inpaint_zoo.data import DatasetRecord, dataset_info, datasets_markdown, list_datasets
from inpaint_zoo.data.locate import DATA_FOLDER, data_folder, named_folder
from inpaint_zoo.data.registry import split_numbers
from inpaint_zoo.errors import unknown_name

__all__ = ["info_arguments", "list_arguments"]


def _here(record: DatasetRecord) -> str:
    """Return whether the folder of a data set exists on this machine."""
    folder = named_folder(record.name)
    return "yes" if record.included or (folder is not None and folder.is_dir()) else "no"


def _list(options: Namespace) -> int:
    """Print the registry as a table."""
    if options.markdown:
        console.print(datasets_markdown(), soft_wrap=True, markup=False, end="")
        return 0
    names = list_datasets(options.pattern)
    if not names:
        raise unknown_name("data set", options.pattern, list_datasets(), "`inpaint-zoo data list` lists them all.")
    table = Table(box=None, pad_edge=False)
    table.add_column("data set", no_wrap=True)
    for heading in ("images", "train", "val", "test"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("license")
    for record in map(dataset_info, names):
        table.add_row(record.name, *split_numbers(record), _here(record), escape(record.license_text))
    print_table(table)
    folder = data_folder()
    place = f"{DATA_FOLDER} is not set" if folder is None else f"{DATA_FOLDER} is {folder}"
    console.print(f"{len(names)} data sets; {place}. `inpaint-zoo data info NAME` shows one of them.", markup=False)
    return 0


def _info(options: Namespace) -> int:
    """Print the record of one data set."""
    record = dataset_info(options.name)
    folder = named_folder(record.name)
    place = f"set {DATA_FOLDER}, or state the folder" if folder is None else f"{folder} ({_here(record)})"
    images = split_numbers(record)[0]
    rows = {
        "data set": record.name,
        "title": record.title,
        "images": images,
        "layout": record.layout,
        "license": record.license,
        "license read in": record.license_read or "not read at its source: see the home page before you use the data",
        "home page": record.url,
        "used in": record.source,
        "tables": ", ".join(record.tables) or "none",
        "note": record.note or "none",
        "here": "comes with scikit-image" if record.included else place,
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(key, escape(value))
    print_table(table)
    tree = Table(box=None, pad_edge=False)
    tree.add_column("expected files", overflow="fold")
    tree.add_column("", no_wrap=True)
    for path, what in record.tree:
        tree.add_row(escape(path), what)
    splits = Table(box=None, pad_edge=False)
    splits.add_column("split")
    splits.add_column("images", justify="right", no_wrap=True)
    splits.add_column("folder", no_wrap=True)
    splits.add_column("select", overflow="fold")
    for split, rule in record.splits.items():
        select = yaml.safe_dump(dict(rule.select), default_flow_style=True, sort_keys=False, width=10_000).strip()
        count = "not fixed" if rule.images is None else f"{rule.images:,}"
        splits.add_row(split, count, rule.folder or ".", escape(select) if rule.select else "all")
    for part in (tree, splits):
        console.print()
        print_table(part)
    return 0


def list_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `inpaint-zoo data list` to its parser."""
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern that the names must match")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown, as in the documentation")
    parser.set_defaults(work=_list)


def info_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `inpaint-zoo data info` to its parser."""
    parser.add_argument("name", metavar="NAME")
    parser.set_defaults(work=_info)
