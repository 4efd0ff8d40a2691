"""The recorded table of this package's models, `models/table.json`, which is read without importing any network.

To import all networks takes seconds, because they need PyTorch, and to count the parameters of a network, it must be
built. Lists of models read this table instead. `python -m inpaint_zoo.analysis.model_table` writes it, and a test
compares it with the registry. The table also has a checksum of each file that registers models: after a change of
such a file, the registry imports the networks until the table is written again.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["TABLE", "ModelTable", "RecordedCombinator", "RecordedModel", "file_checksums", "read_table"]

PACKAGE = Path(__file__).parent
TABLE = PACKAGE / "models" / "table.json"
_REGISTERING = ("models/*/__init__.py", "combinators/*.py")  # files that may contain `@register_`


class RecordedModel(NamedTuple):
    """What `ModelInfo` says about a model with its default options.

    Attributes:
        family: Folder of the model in `inpaint_zoo.models`.
        description: First line of the builder's docstring.
        paper: Fields of the `Paper`, or None.
        source: Paper notes or code that the implementation follows.
        learned: Whether the model has weights to train.
        options: The options with their defaults.
        parameters: Number of parameters.
        takes_hole_fill: Whether the network takes a filling of the hole.
    """

    family: str
    description: str
    paper: dict[str, Any] | None
    source: str
    learned: bool
    options: dict[str, Any]
    parameters: int
    takes_hole_fill: bool


class RecordedCombinator(NamedTuple):
    """What the registry knows about a combinator.

    Attributes:
        description: First line of the docstring of the function that builds the network.
        learned: Whether it has weights of its own.
        options: Its options with their defaults.
    """

    description: str
    learned: bool
    options: dict[str, Any]


class ModelTable(NamedTuple):
    """The recorded table.

    Attributes:
        models: The models by their names.
        combinators: The combinators by their names.
        is_current: Whether the files that register models are those from which the table was written.
    """

    models: dict[str, RecordedModel]
    combinators: dict[str, RecordedCombinator]
    is_current: bool


@functools.cache
def read_table() -> ModelTable:
    """Return the recorded table."""
    content = json.loads(TABLE.read_text("utf-8"))
    return ModelTable(
        {name: RecordedModel(**fields) for name, fields in content["models"].items()},
        {name: RecordedCombinator(**fields) for name, fields in content["combinators"].items()},
        content["files"] == file_checksums(),
    )


def file_checksums() -> dict[str, str]:
    """Return a checksum of each file of this package that registers models, by its path in the package."""
    texts = {path: path.read_text("utf-8") for glob in _REGISTERING for path in PACKAGE.glob(glob)}
    return {
        path.relative_to(PACKAGE).as_posix(): hashlib.sha256(text.encode()).hexdigest()[:16]
        for path, text in sorted(texts.items())
        if "@register_" in text
    }
