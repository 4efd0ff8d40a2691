"""The mark of a rehearsal: a run of a suite whose data, masks, networks and backbones are replaced by small ones."""

from __future__ import annotations

from typing import Any, NamedTuple

from inpaint_zoo.benchmark.entries import ModelEntry

__all__ = ["REHEARSAL_SIDE", "STAMP", "Rehearsal"]

REHEARSAL_SIDE = 64  # px, height and width of all images; all small networks and all metrics accept it

STAMP = "REHEARSAL: sample images, stand-in masks and small networks; the numbers mean nothing"
"""The sentence that every file of a rehearsal contains."""


class Rehearsal(NamedTuple):
    """What a rehearsal needs to know beside the suite, whose entries are already replaced.

    Attributes:
        replaced: What replaces what, one line each.
        networks: The suite's own networks with random weights, whose costs are counted.
        scale: Factor for the lengths of the masks in pixels, because the images are smaller than the suite's.
    """

    replaced: tuple[str, ...]
    networks: tuple[ModelEntry, ...]
    scale: float

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run."""
        return {"stamp": STAMP, "replaced": list(self.replaced)}
