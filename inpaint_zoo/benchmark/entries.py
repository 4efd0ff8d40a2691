"""The entries of a suite's lists: what they name, what tables call them, and where they stand in the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from inpaint_zoo.benchmark.document import Table

__all__ = ["CallableEntry", "FolderEntry", "MethodEntry", "ModelEntry", "Mosaic", "SourceEntry"]


@dataclass(frozen=True)
class ModelEntry:
    """A registered model.

    Attributes:
        label: What tables call it.
        table: Where it stands in the suite.
        model: Registry name.
        weights: A file, "shipped", "random", or None for a model that learns nothing.
        options: Options of `create_model`.
    """

    label: str
    table: Table
    model: str
    weights: str | None
    options: dict[str, Any]
    kind = "model"

    def plain(self) -> dict[str, Any]:
        """As plain values, for the run's records."""
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
    """A folder of finished pictures."""

    label: str
    table: Table
    folder: Path
    kind = "folder"

    def plain(self) -> dict[str, Any]:
        """As plain values, for the run's records."""
        return {"label": self.label, "kind": self.kind, "folder": self.folder.name}


@dataclass(frozen=True)
class CallableEntry:
    """A Python function, as `package.module:function`; modules beside the suite file are found."""

    label: str
    table: Table
    target: str
    kind = "callable"

    def plain(self) -> dict[str, Any]:
        """As plain values, for the run's records."""
        return {"label": self.label, "kind": self.kind, "callable": self.target}


MethodEntry = ModelEntry | FolderEntry | CallableEntry


class Mosaic(NamedTuple):
    """Blocks of the truth that stand in the holes: deblurring, not inpainting. Arguments of `ops.mosaic`."""

    unit: int = 12
    interpolation: Literal["bilinear", "nearest"] = "bilinear"


@dataclass(frozen=True)
class SourceEntry:
    """A dataset or a mask set.

    Attributes:
        label: What tables and folders call it.
        table: Where it stands in the suite.
        spec: What its factory takes.
        mosaic: Of a mask set, what networks find in its holes; None where there is nothing.
    """

    label: str
    table: Table
    spec: dict[str, Any]
    mosaic: Mosaic | None = None
