"""What loggers are told about a run besides its numbers: its configuration, and the W&B run that a resume continues."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only

from inpaint_zoo.io.atomic import write_json
from inpaint_zoo.training.run_folder import WANDB

__all__ = ["ExperimentRecord", "finish_wandb", "name_wandb_run"]

VARIABLES = {
    "id": "WANDB_RUN_ID",
    "name": "WANDB_NAME",
    "group": "WANDB_RUN_GROUP",
    "job_type": "WANDB_JOB_TYPE",
    "tags": "WANDB_TAGS",
    "dir": "WANDB_DIR",
    "resume": "WANDB_RESUME",
}
"""Environment variables of W&B by argument of `wandb.init`. An argument would override its variable."""
NO_DIR = "."  # Lightning's default


def name_wandb_run(logger: WandbLogger, folder: Path, defaults: Mapping[str, Any]) -> None:
    """Complete the arguments of a W&B run that has not started yet.

    The run continues the one that ``wandb.json`` in the folder names for its project. Without one, it gets a new id.
    Arguments that the configuration or W&B's environment variables set are kept.

    Args:
        logger: The logger. Its run starts when something is logged.
        folder: Folder of the training. W&B writes its files there unless the configuration names another folder.
        defaults: Arguments of `wandb.init`: name, group, job_type and tags.
    """
    given = logger._wandb_init
    if given["dir"] == NO_DIR:
        given["dir"] = None
    stored = _stored(folder).get(_project(given), {})
    # jsonargparse passes the defaults of `wandb.init`, so that its `resume` replaces that of Lightning, "allow"
    complete = {"id": uuid.uuid4().hex[:12], **defaults, "dir": str(folder), "resume": "allow", **stored}
    for key, value in complete.items():
        if given.get(key) is None and VARIABLES[key] not in os.environ:
            given[key] = value
    logger._id, logger._name, logger._save_dir = given["id"], given["name"], given["dir"]


def finish_wandb(loggers: Iterable[Logger], exit_code: int) -> None:
    """End the W&B runs of loggers, so that the next training of this process starts its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish(exit_code=exit_code)


def _stored(folder: Path) -> dict[str, Any]:
    path = folder / WANDB
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _project(arguments: Mapping[str, Any]) -> str:
    return "/".join(filter(None, (arguments.get("entity"), arguments["project"])))


class ExperimentRecord(Callback):
    """Callback that gives all loggers the configuration, and stores the ids of W&B runs in ``wandb.json``.

    An evaluation logs to the W&B run of the training in its folder, whose configuration remains that of the training.

    Args:
        folder: Folder of the training.
        config: Function that returns the resolved configuration.
    """

    def __init__(self, folder: str | Path, config: Callable[[], dict[str, Any]]) -> None:
        self.folder, self._config = Path(folder), config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the configuration. All checks have passed at this point."""
        self._begin(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the configuration if this is not a validation during training."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._begin(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the configuration."""
        self._begin(trainer)

    @rank_zero_only
    def _begin(self, trainer: Trainer) -> None:
        stored = _stored(self.folder)
        for logger in trainer.loggers:
            known = isinstance(logger, WandbLogger) and stored.get(_project(logger._wandb_init), {}).get("id")
            if isinstance(logger, WandbLogger) and logger.save_dir:
                Path(logger.save_dir).mkdir(parents=True, exist_ok=True)  # W&B would use a temporary folder
            if trainer.state.fn == TrainerFn.FITTING or not known:
                logger.log_hyperparams(self._config())
            if isinstance(logger, WandbLogger) and known != logger.version:
                kind = logger._wandb_init.get("job_type")
                stored[_project(logger._wandb_init)] = {"id": logger.version} | ({"job_type": kind} if kind else {})
                write_json(self.folder / WANDB, stored)
