"""Load an exported file as a network with the package's contract."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from inpaint_zoo.benchmark.convention import Convention, recorded_convention
from inpaint_zoo.benchmark.detection import only_output
from inpaint_zoo.benchmark.methods.loaders import LOADERS, check_arguments
from inpaint_zoo.benchmark.methods.outside import OutsideNetwork
from inpaint_zoo.errors import ZooError
from inpaint_zoo.export.errors import ExportError
from inpaint_zoo.export.writers import FORMATS
from inpaint_zoo.interfaces import Origin

__all__ = ["load_exported"]

_KINDS = {each.suffix: each.kind for each in FORMATS.values()}


def load_exported(path: str | Path, device: torch.device | str = "cpu") -> OutsideNetwork:
    """Return a file that `export_model` wrote as a network; it takes one image at a time, of any size.

    TorchScript and `torch.export` archives contain code, which loading runs: use only files that you trust.

    Args:
        path: A file that ends in .onnx, .pt2 or .pt.
        device: Where the model runs.

    Raises:
        ZooError: If the file is missing or damaged, or records no convention because another program wrote it.
    """
    path = Path(path)
    if path.suffix not in _KINDS:
        raise ExportError(f"{path}: a model file ends in {', '.join(_KINDS)}.")
    if not path.is_file():
        raise ExportError(f"No model file {path}.")
    kind = _KINDS[path.suffix]
    if kind == "onnx" and importlib.util.find_spec("onnxruntime") is None:
        raise ExportError(f"{path} needs onnxruntime: pip install 'inpaint-zoo[onnx]'.")
    model = LOADERS[kind](path, torch.device(device), Convention())
    if model.metadata is None:
        raise ExportError(
            f"{path} does not state its convention, because another program wrote it. Use it as a method of a suite, "
            f"whose `convention` states it: {{{kind}: {path.name}, convention: ...}}."
        )
    try:
        convention = recorded_convention(model.metadata.get("convention", {}))
        check_arguments(model.arguments, convention)
    except ZooError as error:
        raise ExportError(f"{path}: {error}.") from error
    network = OutsideNetwork(
        lambda arguments, key: only_output(model.run(arguments), None, model.outputs), convention
    ).eval()
    options = model.metadata.get("options")
    network.origin = Origin(str(model.metadata.get("model")), options if isinstance(options, dict) else {})
    return network
