"""The parser of trainings, which states default optimizers and schedules in a form that it can read again."""

from __future__ import annotations

from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from inpaint_zoo.training.hyperparameters import built_by

__all__ = ["ZooParser"]


class ZooParser(LightningArgumentParser):
    """Parser that writes the default optimizers and schedules of a class to YAML by their class and arguments.

    By default, they are classes or ``functools.partial`` objects. jsonargparse would write the objects' ``repr``, which
    it cannot read again.
    """

    def dump(self, cfg: Namespace, *args: Any, **kwargs: Any) -> str:
        """Return the configuration as text, see `jsonargparse.ArgumentParser.dump`."""
        return str(super().dump(_with_stated_defaults(cfg), *args, **kwargs))


def _with_stated_defaults(value: Any) -> Any:  # noqa: ANN401 any part of a configuration
    """Return a copy in which ``class_path`` and ``init_args`` replace functions that build optimizers and schedules."""
    if isinstance(value, Namespace):
        return Namespace({key: _with_stated_defaults(entry) for key, entry in vars(value).items()})  # type: ignore[no-untyped-call]
    if isinstance(value, list):
        return [_with_stated_defaults(entry) for entry in value]
    built = built_by(value)
    if built is None or not issubclass(built[0], (Optimizer, LRScheduler)):
        return value
    path = f"{built[0].__module__}.{built[0].__qualname__}"
    return Namespace(class_path=path, init_args=Namespace(**built[1]))  # type: ignore[no-untyped-call]
