"""The keys of a suite's methods for models from outside the package: files of models, programs, diffusers pipelines.

```yaml
- {torchscript: theirs.pt, convention: {range: [-1, 1], multiple_of: 8}, label: Theirs}
- {onnx: theirs.onnx, convention: lama_onnx, output: inpainted}     # output: name or position, if there are several
- {exported: theirs.pt2}                                            # a program of torch.export
- {cmd: "{python} theirs.py {image} {mask} {output}", timeout: 60, files: [weights.pth], version: "1.2"}
- {cmd: "theirs --device {device} {images} {masks} {outputs}"}      # one call for all images of a cell
- {diffusers: folder, steps: 50, guidance: 7.5, strength: 1.0, seed: 0, convention: {size: 512}}
```
All of them take `label` and `convention` (see `convention`). `{dataset}` in a path stands for the name of the dataset.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from inpaint_zoo.benchmark.convention import FILE_KEYS, Convention, read_convention
from inpaint_zoo.benchmark.entries import DATASET, CommandEntry, FileModelEntry
from inpaint_zoo.benchmark.places import Places
from inpaint_zoo.config import Table, listing, number, string, whole
from inpaint_zoo.errors import unknown_name

__all__ = ["OUTSIDE_KEYS", "read_outside"]

_COMMON = ("convention", "label")
OUTSIDE_KEYS = {
    "torchscript": ("torchscript", "output", *_COMMON),
    "onnx": ("onnx", "output", *_COMMON),
    "exported": ("exported", "output", *_COMMON),
    "cmd": ("cmd", "timeout", "version", "files", *_COMMON),
    "diffusers": ("diffusers", "steps", "guidance", "strength", "seed", *_COMMON),
}
"""The keys of each kind."""

PLACEHOLDER = re.compile(r"\{\w*\}")
SINGLE, ALL = ("{image}", "{mask}", "{output}"), ("{images}", "{masks}", "{outputs}")
OTHERS = ("{python}", "{device}")
TIMEOUT = 600.0  # seconds for one image
LATENT_PIXELS = 8  # pixels per value of the latent image of most pipelines


def read_outside(
    table: Table, kind: str, label: str | None, base: Path, places: Places
) -> FileModelEntry | CommandEntry:
    """Return a method of a suite.

    Args:
        table: Its mapping, whose keys are known to be allowed.
        kind: Its kind, a key of `OUTSIDE_KEYS`.
        label: Its label, if the suite states one.
        base: Folder of the suite.
        places: Where files are on this machine.

    Raises:
        ZooError: If a value is invalid.
    """
    target = table.need(kind, string)
    if kind == "cmd":
        return _command(table, target, label, base)
    for placeholder in PLACEHOLDER.findall(target):
        if placeholder != DATASET:
            raise table.error(f"'{kind}' may contain {DATASET}, the name of the dataset, but not {placeholder}.", kind)
    if kind == "diffusers":
        convention = read_convention(table, FILE_KEYS, Convention(multiple_of=LATENT_PIXELS))
        options = _pipeline_options(table)
    else:
        convention = read_convention(table)
        options = {"output": table.need("output", _output)} if "output" in table.values else {}
    name = Path(target).name if kind == "diffusers" else Path(target).stem
    return places.of_file(FileModelEntry(label or name, table, kind, convention, target, options), base)


def _output(value: Any) -> int | str:  # noqa: ANN401 - any plain value
    try:
        return string(value) if isinstance(value, str) else whole(0)(value)
    except ValueError:
        raise ValueError("the name or the position of an output, counted from 0") from None


def _pipeline_options(table: Table) -> dict[str, Any]:
    parsers: dict[str, Any] = {"steps": whole(1), "guidance": number(0), "strength": number(0, 1), "seed": whole(0)}
    return {key: table.need(key, parse) for key, parse in parsers.items() if key in table.values}


def _command(table: Table, command: str, label: str | None, base: Path) -> CommandEntry:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise table.error(f"'cmd' cannot be split into words: {error}.", "cmd") from None
    found = {placeholder for word in words for placeholder in PLACEHOLDER.findall(word)}
    for placeholder in sorted(found - {*SINGLE, *ALL, *OTHERS}):
        raise table.error(str(unknown_name("placeholder of 'cmd':", placeholder, (*SINGLE, *ALL, *OTHERS))), "cmd")
    if not any(found - set(OTHERS) == set(wanted) for wanted in (SINGLE, ALL)):
        raise table.error(
            f"'cmd' must contain either {', '.join(SINGLE)} (one call for each image), or {', '.join(ALL)} (one call "
            f"for all images of a cell); it contains {', '.join(sorted(found)) or 'none of them'}.",
            "cmd",
        )
    files = [str(file) for file in table.get("files", listing) or ()]
    beside = [word for word in words if not Path(word).is_absolute() and (base / word).is_file()]
    return CommandEntry(
        label=label or Path(words[0]).name.replace("{python}", "python"),
        table=table,
        kind="cmd",
        convention=read_convention(table, FILE_KEYS),
        command=command,
        folder=base.absolute(),
        timeout=table.get("timeout", number(0.1), TIMEOUT) or TIMEOUT,
        version=table.get("version", string),
        files=tuple(dict.fromkeys([*beside, *files])),
    )
