"""`inpaint-zoo demo`: a web page to paint a hole, run several models, and compare their results."""

from __future__ import annotations

import importlib.util
import threading
from argparse import ArgumentParser
from typing import TYPE_CHECKING

from rich.markup import escape

from inpaint_zoo.cli.common import command_parser, console, err_console, split_pairs
from inpaint_zoo.config import checked, whole
from inpaint_zoo.demo import Limits
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interruption import once_interrupted

if TYPE_CHECKING:
    from inpaint_zoo.demo.task import Model

__all__ = ["run"]

LOCAL = "127.0.0.1"
PREPARED = "progressive:isnet_tiny"


def _parser() -> ArgumentParser:
    parser = command_parser(
        "demo",
        "Open a web page on which a hole is painted into an image, filled by several models, and their results are "
        "compared. It listens on this machine only, unless --host is given. Stop it with Ctrl-C.",
    )
    add = parser.add_argument
    add("--host", default=LOCAL, help=f"address to listen on; 0.0.0.0 for all (default: {LOCAL}, this machine only)")
    add("--port", type=int, help="port to listen on (default: the first free one from 7860 on)")
    add(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="a model of the page; may be repeated (default: all that need no weight file, and those of --weights)",
    )
    add(
        "--weights",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="weight file of a model of the page; may be repeated",
    )
    add("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where the models run")
    limits = Limits()
    add("--max-upload", type=int, default=limits.upload_mb, metavar="MB", help="largest upload in megabytes")
    add("--max-pixels", type=int, default=limits.pixels, metavar="N", help="reject larger images and masks")
    add("--max-queue", type=int, default=limits.queue, metavar="N", help="jobs that may wait; others are refused")
    add("--max-seconds", type=int, default=limits.seconds, metavar="N", help="time of one model for one image")
    return parser


def run(args: list[str]) -> int:
    """Serve the page until the process is interrupted; return 0."""
    options = _parser().parse_args(args)
    for name in ("max-upload", "max-pixels", "max-queue", "max-seconds"):
        checked(f"--{name}", getattr(options, name.replace("-", "_")), whole(1))
    if options.port is not None:
        checked("--port", options.port, whole(1, 65535))
    if importlib.util.find_spec("gradio") is None:
        raise ZooError("The page needs Gradio, which is not installed: pip install 'inpaint-zoo[demo]'")

    from inpaint_zoo.demo.server import serving
    from inpaint_zoo.masks import list_masks

    models = _models(options.model, split_pairs("--weights", "NAME=FILE", options.weights))
    limits = Limits(options.max_upload, options.max_pixels, options.max_queue, options.max_seconds)
    try:
        with (
            once_interrupted(),  # also by SIGTERM, so that the visitors' images are deleted
            serving(models, list_masks(), options.device, limits, options.host, options.port) as address,
        ):
            console.print(f"The page is at {escape(address)} (Ctrl-C stops it).", soft_wrap=True)
            if options.host != LOCAL:
                err_console.print(
                    "[yellow]warning:[/yellow] other machines can use this page; it asks for no password."
                )
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        raise ZooError(f"The page cannot be served: {error}") from None
    return 0


def _models(names: list[str], weights: dict[str, str]) -> list[Model]:
    """Return the models of the page, after checking that they exist and have weights. No network is built."""
    from inpaint_zoo.demo.task import Model
    from inpaint_zoo.registry import list_models, model_info, ready_weights

    models = []
    for name in dict.fromkeys([*(names or [*list_models(ready=True), PREPARED]), *weights]):
        if name in weights:
            model_info(name, weights[name])  # raises an error if the file belongs to another model
        else:
            ready_weights(name)
        models.append(Model(name, weights.get(name)))
    return models
