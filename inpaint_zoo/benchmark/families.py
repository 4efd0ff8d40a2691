"""Methods of a suite that are several networks: draws of one training, and checkpoints of one training run.

```yaml
methods:
  - {model: grig, weights: "{dataset}/grig_{draw}.safetensors", draws: 5, label: GRIG} # draws 1 to 5
  - {model: grig, checkpoints: "{dataset}/grig_steps_3/step_*.ckpt", label: "T = 3"}   # a pattern, or a run's folder
```
Each network has its own cells. Reports show the mean and the standard deviation over the draws, the last checkpoint,
and curves over the checkpoints.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from inpaint_zoo.benchmark.entries import DATASET, DRAW, Family, MethodEntry, ModelEntry
from inpaint_zoo.io.listing import natural_key

__all__ = ["expanded", "one_of_each"]

SUFFIXES = (".ckpt", ".safetensors", ".pth", ".pt")


def expanded(entry: MethodEntry, datasets: Sequence[str]) -> Iterator[MethodEntry]:
    """Yield the networks of an entry; an entry that is one network stays as it is.

    If no checkpoint exists, there is one entry that lacks its weights. If only some datasets have checkpoints, the last
    network lacks those of the others.

    Args:
        entry: An entry of the suite, with the folders of its weights.
        datasets: Names of the suite's datasets.

    Raises:
        ZooError: If two checkpoints for one dataset are of the same training step.
    """
    if not isinstance(entry, ModelEntry):
        yield entry
    elif entry.draws:
        for number in range(1, entry.draws + 1):
            weights = (entry.weights or "").replace(DRAW, str(number))
            family = Family(entry.label, "draws", number)
            yield replace(entry, label=f"{entry.label}, draw {number}", weights=weights, family=family)
    elif entry.by_step is not None:
        found = {name: _by_step(entry, name) for name in dict.fromkeys(datasets or ("",))}
        steps = sorted({step for files in found.values() for step in files})
        for step in steps:
            files = {name: each[step] for name, each in found.items() if step in each}
            last = step == steps[-1]
            others = frozenset(name for name, each in found.items() if name not in files and (each or not last))
            family = Family(entry.label, "checkpoints", step)
            yield replace(entry, label=f"{entry.label}, step {step}", by_step=files, other_steps=others, family=family)
        if not steps:
            yield replace(entry, family=Family(entry.label, "checkpoints", None))
    else:
        yield entry


def one_of_each(methods: Iterable[MethodEntry]) -> list[ModelEntry]:
    """Return the registered models, with one network for each family, under the label of the family."""
    found: dict[str, ModelEntry] = {}
    for entry in methods:
        if isinstance(entry, ModelEntry):
            label = entry.family.label if entry.family else entry.label
            found.setdefault(label, replace(entry, label=label))
    return list(found.values())


def _by_step(entry: ModelEntry, dataset: str) -> dict[int, Path]:
    """Return the checkpoints for a dataset by training step, from the first of the entry's folders that has any."""
    pattern = str(Path((entry.weights or "").replace(DATASET, glob.escape(dataset))).expanduser())
    for folder in entry.folders:
        place = pattern if Path(pattern).is_absolute() else f"{glob.escape(str(folder))}/{pattern}"
        steps: dict[int, Path] = {}
        matches = map(Path, glob.glob(place))  # noqa: PTH207 - the pattern may be absolute
        for path in _files(sorted(matches, key=lambda path: natural_key(path.as_posix()))):
            step = _step(path)
            if step is None:
                continue
            if step in steps:
                raise entry.table.error(
                    f"{steps[step].name} and {path.name} are both checkpoints of step {step}; a pattern must match the "
                    "checkpoints of one run.",
                    "checkpoints",
                )
            steps[step] = path.absolute()
        if steps:
            return steps
    return {}


def _files(matches: Iterable[Path]) -> Iterator[Path]:
    """Yield the matches that are weight files, and the weight files of matches that are folders of runs."""
    for match in matches:
        inside = match / "checkpoints" if (match / "checkpoints").is_dir() else match
        every = sorted(inside.iterdir()) if inside.is_dir() else [match]
        yield from (path for path in every if path.suffix in SUFFIXES and path.is_file())


def _step(path: Path) -> int | None:
    """Return the training step in the name of a file; None if it contains no number, such as `last.ckpt`.

    Example:
        >>> _step(Path("epoch=3-step=1200.ckpt")), _step(Path("step_500.ckpt")), _step(Path("last.ckpt"))
        (1200, 500, None)
    """
    named = re.search(r"step[_=-]?(\d+)", path.stem)
    numbers = [named[1]] if named else re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else None
