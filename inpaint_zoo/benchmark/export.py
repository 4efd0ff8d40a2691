"""Export a suite's inputs as files for external programs; their results are read by a `folder` method."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inpaint_zoo.benchmark.compute import load_sample
from inpaint_zoo.benchmark.images import samples
from inpaint_zoo.benchmark.options import Listener, Options
from inpaint_zoo.benchmark.plan import Sources, open_sources
from inpaint_zoo.benchmark.runner import mention_unreadable
from inpaint_zoo.benchmark.store import CellKey
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_folder, write_bytes
from inpaint_zoo.io.images import write_image
from inpaint_zoo.io.names import concerns_one_name
from inpaint_zoo.masks.bank import encode_png

__all__ = ["export_inputs"]


def export_inputs(suite: Suite, folder: str | Path, options: Options, listener: Listener) -> int:
    """Write the inputs that every method of a suite gets, as PNG files.

    `images/<dataset>/<mask>/<stem>.png` are the images with black holes, `masks/<dataset>/<mask>/<stem>.png` the masks
    (255 = hole). A mask set with `draws` gives each image several files, `<stem>.png`, `<stem>#1.png` and so on. A
    `folder` method of a suite reads results written as `<dataset>/<mask>/<stem>.png`. The suite's
    methods and metrics are not checked, so that its folder may not exist yet. Mask sets with a mosaic are left out,
    because only registered networks support them.

    Args:
        suite: Suite with the datasets and mask sets.
        folder: A new or empty folder.
        options: Only ``workers`` and ``allow_missing`` are used.
        listener: Notified about each image.

    Returns:
        Number of images written. Images that get no mask, or whose names are too long, are noted and left out.

    Raises:
        ZooError: If ``folder`` is not empty, images cannot be read, or a dataset or mask files are not there.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ZooError(f"{folder} is not empty; --export-inputs needs a new folder, so that nothing is overwritten.")
    sources = open_sources(suite, options.num_workers, folder / "cache")
    _mention_missing(sources, options.allow_missing, listener)
    mention_unreadable(sources, options.allow_missing, listener)
    pairs = [(images, masks) for images in sources.image_sets for masks in sources.masks if masks.mosaic is None]
    count = sum(len(samples(*pair)) for pair in pairs)
    listener.begin(len(pairs), count)
    if folder.is_dir():
        folder.rmdir()
    with atomic_folder(folder) as temporary:
        for image_set, masks in pairs:
            key = CellKey("inputs", image_set.label, masks.label, "")
            listener.cell(key)
            place = Path(image_set.label) / masks.label
            for index, draw in samples(image_set, masks):
                try:
                    item = load_sample(image_set, masks, index, draw).item
                    write_image(temporary / "images" / place / f"{item.key}.png", item.image)
                    mask = encode_png(item.mask.astype(np.uint8))
                    write_bytes(temporary / "masks" / place / f"{item.key}.png", mask)
                except (ZooError, OSError) as error:
                    if isinstance(error, OSError) and not concerns_one_name(error):
                        raise
                    count -= 1
                    reason = error.strerror if isinstance(error, OSError) else error
                    listener.note(f"left out: {key}: {image_set.key(index, draw)}: {reason}")
                listener.image()
            listener.finish(key, None)
    return count


def _mention_missing(sources: Sources, allow_missing: bool, listener: Listener) -> None:
    missing = dict.fromkeys([*sources.missing_datasets.values(), *sources.missing_masks.values()])
    for part in missing:
        listener.note(f"missing: {part.what}: {part.where}")
    if not sources.image_sets or not sources.masks:
        raise ZooError("Nothing can be exported, because every dataset or every mask set is missing.")
    if missing and not allow_missing:
        raise ZooError(f"{next(iter(missing)).what} is missing; --allow-missing exports the others.")
