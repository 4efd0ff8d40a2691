"""`inpaint-zoo models`: what is registered, as a table or one by one, and how far each sees."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from inpaint_zoo.cli.common import Verb, console, list_and_show
from inpaint_zoo.errors import ZooError
from inpaint_zoo.registry import ModelInfo, list_models, model_info

if TYPE_CHECKING:
    from inpaint_zoo.benchmark.receptive_field import Reach

__all__ = ["models_list", "models_rf", "models_show", "run"]


SIDE = 256  # of the picture that MACs are counted for, as the papers do


def _status(info: ModelInfo) -> str:
    if not info.learned:
        return "ready, nothing to train"
    return "ready, weights ship" if info.weights else "bring weights"


def _paper_link(info: ModelInfo) -> str:
    if info.paper is None:
        return ""
    return f"[{info.paper}]({info.paper.url})" if info.paper.url else str(info.paper)


def models_list(pattern: str, markdown: bool) -> None:
    """List the registered models.

    Args:
        pattern: Shell pattern over the names.
        markdown: Print the Markdown table of the README.
    """
    infos = [model_info(name) for name in list_models(pattern)]
    if markdown:
        console.print("| model | what it does | paper | status | parameters |\n| --- | --- | --- | --- | ---: |")
        for info in infos:
            console.print(
                f"| `{info.name}` | {info.description} | {_paper_link(info)} | {_status(info)} | {info.parameters:,} |",
                soft_wrap=True,
                markup=False,
            )
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("what it does")
    for info in infos:
        table.add_row(info.name, f"{info.parameters:,}", _status(info), info.description)
    console.print(table)


def _macs(name: str) -> dict[str, str]:
    import torch

    from inpaint_zoo.benchmark.macs import MACS_CONVENTION, THOP_CONVENTION, count_macs
    from inpaint_zoo.registry import create_model

    with torch.device("meta"):
        macs = count_macs(create_model(name), SIDE, SIDE)
    if macs is None:
        return {}
    rows = {
        f"MACs at {SIDE} px": f"{macs.true / 1e9:,.3f} G ({MACS_CONVENTION})",
        "MACs as papers count": f"{macs.thop / 1e9:,.3f} G ({THOP_CONVENTION})",
    }
    if macs.true_of_pass:
        further = f"{macs.true_of_pass / 1e9:,.3f} G, or {macs.thop_of_pass / 1e9:,.3f} G as papers count"
        rows["passes"] = f"as many as the mask asks for; the MACs are those of one, each further one adds {further}"
    return rows


def models_show(name: str) -> None:
    """Show what is known of one model: paper, source, options, parameters, MACs, weights.

    Args:
        name: A registry name.
    """
    info = model_info(name)
    table = Table.grid(padding=(0, 2))
    rows = {
        "model": info.name,
        "what it does": info.description,
        "paper": f"{info.paper.title} ({info.paper}) {info.paper.url or ''}".strip() if info.paper else "none",
        "source": info.source,
        "options": ", ".join(f"{key}={value!r}" for key, value in info.options.items()) or "none",
        "parameters": f"{info.parameters:,}",
        "status": _status(info),
    }
    if info.learned:
        rows |= _macs(name)
    for key, value in rows.items():
        table.add_row(key, value)
    console.print(table)


def models_rf(name: str, size: int = SIDE, out: Path | None = None) -> None:
    """Show how far a model sees: in theory, part by part, and in effect, by its gradients.

    Args:
        name: A registry name.
        size: Side of the square picture, in pixels.
        out: Where the picture of the gradients is written.

    Raises:
        ZooError: The model has nothing to learn, or its field cannot be told.
    """
    info = model_info(name)
    if not info.learned:
        raise ZooError(f"'{name}' learns nothing, so it has no receptive field; `inpaint-zoo models` tells which do.")
    if size < 1:
        raise ZooError(f"--size must be 1 or more, got {size}.")

    import torch

    from inpaint_zoo.benchmark.receptive_field import WHOLE, effective_field, field_picture, network_reach
    from inpaint_zoo.io.pictures import write_picture
    from inpaint_zoo.registry import create_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = create_model(name, weights="shipped" if info.weights else None)
    reach = network_reach(net, size, size)
    table = Table(box=None, pad_edge=False)
    for title in ("part", "deepest map", "each sees", "output", "each sees", "the central pixel"):
        table.add_column(title, no_wrap=title != "part")
    for part, (deepest, output) in reach.items():
        table.add_row(part, _sides(deepest), _extent(deepest), _sides(output), _extent(output), _share(output))
    console.print(table)
    for part, (_, output) in reach.items():
        if output.cause:
            console.print(f"{part}: global through {output.cause}", soft_wrap=True)

    effective = effective_field(net, size, size)
    weights = "the weights that ship" if info.weights else "random weights"
    console.print(
        f"in effect: 95 % of the gradient of the central pixel lie in a square of {effective.side} px "
        f"({weights}, mean over {effective.samples} pictures of noise)",
        soft_wrap=True,
    )
    if out:
        title = f"{name}, {weights}, {effective.gradient.shape[0]} x {effective.gradient.shape[1]} px"
        write_picture(out, field_picture(effective, reach[WHOLE].output.centre, title))
        console.print(f"written: {out}", soft_wrap=True)


def _sides(reach: Reach) -> str:
    return f"{reach.size[0]} x {reach.size[1]}"


def _extent(reach: Reach) -> str:
    if reach.extent is None:
        return "everything"
    rows, columns = reach.extent
    return f"{rows} px" if rows == columns else f"{rows} x {columns} px"


def _share(reach: Reach) -> str:
    """What the centre sees, borders and all: a field that is larger than the picture is no more than the picture."""
    rows, columns = (last - first + 1 for first, last in reach.centre)
    return f"sees {rows} x {columns}"


def _rf_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--size", type=int, default=SIDE, metavar="N", help=f"side of the picture (default {SIDE})")
    parser.add_argument("--out", type=Path, metavar="PNG", help="write where the gradient of the central pixel lies")


def _rf(options: Namespace) -> None:
    models_rf(options.name, options.size, options.out)


def run(args: list[str]) -> int:
    """Entry point of the command; without a word after it, the list."""
    rf = Verb("how far a model sees: its receptive field, in theory and in effect", _rf_arguments, _rf)
    return list_and_show("models", args, models_list, models_show, {"rf": rf})
