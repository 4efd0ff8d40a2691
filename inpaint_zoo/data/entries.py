"""Datasets from their entries in suites and configurations: which files, and which crops of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpaint_zoo.config import checked, whole
from inpaint_zoo.data.crops import CROPS, Size
from inpaint_zoo.data.datasets import ImageDataset, ImageFile
from inpaint_zoo.data.fetching import is_remote
from inpaint_zoo.data.lists import read_labels, read_list
from inpaint_zoo.data.locate import DATA_FOLDER, DatasetFolder, locate, named_folder, not_found
from inpaint_zoo.data.registry import DATASETS
from inpaint_zoo.data.sample import sample_files
from inpaint_zoo.data.shards import open_shards
from inpaint_zoo.data.splits import select
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.images import MAX_PIXELS
from inpaint_zoo.io.listing import by_stem
from inpaint_zoo.io.stem_table import JoinedTable, StemTable

__all__ = ["SAMPLE", "create_dataset", "list_files"]

SAMPLE = "sample"
SOURCE_KEYS = ("root", "list", "shards", "cache", "cache_shards", "split", "labels")
PART_KEYS = ("name", *SOURCE_KEYS, "select", "terms")
KEYS = (*PART_KEYS, "parts", "size", "crop", "seed", "max_pixels", "keep_mib")


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
