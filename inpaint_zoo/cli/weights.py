"""`inpaint-zoo weights`: list known released weights, and import files that were fetched."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from fnmatch import fnmatch
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.common import Verb, add_option_argument, console, list_and_show, parse_options, print_table
from inpaint_zoo.cli.convert import official_network, sources_record
from inpaint_zoo.errors import ZooError
from inpaint_zoo.weights import RELEASES, Release, ReleasedFile, find_release, release_path

__all__ = ["run", "weights_import", "weights_info", "weights_list"]


def weights_list(pattern: str, markdown: bool) -> None:
    """List the known releases.

    Args:
        pattern: Shell pattern for their names.
        markdown: Print a Markdown table.
    """
    releases = [release for name, release in RELEASES.items() if fnmatch(name, pattern)]
    if markdown:
        console.print("| release | publisher | license | file |\n| --- | --- | --- | --- |")
        for each in releases:
            files = ", ".join(f"[{file.name}]({file.url})" if file.url else file.name for file in each.files)
            console.print(
                f"| `{each.name}` | {each.publisher} | {each.licence} | {files} |", soft_wrap=True, markup=False
            )
        return
    table = Table(box=None, pad_edge=False)
    for title in ("release", "imported", "publisher", "license"):
        table.add_column(title, no_wrap=title in ("release", "imported"))
    for each in releases:
        imported = "yes" if release_path(each).is_file() else "no"
        table.add_row(*(escape(text) for text in (each.name, imported, each.publisher, each.licence)))
    print_table(table)


def weights_info(name: str) -> None:
    """Show what is known of a release, and how to import it.

    Args:
        name: Its name, or its model if there is only one of the model.

    Raises:
        ZooError: If there is no such release.
    """
    release = find_release(name)
    path = release_path(release)
    rows = {"release": release.name, "publisher": release.publisher, "license": release.licence}
    for number, file in enumerate(release.files, 1):
        rows[f"file {number}" if len(release.files) > 1 else "file"] = _described(file)
    rows |= {
        "options": ", ".join(f"{key}={value}" for key, value in release.options.items()) or "the model's defaults",
        "note": release.note,
        "imported": str(path) if path.is_file() else f"no: fetch the file, then inpaint-zoo weights import {name} FILE",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(escape(key), escape(value))
    print_table(table)


def _described(file: ReleasedFile) -> str:
    size = "size unknown" if file.size is None else f"{file.size:,} bytes"
    return f"{file.name}, {size}, SHA-256 {file.sha256 or 'unknown'}, {file.url or 'address unknown'}"


def weights_import(name: str, sources: list[str], *, other: bool = False, words: list[str] | None = None) -> Path:
    """Check and convert a released file, and store it where `create_model(model, "official")` finds it.

    Args:
        name: A release, or its model if there is only one of the model.
        sources: The file or folder; for a release in parts, its folder or PART=FILE for each part.
        other: Accept a file whose hash is not the known one.
        words: Options of the network, as `KEY=VALUE`.

    Returns:
        The stored file.

    Raises:
        ZooError: If there is no such release, the file is another one than the known one, or does not fit the model.
    """
    from inpaint_zoo.weights import save_weights

    release = find_release(name)
    for source in sources:
        _check(release, Path(source.rpartition("=")[2]), other)
    paths, net = official_network(release.model, sources, {**release.options, **parse_options(words or [])})
    provenance = {"release": release.name, "publisher": release.publisher, "converted_from": sources_record(paths)}
    return save_weights(net, release_path(release), licence=release.licence, training=provenance)


def _check(release: Release, path: Path, other: bool) -> None:
    """Check the size and the hash of a file whose name is that of a released one, as far as they are known."""
    from inpaint_zoo.io.atomic import sha256_file

    name = re.sub(r" ?\(\d+\)(?=\.\w+$)", "", path.name)  # a browser saves a second download as `big-lama (1).pt`
    known = next((file for file in release.files if file.sha256 and file.name == name), None)
    if known is None or other or not path.is_file():
        return
    size = path.stat().st_size
    if size != known.size:
        found = f"has {size:,} bytes, not {known.size:,}: the download is incomplete, or it is another file"
    elif (digest := sha256_file(path)) != known.sha256:
        found = f"has the SHA-256 {digest}, not {known.sha256}: it is damaged, or another file"
    else:
        return
    raise ZooError(
        f"{path} {found}. Fetch {known.name} from {known.url}; to import another file of the same layout, pass "
        "--other-file."
    )


def _import_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a release, or its model if there is only one")
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="FILE",
        help="the file or folder that was fetched; for several parts: PART=FILE ...",
    )
    parser.add_argument("--other-file", action="store_true", help="accept a file whose hash is not the known one")
    add_option_argument(parser, "the network, if it was not trained with the release's options")


def _import(options: Namespace) -> None:
    path = weights_import(options.name, options.sources, other=options.other_file, words=options.option)
    release = find_release(options.name)
    console.print(
        f'{path}: {release.name}; use it by --weights official, or create_model("{release.model}", weights="official")',
        soft_wrap=True,
        markup=False,
    )


def _info_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a release, or its model if there is only one")


def run(args: list[str]) -> int:
    """Run the command; without a subcommand, list the releases."""
    more = {
        "import": Verb("check, convert and store a released file", _import_arguments, _import),
        "info": Verb("what is known of a release", _info_arguments, lambda options: weights_info(options.name)),
    }
    return list_and_show("weights", args, weights_list, weights_info, more)
