"""Model files of other programs, as methods."""

from __future__ import annotations

import mmap
import re
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo.benchmark.entries import CommandEntry, FileModelEntry
from inpaint_zoo.benchmark.methods.base import Method, MethodInput, MethodOutput, Task
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_file, sha256_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from inpaint_zoo.benchmark.methods.outside import OutsideNetwork, Run

__all__ = ["FileModelMethod", "OutsideMethod", "content_sha256"]


class OutsideMethod(Method):
    """Base class of models from outside the package, which complete one image at a time by their convention.

    Attributes:
        network: The model, after `start`.
        convention: Its convention, after `load`.
        whole_bytes: Whether it returns 8-bit images.
        warms_up: Whether the first run for each size is not measured.
        fixed_range: Whether the value ranges are known, so that the suite cannot state wrong ones.
    """

    entry: FileModelEntry | CommandEntry
    whole_bytes = False
    warms_up = True
    fixed_range = True

    def __init__(self, entry: FileModelEntry | CommandEntry) -> None:
        super().__init__(entry)
        self.network: OutsideNetwork | None = None
        self.convention = entry.convention
        self._warm: set[tuple[int, ...]] = set()

    @abstractmethod
    def load(self, device: torch.device) -> Run:
        """Load the model.

        Raises:
            ZooError: If it cannot be loaded, or its arguments do not agree with its convention.
        """

    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Load the model, once. It runs in its own precision."""
        from inpaint_zoo.benchmark.methods.outside import OutsideNetwork

        self.device = device
        if self.network is None:
            with self.naming():
                run = self.load(device)
                self.network = OutsideNetwork(run, self.convention, self.fixed_range)
        self.network.detector.notes()  # of the previous cell

    def close(self) -> None:
        """Drop the model."""
        self.network = None
        self._warm.clear()

    def notes(self) -> list[str]:
        """Return what speaks against the convention of the suite."""
        return [] if self.network is None else self.network.detector.notes()

    def fill(self, items: Sequence[MethodInput]) -> list[MethodOutput]:
        """Complete one image after the other."""
        return [self._one(item) for item in items]

    def _one(self, item: MethodInput) -> MethodOutput:
        from inpaint_zoo.inference.batch import to_bytes, to_tensors

        image, hole = (x.to(self.device) for x in to_tensors(item.image[None], item.mask[None]))
        if self.warms_up and image.shape not in self._warm:
            self._run(image, hole, item.key)
            self._warm.add(tuple(image.shape))
        begin = time.perf_counter()
        result = self._run(image, hole, item.key)
        seconds = self.seconds_of(item.key, time.perf_counter() - begin)
        unrounded = None if self.whole_bytes else result[0].cpu().numpy()
        return MethodOutput(to_bytes(result)[0], seconds, None, unrounded)

    def seconds_of(self, key: str, measured: float) -> float:
        """Return the time of an image, given the time that its call of the network took."""
        return measured

    def _run(self, image: Tensor, hole: Tensor, key: str) -> Tensor:
        import torch

        from inpaint_zoo.inference.batch import fill_batch

        assert self.network is not None
        with self.naming(key):
            result = fill_batch(self.network, image, hole, key=key)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return result

    @contextmanager
    def naming(self, key: str | None = None) -> Iterator[None]:
        """Add the method and the image to errors that are raised in the block."""
        try:
            yield
        except ZooError as error:
            image = "" if key is None else f", image '{key}'"
            raise ZooError(f"'{self.label}'{image}: {error}") from error


class FileModelMethod(OutsideMethod):
    """A TorchScript or ONNX file, or an exported program."""

    entry: FileModelEntry
    fixed_range = False

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the kind, the hash of the file with its external data, the stated convention and the output."""
        return {
            "kind": self.entry.kind,
            "weights_sha256": _model_sha256(self.entry.path),
            "convention": self.entry.convention.plain(),
            **self.entry.options,
        }

    def load(self, device: torch.device) -> Run:
        """Load the file and check its arguments.

        A file that `inpaint-zoo export` wrote records its convention, which counts if the suite states none.
        """
        from inpaint_zoo.benchmark.convention import recorded_convention
        from inpaint_zoo.benchmark.detection import only_output
        from inpaint_zoo.benchmark.methods.loaders import LOADERS, check_arguments

        model = LOADERS[self.entry.kind](self.entry.path, device, self.entry.convention)
        if model.metadata is not None and "convention" not in self.entry.table.values:
            self.convention = recorded_convention(model.metadata.get("convention", {}))
        check_arguments(model.arguments, self.convention)
        output = self.entry.options.get("output")
        return lambda arguments, key: only_output(model.run(arguments), output, model.outputs)


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the relative paths and contents of all files in a folder."""
    if not path.is_dir():
        return sha256_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file.relative_to(path)))
    return sha256_json([[file.relative_to(path).as_posix(), sha256_file(file)] for file in files])


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


# the entry `location` of a tensor in an ONNX file: a key and a value of at most 127 bytes, each with its length
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)


def _model_sha256(path: Path) -> str:
    """Return the SHA-256 of a model file; for an ONNX file, together with the files of its external tensors."""
    own = sha256_file(path)
    if path.suffix != ".onnx" or not path.stat().st_size:
        return own
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = [(each.end(), each[1][0]) for each in _LOCATION.finditer(data)]
        names = {data[begin : begin + length].decode("utf-8", "replace") for begin, length in found}
    beside = [path.parent / name for name in sorted(names)]
    external = [[file.name, sha256_file(file)] for file in beside if file.is_file()]
    return sha256_json([own, *external]) if external else own
