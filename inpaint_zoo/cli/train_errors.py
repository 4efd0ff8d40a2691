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
_REASON = re.compile(
    r"module '[\w.]+' has no attribute '\w+'|No module named '[\w.]+'|the following arguments are required: .+"
)
_KIND = re.compile(r"Expected an? (?:<class '([\w.]+)'>|(?:typing\.)?Literal\[(.+?)\]|(dot import path))")
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
    """Return an error in one sentence for an argument that jsonargparse refuses; None if its message has another form.

    jsonargparse lists the problems with all types that it tried. The returned error names the key, and the reason of
    the first type, which is the class that the configuration states.
    """
    keys, path, reason = _first_problem(text)
    if stated := re.search(r"Got value: Namespace\(class_path='([\w.]+)'", reason):
        path = stated[1]
    if path and (found := re.search(r"Option '(\w+)' is not accepted", reason)):
        return _unknown_argument(path, found[1], keys)
    if not keys:
        return None
    if stated := _REASON.search(reason):
        return ZooError(f"{keys}: {stated[0]}.")
    given = re.findall(r"(?:Got|Given) value: (.+?)(?=\. Got value: |\s*$)", reason, re.M)
    # jsonargparse's order differs between versions of Python
    kinds = sorted({_kind(*groups) for groups in _KIND.findall(reason)}, key=lambda kind: (kind == "null", kind))
    if not (kinds and given):
        return None
    return ZooError(f"{keys} must be {' or '.join(kinds)}, got {given[0]}.")


def _kind(name: str, literals: str, import_path: str) -> str:
    """Return the name of a type as YAML's users know it."""
    if import_path:
        return "a class path"
    return f"one of {literals}" if literals else "null" if name == "NoneType" else name.rpartition(".")[2]


def _first_problem(text: str) -> tuple[str, str, str]:
    """Return the dotted key, the innermost class path, and the reason of the first problem that jsonargparse lists."""
    keys, path, reason = [], "", list[str]()
    depth: int | None = None  # indentation of the innermost class
    for line in text.splitlines():
        indentation = len(line) - len(line.lstrip())
        if depth is not None and line.strip() and indentation <= depth:
            break  # the next type
        reason.append(line)
        if found := re.search(r"Problem with given class_path '([\w.]+)'", line):
            path, depth, reason = found[1], indentation, []
        if found := re.search(r'Parser key "([\w.]+)":', line):
            keys.append(found[1])
            reason = [line[found.end() :]]
    return ".".join(keys), path, "\n".join(reason)


def _unknown_argument(path: str, key: str, keys: str) -> ZooError:
    """Return an error for an argument that a class does not have, with similar arguments."""
    if path == "torch.optim.Optimizer":  # no class is stated
        return ZooError(f"{keys} has no class that takes '{key}'. State its class first, such as torch.optim.Adam.")
    module, name = path.rsplit(".", 1)
    bases = inspect.getmro(getattr(importlib.import_module(module), name))
    inits = [function for base in bases if inspect.isfunction(function := vars(base).get("__init__"))]
    parameters = [parameter for init in inits for parameter in inspect.signature(init).parameters.values()]
    names = {entry.name for entry in parameters if entry.kind not in (entry.VAR_POSITIONAL, entry.VAR_KEYWORD)}
    return unknown_name(f"argument of {path}:", key, sorted(names - {"self", key}))
