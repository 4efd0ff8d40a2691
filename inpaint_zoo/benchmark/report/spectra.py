"""Fourier spectra of the gallery: images of their magnitude, and the power by frequency relative to the ground truth.

The spectrum is the orthonormal DFT of the mean of the three channels, for values in [0, 1]. Magnitudes are drawn in
decibels with the zero frequency in the center; all images of a row share the scale, which its ground truth sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from inpaint_zoo.benchmark.report.charts import SIZES, Series, trend
from inpaint_zoo.benchmark.report.gallery import Pixels, read_rgb
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.strips import Strip, Tile, data_uri, within_budget
from inpaint_zoo.benchmark.report.typography import MINUS, decimal

__all__ = ["Profile", "decibels", "profiles", "radial_power", "spectrum_strips"]

RINGS = 32  # number of frequency bands from 0 to half a cycle per pixel
FLOOR = 1e-6  # magnitude that is drawn as the smallest one; rounding to 8 bits gives about 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """The power of each method relative to the ground truth on one dataset with one mask set.

    Attributes:
        dataset, mask: Labels.
        images: Number of images that it is averaged over.
        drawings: The SVG for a wide and a narrow screen.
        header, numbers: The same content as a table; numbers[0] is a method's label.
    """

    dataset: str
    mask: str
    images: int
    drawings: tuple[Markup, ...]
    header: tuple[str, ...]
    numbers: tuple[tuple[str, ...], ...]


def decibels(pixels: Pixels) -> Floats:
    """Return the magnitude of an image's spectrum (H, W) in dB, with the zero frequency at (H // 2, W // 2).

    Args:
        pixels: (H, W, 3) uint8.
    """
    spectrum = np.fft.fftshift(np.fft.fft2(pixels.mean(axis=2) / 255, norm="ortho"))
    return 20 * np.log10(np.maximum(np.abs(spectrum), FLOOR))


def radial_power(pixels: Pixels) -> Floats:
    """Return the mean power in RINGS bands of the frequency, from 0 to 0.5 cycles per pixel; NaN for empty bands.

    The zero frequency, which is the mean color, and frequencies above 0.5 in the corners are left out.
    """
    power = np.abs(np.fft.fft2(pixels.mean(axis=2) / 255, norm="ortho")) ** 2
    frequency = np.hypot(np.fft.fftfreq(pixels.shape[0])[:, None], np.fft.fftfreq(pixels.shape[1])[None])
    ring = np.minimum((frequency * 2 * RINGS).astype(int), RINGS)
    ring[frequency > 0.5] = RINGS
    ring[frequency == 0.5] = RINGS - 1
    ring[0, 0] = RINGS
    counts = np.bincount(ring.ravel(), minlength=RINGS + 1)[:RINGS]
    sums = np.bincount(ring.ravel(), power.ravel(), minlength=RINGS + 1)[:RINGS]
    return np.divide(sums, counts, out=np.full(RINGS, np.nan), where=counts > 0)


def spectrum_strips(run: Run) -> list[Strip]:
    """Return the spectra of the ground truth and of all results, image by image, until BUDGET is spent."""
    return within_budget(_strips(run))


def _strips(run: Run) -> Iterator[Strip]:
    for dataset, mask in _tables(run):
        for number, image in run.gallery_keys(dataset).items():
            truth = decibels(read_rgb(run.target_file(dataset, number)))
            low, high = float(np.percentile(truth, 1)), float(truth.max())
            files = {method: run.result_file((method, dataset, mask), number) for method in run.methods}
            found = {method: read_rgb(file) for method, file in files.items() if file is not None}
            if found:
                caption = f"black: {decimal(low, 0)} dB or less; white: {decimal(high, 0)} dB"
                tiles = [Tile(data_uri(_gray(truth, low, high)), "ground truth", caption)]
                tiles += [Tile(data_uri(_gray(decibels(rgb), low, high)), method) for method, rgb in found.items()]
                yield Strip(dataset, mask, image, "", tuple(tiles))


def profiles(run: Run) -> list[Profile]:
    """Return the power of the results relative to the ground truth, as ratio of the means over the gallery's images."""
    found = []
    truths = {
        dataset: {
            number: radial_power(read_rgb(run.target_file(dataset, number))) for number in run.gallery_numbers(dataset)
        }
        for dataset in dict.fromkeys(dataset for dataset, _ in _tables(run))
    }
    for dataset, mask in _tables(run):
        series, numbers, images = [], [], 0
        bands = (np.arange(RINGS) + 0.5) / (2 * RINGS)
        for index, method in enumerate(run.methods):
            files = {
                number: file
                for number in truths[dataset]
                if (file := run.result_file((method, dataset, mask), number)) is not None
            }
            if not files:
                continue
            images = max(images, len(files))
            power = np.mean([radial_power(read_rgb(file)) for file in files.values()], axis=0)
            truth = np.mean([truths[dataset][each] for each in files], axis=0)
            ratio = 10 * np.log10(np.maximum(power, FLOOR**2) / np.maximum(truth, FLOOR**2))
            line = [(float(x), float(y)) for x, y in zip(bands, ratio, strict=True) if np.isfinite(y)]
            series.append(Series(method, index, (), line))
            numbers.append((method, *(f"{y:+.1f}".replace("-", MINUS) for _, y in line)))
        if series:
            title = f"Power relative to the ground truth on {dataset}, {mask}; the same numbers are in the table below."
            found.append(
                Profile(
                    dataset=dataset,
                    mask=mask,
                    images=images,
                    drawings=tuple(
                        trend(
                            series,
                            size,
                            x_label="frequency, cycles per pixel",
                            y_label="power relative to the ground truth, dB",
                            title=title,
                            ratio=False,
                        )
                        for size in SIZES
                    ),
                    header=("frequency", *(f"{x:.3f}" for x, _ in series[0].line)),
                    numbers=tuple(numbers),
                )
            )
    return found


def _tables(run: Run) -> list[tuple[str, str]]:
    """Return the tables whose spectra are shown: all, if the suite asks for spectra."""
    return list(run.tables) if run.suite.get("gallery", {}).get("spectra") else []


def _gray(values: Floats, low: float, high: float) -> NDArray[np.uint8]:
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
