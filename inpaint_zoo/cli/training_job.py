"""The job of one training of a sweep, which runs in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo.errors import ZooError

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

__all__ = ["TrainingJob"]


@dataclass(frozen=True)
class TrainingJob:
    """A training, and the export of its weights: the function that submitit runs in another process.

    Attributes:
        words: Arguments of `inpaint-zoo fit`.
        start: Argument of the training module -> folder of the run whose newest checkpoint it gets.
        network: Registry name of the network.
        folder: Folder of the run.
        checkpoints: Folder of its checkpoints.
        selects: Whether the run keeps a best checkpoint, from which the weights are taken.
        limits: `max_steps` and `max_epochs` of the training; None where it has no such limit.
        target: The weight file to write.
        provenance: What the weight file states about the training.
        devices: Value of CUDA_VISIBLE_DEVICES; None leaves it as it is.
    """

    words: tuple[str, ...]
    start: Mapping[str, Path]
    network: str
    folder: Path
    checkpoints: Path
    selects: bool
    limits: tuple[int | None, int | None]
    target: Path
    provenance: Mapping[str, Any]
    devices: str | None = None

    def __call__(self) -> int:
        """Train from the newest checkpoint, if there is one, and write the weights; return an exit code."""
        if self.devices is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.devices
        from lightning.pytorch.utilities import rank_zero_only
        from submitit import JobEnvironment

        from inpaint_zoo.cli.common import err_console
        from inpaint_zoo.cli.train import UNFINISHED, train
        from inpaint_zoo.training import newest_readable

        first = [f"--model.init_args.{key}={newest_readable(folder)}" for key, folder in self.start.items()]
        try:
            code = train("fit", [*self.words, *first, "--ckpt_path", "last"])
        except ZooError as error:
            err_console.print(f"error: {error}", soft_wrap=True, markup=False)
            return 2
        if code == UNFINISHED and JobEnvironment().cluster == "slurm":
            raise SystemExit(code)  # requeued: it has no result yet
        if code == 0 and rank_zero_only.rank == 0:  # type: ignore[attr-defined]  # set by Lightning
            return self._export()
        if rank_zero_only.rank != 0 and JobEnvironment().global_rank == 0:  # type: ignore[attr-defined]
            raise SystemExit(code)  # a process that Lightning started; only the first one returns the result of the job
        return code

    def checkpoint(self) -> DelayedSubmission:
        """Return the job for submitit, which submits it again after a time limit or a preemption."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _export(self) -> int:
        """Write the weights of a finished training; return 1 if it is not finished."""
        from inpaint_zoo.cli.common import err_console
        from inpaint_zoo.registry import create_model
        from inpaint_zoo.training import newest_readable
        from inpaint_zoo.training.checkpoint_files import read_checkpoint
        from inpaint_zoo.training.resume import is_finished
        from inpaint_zoo.training.run_folder import RunFolder
        from inpaint_zoo.weights import read_header, save_weights

        newest = newest_readable(self.checkpoints)
        content = None if newest is None else read_checkpoint(newest)
        if content is None or not is_finished(content, *self.limits):
            step = 0 if content is None else content["global_step"]
            text = f"error: the training stopped at step {step:,}, before its end; run the sweep again to resume it"
            err_console.print(text, soft_wrap=True, markup=False)
            return 1
        chosen = RunFolder(self.folder, self.checkpoints).evaluated(None, self.selects)
        assert chosen is not None  # the newest one exists
        stated = {"steps": read_header(chosen).training["step"], "steps_done": int(content["global_step"])}
        net = create_model(self.network, weights=chosen)
        save_weights(net, self.target, training={**self.provenance, **stated})
        return 0
