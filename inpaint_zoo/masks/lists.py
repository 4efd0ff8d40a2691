"""Lists of masks that papers test on, by name: generated masks, and files with generated masks as their stand-ins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inpaint_zoo.masks.errors import unknown
from inpaint_zoo.masks.presets import BINS

__all__ = ["MASK_SUITES", "EvalMask", "MaskFiles", "MaskList", "mask_list", "mask_suite"]


@dataclass(frozen=True)
class MaskFiles:
    """A set of mask files that papers test on.

    Attributes:
        name: Its name for `--data NAME=DIR`, and the name of its folder in the folder `INPAINT_ZOO_DATA`.
        summary: Description in one line.
        per_mask: Number of files of each mask of a list in the complete set. Image i is paired with file i modulo this
            number, in the order of the sorted names.
    """

    name: str
    summary: str
    per_mask: int


@dataclass(frozen=True)
class EvalMask:
    """One of the masks that a paper tests on.

    Attributes:
        label: Name in result tables; it ends in "(stand-in)" if generated masks replace the paper's files.
        column: Column of the paper's table, spelled as in `benchmarks/paper_tables`; None if no published number
            belongs to it.
        spec: Argument of `create_generator`, or an entry of `masks` in a benchmark suite.
        files: The files that the masks are read from, or that a stand-in replaces; None for masks that the paper
            generates.
        stand_in: Whether generated masks replace the files; results are then not comparable with the paper's numbers.
    """

    label: str
    column: str | None
    spec: dict[str, Any]
    files: MaskFiles | None = None
    stand_in: bool = False


@dataclass(frozen=True)
class MaskList:
    """A named list of masks.

    Attributes:
        name: Its name in `mask_suite` and in benchmark suites.
        summary: Description in one line.
        bins: Ratio bins of ``files``, as keys of `presets.BINS`.
        others: Further masks, which need no files.
        files: The files that the bins are read from; None if they are always generated.
    """

    name: str
    summary: str
    bins: tuple[str, ...] = ()
    others: tuple[EvalMask, ...] = ()
    files: MaskFiles | None = None


_NVIDIA = MaskFiles(
    "nvidia_irregular", "NVIDIA's irregular test masks (Liu et al. 2018), 12,000 files in six bins of hole ratios", 2000
)
_NTIRE = {
    "Completion": "completion",
    "Expand": "expand",
    "NearestNeighbor": "nearest_neighbor",
    "ThinStrokes": "thin_strokes",
    "EveryNLines": "every_n_lines",
    "MediumStrokes": "medium_strokes",
    "ThickStrokes": "thick_strokes",
}
_ALL = tuple(BINS)
_CENTER = EvalMask("center_128", "central 128x128 hole", {"name": "center", "size": 128})
_SQUARE = EvalMask("square_128", None, {"name": "center", "size": 128})
_CIRCLES = EvalMask("four_circles", None, {"name": "four_circles"})
_FIXED = EvalMask("fixed_25", "Fixed", {"name": "fixed_25"})

_LISTS = {
    each.name: each
    for each in (
        MaskList("grig_eval", "GRIG: five bins and the center square", _ALL[1:], (_FIXED,), _NVIDIA),
        MaskList("lgnet_eval", "LGNet: six bins, a square and four circles", _ALL, (_SQUARE, _CIRCLES), _NVIDIA),
        MaskList("isnet_eval", "ISNet: four bins", _ALL[1:5], files=_NVIDIA),
        MaskList("glcic_eval", "GLCIC and Contextual Attention: the center square", others=(_CENTER,)),
        MaskList(
            "glama_eval",
            "GLaMa: the seven types of the NTIRE challenge",
            others=tuple(
                EvalMask(f"ntire_{kind}", column, {"name": f"ntire_{kind}"}) for column, kind in _NTIRE.items()
            ),
        ),
        MaskList("synthetic_bins", "six bins of generated masks, which need no files", _ALL),
    )
}
MASK_SUITES = tuple(_LISTS)
"""The names that `mask_suite` accepts."""


def mask_list(name: str) -> MaskList:
    """Return the description of a list of masks.

    Raises:
        MaskConfigError: If the name is unknown.
    """
    if name not in _LISTS:
        raise unknown("list of masks", name, MASK_SUITES)
    return _LISTS[name]


def mask_suite(name: str, root: str | Path | None = None) -> list[EvalMask]:
    """Return the masks that a paper tests on, in the order of its table.

    Args:
        name: One of `MASK_SUITES`.
        root: Folder of the list's files. If None, generated masks with the same hole ratios stand in for them; these
            have no table column. `synthetic_bins` always uses generated masks.

    Raises:
        MaskConfigError: If the name is unknown.

    Example:
        >>> [(mask.label, mask.column) for mask in mask_suite("isnet_eval", root="masks")][:2]
        [('nvidia_10_20', '10-20%'), ('nvidia_20_30', '20-30%')]
        >>> mask_suite("isnet_eval")[0].label
        'synthetic_10_20 (stand-in)'
    """
    found = mask_list(name)
    return [*(_bin(key, found.files, root) for key in found.bins), *found.others]


def _bin(key: str, files: MaskFiles | None, root: str | Path | None) -> EvalMask:
    generated = f"synthetic_{key}"
    if files is None:
        return EvalMask(generated, None, {"name": generated})
    if root is None:
        return EvalMask(f"{generated} (stand-in)", None, {"name": generated}, files, stand_in=True)
    low, high = (int(part) for part in key.split("_"))
    return EvalMask(f"nvidia_{key}", f"{low}-{high}%", {"name": f"nvidia_{key}", "root": str(root)}, files)
