"""The entries of a suite's lists: what they specify, their labels, and their position in the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from inpaint_zoo.config import Table

__all__ = ["CallableEntry", "FolderEntry", "MethodEntry", "ModelEntry", "Mosaic", "SourceEntry"]


@dataclass(frozen=True)
class ModelEntry:
    """A registered model.

    Attributes:
        label: Name in tables.
        table: Its mapping in the suite.
        model: Registry name.
        weights: A file, "shipped", "random", or None for a model that needs no training.
        options: Options of `create_model`.
    """

    label: str
    table: Table
    model: str
    weights: str | None
    options: dict[str, Any]
    kind = "model"

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run."""
        weights = Path(self.weights).name if self.weights else None
        return {
            "label": self.label,
            "kind": self.kind,
            "model": self.model,
            "weights": weights,
            "options": self.options,
        }


@dataclass(frozen=True)
class FolderEntry:
    """A folder with finished results."""

    label: str
    table: Table
    folder: Path
    kind = "folder"

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run."""
        return {"label": self.label, "kind": self.kind, "folder": self.folder.name}


@dataclass(frozen=True)
class CallableEntry:
    """A Python function, given as `package.module:function`; modules beside the suite file can be imported."""

    label: str
    table: Table
    target: str
    kind = "callable"

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run."""
        return {"label": self.label, "kind": self.kind, "callable": self.target}


MethodEntry = ModelEntry | FolderEntry | CallableEntry


class Mosaic(NamedTuple):
    """A mosaic of the ground truth shown in the holes: deblurring, not inpainting. Arguments of `ops.mosaic`."""

    unit: int = 12
    interpolation: Literal["bilinear", "nearest"] = "bilinear"


@dataclass(frozen=True)
class SourceEntry:
    """A dataset or a mask set.

    Attributes:
        label: Name in tables and folders.
        table: Its mapping in the suite.
        spec: Argument of `create_dataset` or `create_generator`.
        mosaic: For a mask set, the filling that networks see in the holes; None for empty holes.
    """

    label: str
    table: Table
    spec: dict[str, Any]
    mosaic: Mosaic | None = None
