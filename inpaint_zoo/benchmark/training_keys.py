"""The keys of a suite that say how its networks are trained, for `inpaint-zoo sweep`.

```yaml
methods:
  - {model: grig, weights: "{dataset}/a.safetensors", train: ../../configs/grig/ablation_a.yaml}
  - model: aot_gan
    weights: "{dataset}/aot_gan_5_shot.safetensors"
    train: {config: ../../configs/aot_gan/aot_gan_grig.yaml, few_shot: 5, set: {model.l1: 2.0}}
datasets:
  - {name: celeba_hq_grig, split: test, size: 256, train: ../../configs/grig/large.yaml}
```
`train` of a method names its training configuration, and `train` of a dataset a configuration that is added to every
training on it. `{dataset}` in the path stands for the dataset's name. Paths are relative to the suite. The training
images are those of the registered training split of the dataset, whatever the configuration states. With
`checkpoints: RUN` in place of `weights`, the folder of the run is `RUN` in the folder of the sweep. Each network of an
entry with `draws` is trained with its number as the seed. These keys are not part of a cell's identity, because a cell
is known by its weights.
"""

from __future__ import annotations

import re
from pathlib import Path

from inpaint_zoo.benchmark.entries import DATASET, TrainKeys
from inpaint_zoo.config import Table, mapping, string, whole

__all__ = ["SUFFIX", "read_data_training", "read_training"]

KEYS = ("config", "few_shot", "data", "set", "start")
SUFFIX = ".safetensors"
"""Suffix of the weight files that trainings write."""
_PLACEHOLDER = re.compile(r"\{\w*\}")


def read_training(table: Table, base: Path, weights: str | None) -> TrainKeys | None:
    """Return the key `train` of a method; None without it.

    Args:
        table: The method.
        base: Folder of the suite.
        weights: The method's weight file, or folder of checkpoints, as the suite states it.

    Raises:
        ConfigError: If it is invalid, or the method has no weight file or folder of a run that a training can write.
    """
    if "train" not in table.values:
        return None
    if "checkpoints" in table.values:
        if any(letter in str(weights) for letter in "*?["):
            raise table.error(f"'train' needs the folder of one run, 'checkpoints: FOLDER', got {weights!r}.", "train")
    elif weights is None or not weights.endswith(SUFFIX):
        raise table.error(f"'train' needs the weight file to write, 'weights: NAME{SUFFIX}', got {weights!r}.", "train")
    value = table.values["train"]
    if not isinstance(value, dict):
        return TrainKeys(_path(table, base, "train"))
    keys = Table(table.document, "`train`", value, (*table.keys, "train"))
    keys.allow(KEYS)
    config = _path(keys, base, "config")
    changes = dict(keys.get("set", mapping) or {})
    start = {str(name): str(label) for name, label in (keys.get("start", mapping) or {}).items()}
    return TrainKeys(config, keys.get("few_shot", whole(1)), keys.get("data", string), changes, start)


def read_data_training(table: Table, base: Path) -> str | None:
    """Return the configuration that a dataset adds to trainings on it; None without the key `train`."""
    return _path(table, base, "train") if "train" in table.values else None


def _path(table: Table, base: Path, key: str) -> str:
    text = table.need(key, string)
    for placeholder in _PLACEHOLDER.findall(text):
        if placeholder != DATASET:
            raise table.error(f"'{key}' may contain {DATASET}, the name of the dataset, but not {placeholder}.", key)
    return str(base / Path(text).expanduser())
