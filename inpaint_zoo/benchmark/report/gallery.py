"""The images of the report: small copies inside the page, and difference maps computed from the PNG files.

A result's copy contains only the hole (a few pixels wider, so that compression causes no seam) and every known pixel
that differs from the ground truth; the page shows it on top of the ground truth. This is four times smaller than whole
images and looks the same. The compression is lossy; the page states this with the PSNR of the worst copy to its PNG.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import short_title
from inpaint_zoo.benchmark.report.typography import decimal

__all__ = [
    "DIFFERENCE_COLORS",
    "DIFFERENCE_STEPS",
    "HOLE_COLORS",
    "QUALITY",
    "Gallery",
    "Pixels",
    "Scores",
    "build_gallery",
    "difference_map",
    "difference_rgb",
    "image_scores",
    "masked_rgb",
    "read_hole",
    "read_rgb",
]

QUALITY = 90  # WebP quality
LONGEST_SIDE = 768  # larger images are shown smaller
BUDGET = 24_000_000  # bytes of images in the page; further images stay in the folder, which the page states
DIFFERENCE_STEPS = (0, 4, 8, 16, 32, 64, 128)  # lower ends of the classes, in 8-bit steps, mean of |R|, |G|, |B|
DIFFERENCE_COLORS = ("#160b39", "#420a68", "#6a176e", "#a92e5e", "#dd513a", "#f98e09", "#fcd34b")  # one per class
HOLE_COLORS = ("#f3efe6", "#c9c1b2")  # two stripes, a pattern that images do not have
_MARGIN = 9  # of the square that widens the hole: four pixels on every side

Pixels = NDArray[np.uint8]
Scores = dict[tuple[str, str, str, str], dict[str, float]]


@dataclass
class Gallery:
    """Data for the page's script.

    Attributes:
        scenes: One per (dataset, mask set, image): names of its images, and the scores of each method.
        images: Name -> data URI.
        shown, available: Numbers of images in the page and in the folder, summed over datasets.
        worst_copy_db: PSNR of the worst copy to its PNG; infinite if there is none.
        reduced: Whether some image is shown smaller than it is.
    """

    scenes: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    shown: int = 0
    available: int = 0
    worst_copy_db: float = math.inf
    reduced: bool = False

    def add(self, name: str, data: bytes, kind: str) -> str:
        """Store an image as a data URI and return its name."""
        self.images[name] = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        return name

    @property
    def size(self) -> int:
        """Total length of all data URIs in characters."""
        return sum(map(len, self.images.values()))


def build_gallery(run: Run, budget: int = BUDGET) -> Gallery:
    """Encode the gallery of a run, image by image over all datasets and mask sets, until ``budget`` is spent."""
    gallery = Gallery()
    kept = {dataset: run.gallery_keys(dataset) for dataset in run.datasets}
    available = {dataset: list(keys) for dataset, keys in kept.items()}
    gallery.available = sum(map(len, available.values()))
    keys = {dataset: list(keys.values()) for dataset, keys in kept.items()}
    scores = image_scores(run, keys)
    scenes: list[tuple[tuple[int, int], dict[str, Any]]] = []
    for turn in range(max(map(len, available.values()), default=0)):
        for dataset, numbers in available.items():
            if turn >= len(numbers) or gallery.size > budget:
                continue
            gallery.shown += 1
            for at, table in enumerate(run.tables):
                if table[0] != dataset:
                    continue
                if scene := _scene(run, gallery, table, numbers[turn], keys[dataset][turn], scores):
                    scenes.append(((at, turn), scene))
    gallery.scenes = [scene for _, scene in sorted(scenes, key=lambda pair: pair[0])]
    return gallery


def _scene(
    run: Run, gallery: Gallery, table: tuple[str, str], number: int, key: str, scores: Scores
) -> dict[str, Any] | None:
    """Return one image with one mask: ground truth, hole, and every method's result with its difference map."""
    dataset, mask = table
    mask_file = run.mask_file(dataset, mask, number)
    if not mask_file.is_file():
        return None
    target = read_rgb(run.target_file(dataset, number))
    hole = read_hole(mask_file)
    prefix = f"{run.datasets.index(dataset)}-{number}"
    scale = min(1.0, LONGEST_SIDE / max(hole.shape))
    gallery.reduced |= scale < 1
    if prefix not in gallery.images:
        gallery.add(prefix, _webp(gallery, _shrink(target, scale)), "webp")
    prefix_mask = f"{prefix}-{run.tables.index(table)}"
    gallery.add(f"{prefix_mask}-hole", _hole_png(_shrink(hole.astype(np.uint8) * 255, scale) > 127), "png")
    methods = []
    for index, method in enumerate(run.methods):
        entry: dict[str, Any] = {"method": index}
        cell = (method, dataset, mask)
        file = run.result_file(cell, number)
        if file is None:
            entry["missing"] = run.missing.get(cell, "no image was kept")
        else:
            _add_result(gallery, entry, f"{prefix_mask}-{index}", read_rgb(file), target, hole, scale)
            entry["scores"] = _texts(run, scores.get((*cell, key), {}))
        methods.append(entry)
    return {
        "dataset": dataset,
        "mask": mask,
        "image": key,
        "hole": f"{prefix_mask}-hole",
        "truth": prefix,
        "ratio": round(float(hole.mean()), 4),
        "width": target.shape[1],
        "height": target.shape[0],
        "methods": methods,
    }


def _add_result(
    gallery: Gallery,
    entry: dict[str, Any],
    name: str,
    result: Pixels,
    target: Pixels,
    hole: NDArray[np.bool_],
    scale: float,
) -> None:
    difference = _difference(result, target)
    touched = hole | (difference > 0)
    square = np.ones((_MARGIN, _MARGIN), np.uint8)
    widened = np.asarray(cv2.dilate(touched.astype(np.uint8) * 255, square), np.uint8)
    alpha = _shrink(widened, scale)
    entry["image"] = gallery.add(f"{name}-result", _webp(gallery, np.dstack([_shrink(result, scale), alpha])), "webp")
    classes = difference_map(result, target, hole)
    if scale < 1:  # the maximum class in a neighborhood would exaggerate and a mean would blur, so use the nearest
        classes = np.asarray(Image.fromarray(classes).resize(alpha.shape[::-1], Image.Resampling.NEAREST))
    entry["difference"] = gallery.add(
        f"{name}-difference", _palette_png(classes, ("#000000", *DIFFERENCE_COLORS)), "png"
    )
    entry["mean_difference"] = round(float(difference[hole].mean()), 2) if hole.any() else 0.0


def image_scores(run: Run, shown: dict[str, list[str]]) -> Scores:
    """Return the values of the per-image metrics of the shown images, by (method, dataset, mask set, image)."""
    rows = run.results[run.results["image"].notna()]
    wanted = {(dataset, key) for dataset, keys in shown.items() for key in keys}
    rows = rows[np.array([pair in wanted for pair in zip(rows["dataset"], rows["image"], strict=True)], dtype=bool)]
    scores: Scores = {}
    columns = [rows[name].tolist() for name in ("method", "dataset", "mask", "image", "metric", "value")]
    for *cell, metric, value in zip(*columns, strict=True):
        scores.setdefault((cell[0], cell[1], cell[2], cell[3]), {})[metric] = value
    return scores


def _texts(run: Run, values: dict[str, float]) -> list[list[str]]:
    """Return [title, value] pairs in suite order."""
    return [
        [short_title(info), decimal(values[name], info.digits) if math.isfinite(values[name]) else "not finite"]
        for name, info in run.infos.items()
        if name in values
    ]


def _difference(result: Pixels, target: Pixels) -> NDArray[np.float64]:
    """Return the mean absolute difference (H, W) of the channels."""
    return np.abs(result.astype(np.int16) - target).mean(axis=2)


def difference_map(result: Pixels, target: Pixels, hole: NDArray[np.bool_]) -> Pixels:
    """Return (H, W) classes: 0 for known pixels equal to the ground truth, else the number of `DIFFERENCE_COLORS`."""
    difference = _difference(result, target)
    return np.where(hole | (difference > 0), np.digitize(difference, DIFFERENCE_STEPS), 0).astype(np.uint8)


def difference_rgb(result: Pixels, target: Pixels, hole: NDArray[np.bool_]) -> Pixels:
    """Return the difference map as an image (H, W, 3); class 0 is black."""
    return _rgb(("#000000", *DIFFERENCE_COLORS))[difference_map(result, target, hole)]


def masked_rgb(target: Pixels, hole: NDArray[np.bool_]) -> Pixels:
    """Return the ground truth (H, W, 3) with stripes in the hole."""
    stripes = _hole_stripes(hole)
    return np.where(stripes[..., None] > 0, _rgb(("#000000", *HOLE_COLORS))[stripes], target)


def read_rgb(path: Path) -> Pixels:
    """Read the pixels (H, W, 3) of an image that a run wrote."""
    return np.asarray(Image.open(path).convert("RGB"))


def read_hole(path: Path) -> NDArray[np.bool_]:
    """Read a mask (H, W) that a run wrote, True in the hole."""
    return np.asarray(Image.open(path).convert("L")) > 127


def _shrink(pixels: Pixels, scale: float) -> Pixels:
    if scale == 1:
        return pixels
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _webp(gallery: Gallery, pixels: Pixels) -> bytes:
    """Encode as lossy WebP; an alpha channel is kept exactly. Updates the PSNR of the worst copy."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY, method=4, alpha_quality=100)
    back = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGBA" if pixels.shape[2] == 4 else "RGB"))
    seen = pixels[..., 3] > 0 if pixels.shape[2] == 4 else np.ones(pixels.shape[:2], dtype=bool)
    if seen.any():
        error = float(((back[..., :3][seen].astype(np.float64) - pixels[..., :3][seen]) ** 2).mean())
        gallery.worst_copy_db = min(gallery.worst_copy_db, 10 * math.log10(255**2 / error) if error else math.inf)
    return buffer.getvalue()


def _hole_stripes(hole: NDArray[np.bool_]) -> Pixels:
    """Return (H, W) classes: 0 for known pixels, 1 and 2 in diagonal stripes in the hole."""
    rows, columns = np.indices(hole.shape)
    return np.where(hole, 1 + ((rows + columns) // 8) % 2, 0).astype(np.uint8)


def _hole_png(hole: NDArray[np.bool_]) -> bytes:
    return _palette_png(_hole_stripes(hole), ("#000000", *HOLE_COLORS))


def _rgb(colors: tuple[str, ...]) -> Pixels:
    """Return colors such as "#160b39" as (N, 3)."""
    return np.frombuffer(bytes.fromhex("".join(color[1:] for color in colors)), np.uint8).reshape(-1, 3)


def _palette_png(classes: Pixels, colors: tuple[str, ...]) -> bytes:
    """Encode classes as a lossless PNG; class 0 is transparent."""
    image = Image.fromarray(classes, mode="P")
    image.putpalette(_rgb(colors).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, transparency=0, bits=4 if len(colors) > 4 else 2)
    return buffer.getvalue()
