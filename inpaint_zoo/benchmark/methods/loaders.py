"""Load model files of other programs: TorchScript, ONNX, and programs of `torch.export`.

A TorchScript file and an exported program contain code, which loading runs: use only files that you trust.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inpaint_zoo.benchmark.convention import Convention
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.model_metadata import METADATA_KEY, parse_metadata, read_archive_metadata
from inpaint_zoo.weights.inert import is_script

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["LOADERS", "Argument", "LoadedModel", "check_arguments"]


class Argument(NamedTuple):
    """An argument of a model.

    Attributes:
        name: Its name in the file.
        shape: Its sizes, None for any; None if the file does not state them.
    """

    name: str
    shape: tuple[int | None, ...] | None = None


class LoadedModel(NamedTuple):
    """A model from a file.

    Attributes:
        run: Returns its outputs for its arguments.
        arguments: Its required arguments, in order.
        outputs: Names of its outputs, if it has a list of them with names.
        metadata: What `inpaint-zoo export` recorded in the file; None for files of other programs.
    """

    run: Callable[[Sequence[Tensor]], object]
    arguments: tuple[Argument, ...]
    outputs: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None


def _load_torchscript(path: Path, device: torch.device, convention: Convention) -> LoadedModel:
    import torch

    if not is_script(path):
        raise ZooError(
            f"{path.name} is no TorchScript archive, as torch.jit.save writes it; a weight file belongs to `model:`."
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        try:
            module = torch.jit.load(path, map_location=device).eval()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ZooError(f"{path.name} cannot be loaded as TorchScript: {_first_line(error)}.") from error

    def run(arguments: Sequence[Tensor]) -> object:
        # without profiling, so that the first runs compute the same bits as all others
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return module(*arguments)

    _, *stated = module.forward.schema.arguments  # the first one is the module itself
    arguments = tuple(Argument(each.name) for each in stated if not each.has_default_value())
    return LoadedModel(run, arguments, metadata=read_archive_metadata(path))


def _load_exported(path: Path, device: torch.device, convention: Convention) -> LoadedModel:
    import torch
    from torch.export.passes import move_to_device_pass

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        try:
            program = torch.export.load(path)
        except Exception as error:  # files of another kind raise many kinds of exceptions
            raise ZooError(
                f"{path.name} cannot be loaded as a program of torch.export: {type(error).__name__}: "
                f"{_first_line(error)}."
            ) from error
    module = move_to_device_pass(program, str(device)).module()
    names = program.graph_signature.user_inputs
    shapes = {node.name: node.meta["val"].shape for node in program.graph.nodes if node.name in names}
    arguments = tuple(
        Argument(name, tuple(side if isinstance(side, int) else None for side in shapes[name]))
        for name in names
        if isinstance(name, str) and name in shapes
    )
    return LoadedModel(lambda given: module(*given), arguments, metadata=read_archive_metadata(path))


_ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def _load_onnx(path: Path, device: torch.device, convention: Convention) -> LoadedModel:
    import onnxruntime
    import torch

    cuda = device.type == "cuda"
    if cuda and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ZooError(
            "--device cuda: this build of onnxruntime has no CUDA provider; install onnxruntime-gpu in its place, or "
            "use --device cpu."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors
    providers: list[Any] = [("CUDAExecutionProvider", {"device_id": device.index or 0})] if cuda else []
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[*providers, "CPUExecutionProvider"])
    except Exception as error:  # the classes of onnxruntime's exceptions are not public
        raise ZooError(f"{path.name} cannot be loaded by onnxruntime: {_first_line(error)}.") from error
    if cuda and "CUDAExecutionProvider" not in session.get_providers():
        raise ZooError(
            "--device cuda: onnxruntime's CUDA provider cannot be loaded; its CUDA and cuDNN libraries must be those "
            "that its documentation lists. Or use --device cpu."
        )
    inputs = session.get_inputs()
    for each in inputs:
        if each.type not in _ONNX_TYPES:
            raise ZooError(f"{path.name}: the input '{each.name}' has the type {each.type}, which is not supported.")
        whole = np.issubdtype(_ONNX_TYPES[each.type], np.integer)
        if whole and convention.range != (0.0, 255.0) and "mask" not in each.name.lower():
            raise ZooError(f"{path.name}: the input '{each.name}' is {each.type}: set `range: [0, 255]`.")

    def run(arguments: Sequence[Tensor]) -> object:
        feeds = {}
        for each, value in zip(inputs, arguments, strict=True):
            wanted = np.dtype(_ONNX_TYPES[each.type])
            array = value.cpu().numpy()
            feeds[each.name] = (array.round() if np.issubdtype(wanted, np.integer) else array).astype(wanted)
        return [torch.from_numpy(output) for output in session.run(None, feeds)]

    arguments = tuple(
        Argument(each.name, tuple(side if isinstance(side, int) else None for side in each.shape)) for each in inputs
    )
    recorded = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    metadata = None if recorded is None else parse_metadata(recorded, path)
    return LoadedModel(run, arguments, tuple(each.name for each in session.get_outputs()), metadata)


LOADERS: dict[str, Callable[[Path, torch.device, Convention], LoadedModel]] = {
    "torchscript": _load_torchscript,
    "onnx": _load_onnx,
    "exported": _load_exported,
}
"""How each kind of file is loaded: path, device, convention -> model."""


def check_arguments(arguments: Sequence[Argument], convention: Convention) -> None:
    """Check that the arguments that a file states agree with the convention of the suite.

    Raises:
        ZooError: If they do not; the message names the key to change.
    """
    listed = ", ".join(argument.name for argument in arguments) or "none"
    if len(arguments) != len(convention.inputs):
        hint = {1: "image+mask", 2: "[image, mask]"}.get(len(arguments))
        way_out = f"set `inputs: {hint}`" if hint else "it must take an image and a mask"
        raise ZooError(f"it takes {len(arguments)} arguments ({listed}), not {len(convention.inputs)}: {way_out}")
    masks = [k for k, argument in enumerate(arguments) if "mask" in argument.name.lower()]
    if len(arguments) == 2 and len(masks) == 1 and convention.inputs[masks[0]] != "mask":
        order = ", ".join("mask" if k == masks[0] else "image" for k in (0, 1))
        raise ZooError(f"its arguments are called {listed}: set `inputs: [{order}]`")
    for argument, given in zip(arguments, convention.inputs, strict=True):
        if argument.shape is not None and len(argument.shape) == 4:
            _check_dimensions(argument, given, convention)


def _check_dimensions(argument: Argument, given: str, convention: Convention) -> None:
    shape = argument.shape or ()
    shown = "x".join("?" if side is None else str(side) for side in shape)
    of = {"image": 3, "mask": convention.mask_channels}
    channels = sum(of[part] for part in given.split("+"))
    last = convention.layout == "channels_last"
    found, other = (shape[3], shape[1]) if last else (shape[1], shape[3])
    if found is not None and found != channels:
        hint = "set `inputs` or `mask_channels`"
        if other == channels:
            hint = f"set `layout: {'channels_first' if last else 'channels_last'}`"
        elif given == "mask" and found in (1, 3):
            hint = f"set `mask_channels: {found}`"
        raise ZooError(f"its argument '{argument.name}' is {shown}, not of {channels} channels: {hint}")
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    if height is not None and width is not None and convention.size != (height, width):
        raise ZooError(f"its argument '{argument.name}' is {shown}: set `size: [{height}, {width}]`")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
