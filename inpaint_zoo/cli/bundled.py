"""Configurations and suites that come with the package, found by name: `isnet/sample`, `quickstart`.

They are the files in the folders `configs` and `benchmarks` of the repository. A wheel contains copies of both
folders (setup.py), in the same arrangement, because suites name configurations and tables by relative paths.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Literal

from inpaint_zoo.errors import unknown_name

__all__ = ["bundled_file", "bundled_folder", "bundled_names", "bundled_path"]

_logger = logging.getLogger(__name__)

Kind = Literal["configuration", "suite"]

PACKAGE = Path(__file__).parent.parent
_FOLDERS = {"configuration": "configs", "suite": "benchmarks"}
_HINTS = {
    "configuration": "`inpaint-zoo models show NAME` names the configurations of a model.",
    "suite": "`inpaint-zoo benchmark --list` names the suites of the package.",
}


def bundled_folder(kind: Kind) -> Path:
    """Return the folder of the package's files of a kind: in an installed package, or else in the repository."""
    installed = PACKAGE / "bundled" / _FOLDERS[kind]
    return installed if installed.is_dir() else PACKAGE.parent / _FOLDERS[kind]


def bundled_names(kind: Kind) -> list[str]:
    """Return the names of the package's files of a kind: their paths in its folder, without the suffix."""
    folder = bundled_folder(kind)
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def _name(kind: Kind, given: str | Path) -> str:
    return re.sub(r"\.ya?ml$", "", Path(given).as_posix().removeprefix(f"{_FOLDERS[kind]}/"))


def bundled_path(kind: Kind, given: str | Path) -> Path | None:
    """Return the package's file of a name such as `isnet/sample` or `configs/isnet/sample.yaml`; None for no name."""
    name = _name(kind, given)
    return bundled_folder(kind) / f"{name}.yaml" if name in bundled_names(kind) else None


def bundled_file(kind: Kind, given: str | Path) -> Path:
    """Return a file that the user names: the path of a file, or else the name of one that comes with the package.

    Args:
        kind: What the file is.
        given: A path, or a name such as `isnet/sample`; `configs/isnet/sample.yaml` names the same file in each folder.

    Raises:
        UnknownNameError: If there is neither a file nor a name; the message suggests similar names.

    Example:
        >>> bundled_file("suite", "quickstart").name
        'quickstart.yaml'
    """
    path = Path(given).expanduser()
    if path.is_file():
        return path
    found = bundled_path(kind, given)
    if found is None:
        raise unknown_name(
            kind, _name(kind, given), bundled_names(kind), f"The file {given} does not exist. {_HINTS[kind]}"
        )
    _logger.info("the %s '%s' is %s", kind, given, found)
    return found
