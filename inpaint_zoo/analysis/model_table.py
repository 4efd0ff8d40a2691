"""Write the recorded table of this package's models: `python -m inpaint_zoo.analysis.model_table`."""

from __future__ import annotations

from typing import Any

from inpaint_zoo.discovery import discover
from inpaint_zoo.io.atomic import write_json
from inpaint_zoo.model_table import TABLE, RecordedCombinator, RecordedModel, file_checksums
from inpaint_zoo.registry import COMBINATORS, MODELS, count_on_meta

__all__ = ["model_table_content"]


def model_table_content() -> dict[str, Any]:
    """Return what the recorded table must contain, from the registered networks, each of which is built once."""
    discover()
    models = {
        name: RecordedModel(
            entry.family,
            entry.description,
            entry.paper._asdict() if entry.paper else None,
            entry.source,
            entry.learned,
            entry.defaults,
            *count_on_meta(entry.build),
        )._asdict()
        for name, entry in sorted(MODELS.items())
        if entry.build.__module__.startswith("inpaint_zoo.models.")
    }
    combinators = {
        name: RecordedCombinator(each.description, each.learned, each.defaults)._asdict()
        for name, each in sorted(COMBINATORS.items())
    }
    return {"files": file_checksums(), "combinators": combinators, "models": models}


if __name__ == "__main__":
    write_json(TABLE, model_table_content())
