"""Benchmark suites: YAML files of methods, datasets, mask sets and metrics, read strictly.

```yaml
name: sample
seed: 2026
methods:
  - telea                                                  # a registered model, with its shipped weights if it has any
  - {model: telea, options: {radius: 9}, label: Telea 9}   # ... with options of create_model
  - {model: glama_tiny, weights: mine.safetensors}         # or a checkpoint; or `random`, to score an untrained network
  - {weights: runs/mine/checkpoints/best.ckpt}             # a file that states its model and options
  - {model: lgnet, weights: "{dataset}/lgnet.safetensors"} # a network trained anew for each dataset
  - {model: grig, weights: "grig_{draw}.ckpt", draws: 5}   # five trainings of one network (see `families`)
  - {model: grig, checkpoints: runs/grig, label: Curve}    # the checkpoints of a training run
  - {folder: results/theirs, label: Theirs}                # results that another program made
  - {callable: "package.module:function", label: Mine}     # (image HxWx3 uint8, mask HxW bool) -> HxWx3 uint8
  - {onnx: lama_fp32.onnx, convention: lama_onnx}          # a model file, see `outside_keys`; torchscript, exported
  - {cmd: "python theirs.py {image} {mask} {output}"}      # a program; or for all images: {images} {masks} {outputs}
  - {diffusers: stable-diffusion-inpainting, steps: 20}    # a folder with a pipeline of Hugging Face diffusers
  - {shipped: "*"}                                         # every registered model that is ready to use
datasets: [{name: sample, size: 256}]
masks: [{name: center, size: 128}, lama_thick_256, {bank: masks/irregular, bins: [0.1, 0.2, 0.3]}, {masks: isnet_eval}]
metrics: [psnr, ssim]
```
`Places` gives data and weights from outside the suite. Datasets, mask files, weight and model files, programs and
optional packages may be absent; a run then leaves out their cells. `masks` names a list of mask sets that a paper tests
on (see `mask_lists`). A mask set with `draws: 5` has five masks for each image (see `images.samples`).
A mask set with `input_mode: mosaic` (and `mosaic_unit`, `mosaic_interpolation`, as in the data module) shows a mosaic
of the ground truth to networks that accept a filling. Its label says so, and it is never averaged or ranked together
with inpainting. Relative paths are relative to the file. For an unknown or misplaced key, a wrong type or a missing
key, the error gives file, line and key. For unknown models, masks and metrics, it suggests similar names. Labels must
be unique. Further keys are described where they are read: `paper` and `quoted` in `paper_keys`, `costs` in `cost_keys`,
`train` in `training_keys`, `gallery` in `gallery_keys`. A suite that has only `costs` or quoted methods needs no
datasets, masks and metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

from inpaint_zoo.benchmark.cost_keys import CostKeys, read_costs
from inpaint_zoo.benchmark.entries import (
    CallableEntry,
    FolderEntry,
    MethodEntry,
    ModelEntry,
    Mosaic,
    SourceEntry,
)
from inpaint_zoo.benchmark.families import expanded
from inpaint_zoo.benchmark.gallery_keys import GalleryKeys, read_gallery
from inpaint_zoo.benchmark.mask_lists import listed_masks
from inpaint_zoo.benchmark.model_keys import MODEL_KEYS, STATING, is_listed, read_model, read_shipped, stated_model
from inpaint_zoo.benchmark.outside_keys import OUTSIDE_KEYS, read_outside
from inpaint_zoo.benchmark.paper_keys import PaperMap, PaperReader
from inpaint_zoo.benchmark.places import Places
from inpaint_zoo.benchmark.stamp import Rehearsal
from inpaint_zoo.benchmark.training_keys import read_data_training
from inpaint_zoo.config import Table, increasing, mapping, read_document, string, whole
from inpaint_zoo.data.fetching import is_remote
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.atomic import sha256_json

__all__ = ["Suite", "load_suite"]

LISTS = {
    "methods": ("a method", "model"),
    "datasets": ("a dataset", "name"),
    "masks": ("a mask set", "name"),
    "metrics": ("a metric", "name"),
}
METHOD_KEYS = {
    "model": MODEL_KEYS,
    "folder": ("folder", "label"),
    "callable": ("callable", "label"),
    "shipped": ("shipped",),
    **OUTSIDE_KEYS,
}
PATH_KEYS = ("root", "bank", "list", "shards", "labels")  # in datasets and mask sets, relative to the suite's file
MOSAIC_KEYS = ("input_mode", "mosaic_unit", "mosaic_interpolation")  # in mask sets
INTERPOLATIONS = ("bilinear", "nearest")
FOLDER_NAME = re.compile(r"[^\\/:*?\"<>|\x00-\x1f.\s][^\\/:*?\"<>|\x00-\x1f]*(?<![.\s])")
ELSEWHERE = {
    **dict.fromkeys(("weights", "checkpoint", "checkpoints", "options", "convention", *METHOD_KEYS), "`methods`"),
    **dict.fromkeys(("root", "crop", "split"), "`datasets`"),
    **dict.fromkeys(("bank", "bins", *MOSAIC_KEYS), "`masks`"),
    "draws": "an entry of `masks`, or a method with 'model'",
    **dict.fromkeys(("size", "label"), "an entry of `datasets` or `masks`"),
}


@dataclass(frozen=True)
class Suite:
    """A suite as read from a file.

    Attributes:
        text: Content of the file.
        paper: The printed table that it reproduces.
        rehearsal: What `rehearsal.rehearsed` replaced; None for a suite as it is written.
    """

    path: Path
    text: str
    name: str
    seed: int
    methods: tuple[MethodEntry, ...]
    datasets: tuple[SourceEntry, ...]
    masks: tuple[SourceEntry, ...]
    metrics: tuple[str, ...]
    costs: CostKeys | None = None
    paper: PaperMap | None = None
    gallery: GalleryKeys | None = None
    rehearsal: Rehearsal | None = None

    def plain(self) -> dict[str, Any]:
        """Return plain values in suite order, without paths of this machine."""

        def named(entry: SourceEntry) -> dict[str, Any]:
            spec = _with_paths(entry.spec, lambda path: Path(path).name)
            mosaic = dict(zip(MOSAIC_KEYS, ("mosaic", *entry.mosaic), strict=True)) if entry.mosaic else {}
            draws = {"draws": entry.draws} if entry.draws > 1 else {}
            return {"label": entry.label, **spec, **draws, **mosaic, **_in_paper(entry)}

        content = {
            "name": self.name,
            "seed": self.seed,
            "methods": [method.plain() for method in self.methods],
            "datasets": [named(entry) for entry in self.datasets],
            "masks": [named(entry) for entry in self.masks],
            "metrics": list(self.metrics),
            **({"costs": self.costs.plain()} if self.costs else {}),
            **({"paper": self.paper.plain()} if self.paper else {}),
            **({"gallery": self.gallery.plain()} if self.gallery else {}),
            **({"rehearsal": self.rehearsal.plain()} if self.rehearsal else {}),
        }
        return {**content, "identity": sha256_json(content)}


def load_suite(path: str | Path, places: Places | None = None) -> Suite:
    """Read a suite file and check every key and name in it.

    Args:
        path: The file.
        places: Where data and weights are, given from outside the suite.

    Raises:
        ZooError: If something is invalid; the message gives file, line and key, and the most similar allowed name.
    """
    path, places = Path(path), places or Places()
    document = read_document(path, "the suite", "name: mine")
    top = Table(document, "the suite", document.values)
    top.allow(("name", "seed", *LISTS, "costs", "paper", "gallery"), ELSEWHERE)
    name, seed = top.need("name", string), top.need("seed", whole(0))
    base = path.parent
    paper = PaperReader(top, base)
    lists = {"methods": paper.take(top.items("methods", *LISTS["methods"]))}
    scored = {"datasets", "metrics"} & set(top.values)
    needed = scored or (lists["methods"] and "costs" not in top.values)
    for key in ("datasets", "masks", "metrics"):
        lists[key] = paper.take(top.items(key, *LISTS[key])) if needed or key in top.values else []
    costs = figures = None
    if "costs" in top.values:
        costs = Table(document, "`costs`", dict(top.need("costs", mapping)), ("costs",))
        figures = paper.take(costs.items("figures", "a figure", "name"))
    methods = [entry for table in lists["methods"] for entry in _methods(table, base, places)]
    for table in lists["methods"]:
        methods += [entry for entry in read_shipped(table) if not is_listed(entry, methods)]
    methods = _in_order(lists["methods"], methods)
    if not methods and lists["methods"]:
        raise top.error("no method is left: no model that is ready to use matches.", "methods")
    datasets = [places.of_dataset(_dataset(table, base)) for table in lists["datasets"]]
    masks = [entry for table in lists["masks"] for entry in _mask_sets(table, base, places)]
    placed = [places.of_model(each, base) if isinstance(each, ModelEntry) else each for each in methods]
    names = [entry.spec["name"] for entry in datasets]
    suite = Suite(
        path=path,
        text=top.document.text,
        name=name,
        seed=seed,
        methods=tuple(network for entry in placed for network in expanded(entry, names)),
        datasets=tuple(datasets),
        masks=tuple(masks),
        metrics=_metrics(lists["metrics"]),
        costs=read_costs(costs, figures) if costs and figures else None,
        gallery=_gallery(top, [entry.label for entry in methods if isinstance(entry, ModelEntry)]),
        paper=paper.read(
            *([(entry.table, entry.label) for entry in entries] for entries in (methods, datasets, masks)),
            *([(table, str(table.values["name"])) for table in tables] for tables in (lists["metrics"], figures or ())),
        ),
    )
    _refuse_repeats("methods", methods)
    for kind, entries in (("methods", suite.methods), ("datasets", suite.datasets), ("mask sets", suite.masks)):
        _refuse_repeats(kind, entries)
    places.check(placed, suite.datasets, suite.masks, path)
    return suite


def _gallery(top: Table, models: Sequence[str]) -> GalleryKeys | None:
    if "gallery" not in top.values:
        return None
    keys = top.need("gallery", mapping)
    return read_gallery(Table(top.document, "`gallery`", dict(keys), ("gallery",)), models)


def _in_order(tables: Sequence[Table], methods: Iterable[MethodEntry]) -> list[MethodEntry]:
    position = {id(table): index for index, table in enumerate(tables)}
    return sorted(methods, key=lambda entry: position[id(entry.table)])  # stable: `shipped` keeps its order


def _methods(table: Table, base: Path, places: Places) -> Iterator[MethodEntry]:
    kinds = [kind for kind in METHOD_KEYS if kind in table.values]
    if not kinds and any(key in table.values for key in STATING):
        table.allow(METHOD_KEYS["model"])
        yield read_model(table, stated_model(table, base, places), base, places)
        return
    if not kinds:
        every = tuple(dict.fromkeys(key for keys in METHOD_KEYS.values() for key in keys))
        table.allow(every)
        raise table.error(f"a method needs one of the keys {', '.join(METHOD_KEYS)}; it has {', '.join(table.values)}.")
    if len(kinds) > 1:
        raise table.error(f"a method must have exactly one of its keys {' and '.join(kinds)}.", kinds[1])
    kind = kinds[0]
    elsewhere = {key: f"a method with '{other}'" for other, keys in METHOD_KEYS.items() for key in keys}
    table.allow(METHOD_KEYS[kind], elsewhere | {key: ELSEWHERE[key] for key in ("root", "crop", "split", "size")})
    target = table.need(kind, string)
    label = table.get("label", string)
    if kind == "model":
        yield read_model(table, target, base, places)
    elif kind == "folder":
        folder = base / Path(target).expanduser()
        yield FolderEntry(label or folder.name, table, folder)
    elif kind in OUTSIDE_KEYS:
        yield read_outside(table, kind, label, base, places)
    elif kind == "callable":
        module, _, function = target.partition(":")
        if not module or not function:
            raise table.error(f"'callable' must be \"package.module:function\", got '{target}'.", "callable")
        yield CallableEntry(label or function, table, target)


def _dataset(table: Table, base: Path) -> SourceEntry:
    return replace(_source(table, base, ("train",)), train=read_data_training(table, base))


def _source(table: Table, base: Path, others: Collection[str] = ()) -> SourceEntry:
    """Return a dataset or mask set; ``others`` are keys that its factory does not take."""
    spec = {key: value for key, value in table.values.items() if key not in ("label", *others)}
    for key in ("root", "bank", "list", "shards"):
        if key in spec:
            table.need(key, string)
    spec = _with_paths(spec, lambda path: str(base / Path(path).expanduser()))
    if "bank" not in spec:
        table.need("name", string)
    label = table.get("label", string) or str(spec["name"] if "name" in spec else Path(spec["bank"]).name)
    if not FOLDER_NAME.fullmatch(label):
        raise table.error(f"the label '{label}' must be a valid folder name: no / \\ : * ? \" < > |.", "label")
    return SourceEntry(label, table, spec)


def _with_paths(spec: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return a dataset or mask set with other paths, also those of its parts; URLs of shards stay as they are."""

    def changed(key: str, value: object) -> object:
        if isinstance(value, list):
            return [changed(key, each) for each in value]
        if key == "parts" and isinstance(value, Mapping):
            return _with_paths(value, change)
        return change(value) if key in PATH_KEYS and isinstance(value, str) and not is_remote(value) else value

    return {key: changed(key, value) for key, value in spec.items()}


def _mask_sets(table: Table, base: Path, places: Places) -> Iterator[SourceEntry]:
    """Yield one mask set, one for each bin of hole ratios between two consecutive values of `bins`, or a list's."""
    mosaic, draws = _mosaic(table), table.get("draws", whole(1), 1) or 1
    if "masks" in table.values:
        table.allow(("masks", "root", "draws", *MOSAIC_KEYS))
        entries = listed_masks(table, base, places)
    else:
        entries = _binned(table, _source(table, base, ("draws", *MOSAIC_KEYS)))
    for entry in entries:
        label = f"{entry.label}, mosaic (deblurring)" if mosaic else entry.label
        yield replace(entry, label=label, mosaic=mosaic, draws=draws)


def _mosaic(table: Table) -> Mosaic | None:
    mode = table.get("input_mode", string, "hole")
    if mode not in ("hole", "mosaic"):
        hint = "To pre-fill the hole with Navier-Stokes, set the method to `hole_ns:NAME`."
        raise table.error(str(unknown_name("`input_mode`:", str(mode), ("hole", "mosaic"), hint)), "input_mode")
    given = [key for key in MOSAIC_KEYS[1:] if key in table.values]
    if mode == "hole":
        if given:
            raise table.error(f"'{given[0]}' needs 'input_mode: mosaic'.", given[0])
        return None
    default = Mosaic()
    unit = table.get("mosaic_unit", whole(1), default.unit) or default.unit
    how = str(table.get("mosaic_interpolation", string, default.interpolation))
    if how not in INTERPOLATIONS:
        raise table.error(str(unknown_name("`mosaic_interpolation`:", how, INTERPOLATIONS)), "mosaic_interpolation")
    return Mosaic(unit, cast("Literal['bilinear', 'nearest']", how))


def _binned(table: Table, entry: SourceEntry) -> Iterator[SourceEntry]:
    if "bins" not in table.values:
        yield entry
        return
    table.need("bins", increasing(0, 1))
    for low, high in pairwise(table.values["bins"]):  # as written: they are part of the suite's identity
        yield SourceEntry(f"{entry.label}_{low:g}-{high:g}", table, {**entry.spec, "bins": [low, high]})


def _in_paper(entry: SourceEntry) -> dict[str, str]:
    """Return the table column of a mask set from a paper's list, or the files that a stand-in replaces."""
    if entry.listed is None:
        return {}
    if entry.listed.stand_in and entry.listed.files:
        return {"stands_in_for": entry.listed.files.name}
    return {"column": entry.listed.column} if entry.listed.column else {}


def _metrics(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return the metrics that are listed; behind each one that is biased for small sets, such as FID, its KID."""
    from inpaint_zoo.metrics import metric_info

    listed: dict[str, str] = {}
    for table in tables:
        table.allow(("name",))
        name = table.need("name", string)
        if name in listed:
            raise table.error(f"the metric '{name}' is listed twice.")
        try:
            listed[name] = metric_info(name).unbiased
        except ZooError as error:
            raise table.located(error) from error
    return tuple(
        each for name, other in listed.items() for each in (name, *([other] if other and other not in listed else []))
    )


def _refuse_repeats(kind: str, entries: Sequence[MethodEntry | SourceEntry]) -> None:
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.label in seen:
            raise entry.table.error(
                f"two {kind} are called '{entry.label}' (see line {seen[entry.label]}); give one of them a 'label'."
            )
        seen[entry.label] = entry.table.line
