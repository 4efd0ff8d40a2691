"""The folder of a run: what belongs to it, who may write into it, and its checkpoints by name.

`fit` writes `config.yaml`, `configs/`, `metrics.csv`, `speed.csv`, `checkpoints/` and `images/`; `validate`, `test` and
`predict` write their results beside them. Two rules keep runs apart: one run of each command at a time, and a folder
that holds any file of a run takes no other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import remove_leftovers
from inpaint_zoo.io.locks import lock_folder
from inpaint_zoo.training.resume import list_checkpoints, newest_readable

__all__ = ["CONFIG", "HISTORY", "RunFolder"]

CONFIG = "config.yaml"
HISTORY = "configs"
EVALUATIONS = ("validate", "test", "predict")
FILES = (CONFIG, "metrics.csv", "speed.csv", *(f"{name}.json" for name in EVALUATIONS))
FOLDERS = {"checkpoints": "*.ckpt", HISTORY: "*.yaml", "images": "*.png", "predictions": "*", ".": "hpc_ckpt_*.ckpt"}


class RunFolder:
    """The folder of one run.

    Args:
        out: The folder; it need not exist.
        checkpoints: Where the checkpoints of the run lie; by default in the folder ``checkpoints`` below ``out``.
    """

    def __init__(self, out: str | Path, checkpoints: str | Path | None = None) -> None:
        self.out = Path(out)
        self.checkpoints = Path(checkpoints) if checkpoints else self.out / "checkpoints"

    # What is there

    def contents(self) -> Iterator[Path]:
        """Files of a run, checkpoints first."""
        yield from list_checkpoints(self.checkpoints)
        if self.checkpoints.is_dir():
            yield from sorted(self.checkpoints.glob("*.ckpt"))
        for name in FILES:
            if (self.out / name).is_file():
                yield self.out / name
        for name, pattern in FOLDERS.items():
            if (self.out / name).is_dir():
                yield from sorted((self.out / name).glob(pattern))

    def refuse_used(self) -> None:
        """Refuse to begin a run in a folder that holds anything of one.

        Raises:
            ZooError: It does, or it is a file.
        """
        if self.out.exists() and not self.out.is_dir():
            raise ZooError(f"{self.out} is a file; --out wants a folder.")
        first = next(self.contents(), None)
        if first is not None:
            raise ZooError(
                f"{self.out} holds a run already ({first.name}): go on with --ckpt_path last, or choose another --out."
            )

    def holds(self, path: Path, others: Iterable[str | Path] = ()) -> bool:
        """Whether a checkpoint lies in this run's folders.

        Args:
            path: The checkpoint.
            others: More folders that the run writes checkpoints into.
        """
        folders = [Path(folder).resolve() for folder in (self.out, self.checkpoints, *others)]
        return any(path.resolve().is_relative_to(folder) for folder in folders)

    # Who writes

    @contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Hold the folder for one command; others may work in it at the same time, since they write other files.

        Raises:
            ZooError: The same command works in it in another process.
        """
        with lock_folder(self.out, "" if command == "fit" else command):
            if command == "fit":
                self._tidy()
            yield

    def _tidy(self) -> None:
        """Remove what killed runs left half-written, unless a file may be another command's in the making."""
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
        """The checkpoint that ``last``, ``best`` or a path names; None where there is no last one.

        Raises:
            ZooError: It is missing or damaged.
        """
        if name == "last":
            return newest_readable(self.checkpoints)
        path = self.checkpoints / "best.ckpt" if name == "best" else Path(name)
        if name == "best" and not path.is_file():
            raise ZooError(
                f"There is no {path}: the run has kept no best checkpoint. --ckpt_path last takes the newest."
            )
        return path

    def evaluated(self, name: str | None, selects: bool = True) -> Path | None:
        """The checkpoint that an evaluation takes: by default the best or, without one, the newest.

        Args:
            name: ``last``, ``best``, a path, or None for the default.
            selects: Whether the configuration selects a best checkpoint. If it does not, a ``best.ckpt`` is left from
                an earlier configuration of the run, and the default is the newest one.

        Returns:
            None where no name is given and there is no checkpoint.

        Raises:
            ZooError: The one that is named is missing or damaged.
        """
        if name is None:
            best = self.checkpoints / "best.ckpt"
            return best if selects and best.is_file() else newest_readable(self.checkpoints)
        path = self.checkpoint(name)
        if path is None:
            raise ZooError(f"No checkpoint in {self.checkpoints}.")
        return path
