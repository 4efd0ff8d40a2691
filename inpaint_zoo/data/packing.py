"""Pack folders of images into shards: `inpaint-zoo data shards`."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inpaint_zoo.config import checked, whole
from inpaint_zoo.data.shards import INDEX, Entry, Shard, member_name, scan, write_index
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_folder
from inpaint_zoo.io.images import ImageError, decode_image
from inpaint_zoo.random import permutation

__all__ = ["write_shards"]


def write_shards(
    files: Mapping[str, Path],
    folder: str | Path,
    *,
    name: str = "shard",
    per_shard: int = 1000,
    seed: int | None = 0,
    workers: int = 4,
    progress: Callable[[int], None] = lambda _: None,
) -> list[tuple[str, str]]:
    """Pack image files unchanged into tar files with an index. The same files give the same bytes.

    Args:
        files: Stem -> file.
        folder: Folder to create; it is written atomically.
        name: Shards are called `<name>-000000.tar` and so on.
        per_shard: Number of images in each shard.
        seed: Seed of the order in which images are packed, so that a shard is a random sample and not one class; None
            keeps the order.
        workers: Number of threads that read and check.
        progress: Called with the number of images done.

    Returns:
        Stem and reason of the images that cannot be decoded; they are left out.

    Raises:
        ZooError: If ``folder`` exists, or no image can be packed.
    """
    folder = Path(folder)
    if folder.exists():
        raise ZooError(f"{folder}: already exists; shards need a new folder")
    checked("`per_shard`", per_shard, whole(1))
    stems = list(files)
    if seed is not None:
        stems = [stems[k] for k in permutation(seed, "shards", len(stems)).tolist()]
    problems: list[tuple[str, str]] = []
    entries: list[Entry] = []
    with atomic_folder(folder) as temporary, ThreadPoolExecutor(max(1, workers)) as pool:
        for first in range(0, len(stems), per_shard):
            batch = stems[first : first + per_shard]
            path = temporary / f"{name}-{len(entries):06d}.tar"
            with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
                for stem, result in zip(batch, pool.map(_checked, (files[stem] for stem in batch)), strict=True):
                    if isinstance(result, str):
                        problems.append((stem, result))
                    else:
                        _add(tar, member_name(stem, files[stem].suffix), result)
            entries.append(scan(Shard(str(path))))
            progress(first + len(batch))
        if len(problems) == len(stems):
            raise ZooError(f"none of {len(stems)} images can be read; the first: {problems[0][1] if problems else ''}")
        write_index(temporary / INDEX, entries)
    return problems


def _checked(path: Path) -> bytes | str:
    """Return the file's bytes, or why it cannot be decoded."""
    try:
        data = path.read_bytes()
        decode_image(data, path)
    except ImageError as error:
        return str(error)
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    return data


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # without owner and date, so that the bytes are always the same
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
