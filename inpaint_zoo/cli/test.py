"""`inpaint-zoo test`: see `inpaint_zoo.cli.train`."""

from __future__ import annotations

from inpaint_zoo.cli.train import train

__all__ = ["run"]


def run(args: list[str]) -> int:
    """Entry point of the command."""
    return train("test", args)
