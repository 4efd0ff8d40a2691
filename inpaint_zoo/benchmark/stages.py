"""Store the intermediate results of networks for the images of the gallery.

They are stored beside the result in the cell's folder: `cells/<id>/stages/` contains PNG files and `stages.json`, which
lists them for each image. They are computed once; the numbers of the cell do not depend on them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.benchmark.compute import load_sample
from inpaint_zoo.benchmark.methods import NetworkMethod
from inpaint_zoo.benchmark.plan import Cell
from inpaint_zoo.benchmark.store import Store, read_json
from inpaint_zoo.io.atomic import atomic_folder, write_json
from inpaint_zoo.io.images import write_image

if TYPE_CHECKING:
    import torch

    from inpaint_zoo.inference.stages import Stage

__all__ = ["STAGES", "signed_map", "store_stages"]

STAGES = "stages"
LEAST = 1 / 255  # smallest scale of a signed map

Floats = NDArray[np.float32]


def store_stages(
    cells: Iterable[Cell], labels: Iterable[str], gallery: int, store: Store, device: torch.device, precision: str
) -> None:
    """Compute and store the stages of the cells that are done and have none yet.

    Args:
        cells: The cells of the run.
        labels: Labels of the methods, or of their entries (see `families`).
        gallery: Number of images for each dataset.
        store: The folder of results.
        device: Device on which the networks run.
        precision: Precision of the networks.
    """
    wanted = set(labels)
    running: NetworkMethod | None = None
    for cell in cells:
        method = cell.method
        family = method.entry.family if isinstance(method, NetworkMethod) else None
        if not isinstance(method, NetworkMethod) or (family.label if family else method.label) not in wanted:
            continue
        folder = store.out / "cells" / cell.key.id
        shown = {
            index: position
            for index, position in cell.image_set.gallery(gallery).items()
            if (folder / "images" / f"{position}.png").is_file()
        }
        known = read_json(folder / STAGES / "stages.json")
        if not store.is_done(cell.key) or (known is not None and set(known) >= set(map(str, shown.values()))):
            continue
        shutil.rmtree(folder / STAGES, ignore_errors=True)
        if running is not None and running is not method:
            running.close()
        running = method
        method.start(cell.task, device, precision)
        with atomic_folder(folder / STAGES) as temporary:
            content = {}
            for index, position in shown.items():
                item = load_sample(cell.image_set, cell.masks, index).item
                content[str(position)] = _write(temporary, position, method.stages(item), item.mask)
            write_json(temporary / "stages.json", content)
    if running is not None:
        running.close()


def _write(folder: Path, position: int, stages: list[Stage], mask: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Write the files of an image and return their descriptions; none for a network with one stage."""
    if len(stages) < 2:
        return []
    files: list[dict[str, Any]] = []
    for number, stage in enumerate(stages):
        if stage.change is not None:
            pixels, scale = signed_map(stage.change, mask)
            files.append({"name": stage.name, "file": f"{position}-{number}-change.png", "scale": scale})
            write_image(folder / files[-1]["file"], pixels)
        files.append({"name": stage.name, "file": f"{position}-{number}.png", "scale": None})
        write_image(folder / files[-1]["file"], stage.result)
    return files


def signed_map(values: Floats, mask: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], float]:
    """Return signed values as an image around middle gray, and the value that is drawn as white.

    Args:
        values: (3, H, W).
        mask: (H, W), True where the values count; other pixels are gray.

    Returns:
        (H, W, 3) uint8: 128 is 0, 255 is the scale, 1 is minus the scale. The scale is the largest absolute value,
        rounded up to two digits, and at least 1 / 255.
    """
    inside = np.where(mask, values, 0.0)
    largest = max(float(np.abs(inside).max()), LEAST)
    digit = 10.0 ** (np.floor(np.log10(largest)) - 1)
    scale = float(np.round(np.ceil(largest / digit - 1e-9) * digit, 12))
    return (128 + np.rint(127 * inside / scale)).astype(np.uint8).transpose(1, 2, 0), scale
