"""Generators: the masks of one configuration, seed and stream.

A generator is a pure function of (seed, stream, index, size): `gen(7, (256, 256))` returns the same mask on every
machine, alone or in a batch, and also after training is resumed.
"""

from __future__ import annotations

import dataclasses
import operator
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.config import inside
from inpaint_zoo.io.atomic import sha256_json
from inpaint_zoo.masks.accept import Limits
from inpaint_zoo.masks.document import write_mask_text
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning
from inpaint_zoo.masks.kind import Mask, Size
from inpaint_zoo.masks.mixture import Mixture
from inpaint_zoo.random import Draws

__all__ = ["MaskGenerator", "parse_size"]

_FILES_CHECKED_FIRST = 20
"""Number of files of a folder that are checked before the first mask is made."""
_TRIALS, _TRIAL_BATCH = 256, 32
_MIN_ACCEPTANCE = 0.01


class MaskGenerator:
    """Generator of the masks of one configuration, seed and stream.

    Attributes:
        name: Label in tables.
        seed: Seed of all masks.
        stream: Name of the stream: "train", "val", "test", or "mask" (the default).
        size: Default (H, W) in pixels for calls without a size, or None.
    """

    def __init__(
        self,
        mixture: Mixture,
        name: str,
        seed: int = 0,
        stream: str = "mask",
        size: Size | None = None,
        *,
        pilot: bool = True,
    ) -> None:
        self.name, self.seed, self.stream, self.size = name, seed, stream, size
        self._mixture = mixture
        self._pilot, self._piloted = pilot and mixture.accept is not None, set[Size]()
        self._checked = False
        if size is not None:
            with inside("size"):
                self._check(size)

    def __repr__(self) -> str:
        return f"MaskGenerator({self.name!r}, seed={self.seed}, stream={self.stream!r})"

    def __call__(self, index: int, size: int | Iterable[int] | None = None) -> Mask:
        """Return mask ``index`` as uint8 of shape `out_size(size)`, 1 = hole."""
        return self.batch([index], size)[0]

    def batch(self, indices: Iterable[int], size: int | Iterable[int] | None = None) -> Mask:
        """Return the masks of ``indices`` as (B, H, W) uint8; each mask is the same as if it were generated alone.

        Raises:
            MaskConfigError: If the size does not suit the generator, or no attempt gave an accepted mask.
        """
        return self._draw(indices, size, None)

    def meta(self, index: int, size: int | Iterable[int] | None = None) -> dict[str, Any]:
        """Return how mask ``index`` was made: component, attempts, ratio, and for `ca_box` `bbox` (top, left, h, w)."""
        notes: list[dict[str, Any]] = [{}]
        mask = self._draw([index], size, notes)[0]
        return {**notes[0], "ratio": int(mask.sum()) / mask.size}

    def out_size(self, size: int | Iterable[int] | None = None) -> Size:
        """Return (H, W) of the masks for an image of ``size``; it is larger for exterior and upsampling kinds."""
        asked = self._size(size)
        self._mixture.check_size(asked)
        return self._mixture.out_size(asked)

    def files(self) -> list[Path]:
        """Return the mask files that the generator reads; empty if it reads none."""
        return [path for folder, _ in self._mixture.folders() for path in folder.paths]

    def scaled(self, factor: float) -> MaskGenerator:
        """Return a generator of the same masks for images of another scale.

        Args:
            factor: Factor for all lengths in pixels. It has no effect on a configuration with `scale_with_size`, which
                fits every size.
        """
        if self._mixture.scale_with_size:
            return self
        mixture = self._mixture.scaled(factor)
        return MaskGenerator(mixture, self.name, self.seed, self.stream, self.size, pilot=self._pilot)

    def check_files(self, limit: int | None = None) -> list[str]:
        """Check the mask files for probable mistakes: inverted, empty, gray, values 0 and 1, shapes in alpha.

        Unless this method was called before, the first mask that is made checks a few files and emits warnings.

        Args:
            limit: Number of evenly spaced files to check in each folder; None for all.

        Returns:
            One line for each kind of finding; empty for generators that read no files.

        Raises:
            MaskConfigError: If no file has both a hole and known pixels, so that no mask can be made.
        """
        self._checked = True
        lines = []
        for folder, flipped in self._mixture.folders():
            found = folder.check_files(limit, flipped)
            if found.whole and found.useless == found.files and self._mixture.limits.hole > 0:
                reason = (found.lines() or ["all pixels are hole"])[0]
                raise MaskConfigError(f"{self.name}: none of {found.files} files in {folder.root} is a mask: {reason}")
            lines += found.lines()
        return lines

    def config(self) -> dict[str, Any]:
        """Return the configuration with presets and defaults expanded; `create_generator` accepts it."""
        return self._mixture.top_config()

    def identity(self) -> str:
        """Return the SHA-256 of all that determines the masks except seed, stream and size, including file contents."""
        return sha256_json(self._mixture.top_config(identity=True))

    def to_yaml(self) -> str:
        """Return the configuration as YAML, with presets and defaults expanded, with its `identity` in the first line.

        `create_generator` accepts a file with this text. Folders appear as they were given.
        """
        size = None if self.size is None else list(self.size)
        label = {"name": self.name, "suite_seed": self.seed, "stream": self.stream, "size": size}
        return write_mask_text({**label, **self.config()}, self.identity())

    def _check(self, size: Size) -> None:
        """Raise an error for unsuitable sizes; once for each size, warn if masks are rarely accepted."""
        self._mixture.check_size(size)
        if self._pilot and size not in self._piloted:
            self._piloted.add(size)
            _warn_if_rare(self._mixture, self.name, self.seed, size)

    def _size(self, size: int | Iterable[int] | None) -> Size:
        chosen = self.size if size is None else size
        if chosen is None:
            raise MaskConfigError(f"{self.name}: give a `size` (H, W); its configuration sets none.")
        return parse_size(chosen)

    def _draw(
        self, indices: Iterable[int], size: int | Iterable[int] | None, notes: list[dict[str, Any]] | None
    ) -> Mask:
        asked = self._size(size)
        self._check(asked)
        if not self._checked:
            for line in self.check_files(_FILES_CHECKED_FIRST):
                warnings.warn(line, MaskWarning, stacklevel=3)
        numbers = indices if isinstance(indices, range) else [operator.index(index) for index in indices]
        if numbers and not 0 <= min(numbers) <= max(numbers) < 1 << 63:
            raise MaskConfigError(
                f"{self.name}: sample indices must be in 0 .. 2^63 - 1, got {min(numbers)} to {max(numbers)}."
            )
        out = np.zeros((len(numbers), *self._mixture.out_size(asked)), dtype=np.uint8)
        if numbers:
            draws = Draws(self.seed, self.stream, np.array(numbers, dtype=np.uint64))
            self._mixture.draw(draws, list(out), asked, notes)
        return out


def _warn_if_rare(mixture: Mixture, name: str, seed: int, size: Size) -> None:
    """Make 256 trial masks in the stream `pilot` and warn if less than 1 % of them would be accepted.

    Warns:
        MaskWarning: The message gives the range of the observed hole ratios.
    """
    accept = mixture.accept
    if accept is None:
        return
    free = dataclasses.replace(mixture, accept=None, limits=Limits(min_hole=0))
    shape = mixture.out_size(size)
    area = shape[0] * shape[1]
    holes: list[int] = []
    try:
        for first in range(0, _TRIALS, _TRIAL_BATCH):
            batch = np.zeros((_TRIAL_BATCH, *shape), dtype=np.uint8)
            numbers = np.arange(first, first + _TRIAL_BATCH, dtype=np.uint64)
            free.draw(Draws(seed, "pilot", numbers), list(batch), size, None)
            holes += np.count_nonzero(batch, axis=(1, 2)).tolist()
    except MaskConfigError:
        return  # a component that fails by itself raises this error again when the masks are made
    kept = sum(mixture.limits.keeps(hole, area) and accept.keeps(hole / area) for hole in holes)
    if kept < _MIN_ACCEPTANCE * _TRIALS:
        warnings.warn(
            f"{name}: of {_TRIALS} trial masks at size {size[0]} x {size[1]}, {kept} have a hole ratio in {accept}, "
            f"all lie from {min(holes) / area:.4g} to {max(holes) / area:.4g}. Making masks will be slow or fail.",
            MaskWarning,
            stacklevel=4,
        )


def parse_size(size: int | Iterable[int]) -> Size:
    """Return (H, W) from a pair, or from one number for a square.

    Raises:
        MaskConfigError: If ``size`` is anything else.
    """
    values = [size, size] if isinstance(size, int | np.integer) else list(size) if isinstance(size, Iterable) else []
    good = len(values) == 2 and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and v >= 1 for v in values
    )
    if not good:
        raise MaskConfigError(f"`size` must be (H, W) in pixels or one number, got {size!r}.")
    return int(values[0]), int(values[1])
