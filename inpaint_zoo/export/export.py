"""Export a network by name: build its form, write the file, run the file and compare it with the network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import torch

from inpaint_zoo._version import __version__
from inpaint_zoo.benchmark.convention import Convention
from inpaint_zoo.errors import unknown_name
from inpaint_zoo.export.check import TOLERANCE, Difference, check_file, check_sizes
from inpaint_zoo.export.errors import ExportError, SizeError
from inpaint_zoo.export.form import export_form, smallest_side
from inpaint_zoo.export.load import load_exported
from inpaint_zoo.export.writers import FORMATS, OPSET, Sizes, find_format, larger, write
from inpaint_zoo.interfaces import InpaintingNetwork, check_network
from inpaint_zoo.io.atomic import atomic_path
from inpaint_zoo.weights import state_sha256

__all__ = ["Exported", "export_model"]

CONTRACT = (
    "image: float32 (1, 3, H, W), RGB, in [0, 1]; mask: float32 (1, 1, H, W), 1 = hole, 0 = known; "
    "result: float32 (1, 3, H, W) in [0, 1], the completed image, whose known pixels are those of the input. "
    "`convention` states the sizes and how the hole of the image is filled; keys that it lacks have the default values."
)
PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime")}


class Exported(NamedTuple):
    """An exported file.

    Attributes:
        path: The file.
        metadata: What it records.
        differences: How much it differs from the network, at three sizes or for three images.
    """

    path: Path
    metadata: dict[str, Any]
    differences: list[Difference]


def export_model(
    net: InpaintingNetwork,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - as on the command line
    size: tuple[int, int] | None = None,
    precision: str = "fp32",
) -> Exported:
    """Export a network to a file that runs without this package, and compare the file with the network.

    The file takes an image in [0, 1] and a mask with 1 = hole and returns the completed image, for a batch of one. It
    records the model, the hash of its weights, and its convention: which sizes it takes, and what the hole of the image
    must hold. Suites and `inpaint-zoo inpaint --model FILE` follow that convention; `load_exported` returns the file as
    a network.

    Args:
        net: A network that `create_model` built.
        path: The file, which is replaced if it exists.
        format: A key of `FORMATS`; None chooses by the suffix: .onnx, .pt2 (torch.export) or .pt (TorchScript).
        size: Height and width of all images, which must be multiples of the network's ``divisor``; None for any size.
        precision: "fp32"; "fp16" or "bf16", with convolutions in 16 bits; "int8" (ONNX only), with convolutions in 8
            bits that are calibrated on sample images.

    Returns:
        The file's path and metadata, and its differences from the network.

    Raises:
        ExportError: If the network cannot be exported so, or the file does not compute what the network computes.
        ZooError: If ``net`` is not a network.
    """
    check_network("net", net)
    path = Path(path)
    chosen = find_format(format, path)
    _check(net, chosen, precision)
    smallest = smallest_side(net)
    if size is not None and any(side < smallest or side % net.divisor for side in size):
        raise ExportError(
            f"the size must be multiples of {net.divisor} px and at least {smallest} px, got {size[0]}x{size[1]} px"
        )
    failure: ExportError | None = None
    for sizes in larger(Sizes(net.divisor, smallest, size)):
        try:
            return _export(net, path, chosen, sizes, precision)
        except SizeError as error:
            failure = failure or error
        except ExportError as error:
            failure = error
            break
    hint = "" if size else f"; give a size, such as --size {_even(net, 256)}x{_even(net, 256)}"
    raise ExportError(f"'{_name(net)}' cannot be exported as {chosen}, {precision}: {failure}{hint}.") from failure


def _check(net: InpaintingNetwork, chosen: str, precision: str) -> None:
    if net.origin is None:
        raise ExportError("Only a network that create_model() built can be exported: the file must name its model.")
    if not any(True for _ in net.parameters()):
        raise ExportError(f"'{net.origin.name}' has no weights: only learned models can be exported.")
    if precision not in TOLERANCE:
        raise unknown_name("precision", precision, TOLERANCE)
    possible = FORMATS[chosen].precisions
    if precision not in possible:
        others = [key for key, each in FORMATS.items() if precision in each.precisions]
        raise ExportError(
            f"the format {chosen} has no precision {precision}, only {', '.join(possible)}; it exists for "
            f"{' and '.join(others)}."
        )
    absent = [name for name in PACKAGES.get(chosen, ()) if importlib.util.find_spec(name) is None]
    if absent:
        raise ExportError(f"the format {chosen} needs {', '.join(absent)}: pip install 'inpaint-zoo[export]'.")


def _export(net: InpaintingNetwork, path: Path, chosen: str, sizes: Sizes, precision: str) -> Exported:
    """Write the file for the given sizes and compare it; if it is wrong, no file is left."""
    # in a graph for any size, the filling's recursion over halved sizes cannot be written
    filled = net.predicts_difference and sizes.only is None
    form = export_form(net, chosen, filled=filled, precision=precision)
    metadata = _metadata(net, chosen, sizes, filled, precision)
    with atomic_path(path) as temporary:
        write(form, chosen, temporary, sizes, metadata)
        if precision == "int8":
            from inpaint_zoo.export.quantize import quantize

            quantize(temporary, sizes, filled)
        file = load_exported(temporary)
        differences = check_file(net, file, check_sizes(net, sizes.smallest, sizes.only), precision)
    return Exported(path, metadata, differences)


def _metadata(net: InpaintingNetwork, chosen: str, sizes: Sizes, filled: bool, precision: str) -> dict[str, Any]:
    assert net.origin is not None
    low, high = net.value_range
    convention = Convention(
        hole_value="neighbor_fill" if filled else (net.hole_value - low) / (high - low),
        multiple_of=1 if sizes.only else sizes.divisor,
        min_size=1 if sizes.only else sizes.smallest,
        padding=net.padding,
        pads_hole=net.pads_hole,
        size=sizes.only,
    )
    return {
        "contract": CONTRACT,
        "convention": convention.plain(),
        "format": chosen,
        "model": net.origin.name,
        "options": net.origin.options,
        "weights_sha256": state_sha256(net.state_dict()),
        "precision": precision,
        "checked_within": TOLERANCE[precision],
        "inpaint_zoo": __version__,
        "torch": torch.__version__,
        **({"opset": OPSET} if chosen == "onnx" else {}),
    }


def _even(net: InpaintingNetwork, side: int) -> int:
    return max(-(-side // net.divisor) * net.divisor, smallest_side(net))


def _name(net: InpaintingNetwork) -> str:
    return net.origin.name if net.origin else type(net).__name__
