"""The photographs that come inside scikit-image's wheel: the data of a first run without any download.

The split is fixed by hand, and both halves mix people, animals, machines and science. The two views of the motorcycle
are one scene seen from 19 cm apart, so both are in train: a test photograph must not have a twin in training. The
logo, the drawn texts, the microscope stack and the grey pictures of scikit-image are no colour photographs.
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
    """Key -> file of the sample photographs.

    Raises:
        ZooError: No such split, or the installed scikit-image lacks them.
    """
    if split not in SAMPLE_SPLITS:
        raise unknown_name("split of the sample photographs:", split, SAMPLE_SPLITS)
    spec = importlib.util.find_spec("skimage")  # found without importing it
    if spec is None or spec.origin is None:
        raise ZooError(
            "the sample photographs come with scikit-image, which is not installed: pip install scikit-image"
        )
    folder = Path(spec.origin).parent / "data"
    files = {key: folder / name for key, name in SAMPLE_SPLITS[split].items()}
    absent = [path.name for path in files.values() if not path.is_file()]
    if absent:
        raise ZooError(f"the installed scikit-image lacks the sample photographs {', '.join(absent)} in {folder}")
    return files
