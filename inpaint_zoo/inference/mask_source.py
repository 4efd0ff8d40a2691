"""Masks of the images of a run: from a generator, one file, a folder, a manifest, or the images' alpha channels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.inpaint import ALPHA, alpha_hole, is_mask_name
from inpaint_zoo.inference.jobs import Job, refuse_overwriting
from inpaint_zoo.io.images import MAX_PIXELS, DecodedImage, read_image
from inpaint_zoo.io.listing import by_stem, pair_masks, refuse_own_masks
from inpaint_zoo.masks import create_generator
from inpaint_zoo.masks.read import Channel, mask_of

__all__ = ["MaskSource", "mask_source"]

MaskSource = Callable[[Job, DecodedImage], tuple[NDArray[np.uint8], dict[str, str]]]
"""Function that returns the mask (H, W), 1 = hole, of an image that was read, and doubts about its file by kind."""


def mask_source(
    mask: str | Path | None,
    jobs: Sequence[Job],
    *,
    threshold: int = 127,
    invert: bool = False,
    channel: Channel = "gray",
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> MaskSource:
    """Return a function that gives the mask of each image. The mask that a manifest states takes precedence.

    Args:
        mask: "alpha" for the alpha channel of each image, whose transparent pixels are hole; a name of `list_masks()`;
            a mask file for all images; a folder whose masks are paired with the images by stem, or by number; or None,
            if a manifest states every mask, or if images without a mask have no hole. A name takes precedence
            (`./center` is a file of that name).
        jobs: All images of the run.
        threshold: Gray values of mask files above it are hole.
        invert: Use dark pixels of mask files, opaque pixels of images, or the known pixels of a generator's masks, as
            hole.
        channel: Which channel of mask files is the mask.
        seed: Seed of a generator; image i gets mask i.
        max_pixels: Mask files with more pixels raise an error.

    Raises:
        ZooError: If ``mask`` is none of these, the single mask cannot be read, the mask folder does not match the
            images, or a result would replace a mask.
    """

    def from_file(file: Path) -> tuple[NDArray[np.uint8], dict[str, str]]:
        image = read_image(file, max_pixels=max_pixels)
        values, doubts = mask_of(image, threshold=threshold, invert=invert, channel=channel)
        return values, {kind: f"{file}: {text}" for kind, text in doubts.items()}

    stated = [job for job in jobs if job.mask is not None]
    refuse_own_masks((job.image for job in stated), (job.mask for job in stated if job.mask))
    others = _other_source(mask, [job for job in jobs if job.mask is None], from_file, threshold, invert, seed)
    return lambda job, image: from_file(job.mask) if job.mask is not None else others(job, image)


def _other_source(
    mask: str | Path | None,
    jobs: Sequence[Job],
    from_file: Callable[[Path], tuple[NDArray[np.uint8], dict[str, str]]],
    threshold: int,
    invert: bool,
    seed: int,
) -> MaskSource:
    if mask is None or not jobs:
        return lambda _, image: (np.zeros(image.size, np.uint8), {})
    if mask == ALPHA:
        return lambda job, image: (alpha_hole(image, threshold, invert).astype(np.uint8), {})
    if is_mask_name(mask):
        generator = create_generator(mask, seed=seed)

        def drawn(job: Job, image: DecodedImage) -> tuple[NDArray[np.uint8], dict[str, str]]:
            values = generator(job.number, image.size)
            return (1 - values if invert else values), {}

        return drawn

    path = Path(mask)
    if path.is_dir():
        files = _paired(path, jobs)
        refuse_overwriting(files.values(), jobs, "mask")
        return lambda job, _: from_file(files[job.image])

    refuse_own_masks((job.image for job in jobs), [path])
    values, texts = from_file(path)
    refuse_overwriting([path], jobs, "mask")
    return lambda job, image: (values, texts)


def _paired(folder: Path, jobs: Sequence[Job]) -> dict[Path, Path]:
    masks = by_stem(folder, role="masks")
    images: dict[str, Path] = {}
    for job in jobs:
        if job.stem in images:
            raise ZooError(
                f"{images[job.stem]} and {job.image} have the same stem '{job.stem}'; masks are paired by stems, so "
                "rename one of them"
            )
        images[job.stem] = job.image
    numbered = _by_number(images, masks)
    if numbered is not None:
        refuse_own_masks(numbered, numbered.values())
        return numbered
    return pair_masks(images, masks, allow_extra=len(jobs) == 1)  # one image may use its mask from a folder of many


def _by_number(images: Mapping[str, Path], masks: Mapping[str, Path]) -> dict[Path, Path] | None:
    """Pair frames such as `frame_0001` with `mask_0001`; None unless this pairs all files of two sequences."""
    if len(images) < 2 or len(images) != len(masks) or any(stem in masks for stem in images):
        return None
    first, second = _numbers(images), _numbers(masks)
    if first is None or second is None or first.keys() != second.keys():
        return None
    return {path: second[number] for number, path in first.items()}


def _numbers(files: Mapping[str, Path]) -> dict[int, Path] | None:
    """Return the files of a sequence by number; None if their names differ in more than the number at the end."""
    found: dict[int, Path] = {}
    prefixes = set()
    for stem, path in files.items():
        match = re.fullmatch(r"(.*?)([0-9]+)", stem)
        if match is None or int(match[2]) in found:
            return None
        prefixes.add(match[1])
        found[int(match[2])] = path
    return found if len(prefixes) == 1 else None
