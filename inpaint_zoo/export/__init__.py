"""Exports: networks as ONNX, `torch.export` and TorchScript files, each checked against the network it came from."""

from inpaint_zoo.export.check import Difference
from inpaint_zoo.export.errors import ExportError
from inpaint_zoo.export.export import Exported, export_model
from inpaint_zoo.export.load import load_exported
from inpaint_zoo.export.writers import FORMATS

__all__ = ["FORMATS", "Difference", "ExportError", "Exported", "export_model", "load_exported"]
