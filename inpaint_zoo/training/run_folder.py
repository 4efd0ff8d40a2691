"""The folder of a run: its files, locks against concurrent runs, and its checkpoints by name.

`fit` writes `config.yaml`, `configs/`, `metrics.csv`, `speed.csv`, `checkpoints/`, `images/` and, with W&B,
`wandb.json` and `wandb/`. `validate`, `test` and `predict` write their results to the same folder. Two rules keep runs
separate: each command works in a folder only once at a time, and a new run cannot start in a folder that contains any
file of another run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import remove_leftovers
from inpaint_zoo.io.locks import lock_folder
from inpaint_zoo.training.resume import list_checkpoints, newest_readable

__all__ = ["CONFIG", "HISTORY", "WANDB", "RunFolder"]

CONFIG = "config.yaml"
WANDB = "wandb.json"
HISTORY = "configs"
EVALUATIONS = ("validate", "test", "predict")
FILES = (CONFIG, "metrics.csv", "speed.csv", WANDB, *(f"{name}.json" for name in EVALUATIONS))
FOLDERS = {"checkpoints": "*.ckpt", HISTORY: "*.yaml", "images": "*.png", "predictions": "*", ".": "hpc_ckpt_*.ckpt"}


class RunFolder:
    """The folder of one run.

    Args:
        out: The folder; it need not exist.
        checkpoints: Folder of the run's checkpoints; by default ``checkpoints`` in ``out``.
    """

    def __init__(self, out: str | Path, checkpoints: str | Path | None = None) -> None:
        self.out = Path(out)
        self.checkpoints = Path(checkpoints) if checkpoints else self.out / "checkpoints"

    # Contents

    def contents(self) -> Iterator[Path]:
        """Yield the files of a run in this folder, checkpoints first, the newest of them first of all."""
        steps = list_checkpoints(self.checkpoints)
        yield from steps
        if self.checkpoints.is_dir():
            yield from sorted(set(self.checkpoints.glob("*.ckpt")) - set(steps))
        for name in FILES:
            if (self.out / name).is_file():
                yield self.out / name
        for name, pattern in FOLDERS.items():
            if (self.out / name).is_dir():
                yield from sorted((self.out / name).glob(pattern))

    def refuse_used(self) -> None:
        """Refuse to start a run in a folder that contains files of another run.

        Raises:
            ZooError: The folder contains such files, or a folder to write to is a file.
        """
        self._refuse_files()
        first = next(self.contents(), None)
        if first is not None:
            raise ZooError(
                f"{self.out} already contains a run ({first.name}). Resume it with --ckpt_path last, or choose another "
                "--out."
            )

    def _refuse_files(self) -> None:
        for folder, option in ((self.out, "--out"), (self.checkpoints, "checkpoints.folder")):
            found = next(path for path in (folder, *folder.absolute().parents) if path.exists())
            if not found.is_dir():
                raise ZooError(f"{found} is a file, but {option} must be a folder.")

    def holds(self, path: Path, others: Iterable[str | Path] = ()) -> bool:
        """Return whether a checkpoint is in one of this run's folders.

        Args:
            path: The checkpoint.
            others: Additional folders that the run writes checkpoints to.
        """
        folders = [Path(folder).resolve() for folder in (self.out, self.checkpoints, *others)]
        return any(path.resolve().is_relative_to(folder) for folder in folders)

    # Locks

    @contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Lock the folder for one command. Other commands may run at the same time, because they write other files.

        Args:
            command: "fit", "validate", "test" or "predict".

        Raises:
            ZooError: Another process runs the same command in this folder, or a folder to write to is a file.
        """
        self._refuse_files()
        with lock_folder(self.out, "" if command == "fit" else command):
            if command == "fit":
                self._tidy()
            yield

    def _tidy(self) -> None:
        """Remove temporary files that killed runs left, unless another command is running and may need them."""
        with ExitStack() as stack:
            try:
                for name in EVALUATIONS:
                    stack.enter_context(lock_folder(self.out, name))
            except ZooError:
                return
            for folder in {self.out / name for name in FOLDERS if name != "."} | {self.checkpoints}:
                remove_leftovers(folder)
            remove_leftovers(self.out, below=False)

    # Checkpoints by name

    def checkpoint(self, name: str) -> Path | None:
        """Return the path of a checkpoint; None for ``last`` if there are no checkpoints.

        Args:
            name: ``last`` (the newest undamaged checkpoint), ``best`` or a path. Other paths are not checked here.

        Raises:
            ZooError: For ``best``, the file is missing; for ``last``, all checkpoints are damaged.
        """
        if name == "last":
            return newest_readable(self.checkpoints)
        path = self.checkpoints / "best.ckpt" if name == "best" else Path(name)
        if name == "best" and not path.is_file():
            raise ZooError(
                f"{path} is missing: the run has no best checkpoint. Use --ckpt_path last for the newest one."
            )
        return path

    def evaluated(self, name: str | None, selects: bool = True) -> Path | None:
        """Return the checkpoint to evaluate: by default the best or, if there is none, the newest.

        Args:
            name: ``last``, ``best``, a path, or None for the default.
            selects: Whether the configuration selects a best checkpoint. If not, the default is the newest one, because
                an existing ``best.ckpt`` is from an earlier configuration of the run.

        Returns:
            The path; None if ``name`` is None and there are no checkpoints.

        Raises:
            ZooError: There is no checkpoint of this name, or all checkpoints are damaged.
        """
        if name is None:
            best = self.checkpoints / "best.ckpt"
            return best if selects and best.is_file() else newest_readable(self.checkpoints)
        path = self.checkpoint(name)
        if path is None:
            raise ZooError(f"There is no checkpoint in {self.checkpoints}.")
        return path
