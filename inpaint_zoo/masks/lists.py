"""Lists of masks that papers test on, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inpaint_zoo.masks.errors import unknown
from inpaint_zoo.masks.presets import BINS

__all__ = ["MASK_SUITES", "EvalMask", "mask_suite"]


@dataclass(frozen=True)
class EvalMask:
    """One of the masks that a paper tests on.

    Attributes:
        label: Name in result tables; it starts with "synthetic" if generated masks replace the paper's files.
        column: Column of the paper's table, spelled as in `benchmarks/paper_tables`; None if no published number
            belongs to it.
        spec: Argument of `create_generator`, or an entry of `masks` in a benchmark suite.
    """

    label: str
    column: str | None
    spec: dict[str, Any]

    @property
    def synthetic(self) -> bool:
        """Whether generated masks replace missing files; results are then not comparable with the paper's numbers."""
        return self.label.startswith("synthetic")


_NTIRE = {
    "Completion": "completion",
    "Expand": "expand",
    "NearestNeighbor": "nearest_neighbor",
    "ThinStrokes": "thin_strokes",
    "EveryNLines": "every_n_lines",
    "MediumStrokes": "medium_strokes",
    "ThickStrokes": "thick_strokes",
}
_ALL, _FROM_10_TO_50 = tuple(BINS), tuple(BINS)[1:5]
_CENTER = EvalMask("center_128", "central 128x128 hole", {"name": "center", "size": 128})
_SQUARE = EvalMask("square_128", None, {"name": "center", "size": 128})
_CIRCLES = EvalMask("four_circles", None, {"name": "four_circles"})

_LISTS: dict[str, tuple[tuple[str, ...], tuple[EvalMask, ...]]] = {
    # ratio bins of NVIDIA's files, further masks
    "grig_eval": (_ALL, (EvalMask("fixed_25", "Fixed", {"name": "fixed_25"}),)),
    "lgnet_eval": (_ALL, (_SQUARE, _CIRCLES)),
    "isnet_eval": (_FROM_10_TO_50, ()),
    "glcic_eval": ((), (_CENTER,)),
    "glama_eval": ((), tuple(EvalMask(f"ntire_{k}", column, {"name": f"ntire_{k}"}) for column, k in _NTIRE.items())),
    "synthetic_bins": (_ALL, ()),
}
MASK_SUITES = tuple(_LISTS)
"""The names that `mask_suite` accepts."""


def mask_suite(name: str, root: str | Path | None = None) -> list[EvalMask]:
    """Return the masks that a paper tests on, in the order of its table.

    Args:
        name: One of `MASK_SUITES`.
        root: Folder of NVIDIA's irregular test masks. If None, generated masks with the same hole ratios replace them;
            these are labeled "synthetic" and have no table column. `synthetic_bins` always uses generated masks.

    Raises:
        MaskConfigError: If the name is unknown.

    Example:
        >>> [(mask.label, mask.column) for mask in mask_suite("isnet_eval", root="masks")][:2]
        [('nvidia_10_20', '10-20%'), ('nvidia_20_30', '20-30%')]
        >>> mask_suite("grig_eval")[0]
        EvalMask(label='synthetic_01_10', column=None, spec={'name': 'synthetic_01_10'})
    """
    if name not in _LISTS:
        raise unknown("list of masks", name, MASK_SUITES)
    bins, others = _LISTS[name]
    return [*(_bin(key, None if name == "synthetic_bins" else root) for key in bins), *others]


def _bin(key: str, root: str | Path | None) -> EvalMask:
    if root is None:
        return EvalMask(f"synthetic_{key}", None, {"name": f"synthetic_{key}"})
    low, high = (int(part) for part in key.split("_"))
    return EvalMask(f"nvidia_{key}", f"{low}-{high}%", {"name": f"nvidia_{key}", "root": str(root)})
