"""Masks against recorded checksums: the reference code's fixed entries, and the lists in docs/papers/masks.md."""

import zlib

import numpy as np
import pytest

from inpaint_zoo.masks import create_generator, create_mask
from inpaint_zoo.masks.bank import crc32
from tests.helpers.fill import read_vector

# suite_seed 0, stream "mask", 256 x 256, indices 0, 1, 2
SEEDED = {
    "lama_box": (4265816763, 1934586101, 3753717600),
    "lama_superres": (2500629247, 996225129, 3385800288),
    "lama_outpainting": (1746415906, 61383779, 1939063012),
    "lama_dumb": (2625049329, 171869694, 1834910561),
    "ca_box": (1211870147, 918575925, 3815769294),
    "completion": (2804283299, 3178892272, 1662869164),
    "expand": (897980800, 1686896113, 1686896113),
    "nearest_neighbor": (1313522700, 3098504512, 3098504512),
    "every_n_lines": (4062282456, 872694750, 872694750),
    "random_walk": (1836464486, 259260936, 694756889),
}
# recorded from the reference code: name, arguments, size, checksum
FIXED = [
    ("every_n_lines", {"n": 2, "direction": "vertical"}, (256, 256), 2422362282),
    ("every_n_lines", {"n": 2, "direction": "horizontal"}, (256, 256), 3065640124),
    ("every_n_lines", {"n": 3, "direction": "vertical"}, (256, 256), 1169848714),
    ("every_n_lines", {"n": 3, "direction": "horizontal"}, (256, 256), 4062282456),
    ("every_n_lines", {"n": 4, "direction": "vertical"}, (256, 256), 1557347110),
    ("every_n_lines", {"n": 4, "direction": "horizontal"}, (256, 256), 2637353072),
    ("every_n_lines", {"n": 5, "direction": "vertical"}, (256, 256), 375144649),
    ("every_n_lines", {"n": 5, "direction": "horizontal"}, (256, 256), 872694750),
    ("completion", {"ratio": 0.2, "direction": "vertical", "reverse": False}, (256, 256), 3740988357),
    ("completion", {"ratio": 0.2, "direction": "vertical", "reverse": True}, (256, 256), 2988924516),
    ("completion", {"ratio": 0.2, "direction": "horizontal", "reverse": False}, (256, 256), 3262319834),
    ("completion", {"ratio": 0.2, "direction": "horizontal", "reverse": True}, (256, 256), 2930680187),
    ("completion", {"ratio": 0.5, "direction": "vertical", "reverse": False}, (256, 256), 2187416366),
    ("completion", {"ratio": 0.5, "direction": "vertical", "reverse": True}, (256, 256), 4005363343),
    ("completion", {"ratio": 0.5, "direction": "horizontal", "reverse": False}, (256, 256), 920582805),
    ("completion", {"ratio": 0.5, "direction": "horizontal", "reverse": True}, (256, 256), 1510168372),
    ("completion", {"ratio": 0.8, "direction": "vertical", "reverse": False}, (256, 256), 3741665627),
    ("completion", {"ratio": 0.8, "direction": "vertical", "reverse": True}, (256, 256), 3017336058),
    ("completion", {"ratio": 0.8, "direction": "horizontal", "reverse": False}, (256, 256), 3035614039),
    ("completion", {"ratio": 0.8, "direction": "horizontal", "reverse": True}, (256, 256), 3627181814),
    ("expand", {"size": None}, (256, 256), 1686896113),
    ("expand", {"size": 64}, (256, 256), 4095704393),
    ("expand", {"size": 85}, (256, 256), 897980800),
    ("expand", {"size": 128}, (256, 256), 1686896113),
    ("nearest_neighbor", {"scale": 2}, (256, 256), 4288709125),
    ("nearest_neighbor", {"scale": 3}, (256, 256), 1313522700),
    ("nearest_neighbor", {"scale": 4}, (256, 256), 3098504512),
    ("center_square", {"side": 128}, (256, 256), 139874384),
    ("four_circles", {}, (256, 256), 2543552128),
]
KINDS = {
    "Every_N_Lines": "every_n_lines",
    "Completion": "completion",
    "Expand": "expand",
    "Nearest_Neighbor": "nearest_neighbor",
}


def checksum(mask):
    return zlib.crc32(np.packbits(mask.astype(bool).ravel()).tobytes())


@pytest.mark.parametrize("name", SEEDED)
def test_seeded_kinds(name):
    assert tuple(checksum(create_mask(name, (256, 256), seed=0, index=index)) for index in range(3)) == SEEDED[name]


@pytest.mark.parametrize(("name", "args", "size", "expected"), FIXED, ids=lambda value: str(value).replace("'", ""))
def test_fixed_kinds(name, args, size, expected):
    assert checksum(create_mask(name, size, index=11, args=args)) == expected


def parse_entry(title):
    """Parse `Completion ratio=0.2 vertical reverse=False 256x256` into name, arguments and (H, W)."""
    words = title.split()
    if words[0] == "centre":
        return "center", {"size": int(words[1].split("x")[0])}, (256, 256)
    args = {}
    for word in words[1:-1]:
        key, _, value = word.rpartition("=")
        if key:
            args[key] = {"True": True, "False": False, "None": None}.get(value, float(value) if "." in value else value)
            args[key] = int(args[key]) if isinstance(args[key], str) else args[key]
        elif word in ("interior", "exterior"):
            args["mode"] = word
        else:
            args["direction"] = word
    height, width = words[-1].split("x")
    return KINDS[words[0]], args, (int(height), int(width))


def test_recorded_entries_of_the_reference():
    recorded = read_vector("masks")["fixed"]
    assert len(recorded) >= 28
    for title, entry in recorded.items():
        name, args, size = parse_entry(title)
        mask = create_generator({"name": name, **args})(0, size)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert list(mask.shape) == entry["shape"], title
        assert int(mask.sum()) == entry["hole_pixels"], title
        assert [rows[0], rows[-1], columns[0], columns[-1]] == entry["bbox_rows_cols"], title
        assert round(float(mask.mean()), 6) == entry["ratio"], title
        assert checksum(mask) == crc32(mask) == entry["crc32"], title


def test_formulas_on_a_canvas_that_is_not_square():
    H, W = 100, 75
    rows, columns = np.arange(H)[:, None], np.arange(W)
    assert np.array_equal(
        create_mask("every_n_lines", (H, W), n=3, direction="vertical"), (columns % 3 == 0) | (rows < 0)
    )
    assert create_mask("completion", (H, W), ratio=0.33, direction="vertical", reverse=False).sum() == 33 * W
    assert create_mask("completion", (H, W), ratio=0.33, direction="horizontal", reverse=True).sum() == H * (W - 24)
    seen = 1 - create_mask("expand", (H, W), args={"size": None})
    assert np.array_equal(np.flatnonzero(seen.any(axis=1))[[0, -1]], [50 - 18, 50 + 17])
    assert np.array_equal(np.flatnonzero(seen.any(axis=0))[[0, -1]], [37 - 18, 37 + 17])
    grid = (rows % 4 == 0) & (columns % 4 == 0)
    assert np.array_equal(create_mask("nearest_neighbor", (H, W), scale=4), ~grid)


def test_kinds_that_enlarge_the_canvas():
    ring = create_generator({"name": "expand", "mode": "exterior", "size": 64})
    mask = ring(0, (256, 256))
    assert mask.shape == ring.out_size((256, 256)) == (320, 320)
    assert mask.sum() == 320**2 - 256**2
    assert not mask[32:-32, 32:-32].any()
    spread = create_generator("nearest_neighbor", scale=3, upsampling=True)
    mask = spread(0, (20, 31))
    assert mask.shape == spread.out_size((20, 31)) == (60, 93)
    assert (mask == 0).sum() == 20 * 31
    assert not mask[::3, ::3].any()


def test_dumb_eval_and_center_of_the_specification():
    dumb = create_mask("lama_dumb", (256, 256), eval=True)
    assert dumb.sum() == 14884
    assert dumb[67:189, 67:189].all()
    center = create_mask("center", (256, 256))
    assert center.sum() == 16384
    assert center[64:192, 64:192].all()
    assert create_mask("fixed_25", (512, 300)).sum() == 150 * 150
