"""Write a network in its export form to an ONNX file, a `torch.export` archive or a TorchScript archive."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.export.errors import ExportError, SizeError
from inpaint_zoo.export.form import ExportForm
from inpaint_zoo.io.model_metadata import METADATA_FILE, METADATA_KEY

__all__ = ["FORMATS", "OPSET", "Format", "Sizes", "find_format", "larger", "write"]

OPSET = 18
"""Version of ONNX's operators: the first one with all that the networks need; ONNX Runtime reads it since 1.14."""
LARGEST_SIDE = 8192
MOST_NODES = 3000
"""Most nodes of a graph that onnxscript simplifies; for each node, it searches all nodes. Runtimes also do it."""
DOUBLINGS = 5  # how often the smallest size is doubled until a network can be exported for all larger ones


class Format(NamedTuple):
    """A format of exported files.

    Attributes:
        suffix: Suffix of its files.
        kind: Key of a suite's method that runs them.
        precisions: Precisions that it can have.
    """

    suffix: str
    kind: str
    precisions: tuple[str, ...]


FORMATS = {
    "onnx": Format(".onnx", "onnx", ("fp32", "fp16", "int8")),
    "torch-export": Format(".pt2", "exported", ("fp32", "fp16", "bf16")),
    "torchscript": Format(".pt", "torchscript", ("fp32", "fp16", "bf16")),
}


def find_format(name: str | None, path: Path) -> str:
    """Return a format by its name, or by the suffix of a file.

    Raises:
        ExportError: If the suffix belongs to another format or to none.
    """
    by_suffix = {each.suffix: key for key, each in FORMATS.items()}
    if name is None:
        if path.suffix not in by_suffix:
            known = ", ".join(f"{suffix} ({key})" for suffix, key in by_suffix.items())
            raise ExportError(f"{path}: the suffix must name the format: {known}.")
        return by_suffix[path.suffix]
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    if path.suffix != FORMATS[name].suffix:
        raise ExportError(f"{path}: a file of the format {name} must end in {FORMATS[name].suffix}.")
    return name


class Sizes(NamedTuple):
    """Sizes for which a network is exported.

    Attributes:
        divisor: Heights and widths are multiples of this number.
        smallest: Smallest height and width.
        only: The only size (height, width); None for all sizes.
    """

    divisor: int
    smallest: int
    only: tuple[int, int] | None

    def example(self) -> tuple[Tensor, Tensor]:
        """Return an image and a mask to trace the network with, at least twice as large as the smallest ones."""
        height, width = self.only or (2 * self.smallest + self.divisor, 2 * self.smallest)
        image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
        mask = torch.zeros(1, 1, height, width)
        mask[..., height // 4 : height // 2, width // 4 : width // 2] = 1
        return image, mask

    def constraints(self) -> dict[str, dict[int, Any]] | None:
        """Return the dynamic dimensions for `torch.export`."""
        if self.only is not None:
            return None
        sides: dict[int, Any] = {}
        for axis, name in ((2, "height"), (3, "width")):
            low, high = self.smallest // self.divisor, LARGEST_SIDE // self.divisor
            if self.divisor == 1:
                sides[axis] = torch.export.Dim(name, min=low, max=high)
            else:
                sides[axis] = self.divisor * torch.export.Dim(f"{name}_{self.divisor}", min=low, max=high)
        return {"image": sides, "mask": sides}


def write(form: ExportForm, name: str, path: Path, sizes: Sizes, metadata: Mapping[str, Any]) -> None:
    """Write a network to a file.

    Args:
        form: The network.
        name: The format, a key of `FORMATS`.
        path: The file.
        sizes: Sizes for which the network is exported.
        metadata: What the file records.

    Raises:
        SizeError: If the network cannot be exported for these sizes.
    """
    text = json.dumps(metadata, sort_keys=True)
    with _quiet(), torch.no_grad():
        if name == "torchscript":
            traced = torch.jit.trace(form, sizes.example(), check_trace=False)  # type: ignore[no-untyped-call]
            torch.jit.save(traced, path, _extra_files={METADATA_FILE: text})
            return
        program = _program(form, sizes)
        if name == "torch-export":
            torch.export.save(program, path, extra_files={METADATA_FILE: text})
            return
        try:
            converted = torch.onnx.export(program, dynamo=True, opset_version=OPSET, optimize=False, verbose=False)
            assert converted is not None
            _simplify(converted)
        except Exception as error:  # of several packages; the cause says what is not supported
            cause = error.__cause__ or error
            raise ExportError(f"torch.onnx cannot convert it: {type(cause).__name__}: {_first_line(cause)}") from error
        converted.model.metadata_props[METADATA_KEY] = text
        converted.model.graph.outputs[0].name = "completed"
        converted.save(path)


def _program(form: ExportForm, sizes: Sizes) -> torch.export.ExportedProgram:
    try:
        return torch.export.export(form, sizes.example(), dynamic_shapes=sizes.constraints(), strict=False)
    except Exception as error:  # the exceptions of torch.export have no common public class
        size = "size {}x{}".format(*sizes.only) if sizes.only else f"all sizes from {sizes.smallest} px"
        raise SizeError(f"torch.export cannot export it for {size}: {_first_line(error)}") from error


def _simplify(converted: torch.onnx.ONNXProgram) -> None:
    """Fold constants and, in graphs that are not too large, fuse layers, in place."""
    from onnxscript import optimizer

    optimizer.inline(converted.model)
    optimizer.fold_constants(converted.model)
    optimizer.remove_unused_nodes(converted.model)  # most of the nodes
    if len(converted.model.graph) <= MOST_NODES:
        converted.optimize()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def larger(sizes: Sizes) -> list[Sizes]:
    """Return the sizes to try: those given, then with the smallest one doubled several times if there are several."""
    if sizes.only is not None:
        return [sizes]
    return [sizes._replace(smallest=sizes.smallest * 2**k) for k in range(DOUBLINGS + 1)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings and log lines of the exporters; whether a file is right is checked by running it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
