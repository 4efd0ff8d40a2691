"""`inpaint-zoo predict`: see `inpaint_zoo.cli.train`."""

from __future__ import annotations

from inpaint_zoo.cli.train import train

__all__ = ["run"]


def run(args: list[str]) -> int:
    """Run the command with the given arguments and return its exit code."""
    return train("predict", args)
