"""Named mixtures: every mask protocol of the papers, written as in docs/papers/masks.md, "Configuration"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inpaint_zoo.masks.errors import unknown

__all__ = ["BINS", "MEAN_RATIO_256", "PRESETS", "Preset", "find_preset"]


@dataclass(frozen=True)
class Preset:
    """A named mixture.

    summary: Description in one line for `inpaint-zoo masks list`.
    section: Section of docs/papers/masks.md that describes the preset.
    source: Repository or paper.
    mixture: The configuration.
    rename: Alternative names, used in benchmark suites, for arguments of its single component.
    """

    summary: str
    section: str
    source: str
    mixture: Mapping[str, Any]
    rename: Mapping[str, str] = field(default_factory=dict)


_LAMA, _CMOD, _NTIRE = "advimman/lama", "zsyzzsoft/co-mod-gan", "affromero/NTIRE22_Inpainting"
_BEST_5 = {"hi": 0.5, "closed": "hi"}
_TYPES = ("every_n_lines", "completion", "expand", "nearest_neighbor")
_SHAPES = ("thin", "medium", "thick")


def _one(kind: str, **args: Any) -> dict[str, Any]:
    return {"kind": kind, "args": args}


def _irregular(angle: int, length: int, width: int, times: tuple[int, int], weight: float = 1.0) -> dict[str, Any]:
    args = {"max_angle": angle, "max_len": length, "max_width": width, "min_times": times[0], "max_times": times[1]}
    return {"kind": "lama_irregular", "weight": weight, "args": args}


def _box(margin: int, low: int, high: int, times: tuple[int, int], weight: float = 1.0) -> dict[str, Any]:
    args = {"margin": margin, "bbox_min_size": low, "bbox_max_size": high, "min_times": times[0], "max_times": times[1]}
    return {"kind": "lama_box", "weight": weight, "args": args}


def _strokes(shape: str, size: int | str = 256) -> dict[str, Any]:
    return _one("strokes", shape=shape, size=size)


_WIDE = _irregular(4, 200, 100, (1, 5))
_LAMA_TRAIN = {
    "lama_wide": ("LaMa's training masks", [_WIDE, _box(10, 30, 150, (1, 4))]),
    "lama_wide_big": ("training masks of the released Big-LaMa", [_WIDE, _box(10, 30, 150, (1, 3))]),
    "lama_narrow": ("LaMa's ablation with narrow masks", [_irregular(4, 80, 40, (4, 12)), _box(0, 30, 128, (1, 1))]),
}
_LAMA_EVAL = {
    "lama_thin_256": [_irregular(4, 40, 10, (4, 50))],
    "lama_medium_256": [_irregular(4, 100, 50, (4, 5)), _box(0, 10, 50, (1, 5), 0.3)],
    "lama_thick_256": [_irregular(4, 200, 100, (1, 5)), _box(10, 30, 150, (1, 3), 0.3)],
    "lama_thin_512": [_irregular(4, 100, 20, (4, 70))],
    "lama_medium_512": [_irregular(4, 200, 100, (4, 10)), _box(0, 30, 150, (1, 5), 0.3)],
    "lama_thick_512": [_irregular(4, 450, 250, (1, 5)), _box(10, 30, 300, (1, 4), 0.3)],
}
BINS = {
    "01_10": (0.01, 0.1),
    "10_20": (0.1, 0.2),
    "20_30": (0.2, 0.3),
    "30_40": (0.3, 0.4),
    "40_50": (0.4, 0.5),
    "50_60": (0.5, 0.6),
}
"""Hole ratios (excluded lower, included upper bound) of the papers' six bins, by the suffix of the presets' names."""
# The mask strategies of GLaMa's Table 4 are nested: three types; these and two grids; these and two large holes.
_LAMA_TYPES = [_strokes(shape) for shape in _SHAPES]
_LAMA_PLUS = [*_LAMA_TYPES, _one("nearest_neighbor"), _one("every_n_lines")]
_GENERAL = [*(_one(name) for name in _TYPES), *_LAMA_TYPES]
_DFV2 = Preset(
    "DeepFillv2's training masks: union of a box and brush strokes",
    "DeepFillv2",
    "JiahuiYu/generative_inpainting",
    {"combine": "union", "components": [_one("ca_box"), _one("dfv2_brush")]},
)

PRESETS: dict[str, Preset] = {
    **{name: Preset(text, "LaMa presets", _LAMA, {"components": parts}) for name, (text, parts) in _LAMA_TRAIN.items()},
    **{
        name: Preset(
            f"LaMa's {name.split('_')[1]} evaluation masks for {name.split('_')[2]} px, at most half hole",
            "LaMa presets",
            _LAMA,
            {"components": parts, "accept": _BEST_5},
        )
        for name, parts in _LAMA_EVAL.items()
    },
    "cmod": Preset("GRIG's training masks: many strokes and rectangles", "CMOD", _CMOD, {"components": [_one("cmod")]}),
    **{
        f"cmod_h{k}": Preset(
            f"CMOD's evaluation masks, hole ratio {low} to {high}",
            "CMOD",
            _CMOD,
            {"components": [_one("cmod", hole_range=[low, high])]},
        )
        for k, (low, high) in enumerate(((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0)))
    },
    "dfv2": _DFV2,
    "dfv2_union": _DFV2,
    "ca": Preset(
        "training masks of GLCIC and Contextual Attention: one box",
        "Random box",
        "daa233/generative-inpainting-pytorch",
        {"components": [_one("ca_box")]},
    ),
    **{
        f"ntire_{name}": Preset(f"the challenge's type {name}", "NTIRE types", _NTIRE, {"components": [_one(name)]})
        for name in _TYPES
    },
    **{
        f"ntire_{shape}_strokes": Preset(
            f"the challenge's type {shape}_strokes", "NTIRE types", _NTIRE, {"components": [_strokes(shape)]}
        )
        for shape in _SHAPES
    },
    "general_mask": Preset(
        "GLaMa's training masks: the seven types, equally likely", "GLaMa mixtures", "GLaMa", {"components": _GENERAL}
    ),
    "general_mask_by_size": Preset(
        "GLaMa's seven types on images of any size: strokes with LaMa's 256-px or 512-px settings, whichever is nearer",
        "GLaMa mixtures",
        "GLaMa",
        {"components": [*(_one(name) for name in _TYPES), *(_strokes(shape, "nearest") for shape in _SHAPES)]},
    ),
    "lama_mask": Preset(
        "GLaMa's ablation: LaMa's three types, thin, medium and thick",
        "GLaMa mixtures",
        "GLaMa",
        {"components": _LAMA_TYPES},
    ),
    "lama_plus_mask": Preset(
        "GLaMa's ablation: the types of lama_mask, nearest_neighbor and every_n_lines",
        "GLaMa mixtures",
        "GLaMa",
        {"components": _LAMA_PLUS},
    ),
    "general_union": Preset(
        "GLaMa's unseen masks: union of two of the seven types and a box",
        "GLaMa mixtures",
        "GLaMa",
        {
            "combine": "union",
            "components": [
                _one("mixture", preset="general_mask"),
                _one("mixture", preset="general_mask"),
                _box(0, 30, 150, (1, 1)),
            ],
        },
    ),
    "center": Preset(
        "a centered square of 128 x 128 pixels (in suites: size)",
        "Regular masks",
        "GRIG, LGNet, GLCIC",
        {"components": [_one("center_square", side=128)]},
        {"size": "side"},
    ),
    "fixed_25": Preset(
        "a centered square of a quarter of the image",
        "Regular masks",
        "GRIG",
        {"components": [_one("center_square", side=128)], "scale_with_size": True},
    ),
    "lgnet_train": Preset(
        "replacement for LGNet's training files: six ratio bins of CMOD's strokes",
        "Quick-Draw masks",
        "zoo, for weizequan/LGNet",
        {"components": [_one("cmod", rects=False, hole_range=list(limits)) for limits in BINS.values()]},
    ),
    **{
        f"synthetic_{name}": Preset(
            f"synthetic masks, hole ratio {low} to {high}: not comparable with NVIDIA's files",
            "Configuration",
            "zoo",
            {"components": [_one("cmod", hole_range=[low, high])]},
        )
        for name, (low, high) in BINS.items()
    },
    **{
        f"nvidia_{name}": Preset(
            f"NVIDIA's irregular test masks, hole ratio {low} to {high}: bin {number} of the files in `root`",
            "NVIDIA test masks",
            "Liu et al. 2018, partial convolutions",
            {"components": [_one("nvidia_bins", bin=number)]},
        )
        for number, (name, (low, high)) in enumerate(BINS.items(), start=1)
    },
}

MEAN_RATIO_256: dict[str, float] = {
    "lama_wide": 0.3506,
    "lama_irregular": 0.4592,
    "lama_box": 0.2478,
    "lama_narrow": 0.2245,
    "lama_thin_256": 0.2809,
    "lama_medium_256": 0.2395,
    "lama_thick_256": 0.2637,
    "lama_superres": 0.7490,
    "lama_outpainting": 0.2720,
    "lama_dumb": 0.2061,
    "lama_mask": 0.2614,
    "dfv2_brush": 0.1516,
    "dfv2": 0.3105,
    "dfv2_union": 0.3105,
    "ca": 0.1913,
    "ca_box": 0.1913,
    "cmod": 0.7277,
    "completion": 0.5038,
    "expand": 0.8598,
    "every_n_lines": 0.3230,
    "nearest_neighbor": 0.8588,
    "ntire_completion": 0.5038,
    "ntire_expand": 0.8598,
    "ntire_every_n_lines": 0.3230,
    "ntire_nearest_neighbor": 0.8588,
    "ntire_thin_strokes": 0.2809,
    "ntire_medium_strokes": 0.2395,
    "ntire_thick_strokes": 0.2637,
    "center": 0.25,
    "center_square": 0.25,
    "fixed_25": 0.25,
    "four_circles": 0.2394,
    "half": 0.5,
    "random_block": 0.25,
    "random_walk": 0.2051,
}
"""Mean hole ratio at 256 x 256 of the reference code (docs/papers/masks.md, "Statistics"), or exact."""


def find_preset(name: object) -> Preset:
    """Return the preset called ``name``; raise MaskConfigError with similar names if there is none."""
    if not isinstance(name, str) or name not in PRESETS:
        raise unknown("mask preset", name, sorted(PRESETS))
    return PRESETS[name]
