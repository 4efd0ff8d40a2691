"""The three kinds of method behind one interface: registered models, Python functions, folders of finished pictures.

Each gets the truth with nothing in its hole and gives a picture of the same size; the runner pastes the known pixels
back from the truth, whatever the method made of them.
"""

from __future__ import annotations

from inpaint_zoo.benchmark.entries import CallableEntry, ModelEntry
from inpaint_zoo.benchmark.methods.base import Answer, Method, Question, Task
from inpaint_zoo.benchmark.methods.folder import FolderMethod
from inpaint_zoo.benchmark.methods.function import CallableMethod
from inpaint_zoo.benchmark.methods.network import NetworkMethod
from inpaint_zoo.benchmark.suite import Suite

__all__ = ["Answer", "CallableMethod", "FolderMethod", "Method", "NetworkMethod", "Question", "Task", "create_methods"]


def create_methods(suite: Suite) -> list[Method]:
    """The methods of a suite, in its order; functions are imported, networks are not built yet.

    Raises:
        ZooError: A function cannot be imported, a folder is not there: with file and line.
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
