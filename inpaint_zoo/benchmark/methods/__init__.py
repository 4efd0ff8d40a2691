"""The three kinds of methods, with one interface: registered models, Python functions, folders of finished results.

Each method gets the ground truth with an empty hole and returns an image of the same size. The runner then replaces the
known pixels by those of the ground truth.
"""

from __future__ import annotations

from inpaint_zoo.benchmark.entries import CallableEntry, ModelEntry
from inpaint_zoo.benchmark.methods.base import Method, MethodInput, MethodOutput, Task
from inpaint_zoo.benchmark.methods.folder import FolderMethod
from inpaint_zoo.benchmark.methods.function import CallableMethod
from inpaint_zoo.benchmark.methods.network import NetworkMethod
from inpaint_zoo.benchmark.suite import Suite

__all__ = [
    "CallableMethod",
    "FolderMethod",
    "Method",
    "MethodInput",
    "MethodOutput",
    "NetworkMethod",
    "Task",
    "create_methods",
]


def create_methods(suite: Suite) -> list[Method]:
    """Create the methods of a suite, in its order; functions are imported, networks are not built yet.

    Raises:
        ZooError: If a function cannot be imported or a folder does not exist; the message gives file and line.
    """
    methods: list[Method] = []
    for entry in suite.methods:
        if isinstance(entry, ModelEntry):
            methods.append(NetworkMethod(entry, suite.seed))
        elif isinstance(entry, CallableEntry):
            methods.append(CallableMethod(entry))
        else:
            methods.append(FolderMethod(entry, len(suite.datasets), sum(not masks.mosaic for masks in suite.masks)))
    return methods
