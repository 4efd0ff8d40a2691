"""The images included in scikit-image's wheel: data for a first run without a download.

The split is fixed by hand, and both parts mix people, animals, machines and science. The two motorcycle images show one
scene from viewpoints 19 cm apart, so both are in train: a test image must not have a near copy in training. The logo,
the drawn texts, the microscope stack and the gray images of scikit-image are not used, because they are not color
images.
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
SAMPLE_SPLITS = {"test": _TEST, "train": _TRAIN, "all": {**_TEST, **_TRAIN}}
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
