"""The options `--wandb` and `--tensorboard` of `inpaint-zoo benchmark` and `inpaint-zoo report`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from inpaint_zoo.cli.common import console, err_console

if TYPE_CHECKING:
    from inpaint_zoo.benchmark.publish import Publisher
    from inpaint_zoo.benchmark.report.run_folder import Run

__all__ = ["add_publish_arguments", "checked_publishers", "publish", "refuse_to_publish"]


def add_publish_arguments(parser: ArgumentParser) -> None:
    """Add the options to the parser of a command."""
    parser.add_argument(
        "--wandb",
        metavar="PROJECT",
        help="publish the finished run to this W&B project, one W&B run for each method; with WANDB_MODE=offline, the "
        "W&B runs are written to DIR/wandb",
    )
    parser.add_argument("--wandb-entity", metavar="ENTITY", help="W&B user or team (default: that of the account)")
    parser.add_argument("--wandb-group", metavar="GROUP", help="group of the W&B runs (default: name of the suite)")
    parser.add_argument("--tensorboard", action="store_true", help="write the finished run to DIR/tensorboard")


def refuse_to_publish(parser: ArgumentParser, options: Namespace, instead: str) -> None:
    """End with an error if one of the options is given, because the command does something else than a run."""
    for name in ("wandb", "wandb_entity", "wandb_group", "tensorboard"):
        if getattr(options, name):
            parser.error(f"--{name.replace('_', '-')} publishes one run; it cannot be combined with {instead}.")


def checked_publishers(parser: ArgumentParser, options: Namespace) -> list[Publisher]:
    """Return a publisher for each place that the options name, after checking that it can be used.

    Raises:
        ZooError: If a package is missing or an account cannot be used.
    """
    for name in ("entity", "group"):
        if getattr(options, f"wandb_{name}") and not options.wandb:
            parser.error(f"--wandb-{name} needs --wandb PROJECT.")
    if options.wandb is None and not options.tensorboard:
        return []

    from inpaint_zoo.benchmark.publish import TensorBoardPublisher, WandbPublisher

    publishers: list[Publisher] = []
    if options.wandb is not None:
        publishers.append(WandbPublisher(options.wandb, options.wandb_entity, options.wandb_group))
    if options.tensorboard:
        publishers.append(TensorBoardPublisher())
    for publisher in publishers:
        publisher.check()
    return publishers


def publish(run: Run | None, publishers: Sequence[Publisher]) -> bool:
    """Publish a run and print where it is; return whether everything could be published.

    The results are complete at this point, so an error of any kind is printed and not raised.

    Args:
        run: The run; None if there is nothing to publish.
        publishers: Result of `checked_publishers`.
    """
    if not publishers:
        return True

    from inpaint_zoo.benchmark.publish import read_content

    if run is None:
        console.print("nothing to publish, because no cell is done")
        return True
    content = read_content(run)
    if content.left_out:
        console.print(f"not published, because no cell was run: {escape(', '.join(content.left_out))}", soft_wrap=True)
    complete = True
    for publisher in publishers:
        try:
            lines = publisher.publish(run, content)
        except Exception as error:  # also those of the network and of the libraries
            complete = False
            text = f"{publisher.title}: not everything could be published: {type(error).__name__}: {error}"
            again = f"inpaint-zoo report {run.folder} {publisher.options}"
            err_console.print(f"[yellow]warning:[/yellow] {escape(' '.join(text.split()))}", soft_wrap=True)
            err_console.print(
                f"The results in {escape(f'{run.folder} are complete. Try again: {again}')}", soft_wrap=True
            )
        else:
            for line in lines:
                console.print(escape(line), soft_wrap=True)
    return complete
