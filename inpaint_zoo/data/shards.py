"""Images in tar files, in WebDataset's layout, with an index that gives file and offset of each image.

With the index, a set of shards is a dataset like a folder: any item can be read by index, so a training sample stays a
pure function of (seed, position). Images are read at their offset in the tar file; nothing is unpacked. Remote shards
are downloaded completely into a cache, and the training order visits a few shards at a time (`sampling.shuffled`), so
that each one is downloaded once per pass.

Members are named `<stem>.<suffix>`; a dot in the last part of a stem is written as `%2E`, because WebDataset ends the
key at the first dot.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.data.fetching import NO_WEBDATASET, Cache, fetch_bytes, is_remote
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.images import IMAGE_SUFFIXES, ImageError
from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.names import plain_name
from inpaint_zoo.io.stem_table import StemTable

__all__ = [
    "INDEX",
    "Entry",
    "Member",
    "MemberTable",
    "Shard",
    "index_shards",
    "member_name",
    "open_shards",
    "scan",
    "write_index",
]

INDEX = "index.json"
_FORMAT = "inpaint-zoo shards 2"
_ANEW = "write the index again: inpaint-zoo data index"


class Shard:
    """One tar file, local or remote.

    Args:
        url: Path, or a URL that `webdataset.gopen` accepts.
        cache: Cache for remote files.

    Attributes:
        size: Size in bytes according to the index; None if unknown.
    """

    def __init__(self, url: str, cache: Cache | None = None) -> None:
        self.url, self.cache = url, cache
        self.size: int | None = None

    @property
    def name(self) -> str:
        """File name without its folder."""
        found = re.findall(r"[^/\s]+\.tar\b", self.url)
        if not found:
            raise ZooError(f"{self.url}: a shard is a file named *.tar")
        return found[-1]

    def path(self) -> Path:
        """Return the file's path on this machine; download it if necessary."""
        return Path(self.url) if self.cache is None else self.cache.find(self.url, self.name, self.size)

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes of one member.

        Raises:
            ZooError: If the file does not exist, cannot be downloaded, or is too short.
        """
        while True:
            path = self.path()
            try:
                with path.open("rb") as file:
                    file.seek(offset)
                    data = file.read(size)
            except FileNotFoundError:
                if self.cache is not None:  # another process removed it after it was found
                    continue
                raise ZooError(f"{path}: no such shard") from None
            except OSError as error:
                raise ZooError(f"{path}: cannot be read: {error.strerror}") from None
            if len(data) < size:
                raise ZooError(f"{path}: is shorter than its index says; {_ANEW}")
            return data


class Member(NamedTuple):
    """An image in a shard."""

    shard: Shard
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard.url if self.shard.cache is None else self.shard.name}:{self.name}"

    def read(self) -> bytes:
        """Return the image file's bytes; errors of `Shard.read` become a ImageError that names the member."""
        try:
            return self.shard.read(self.offset, self.size)
        except ZooError as error:
            raise ImageError(f"{self}: {error}") from None


class Entry(NamedTuple):
    """The images of one shard.

    Attributes:
        name: File name of the shard.
        bytes: Its size.
        names: Names of the images.
        offsets: (images,) positions in the file, in bytes.
        sizes: (images,) sizes in bytes.
    """

    name: str
    bytes: int
    names: NameList
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, size: int, members: Sequence[tuple[str, int, int]]) -> Entry:
        """Return the entry for a list of names, offsets and sizes."""
        numbers = np.array([member[1:] for member in members], np.int64).reshape(-1, 2)
        return cls(name, size, NameList.of(member[0] for member in members), numbers[:, 0], numbers[:, 1])

    def to_json(self) -> str:
        """Return the entry as it is written to the index."""
        members = {"names": list(self.names), "offsets": self.offsets.tolist(), "sizes": self.sizes.tolist()}
        entry = {"name": self.name, "bytes": self.bytes, **members}
        return json.dumps(entry, separators=(",", ":"), ensure_ascii=False)


class MemberTable(StemTable[Member]):
    """Images of a set of shards by relative stem.

    Args:
        shards: The shards.
        numbers: (images,) number of the shard of each image.
        names: Names of the images in their shards.
        offsets: (images,) positions in the shards, in bytes.
        sizes: (images,) sizes in bytes.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        numbers: NDArray[np.int64],
        names: NameList,
        offsets: NDArray[np.int64],
        sizes: NDArray[np.int64],
    ) -> None:
        super().__init__(names)
        self.shards, self.numbers, self.offsets, self.sizes = list(shards), numbers, offsets, sizes

    @classmethod
    def of(cls, shards: Sequence[Shard], entries: Sequence[Entry]) -> MemberTable:
        """Return the table of all images of ``shards``, given the entry of each."""
        counts = [len(entry.names) for entry in entries]
        return cls(
            shards,
            np.repeat(np.arange(len(shards)), counts),
            NameList(b"".join(entry.names.data for entry in entries)),
            np.concatenate([entry.offsets for entry in entries]),
            np.concatenate([entry.sizes for entry in entries]),
        )

    @property
    def blocks(self) -> NDArray[np.int64]:
        """(images,) number of the shard of each image, counted in the order in which the images use them."""
        used, first = np.unique(self.numbers, return_index=True)
        order = np.zeros(len(self.shards), np.int64)
        order[used[np.argsort(first)]] = np.arange(len(used))
        return order[self.numbers]

    def _stem(self, name: str) -> str:
        return _stem(name) or name

    def _plain_stems(self) -> NameList | None:
        if not self.names.data.isascii() or b"%" in self.names.data:
            return None
        stems, suffixes = self.names.without_suffixes()
        if not {suffix.lower() for suffix in suffixes} <= IMAGE_SUFFIXES or b"." in stems.data:
            return None  # a key ends at its first dot
        return stems

    def _file(self, position: int, name: str) -> Member:
        shard = self.shards[self.numbers[position]]
        return Member(shard, name, int(self.offsets[position]), int(self.sizes[position]))

    def take(self, positions: NDArray[np.int64]) -> MemberTable:
        """Return the table of the images at ``positions``, in this order."""
        return MemberTable(
            self.shards,
            self.numbers[positions],
            self.names.take(positions),
            self.offsets[positions],
            self.sizes[positions],
        )


def _stem(name: str) -> str | None:
    """Return the stem of a member that is an image; None for others, such as labels."""
    folder, slash, last = name.rpartition("/")
    key, dot, ending = last.partition(".")
    if not key or f"{dot}{ending}".lower() not in IMAGE_SUFFIXES:
        return None
    if "%" in key:
        key = key.replace("%2E", ".").replace("%25", "%")
    return plain_name(f"{folder}{slash}{key}")


def member_name(stem: str, suffix: str) -> str:
    """Return the name of an image in a tar file.

    Example:
        >>> member_name("trees/oak.v2", ".JPG")
        'trees/oak%2Ev2.jpg'
    """
    folder, slash, last = stem.rpartition("/")
    return f"{folder}{slash}{last.replace('%', '%25').replace('.', '%2E')}{suffix.lower()}"


# Finding shards and their index


def _expand(pattern: str) -> list[str]:
    """Return the URLs of the shards that a folder, a shell pattern or a pattern with braces denotes."""
    if "{" in pattern:
        try:
            from braceexpand import braceexpand
        except ImportError:
            raise ZooError(f"{pattern}: braces {NO_WEBDATASET}") from None
        return list(braceexpand(pattern))
    if is_remote(pattern):
        return [pattern]
    path = Path(pattern)
    if path.is_dir():
        found = [str(file) for file in path.glob("*.tar")]
    else:
        found = [str(file) for file in path.parent.glob(path.name)] if path.parent.is_dir() else []
    if not found:
        raise ZooError(f"{pattern}: no shards; give a folder of *.tar files, or a pattern such as train-*.tar")
    return sorted(found, key=natural_key)


def _shards(pattern: str, cache: str | Path | None, cache_shards: int) -> list[Shard]:
    keeper = None if cache is None else Cache(Path(cache), cache_shards)
    shards = []
    for url in _expand(pattern):
        remote = is_remote(url)
        if remote and keeper is None:
            raise ZooError(f"{url}: is remote, so the dataset needs a `cache`, a folder on this machine")
        shards.append(Shard(url, keeper if remote else None))
    names = [shard.name for shard in shards]
    if len(set(names)) < len(names):
        raise ZooError(f"{pattern}: two shards have the same name, so their index would be ambiguous; rename one")
    return shards


def _read_index(shards: Sequence[Shard]) -> dict[str, Entry] | None:
    """Return the index from the file beside the first shard; None if there is none."""
    first = shards[0]
    if first.cache is None:
        path = Path(first.url).with_name(INDEX)
        if not path.is_file():
            return None
        data = path.read_bytes()
        where = str(path)
    else:
        where = first.url.replace(first.name, INDEX)
        data = fetch_bytes(where)
    try:
        index = json.loads(data, object_hook=_compact)
        if index["format"] != _FORMAT:
            raise ValueError
        return {entry.name: entry for entry in index["shards"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ZooError(f"{where}: is not an index of shards; {_ANEW}") from None


def _compact(value: dict[str, Any]) -> dict[str, Any] | Entry:
    """Convert the entry of a shard while the index is read; the lists of a million images would take 300 MB."""
    if "names" not in value:
        return value
    names, offsets, sizes = NameList.of(value["names"]), *(np.array(value[k], np.int64) for k in ("offsets", "sizes"))
    if not len(names) == len(offsets) == len(sizes):
        raise ValueError
    return Entry(value["name"], int(value["bytes"]), names, offsets, sizes)


def scan(shard: Shard) -> Entry:
    """Return the index entry of one shard."""
    path = shard.path()
    try:
        with tarfile.open(path, "r:") as tar:
            members = [(info.name, info.offset_data, info.size) for info in tar if info.isreg() and _stem(info.name)]
    except (OSError, tarfile.TarError) as error:
        raise ZooError(f"{path}: cannot be read as a tar file (compressed ones are not supported): {error}") from None
    return Entry.of(shard.name, path.stat().st_size, members)


def index_shards(
    pattern: str, out: str | Path, *, cache: str | Path | None = None, cache_shards: int = 64, workers: int = 4
) -> int:
    """Write the index of shards made by another program; place it beside the shards.

    Args:
        pattern: The shards, as in `open_shards`.
        out: File to write, named `index.json`.
        cache: As in `open_shards`.
        cache_shards: As in `open_shards`.
        workers: Number of shards read at a time.

    Returns:
        Number of images.
    """
    shards = _shards(str(pattern), cache, cache_shards)
    with ThreadPoolExecutor(workers) as pool:
        return write_index(Path(out), list(pool.map(scan, shards)))


def write_index(path: Path, entries: Sequence[Entry]) -> int:
    """Write index entries made by `scan`; return the number of images."""
    text = f'{{"format":"{_FORMAT}","shards":[{",".join(entry.to_json() for entry in entries)}]}}'
    write_bytes(path, text.encode("utf-8", "surrogatepass"))  # names in foreign tar files may contain any bytes
    return sum(len(entry.names) for entry in entries)


def open_shards(pattern: str | Path, *, cache: str | Path | None = None, cache_shards: int = 64) -> MemberTable:
    """Return stem -> member of all images of a set of shards, in the order of the shards.

    Args:
        pattern: A folder of *.tar files, a pattern such as `DIR/train-*.tar`, or one with braces such as
            `https://.../train-{000000..000099}.tar`; local files or URLs that webdataset supports.
        cache: Folder for downloaded shards, shared by all processes of a machine.
        cache_shards: Maximum number of shards in the cache.

    Raises:
        ZooError: If there are no shards, the index is damaged or outdated, remote shards have no index, or two images
            have the same stem.
    """
    shards = _shards(str(pattern), cache, cache_shards)
    index = _read_index(shards)
    entries = []
    for shard in shards:
        if index is not None and shard.name not in index:
            raise ZooError(f"{shard.url}: is not in its index; {_ANEW}")
        entry = scan(shard) if index is None else index[shard.name]
        shard.size = entry.bytes
        if shard.cache is None:
            _check_size(shard)
        entries.append(entry)
    table = MemberTable.of(shards, entries)
    if not len(table):
        raise ZooError(f"{pattern}: the shards contain no images")
    if same := table.repeated():
        first, second = (table.at(position) for position in same)
        raise ZooError(f"{first} and {second} have the same stem '{table.stems[same[0]]}'")
    return table


def _check_size(shard: Shard) -> None:
    try:
        size = Path(shard.url).stat().st_size
    except OSError as error:
        raise ZooError(f"{shard.url}: cannot be read: {error.strerror}") from None
    if size != shard.size:
        raise ZooError(f"{shard.url}: has {size:,} bytes, its index says {shard.size:,}; {_ANEW}")
