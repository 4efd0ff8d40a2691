"""`inpaint-zoo models`: what is registered, as a table or one by one."""

from __future__ import annotations

from rich.table import Table

from inpaint_zoo.cli.common import console, list_and_show
from inpaint_zoo.registry import ModelInfo, list_models, model_info

__all__ = ["models_list", "models_show", "run"]


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
    return {
        f"MACs at {SIDE} px": f"{macs.true / 1e9:,.3f} G ({MACS_CONVENTION})",
        "MACs as papers count": f"{macs.thop / 1e9:,.3f} G ({THOP_CONVENTION})",
    }


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


def run(args: list[str]) -> int:
    """Entry point of the command; without a word after it, the list."""
    return list_and_show("models", args, models_list, models_show)
