"""Identity of a cell: a hash over everything that its numbers depend on, and nothing else.

Labels, workers, batch size and device are not part of it; a renamed method is therefore not computed again. Cells of a
rehearsal are an exception (`rehearsal_id`).
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpaint_zoo._version import __version__
from inpaint_zoo.io.atomic import sha256_json

__all__ = ["MASK_STREAM", "RULES", "cell_id", "code_sha256", "git_commit", "rehearsal_id"]

PACKAGE = Path(__file__).parent.parent

# the default stream of `create_mask`: create_mask(name, size, seed=<suite seed>, index) gives the suite's masks
MASK_STREAM = "mask"

# how a result becomes a number, except for metrics whose own identity names another form of the result; a change here
# makes every cell new
RULES = {  # terms of the first version, because they are part of stored cells' names
    "input": "truth with 0 in the hole, bytes / 255",
    "quantise": "round to 8 bits",
    "known": "bytes of the truth",
    "score": "each image by itself, on the 8-bit result / 255",
    "mask_stream": MASK_STREAM,
}


def cell_id(
    *,
    seed: int,
    method: Mapping[str, Any],
    dataset: Mapping[str, Any],
    mask: Mapping[str, Any],
    metrics: Mapping[str, Any],
    precision: str,
) -> str:
    """Return the name of a cell's folder: 20 hexadecimal digits of the hash of its content.

    Example:
        >>> telea = {"model": "telea"}
        >>> parts = {"method": telea, "dataset": {}, "mask": {}, "metrics": {}, "precision": "fp32"}
        >>> cell_id(seed=1, **parts) == cell_id(seed=2, **parts)
        False
    """
    content = {
        "rules": RULES,
        "version": __version__,
        "seed": seed,
        "method": method,
        "dataset": dataset,
        "mask": mask,
        "metrics": metrics,
        "precision": precision,
    }
    return sha256_json(content)[:20]


def rehearsal_id(content: str, labels: Sequence[str]) -> str:
    """Return the name of a cell's folder in a rehearsal, where cells with other labels may have the same content.

    Args:
        content: The result of `cell_id`.
        labels: Labels of the cell.
    """
    return sha256_json([content, *labels])[:20]


@functools.cache
def code_sha256() -> str:
    """Return the hash of the package's source files, which distinguishes two states of the same version."""
    files = sorted(PACKAGE.rglob("*.py"))
    return sha256_json([[file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")] for file in files])


@functools.cache
def git_commit() -> str | None:
    """Return the git commit of the checkout that the package runs from; None for an installed package."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
