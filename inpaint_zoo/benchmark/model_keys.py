"""Entries of a suite that are registered models: `model` and `shipped`, and weight files that state their model.

```yaml
- {model: glama_tiny, weights: mine.safetensors, options: {blocks: 4}}
- {weights: runs/mine/checkpoints/best.ckpt}   # model and options are those that the file states
- {shipped: "*"}                               # every registered model that is ready to use
```
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

from inpaint_zoo.benchmark.entries import DATASET, DRAW, MethodEntry, ModelEntry, find_file
from inpaint_zoo.benchmark.places import Places
from inpaint_zoo.benchmark.training_keys import read_training
from inpaint_zoo.config import Table, mapping, string, whole
from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["MODEL_KEYS", "STATING", "is_listed", "read_model", "read_shipped", "stated_model"]

DIVISION_KEYS = ("strategy", "max_memory")
MODEL_KEYS = ("model", "weights", "checkpoint", "checkpoints", "draws", "options", "label", "train", *DIVISION_KEYS)
STATING = ("weights", "checkpoint")
"""Keys of a file that can state its model, so that `model` may be left out."""
PLACEHOLDER = re.compile(r"\{\w*\}")


def stated_model(table: Table, base: Path, places: Places) -> str:
    """Return the name of the model that the weight file of an entry without `model` states.

    Raises:
        ZooError: If there is no such file, or it states no model.
    """
    from inpaint_zoo.weights import read_header

    key = next(key for key in STATING if key in table.values)
    file, label = table.need(key, string), table.get("label", string)
    if file in ("shipped", "random") or PLACEHOLDER.search(file):
        raise table.error(f"'{key}: {file}' is not one file that states its model: add 'model'.", key)
    given = places.weights.get(label) if label else None
    found = find_file(str(given or file), "", (Path(),) if given else places.folders(base))
    if found is None:
        raise table.error(
            f"there is no file {given or file}, so the model that it states is unknown: add 'model'.", key
        )
    try:
        name = read_header(found).name
    except ZooError as error:
        raise table.located(error) from error
    if name is None:
        raise table.error(f"{given or file} does not state its model: add 'model'.", key)
    return name


def read_model(table: Table, name: str, base: Path, places: Places) -> ModelEntry:
    """Return the entry of a registered model.

    Args:
        table: Its mapping in the suite.
        name: The model.
        base: Folder of the suite.
        places: Where weights are, given from outside the suite.

    Raises:
        ZooError: If there is no such model, or keys contradict each other.
    """
    from inpaint_zoo.registry import model_info

    try:
        info = model_info(name)
    except ZooError as error:
        raise table.located(error) from error
    label = table.get("label", string) or name
    options = dict(table.need("options", mapping)) if "options" in table.values else {}
    if "weights" in table.values and "checkpoint" in table.values:
        raise table.error("give 'weights' or 'checkpoint', not both: they mean the same.", "checkpoint")
    keys = [key for key in ("checkpoints", "checkpoint", "weights") if key in table.values] or ["weights"]
    if keys[0] == "checkpoints" and (others := [*keys[1:], *({"draws"} & set(table.values))]):
        raise table.error(f"give 'checkpoints' or '{others[0]}', not both.", others[0])
    key, draws = keys[0], table.get("draws", whole(2), 0) or 0
    weights = table.get(key, string)
    if weights and not info.learned:
        raise table.error(f"'{name}' is not learned, so it takes no '{key}'.", key)
    for placeholder in PLACEHOLDER.findall(weights or ""):
        if placeholder not in ((DATASET, DRAW) if draws else (DATASET,)):
            known = f"{DATASET}, the name of the dataset" + (f", and {DRAW}, the number of the draw" if draws else "")
            way_out = "; add 'draws', the number of draws." if placeholder == DRAW and key != "checkpoints" else "."
            raise table.error(f"'{key}' may contain {known}, but not {placeholder}{way_out}", key)
    if draws and DRAW not in (weights or ""):
        raise table.error(f"'draws' needs {DRAW}, the number of the draw, in the path of the weights.", "draws")
    train = read_training(table, base, weights)
    if weights is None and info.learned:
        weights = "shipped"
    if weights == "shipped" and not info.weights and label not in places.weights:
        raise table.error(
            f"the package ships no weights of '{name}': add 'weights: FILE', or 'weights: random' to score an "
            "untrained network."
        )
    by_step: dict[str, Path] | None = {} if key == "checkpoints" else None
    entry = ModelEntry(label, table, name, weights, options, draws=draws, by_step=by_step, train=train)
    return _divided(entry, table)


def _divided(entry: ModelEntry, table: Table) -> ModelEntry:
    """Return the entry with the keys that say how large images are divided."""
    if not any(key in table.values for key in DIVISION_KEYS):
        return entry
    from inpaint_zoo.inference.strategy import Strategy, parse_bytes

    strategy = table.get("strategy", string) or entry.strategy
    if strategy not in get_args(Strategy):
        raise table.located(unknown_name("strategy", strategy, get_args(Strategy)))
    limit = table.get("max_memory", string) or entry.max_memory
    try:
        parse_bytes(limit)
    except ZooError as error:
        raise table.located(error) from error
    return replace(entry, strategy=strategy, max_memory=limit)


def read_shipped(table: Table) -> Iterator[ModelEntry]:
    """Yield the registered models that match a `shipped` entry: those without training or with shipped weights."""
    if "shipped" not in table.values:
        return
    from inpaint_zoo.registry import list_models, model_infos

    pattern = table.need("shipped", string)
    infos = model_infos(pattern, ready=True)
    if not infos:
        raise table.error(
            f"no registered model that is ready to use matches '{pattern}'. "
            f"Available: {', '.join(list_models(ready=True))}.",
            "shipped",
        )
    for info in infos:
        yield ModelEntry(info.name, table, info.name, "shipped" if info.learned else None, {})


def is_listed(entry: ModelEntry, methods: Iterable[MethodEntry]) -> bool:
    """Return whether the suite already lists a shipped model: by its name, or unchanged with another label."""

    def content(each: ModelEntry) -> tuple[object, ...]:
        return each.model, each.weights, each.options, each.strategy

    return any(
        entry.label == other.label or (isinstance(other, ModelEntry) and content(other) == content(entry))
        for other in methods
    )
