"""`inpaint-zoo convert`: convert the authors' and this package's checkpoints into weight files of this package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo.cli.common import add_option_argument, command_parser, console, parse_options
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.listing import natural_key

if TYPE_CHECKING:
    from torch import nn

    from inpaint_zoo.weights import WeightsHeader

__all__ = ["official_network", "run", "sources_record"]


def run(args: list[str]) -> int:
    """Run the command."""
    parser = command_parser(
        "convert",
        "Convert a checkpoint into a weight file of this package: one that the authors released, or one that "
        "`inpaint-zoo fit` wrote, which states its model and options. Code that a pickle refers to or a TorchScript "
        "archive contains is never run.",
    )
    parser.add_argument("sources", nargs="+", metavar="SRC", help="a folder or file; for several parts: PART=FILE ...")
    parser.add_argument(
        "--model", metavar="NAME", help="a model, or NAME_discriminator; not needed for a checkpoint of this package"
    )
    parser.add_argument("--out", required=True, metavar="X.safetensors", help="the file to write")
    parser.add_argument("--licence", default="unknown", help="licence of the weights, as stated by their authors")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    add_option_argument(parser, "the network, if it was not trained with the default options")
    options = parser.parse_args(args)
    network_options = parse_options(options.option)

    from inpaint_zoo.registry import create_model
    from inpaint_zoo.weights import save_weights

    name, out = options.model, Path(options.out)
    if out.exists() and not options.overwrite:
        raise ZooError(f"{out} exists; pass --overwrite to replace it.")
    net: nn.Module
    if (header := _header_of(options.sources)) and header.name:
        paths = {"": Path(options.sources[0])}
        name = name or header.name
        net = create_model(name, paths[""], **network_options)
        provenance: dict[str, Any] = dict(header.training)
    elif name is None:
        raise ZooError(f"{options.sources[0]} does not state its model: name it by --model.")
    else:
        paths, net = official_network(name, options.sources, network_options)
        settings = _settings(Path(options.sources[0]))
        provenance = {"config": settings} if settings else {}
    provenance["converted_from"] = sources_record(paths)
    save_weights(net, out, licence=options.licence, training=provenance)
    count = sum(value.numel() for value in net.parameters())
    read = ", ".join(str(path) for path in paths.values())
    console.print(f"{out}: {name}, {count:,} parameters from {read}", soft_wrap=True, markup=False)
    return 0


def _header_of(sources: list[str]) -> WeightsHeader | None:
    """Return what a single checkpoint states, if `torch.load` can read it; only those of this package name a model."""
    from inpaint_zoo.weights import WeightsError, read_header
    from inpaint_zoo.weights.inert import is_archive

    path = Path(sources[0])
    if len(sources) > 1 or path.suffix == ".safetensors" or not path.is_file() or not is_archive(path):
        return None
    try:
        return read_header(path)
    except WeightsError:  # loading it would run code; `load_foreign` reads the authors' files without it
        return None


def sources_record(paths: Mapping[str, Path]) -> dict[str, Any]:
    """Return the name, part and hash of each converted file, for the provenance of the weights."""
    from inpaint_zoo.io.atomic import sha256_file

    return {path.name: {"part": part, "sha256": sha256_file(path)} for part, path in paths.items()}


def official_network(
    name: str, sources: list[str], network_options: Mapping[str, Any]
) -> tuple[dict[str, Path], nn.Module]:
    """Return the files of an authors' checkpoint by part, and the network with their weights.

    Args:
        name: A model, or "<name>_discriminator".
        sources: A folder or file, or PART=FILE for each part.
        network_options: Options of the network.

    Raises:
        ZooError: If there is no converter, a file is missing, it does not fit the network, or holds NaN or infinity.
    """
    from inpaint_zoo.registry import convert_official, create_unfilled, official_files
    from inpaint_zoo.weights import load_foreign

    files = official_files(name)
    paths = _find(sources, {"": files} if isinstance(files, str) else files)
    states = {part: load_foreign(path) for part, path in paths.items()}
    converted = convert_official(name, states if isinstance(files, Mapping) else states[""], **network_options)
    net = create_unfilled(name, **network_options)
    net.to_empty(device="cpu").load_state_dict(converted)
    _check_finite(net, sources)
    return paths, net


def _check_finite(net: nn.Module, sources: list[str]) -> None:
    """Raise an error if weights are NaN or infinite, as in a file that was damaged, or whose training diverged."""
    bad = [name for name, values in net.state_dict().items() if not values.isfinite().all()]
    if bad:
        more = f" and {len(bad) - 1} more tensors" if len(bad) > 1 else ""
        raise ZooError(
            f"{', '.join(sources)}: NaN or infinity in {bad[0]}{more}: the file is damaged, or its training diverged."
        )


def _find(sources: list[str], files: Mapping[str, str]) -> dict[str, Path]:
    """Return the file of each part; a single part has the name "".

    Raises:
        ZooError: If the file of a part is missing, or an argument names no part.
    """
    first = Path(sources[0])
    if len(sources) == 1 and first.is_dir():
        paths = {part: _latest(first, file) for part, file in files.items()}
    elif list(files) == [""]:
        if len(sources) > 1:
            raise ZooError(f"Expected one checkpoint, got {len(sources)}: {', '.join(sources)}.")
        paths = {"": first}
    else:
        paths = {part: Path(file) for part, _, file in (source.partition("=") for source in sources)}
        if set(paths) != set(files):
            wanted = " ".join(f"{part}=FILE" for part in files)
            raise ZooError(f"Give the parts as `{wanted}`, or a folder that contains {', '.join(files.values())}.")
    for path in paths.values():
        if not path.is_file():
            raise ZooError(f"No checkpoint {path}.")
    return paths


def _latest(folder: Path, file: str) -> Path:
    """Return the file; if several match the pattern, return the one with the highest number in its name."""
    return max(folder.glob(file), key=lambda path: natural_key(path.name), default=folder / file)


def _settings(folder: Path) -> dict[str, Any]:
    """Return what config.yaml of a released folder states about the generator, for the provenance."""
    import yaml

    path = folder / "config.yaml"
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZooError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        return {}
    return {key: content[key] for key in ("run_title", "title", "generator") if key in content}
