"""Datasets of images: which files, in which order, and which crop of each."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.config import checked, whole
from inpaint_zoo.data.crops import CROPS, Size, cut, windows
from inpaint_zoo.data.fetching import is_remote
from inpaint_zoo.data.lists import read_labels, read_list
from inpaint_zoo.data.locate import DATA_FOLDER, DatasetFolder, locate, named_folder, not_found
from inpaint_zoo.data.registry import DATASETS
from inpaint_zoo.data.sample import sample_files
from inpaint_zoo.data.shards import Member, MemberTable, Shard, open_shards
from inpaint_zoo.data.splits import select
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.atomic import sha256_or_unreadable
from inpaint_zoo.io.image_cache import ImageCache
from inpaint_zoo.io.images import MAX_PIXELS, DecodedImage, ImageError, decode_image, image_size, read_image
from inpaint_zoo.io.listing import by_stem
from inpaint_zoo.io.stem_table import JoinedTable, StemTable
from inpaint_zoo.random import Draws

__all__ = ["Examined", "ImageDataset", "ImageFile", "Problem", "create_dataset", "list_files"]

SAMPLE = "sample"
BLOCK = 4096  # images that are queued for the threads of `examine` at a time, because the queue of a million takes 1 GB
SOURCE_KEYS = ("root", "list", "shards", "cache", "cache_shards", "split", "labels")
PART_KEYS = ("name", *SOURCE_KEYS, "select", "terms")
KEYS = (*PART_KEYS, "parts", "size", "crop", "seed", "max_pixels", "keep_mib")
ImageFile = Path | Member
Keep = Callable[[int, NDArray[np.uint8]], None]


class Problem(NamedTuple):
    """An unreadable image: its stem (the ``groups`` entry of its items), its file, and the reason."""

    key: str
    path: ImageFile
    reason: str


class Examined(NamedTuple):
    """What decoding an image found.

    Attributes:
        key: Its stem.
        path: Its file.
        reason: Why it cannot be read; empty if it can.
        size: (H, W) in pixels; None if it cannot be read.
        sha256: Hash of its file; empty if it was not asked for.
    """

    key: str
    path: ImageFile
    reason: str
    size: Size | None
    sha256: str


class ImageDataset:
    """Images cropped by one rule, by index. Reading is thread-safe, and the object can be sent to other processes.

    Args:
        name: Name in tables.
        files: Relative stem -> file or member of a shard, in order.
        crop: One of `CROPS`.
        size: (H, W) of each item in pixels; None keeps every image as it is.
        seed: Seed of the random crops.
        max_pixels: Images with more pixels raise an error.
        keep_mib: Size in MiB of a cache of the first decoded images, in each loading process; useful for few-shot sets,
            which are read repeatedly.

    Attributes:
        keys: Unique key of each item: the stem, or `<stem>_crop<k>` for the rule "grid".
        groups: The stem of the image that each item was cropped from.
        files: Stem -> file of all images, including unreadable ones.
        notes: Stem -> conversions and enlargements, in words; filled by `load` and `check`.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[str, ImageFile],
        *,
        crop: str = "none",
        size: Size | None = None,
        seed: int = 0,
        max_pixels: int = MAX_PIXELS,
        keep_mib: int = 0,
    ) -> None:
        self.name = name
        self.files: Mapping[str, ImageFile] = files if isinstance(files, StemTable) else dict(files)
        self.crop, self.size, self.seed, self.max_pixels = crop, size, seed, max_pixels
        self.notes: dict[str, tuple[str, ...]] = {}
        self._hashes: dict[str, str] = {}
        self._kept: ImageCache[str, NDArray[np.uint8]] = ImageCache(keep_mib * 2**20)
        self._windows: list[int] | None = None  # index of each item's window in its image; None for the first one
        if crop == "grid":
            items = [(stem, number) for stem in self.files for number in range(self._count(stem))]
            self.groups: Sequence[str] = [stem for stem, _ in items]
            self.keys: Sequence[str] = [f"{stem}_crop{number}" for stem, number in items]
            self._windows = [number for _, number in items]
        else:
            self.groups = self.keys = files.stems if isinstance(files, StemTable) else list(self.files)

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        size = "" if self.size is None else f" to {self.size[0]} x {self.size[1]}"
        return f"ImageDataset({self.name!r}: {len(self)} items of {len(self.files)} images, crop {self.crop}{size})"

    def _count(self, stem: str) -> int:
        """Return the number of crops of an image by the rule "grid"."""
        try:
            # it does not depend on an EXIF rotation
            return len(windows("grid", _size(self.files[stem], self.max_pixels), self.size))
        except ZooError:
            return 0  # check() reports the error

    def _file(self, index: int) -> ImageFile:
        if self._windows is None and isinstance(self.files, StemTable):
            return self.files.at(index)
        return self.files[self.groups[index]]

    def load(self, index: int) -> NDArray[np.uint8]:
        """Return item ``index`` as upright RGB (H, W, 3) uint8; transparency is dropped.

        Raises:
            ImageError: If the file cannot be read; the message starts with its path.
        """
        return self._cut(index, self._read(self.groups[index], self._file(index)))

    def load_crops(self, index: int) -> dict[int, NDArray[np.uint8]]:
        """Return all items that were cropped from the same image as item ``index``; the image is decoded once.

        Raises:
            ImageError: If the file cannot be read; the message starts with its path.
        """
        stem = self.groups[index]
        return self._crops(index - self._window(index), stem, self._read(stem, self._file(index)))

    def _crops(self, first: int, stem: str, rgb: NDArray[np.uint8]) -> dict[int, NDArray[np.uint8]]:
        """Return the items of an image, which are consecutive, by index."""
        crops: dict[int, NDArray[np.uint8]] = {}
        for index in range(first, len(self)):
            if self.groups[index] != stem:
                break
            crops[index] = self._cut(index, rgb)
        return crops

    def _window(self, index: int) -> int:
        """Return the number of an item's window in its image."""
        return 0 if self._windows is None else self._windows[index]

    def _cut(self, index: int, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        draws = (0, 0)
        if self.crop == "random":
            table = Draws(self.seed, "crop", np.array([index], dtype=np.uint64)).table(0, 2)[0]
            draws = (int(table[0] * 2**32), int(table[1] * 2**32))
        every = windows(self.crop, (rgb.shape[0], rgb.shape[1]), self.size, draws)
        return cut(rgb, every[self._window(index)])

    def _read(self, stem: str, file: ImageFile) -> NDArray[np.uint8]:
        rgb = self._kept.get(stem)
        if rgb is None:
            rgb = self._decoded(stem, file)
            self._kept.keep(stem, rgb)
        return rgb.copy()

    def _decoded(self, stem: str, file: ImageFile) -> NDArray[np.uint8]:
        image = _read(file, self.max_pixels)
        notes = list(image.notes)
        if image.alpha is not None:
            notes.append("alpha left out")
        H, W = image.size
        try:
            resized = windows(self.crop, (H, W), self.size)[0].resized
        except ZooError as error:
            raise ImageError(f"{image.path}: {error}") from None
        if resized[0] > H or resized[1] > W:
            notes.append(f"enlarged from {W} x {H} to {resized[1]} x {resized[0]}")
        if notes:
            self.notes[stem] = tuple(notes)
        return image.rgb

    def blame(self, index: int, error: ZooError) -> str:
        """Return what is wrong with item ``index``, in one line that starts with its file."""
        file = str(self._file(index))
        return f"{file}: {str(error).removeprefix(f'{file}: ')}"

    @property
    def blocks(self) -> NDArray[np.int64] | None:
        """(items,) number of the shard that contains each item, from 0; None if some image is a separate file."""
        numbers: dict[Shard, int] = {}
        found = []
        if isinstance(self.files, MemberTable) and self._windows is None:
            return self.files.blocks
        for file in self.files.values() if self._windows is None else (self.files[stem] for stem in self.groups):
            if not isinstance(file, Member):
                return None
            found.append(numbers.setdefault(file.shard, len(numbers)))
        return np.array(found, dtype=np.int64)

    def identity(self) -> dict[str, Any]:
        """Return what determines the items' pixels: SHA-256 of each file by stem, and the rules; no paths or dates.

        Example:
            >>> identity = create_dataset({"name": "sample", "size": 64}).identity()
            >>> identity["crop"], identity["size"], list(identity["files"])
            ('center', [64, 64], ['astronaut', 'chelsea', 'rocket', 'retina'])
        """
        for stem, path in self.files.items():
            if stem not in self._hashes:
                self._hashes[stem] = _sha256(path)
        return {
            "files": dict(self._hashes),
            "crop": self.crop,
            "size": None if self.size is None else list(self.size),
            "seed": self.seed if self.crop == "random" else None,
            "filter": None if self.size is None else "bicubic",
            "max_pixels": self.max_pixels,
        }

    def check(self, workers: int = 1, keep: Keep | None = None) -> list[Problem]:
        """Decode every image once, in ``workers`` threads, and return the unreadable ones, in order.

        Args:
            workers: Number of threads.
            keep: See `examine`.
        """
        found = self.examine(workers, keep=keep)
        return [Problem(each.key, each.path, each.reason) for each in found if each.reason]

    def examine(self, workers: int = 1, *, hashes: bool = False, keep: Keep | None = None) -> Iterator[Examined]:
        """Decode every image once, in ``workers`` threads, and yield what was found, in order.

        Args:
            workers: Number of threads.
            hashes: Whether to compute the SHA-256 of each file.
            keep: Function that gets index and pixels of every item, from any of the threads.
        """
        firsts: dict[str, int] = {}  # stem -> index of its first item
        for index, stem in enumerate(self.groups if keep else ()):
            firsts.setdefault(stem, index)

        def examined(item: tuple[str, ImageFile]) -> Examined:
            stem, file = item
            sha256 = _sha256(file) if hashes else ""
            try:
                rgb = self._read(stem, file)
            except ImageError as error:
                return Examined(stem, file, str(error).removeprefix(f"{file}: "), None, sha256)
            if keep is not None and stem in firsts:
                for index, crop in self._crops(firsts[stem], stem, rgb).items():
                    keep(index, crop)
            return Examined(stem, file, "", (rgb.shape[0], rgb.shape[1]), sha256)

        items = iter(self.files.items())
        with ThreadPoolExecutor(max(1, workers)) as pool:
            while block := list(islice(items, BLOCK)):
                yield from pool.map(examined, block)


def _read(file: ImageFile, max_pixels: int) -> DecodedImage:
    if isinstance(file, Member):
        return decode_image(file.read(), str(file), max_pixels=max_pixels)
    return read_image(file, max_pixels=max_pixels)


def _size(file: ImageFile, max_pixels: int) -> Size:
    return _read(file, max_pixels).size if isinstance(file, Member) else image_size(file, max_pixels=max_pixels)


def _sha256(file: ImageFile) -> str:
    if isinstance(file, Path):
        return sha256_or_unreadable(file)
    try:
        return hashlib.sha256(file.read()).hexdigest()
    except (OSError, ImageError):
        return "unreadable"


def create_dataset(spec: Mapping[str, Any], files: Mapping[str, ImageFile] | None = None) -> ImageDataset:
    """Create the dataset that an entry of a suite or of a training configuration describes.

    Args:
        spec: ``name``: a registered data set (`list_datasets`) together with ``split`` (train, val or test), or any
            name together with ``root``, a folder that is searched recursively, or ``shards`` with ``cache`` and
            ``cache_shards``, as in `open_shards`.
            ``split``: the images are those of the registered split. ``root`` is then the folder of the whole data set,
            and ``select`` is applied to the images of the split.
            Without ``root``, the folder of the data set in `INPAINT_ZOO_DATA` is used (`locate.locate`).
            ``terms``: origin and terms of use as text, for model cards.
            ``parts``: instead of ``root``, a list of datasets (``name`` and where their images are) whose images are
            joined in this order.
            ``list``: a file with the paths of the images to use, relative to ``root`` (`read_list`). ``select``: rules
            for a subset (`splits.select`). ``labels``: for ``select``, a file with the class of each image if the
            folders do not give it, or that file and one with the names of its labels (`splits.read_labels`).
            The splits of "sample" are test (default), train, all (both) and unseen (test and ten gray images).
            ``size``: N or [H, W]. ``crop``: center (default if there is a size), resize, grid, random, none. ``seed``:
            seed of crop "random". ``max_pixels``: images with more pixels raise an error. ``keep_mib``: size of the
            cache of decoded images in each process.
        files: The result of `list_files` for ``spec``, if it is already known.

    Raises:
        DatasetNotFoundError: If the folder of a registered data set does not exist.
        DatasetLayoutError: If it does not have the layout of the data set.
        ZooError: If a key or value is invalid (similar valid ones are suggested), the folder does not exist or contains
            no images, or two files have the same stem.

    Warns:
        DatasetWarning: If a registered data set has another number of images than its source states.

    Example:
        >>> create_dataset({"name": "sample", "size": 256})
        ImageDataset('sample': 4 items of 4 images, crop center to 256 x 256)
    """
    name = _name(spec, KEYS)
    files = list_files(spec) if files is None else files
    crop, size = _rules(name, spec)
    seed = _integer(name, "seed", spec.get("seed", 0), 0)
    max_pixels = _integer(name, "max_pixels", spec.get("max_pixels", MAX_PIXELS), 1)
    if "seed" in spec and crop != "random":
        raise ZooError(f"dataset '{name}': `seed` applies only to `crop: random`, but this is `crop: {crop}`")
    keep_mib = _integer(name, "keep_mib", spec.get("keep_mib", 0), 0)
    return ImageDataset(name, files, crop=crop, size=size, seed=seed, max_pixels=max_pixels, keep_mib=keep_mib)


def list_files(spec: Mapping[str, Any]) -> Mapping[str, ImageFile]:
    """Return relative stem -> file of the images that a dataset entry describes, without opening them.

    Args:
        spec: The entry, as in `create_dataset`.

    Raises:
        ZooError: As in `create_dataset`, except for errors about sizes and crops.
    """
    name = _name(spec, KEYS)
    find = _joined if "parts" in spec else _given
    files: Mapping[str, ImageFile] = _sample(spec) if name == SAMPLE else find(name, spec)
    if "select" not in spec:
        if "labels" in spec:
            raise ZooError(f"dataset '{name}': `labels` applies only together with `select`")
        return files
    if not isinstance(spec["select"], Mapping):
        raise ZooError(f"dataset '{name}': `select` must be a mapping such as {{first: 2000}}, got {spec['select']!r}")
    return select(files, spec["select"], _labels(name, spec))


def _name(spec: Mapping[str, Any], keys: Sequence[str]) -> str:
    for key in spec:
        if key not in keys:
            raise unknown_name("dataset key", key, keys)
    name = spec.get("name")
    if not isinstance(name, str) or not name:
        raise ZooError(f"a dataset needs a `name`: 'sample', or any other together with `root`; got {name!r}")
    if not isinstance(spec.get("terms", ""), str):
        raise ZooError(f"dataset '{name}': `terms` must be a text, got {spec['terms']!r}")
    return name


def _joined(name: str, spec: Mapping[str, Any]) -> Mapping[str, ImageFile]:
    """Return the images of all parts; their stems start with the name of their part."""
    for key in SOURCE_KEYS:
        if key in spec:
            raise ZooError(f"dataset '{name}': give `parts` or `{key}`, not both")
    parts = spec["parts"]
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(part, Mapping) for part in parts):
        raise ZooError(f"dataset '{name}': `parts` must be a list of datasets, each a mapping with a name")
    names = [_name(part, PART_KEYS) for part in parts]
    if len(set(names)) < len(names):
        raise ZooError(f"dataset '{name}': its parts must have different names, got {', '.join(names)}")
    files = {part_name: list_files(part) for part_name, part in zip(names, parts, strict=True)}
    tables = {part_name: table for part_name, table in files.items() if isinstance(table, StemTable)}
    if len(tables) == len(files):
        return JoinedTable(tables)
    return {f"{part_name}/{stem}": file for part_name, part in files.items() for stem, file in part.items()}


def _labels(name: str, spec: Mapping[str, Any]) -> Mapping[str, str] | None:
    if "labels" not in spec:
        return None
    given = spec["labels"]
    paths = list(given) if isinstance(given, list | tuple) else [given]
    if len(paths) not in (1, 2) or not all(isinstance(path, str | Path) and str(path) for path in paths):
        raise ZooError(f"dataset '{name}': `labels` must be FILE, or [FILE, FILE that names the labels], got {given!r}")
    return read_labels(*(locate(path, name) for path in paths))


def _sample(spec: Mapping[str, Any]) -> dict[str, Path]:
    for key in ("root", "list", "shards", "cache", "cache_shards", "parts"):
        if key in spec:
            raise ZooError(f"dataset 'sample' has no `{key}`: it comes with scikit-image. Give a folder another name.")
    return sample_files(spec.get("split", "test"))


def _given(name: str, spec: Mapping[str, Any]) -> Mapping[str, ImageFile]:
    """Return the user's images: a folder, a list, or shards."""
    for key in ("root", "list", "shards", "cache"):
        if key in spec and (not isinstance(spec[key], str | Path) or not str(spec[key])):
            kind = {"list": "a file", "shards": "a folder or pattern"}.get(key, "a folder")
            raise ZooError(f"dataset '{name}': `{key}` must be {kind}, got {spec[key]!r}")
    if "split" in spec:
        return _registered(name, spec)
    if "shards" in spec:
        for key in ("root", "list"):
            if key in spec:
                raise ZooError(f"dataset '{name}': give `shards` or `{key}`, not both")
        kept = _integer(name, "cache_shards", spec.get("cache_shards", 64), 1)
        shards = spec["shards"] if is_remote(str(spec["shards"])) else locate(spec["shards"], name)
        return open_shards(shards, cache=spec.get("cache"), cache_shards=kept)
    for key in ("cache", "cache_shards"):
        if key in spec:
            raise ZooError(f"dataset '{name}': `{key}` applies only to `shards`")
    if "list" in spec:
        return read_list(spec["list"], locate(spec["root"], name) if "root" in spec else None)
    root = locate(spec["root"], name) if "root" in spec else named_folder(name)
    if name in DATASETS and (root is None or not root.exists()):
        raise not_found(DATASETS[name], root)
    if root is None or ("root" not in spec and not root.is_dir()):
        hint = (
            f"A folder needs `root: FOLDER` (on the command line: --data.root FOLDER), or must be called {name} in the "
            f"folder set in {DATA_FOLDER}; 'sample' needs nothing. `inpaint-zoo data list` lists the registered data "
            "sets."
        )
        raise unknown_name("dataset", name, DATASETS, hint)
    return by_stem(root, role="images")


def _registered(name: str, spec: Mapping[str, Any]) -> Mapping[str, ImageFile]:
    """Return the images of a registered split."""
    if name not in DATASETS:
        hint = "`split` applies only to registered data sets; use `select` for a part of a folder."
        raise unknown_name("registered data set", name, DATASETS, hint)
    for key in ("list", "shards", "cache", "cache_shards", "labels"):
        if key in spec:
            raise ZooError(
                f"dataset '{name}': `split` selects images of the data set's folder; give `split` or `{key}`, not both"
            )
    folder = DatasetFolder(DATASETS[name], spec.get("root"))
    files = folder.files(spec["split"])
    if doubt := folder.doubt(spec["split"]):
        warnings.warn(doubt, stacklevel=2)
    return files


def _rules(name: str, spec: Mapping[str, Any]) -> tuple[str, Size | None]:
    size = spec.get("size")
    crop = spec.get("crop", "none" if size is None else "center")
    if crop not in CROPS:
        raise unknown_name(f"crop of dataset '{name}':", crop, CROPS)
    if crop == "none":
        if size is not None:
            raise ZooError(f"dataset '{name}': `crop: none` keeps every size, so leave `size` out")
        return crop, None
    if size is None:
        raise ZooError(f"dataset '{name}': `crop: {crop}` needs a `size`: N or [H, W]")
    sides = size if isinstance(size, list | tuple) else [size, size]
    if len(sides) != 2:
        raise ZooError(f"dataset '{name}': `size` must be N or [H, W], got {size!r}")
    h, w = (_integer(name, "size", side, 1) for side in sides)
    return crop, (h, w)


def _integer(name: str, key: str, value: object, low: int) -> int:
    return checked(f"dataset '{name}': `{key}`", value, whole(low))
