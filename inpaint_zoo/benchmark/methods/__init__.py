"""All kinds of methods, with one interface.

They are registered models, Python functions, folders of finished results, and models from outside the package: files of
models, programs, diffusers pipelines. Each method gets the ground truth with an empty hole and returns an image of the
same size. The runner then replaces the known pixels by those of the ground truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from inpaint_zoo.benchmark.entries import CallableEntry, CommandEntry, FileModelEntry, ModelEntry
from inpaint_zoo.benchmark.methods.base import Method, MethodInput, MethodOutput, Task, pasted
from inpaint_zoo.benchmark.methods.command import CommandMethod
from inpaint_zoo.benchmark.methods.diffusion import DiffusersMethod
from inpaint_zoo.benchmark.methods.file_model import FileModelMethod
from inpaint_zoo.benchmark.methods.folder import FolderMethod
from inpaint_zoo.benchmark.methods.function import CallableMethod
from inpaint_zoo.benchmark.methods.network import NetworkMethod
from inpaint_zoo.benchmark.missing import Missing, missing_package, missing_program, missing_weights
from inpaint_zoo.benchmark.suite import Suite

__all__ = [
    "CallableMethod",
    "CommandMethod",
    "DiffusersMethod",
    "FileModelMethod",
    "FolderMethod",
    "Method",
    "MethodInput",
    "MethodOutput",
    "NetworkMethod",
    "Prepared",
    "Task",
    "create_methods",
    "pasted",
]


class Prepared(NamedTuple):
    """A method for one dataset, and what it lacks to be computed."""

    method: Method
    missing: Missing | None


def create_methods(suite: Suite) -> list[Mapping[str, Prepared]]:
    """Create the methods of a suite, in its order; functions are imported, networks are not built yet.

    Returns:
        For each entry, its method by the label of the dataset. Datasets with the same weights share the method.

    Raises:
        ZooError: If a function cannot be imported, a folder does not exist, or a weight file states another model; the
            message gives file and line.
    """
    methods: list[Mapping[str, Prepared]] = []
    for entry in suite.methods:
        if isinstance(entry, ModelEntry):
            methods.append(_networks(entry, suite))
            continue
        if isinstance(entry, FileModelEntry):
            methods.append(_file_models(entry, suite))
            continue
        method: Method
        missing = None
        if isinstance(entry, CallableEntry):
            method = CallableMethod(entry)
        elif isinstance(entry, CommandEntry):
            method = command = CommandMethod(entry)
            missing = missing_program(entry, command.program)
        else:
            method = FolderMethod(entry, len(suite.datasets), sum(not masks.mosaic for masks in suite.masks))
        methods.append({dataset.label: Prepared(method, missing) for dataset in suite.datasets})
    return methods


def _networks(entry: ModelEntry, suite: Suite) -> Mapping[str, Prepared]:
    """Return the networks of an entry by the label of the dataset, which its weights may depend on."""
    by_weights: dict[tuple[str | None, bool], NetworkMethod] = {}
    networks: dict[str, Prepared] = {}
    for dataset in suite.datasets:
        name = dataset.spec["name"]
        found = entry.find(name)
        chosen = found or entry
        method = by_weights.setdefault((chosen.weights, chosen.applies), NetworkMethod(chosen, suite.seed))
        if found:  # even if the dataset is missing
            method.refuse_other_model()
        networks[dataset.label] = Prepared(method, None if found else missing_weights(entry, name))
    return networks


def _file_models(entry: FileModelEntry, suite: Suite) -> Mapping[str, Prepared]:
    """Return the methods of a model file or folder by the label of the dataset, which its path may depend on."""
    by_path: dict[str, Method] = {}
    methods: dict[str, Prepared] = {}
    for dataset in suite.datasets:
        name = dataset.spec["name"]
        found = entry.find(name)
        chosen = found or entry
        if chosen.file not in by_path:
            diffusers = chosen.kind == "diffusers"
            by_path[chosen.file] = DiffusersMethod(chosen, suite.seed) if diffusers else FileModelMethod(chosen)
        missing = missing_package(entry) if found else missing_weights(entry, name)
        methods[dataset.label] = Prepared(by_path[chosen.file], missing)
    return methods
