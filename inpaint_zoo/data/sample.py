"""The images included in scikit-image's wheel: data for a first run without a download.

The splits are fixed by hand. "train" and "test" are the color images, and both mix people, animals, machines and
science. The two motorcycle images show one scene from viewpoints 19 cm apart, so both are in train: a test image must
not have a near copy in training. Four test images are too few for a significant difference, whatever the methods are.
Therefore "unseen" adds the gray images and scans of the wheel to them. No shipped weights were trained on these
14 images. Drawings, computed images (the color wheel, the phantom, the chessboards), the silhouette of a horse, stacks
and images smaller than 172 px are not used.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["SAMPLE_SPLITS", "sample_files"]

_TEST = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "rocket": "rocket.jpg",
    "retina": "retina.jpg",
}
_TRAIN = {
    "coffee": "coffee.png",
    "motorcycle_left": "motorcycle_left.png",
    "motorcycle_right": "motorcycle_right.png",
    "hubble_deep_field": "hubble_deep_field.jpg",
    "immunohistochemistry": "ihc.png",
}
_GRAY = {
    "camera": "camera.png",
    "coins": "coins.png",
    "moon": "moon.png",
    "clock": "clock_motion.png",
    "brick": "brick.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "cell": "cell.png",
    "page": "page.png",
    "text": "text.png",
}
SAMPLE_SPLITS = {"test": _TEST, "train": _TRAIN, "all": {**_TEST, **_TRAIN}, "unseen": {**_TEST, **_GRAY}}
"""Split -> key -> file name."""


def sample_files(split: str = "test") -> dict[str, Path]:
    """Return key -> file of the sample images.

    Raises:
        ZooError: If there is no such split, or the installed scikit-image does not contain them.
    """
    if split not in SAMPLE_SPLITS:
        raise unknown_name("split of the sample images:", split, SAMPLE_SPLITS)
    spec = importlib.util.find_spec("skimage")  # locates the package without importing it
    if spec is None or spec.origin is None:
        raise ZooError("the sample images come with scikit-image, which is not installed: pip install scikit-image")
    folder = Path(spec.origin).parent / "data"
    files = {key: folder / name for key, name in SAMPLE_SPLITS[split].items()}
    absent = [path.name for path in files.values() if not path.is_file()]
    if absent:
        raise ZooError(f"the installed scikit-image lacks the sample images {', '.join(absent)} in {folder}")
    return files
