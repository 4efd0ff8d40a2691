"""`inpaint-zoo models`: list the registered models, describe one of them, or show its receptive field."""

from __future__ import annotations

import fnmatch
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.bundled import bundled_names
from inpaint_zoo.cli.common import Verb, add_option_argument, console, list_and_show, parse_options, print_table
from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError
from inpaint_zoo.registry import (
    ModelInfo,
    create_model,
    create_unfilled,
    list_discriminators,
    model_info,
    model_infos,
    weights_path,
)
from inpaint_zoo.weights import WeightsFile, load_weights

if TYPE_CHECKING:
    from inpaint_zoo.analysis.receptive_field import Reach

__all__ = ["models_list", "models_rf", "models_show", "run"]


SIDE = 256  # height and width of the image for which MACs are counted, as in the papers
WEIGHT_FILES = (".safetensors", ".ckpt", ".pth", ".pt")


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
        pattern: Shell pattern for the names.
        markdown: Print the Markdown table of the README.
    """
    infos = model_infos(pattern)
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
    print_table(table)


def _macs(info: ModelInfo) -> dict[str, str]:
    import torch

    from inpaint_zoo.analysis.macs import MACS_CONVENTION, THOP_CONVENTION, count_macs

    with torch.device("meta"):
        macs = count_macs(create_model(info.name, **info.options), SIDE, SIDE)
    if macs is None:
        return {}
    rows = {
        f"MACs at {SIDE} px": f"{macs.true / 1e9:,.3f} G ({MACS_CONVENTION})",
        "MACs as papers count": f"{macs.thop / 1e9:,.3f} G ({THOP_CONVENTION})",
    }
    if macs.true_of_pass:
        further = f"{macs.true_of_pass / 1e9:,.3f} G, or {macs.thop_of_pass / 1e9:,.3f} G as papers count"
        rows["passes"] = f"depends on the mask; the MACs are those of one pass, each further pass adds {further}"
    return rows


def models_show(name: str, weights: str | None = None, overrides: Mapping[str, Any] | None = None) -> None:
    """Show the description of a model, of a weight file, or of the model that a weight file states.

    Args:
        name: A registry name, or a weight file.
        weights: A weight file of the model, or "shipped".
        overrides: Options of the model.

    Raises:
        ZooError: If there is no such model, option or file, or if the file belongs to another model.
    """
    if Path(name).suffix in WEIGHT_FILES:
        if weights:
            raise ZooError(f"Only one weight file can be shown at a time, got {name} and --weights {weights}.")
        rows = _stated_rows(Path(name), overrides or {})
    else:
        info = model_info(name, weights, **(overrides or {}))
        rows = _model_rows(info)
        if weights:
            create_model(name, weights, **(overrides or {}))  # raises an error if the file does not fit
            path = weights_path(name, weights)
            rows |= _file_rows(path, load_weights(path)) if path else {}
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(escape(key), escape(value))
    print_table(table)


def _stated_rows(path: Path, overrides: Mapping[str, Any]) -> dict[str, str]:
    """Return rows about the network that a file states, if any, and about the file."""
    file = load_weights(path)
    if file.name is None:
        return _file_rows(path, file)
    if file.name in (f"{name}_discriminator" for name in list_discriminators()):
        net = create_unfilled(file.name, **{**file.options, **overrides})
        count = sum(parameter.numel() for parameter in net.parameters())
        return {"discriminator": file.name, "parameters": f"{count:,}"} | _file_rows(path, file)
    return _model_rows(model_info(file.name, path, **overrides)) | _file_rows(path, file)


def _model_rows(info: ModelInfo) -> dict[str, str]:
    rows = {
        "model": info.name,
        "what it does": info.description,
        "paper": f"{info.paper.title} ({info.paper}) {info.paper.url or ''}".strip() if info.paper else "none",
        "source": info.source,
        **({"plugin": info.plugin} if info.plugin else {}),
        "options": _listed(info.options),
        "parameters": f"{info.parameters:,}",
        "status": _status(info),
        "configurations": ", ".join(fnmatch.filter(bundled_names("configuration"), f"{info.family}/*")) or "none",
    }
    return rows | _macs(info) if info.learned else rows


def _file_rows(path: Path, file: WeightsFile) -> dict[str, str]:
    types = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in file.state.values()})
    count = sum(tensor.numel() for tensor in file.state.values())
    rows = {
        "weights": f"{path}: {len(file.state)} tensors, {count:,} values, {', '.join(types)}, SHA-256 {file.sha256}",
        "stated model": file.name or "none: the file contains only tensors",
        "stated options": _listed(file.options),
        "licence": file.licence,
    }
    return rows | {f"training: {key}": json.dumps(value) for key, value in file.training.items()}


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items()) or "none"


def models_rf(
    name: str,
    size: int = SIDE,
    out: Path | None = None,
    weights: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> None:
    """Show a model's receptive field: the theoretical one of each part, and the effective one from gradients.

    Args:
        name: A registry name.
        size: Height and width of the image in pixels.
        out: Path for an image of the gradients.
        weights: A weight file of the model; by default the shipped weights, or random ones if none are shipped.
        overrides: Options of the model.

    Raises:
        ZooError: If the model has no parameters, or its receptive field cannot be computed; or as `create_model`.
    """
    info = model_info(name)
    if not info.learned:
        raise ZooError(
            f"'{name}' is not learned, so it has no receptive field; `inpaint-zoo models` lists those that are."
        )
    checked("--size", size, whole(1))

    import torch

    from inpaint_zoo.analysis.receptive_field import WHOLE, effective_field, field_image, network_reach
    from inpaint_zoo.io.images import write_image

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = create_model(name, weights or ("shipped" if info.weights else None), **(overrides or {}))
    reach = network_reach(net, size, size)
    table = Table(box=None, pad_edge=False)
    for title in ("part", "deepest map", "each sees", "output", "each sees", "the central pixel"):
        table.add_column(title, no_wrap=title != "part")
    for part, (deepest, output) in reach.items():
        table.add_row(part, _sides(deepest), _extent(deepest), _sides(output), _extent(output), _share(output))
    print_table(table)
    for part, (_, output) in reach.items():
        if output.cause:
            console.print(f"{part}: global through {output.cause}", soft_wrap=True)

    effective = effective_field(net, size, size)
    shown = weights or ("the shipped weights" if info.weights else "random weights")
    console.print(
        f"effective: 95 % of the gradient of the central pixel lie in a square of {effective.side} px "
        f"({shown}, mean over {effective.samples} noise images)",
        soft_wrap=True,
    )
    if out:
        title = f"{name}, {shown}, {effective.gradient.shape[0]} x {effective.gradient.shape[1]} px"
        write_image(out, field_image(effective, reach[WHOLE].output.center, title))
        console.print(f"written: {out}", soft_wrap=True)


def _sides(reach: Reach) -> str:
    return f"{reach.size[0]} x {reach.size[1]}"


def _extent(reach: Reach) -> str:
    if reach.extent is None:
        return "everything"
    rows, columns = reach.extent
    return f"{rows} px" if rows == columns else f"{rows} x {columns} px"


def _share(reach: Reach) -> str:
    """Return what the central pixel sees inside the image borders; the field may be larger than the image."""
    rows, columns = (last - first + 1 for first, last in reach.center)
    return f"sees {rows} x {columns}"


def _show_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME_OR_FILE", help="a model, or a weight file or checkpoint that states its model"
    )
    parser.add_argument("--weights", metavar="FILE", help="a weight file of the model; its metadata is shown too")
    add_option_argument(parser)


def _show(options: Namespace) -> None:
    models_show(options.name, options.weights, parse_options(options.option))


def _rf_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--size", type=int, default=SIDE, metavar="N", help=f"size of the image (default {SIDE})")
    parser.add_argument("--out", type=Path, metavar="PNG", help="write an image of the central pixel's gradient")
    parser.add_argument(
        "--weights", metavar="FILE", help="weights of the model; default: the shipped weights, or random ones"
    )
    add_option_argument(parser)


def _rf(options: Namespace) -> None:
    models_rf(options.name, options.size, options.out, options.weights, parse_options(options.option))


def run(args: list[str]) -> int:
    """Run the command; without a subcommand, list the models."""
    show = Verb("describe one model, or show what a weight file states", _show_arguments, _show)
    rf = Verb("the receptive field of a model, theoretical and effective", _rf_arguments, _rf)
    return list_and_show("models", args, models_list, show, {"rf": rf})
