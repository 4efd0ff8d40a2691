"""Programs that are started by a command line, as methods."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from inpaint_zoo.benchmark.entries import CommandEntry
from inpaint_zoo.benchmark.methods.base import MethodInput, Task, colors_of_result
from inpaint_zoo.benchmark.methods.file_model import OutsideMethod, content_sha256
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.images import IMAGE_SUFFIXES, read_image, write_image
from inpaint_zoo.io.listing import by_stem

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from inpaint_zoo.benchmark.methods.outside import Run

__all__ = ["CommandMethod"]

LAST_LINES = 5  # of a program's output that an error shows
NAMED = 3  # files that an error names


class CommandMethod(OutsideMethod):
    """A program, which is started without a shell for each image, or once for all images of a cell.

    It gets PNG files in a temporary folder: RGB images with a filled hole, and masks of 0 and 255. The names of the
    files for all images are numbers (`000000.png`). It writes its results in any image format.
    """

    entry: CommandEntry
    whole_bytes = True
    warms_up = False

    def __init__(self, entry: CommandEntry) -> None:
        super().__init__(entry)
        self.words = shlex.split(entry.command)
        self.takes_all = "{images}" in entry.command
        self._results: dict[str, Path] = {}
        self._seconds = 0.0  # of each image, if all of them are completed by one call
        self._place: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def program(self) -> str | None:
        """The path of the program; None if it is not found."""
        first = self.words[0].replace("{python}", sys.executable)
        beside = self.entry.folder / first
        return str(beside) if beside.is_file() else shutil.which(first)

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the command line, the stated version, and the hashes of the files that the suite and the line name."""
        return {
            "cmd": self.entry.command,
            "version": self.entry.version,
            "files_sha256": {file: content_sha256(self.entry.folder / file) for file in self.entry.files},
            "convention": self.entry.convention.plain(),
        }

    def load(self, device: torch.device) -> Run:
        """Create the temporary folder."""
        self._place = tempfile.TemporaryDirectory(prefix="inpaint-zoo-")
        return self._read_prepared if self.takes_all else self._complete

    def close(self) -> None:
        """Remove the temporary folder."""
        super().close()
        self._results = {}
        if self._place is not None:
            self._place.cleanup()
            self._place = None

    def prepare(self, items: Iterable[MethodInput]) -> None:
        """Complete all images of a cell by one call.

        Raises:
            ZooError: If the program fails, takes too long, or does not write one result for each image.
        """
        from inpaint_zoo.inference.batch import running, to_tensors

        assert self.network is not None
        folder = self._folder()
        shutil.rmtree(folder)  # of the previous cell
        folders = {name: folder / name for name in ("images", "masks", "outputs")}
        for each in folders.values():
            each.mkdir(parents=True)
        names: dict[str, str] = {}
        for number, item in enumerate(items):
            names[item.key] = f"{number:06d}"
            tensors = to_tensors(item.image[None], item.mask[None])
            with self.naming(item.key), running(self.network, *tensors) as (image, hole):
                arguments = self.network.arrange(*self.network.native(image, hole))
            _write_pair(arguments, *(folders[name] / f"{number:06d}.png" for name in ("images", "masks")))
        with self.naming():
            begin = time.perf_counter()
            self._start({f"{{{name}}}": str(path) for name, path in folders.items()}, len(names) * self.entry.timeout)
            self._seconds = (time.perf_counter() - begin) / max(len(names), 1)
            written = folders["outputs"].rglob("*")
            found = by_stem(folders["outputs"], [path for path in written if path.suffix.lower() in IMAGE_SUFFIXES])
            absent = [key for key, name in names.items() if name not in found]
            if absent:
                raise ZooError(
                    f"the program ended without an error, but wrote {len(names) - len(absent)} of {len(names)} results "
                    f"into {{outputs}}; the first that is not there is {names[absent[0]]}.png, for the image "
                    f"'{absent[0]}'{_others(folders['outputs'], {*names.values()})}"
                )
        self._results = {key: found[name] for key, name in names.items()}

    def seconds_of(self, key: str, measured: float) -> float:
        """Return the image's share of the time of one call for all images."""
        return self._seconds if self.takes_all else measured

    def _folder(self) -> Path:
        assert self._place is not None
        return Path(self._place.name)

    def _read_prepared(self, arguments: Sequence[Tensor], key: str) -> Tensor:
        return self._read_result(self._results[key], arguments)

    def _complete(self, arguments: Sequence[Tensor], key: str) -> Tensor:
        image, mask, output = (self._folder() / f"{name}.png" for name in ("image", "mask", "output"))
        output.unlink(missing_ok=True)
        _write_pair(arguments, image, mask)
        self._start({"{image}": str(image), "{mask}": str(mask), "{output}": str(output)}, self.entry.timeout)
        if not output.is_file():
            others = _others(self._folder(), {"image", "mask"})
            raise ZooError(f"the program ended without an error, but did not write {{output}}, a PNG file{others}")
        return self._read_result(output, arguments)

    def _read_result(self, path: Path, arguments: Sequence[Tensor]) -> Tensor:
        """Read a result as (1, 3, H, W) in [0, 1].

        Raises:
            ZooError: If it is no image, has another size than the image, or a transparent hole.
        """
        from inpaint_zoo.inference.batch import as_tensor

        mask = (arguments[1][0, 0] > 0.5).cpu().numpy()
        rgb = colors_of_result(read_image(path), mask == bool(self.entry.convention.mask_hole))
        if rgb.shape[:2] != mask.shape:
            (height, width), (H, W) = rgb.shape[:2], mask.shape
            raise ZooError(
                f"the result has {height}x{width} px, but the image has {H}x{W} px; if the program resizes images, set "
                "`size` or `multiple_of`"
            )
        return as_tensor(rgb).permute(2, 0, 1)[None].float() / 255

    def _start(self, values: dict[str, str], timeout: float) -> None:
        """Run the program until it ends.

        Raises:
            ZooError: If it cannot be started, fails, or takes too long; the message ends with its last lines.
        """
        values = {**values, "{python}": sys.executable, "{device}": self.device.type}
        _, *words = (_filled(word, values) for word in self.words)
        with tempfile.TemporaryFile() as log:
            try:
                process = subprocess.Popen(
                    [str(self.program), *words],
                    cwd=self.entry.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that it can be stopped with all processes that it started
                )
            except OSError as error:
                raise ZooError(f"the program cannot be started: {error.strerror}") from error
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                _stop(process)
                raise ZooError(
                    f"the program took longer than {timeout:g} s and was stopped; `timeout` gives it more{_last(log)}"
                ) from None
            except BaseException:
                _stop(process)
                raise
            if code:
                raise ZooError(f"the program {_ended(code)}{_last(log)}")


def _filled(word: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _ended(code: int) -> str:
    """Return how a program has failed."""
    if code < 0:
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"


def _others(folder: Path, known: Collection[str]) -> str:
    """Return which files a program wrote that have none of the known stems, for an error message; not all of many."""
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    names = [path.as_posix() for path in files if path.with_suffix("").as_posix() not in known]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; it wrote {', '.join(names[:NAMED])}{more}" if names else ""


def _last(log: IO[bytes]) -> str:
    """Return the last lines of a program's output, for an error message."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - 10_000))
    lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {' | '.join(lines[-LAST_LINES:])}" if lines else ", and wrote nothing to its output"


def _write_pair(arguments: Sequence[Tensor], image: Path, mask: Path) -> None:
    """Write an image (1, 3, H, W) and a mask (1, 1, H, W), both in [0, 1]."""
    import numpy as np

    from inpaint_zoo.inference.batch import to_bytes
    from inpaint_zoo.masks.bank import encode_png

    write_image(image, to_bytes(arguments[0])[0])
    write_bytes(mask, encode_png((arguments[1][0, 0] > 0.5).cpu().numpy().astype(np.uint8)))
