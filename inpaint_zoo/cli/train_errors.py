"""Distinguish mistakes in a training configuration from bugs, and explain them."""

from __future__ import annotations

import importlib
import inspect
import re

from lightning.fabric.utilities.exceptions import MisconfigurationException

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["configuration_error", "refused_argument"]

LIBRARIES = ("lightning", "jsonargparse", "wandb", "torch.optim")
"""Packages that raise exceptions for invalid settings."""
REFUSALS = (ValueError, TypeError, RuntimeError, NotImplementedError, MisconfigurationException)


def configuration_error(error: BaseException) -> ZooError | None:
    """Return an error that explains a mistake in the configuration, or None if the exception is a bug.

    An exception counts as a mistake of the user if it or one of its causes is a `ZooError`, if a package is missing, or
    if one of `LIBRARIES` raised it to reject a setting.
    """
    causes = [error]
    while causes[-1].__cause__ is not None:  # jsonargparse wraps what a constructor raises
        causes.append(causes[-1].__cause__)
    for cause in causes:
        if isinstance(cause, ZooError):
            return cause
        if isinstance(cause, ModuleNotFoundError):
            text = str(cause).splitlines()[0]
            extra = " (pip install 'inpaint-zoo[tensorboard]')" if "tensorboard" in text else ""
            return ZooError(f"The configuration needs a package that is not installed{extra}: {text}")
    for cause in reversed(causes):
        if type(cause).__module__.startswith("wandb"):
            return ZooError(f"Weights & Biases cannot be used: {cause} WANDB_MODE=offline logs without an account.")
        if isinstance(cause, REFUSALS) and _raised_by(cause).startswith(LIBRARIES):
            return ZooError(f"The configuration cannot be used: {cause}")
    return None


def _raised_by(error: BaseException) -> str:
    """Return the name of the module whose code raised an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


def refused_argument(text: str) -> ZooError | None:
    """Return an error for an unknown argument of a class, extracted from jsonargparse's message; None for others.

    jsonargparse lists the problems with all types that it tried. The returned error names only the argument, its class
    and similar arguments.
    """
    found = re.search(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", text)
    if not found:
        return None
    path, key = found.groups()
    module, name = path.rsplit(".", 1)
    bases = inspect.getmro(getattr(importlib.import_module(module), name))
    inits = [function for base in bases if inspect.isfunction(function := vars(base).get("__init__"))]
    parameters = [parameter for init in inits for parameter in inspect.signature(init).parameters.values()]
    names = {entry.name for entry in parameters if entry.kind not in (entry.VAR_POSITIONAL, entry.VAR_KEYWORD)}
    return unknown_name(f"argument of {path}:", key, sorted(names - {"self", key}))
