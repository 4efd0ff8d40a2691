"""Rehearse a suite: the same labels and tables, computed in seconds from what ships with the package.

A rehearsal needs no data, mask files, weights or backbones, and shows what the report of a suite will contain. Its
numbers mean nothing, which every file of its folder says (`STAMP`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from inpaint_zoo.benchmark.entries import CallableEntry, MethodEntry, ModelEntry, SourceEntry
from inpaint_zoo.benchmark.families import one_of_each
from inpaint_zoo.benchmark.stamp import REHEARSAL_SIDE, STAMP, Rehearsal
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import ZooError

__all__ = ["rehearsed"]

IMAGES = 2  # the smallest set that a set metric accepts
NOMINAL_SIDE = 256  # px, of a dataset whose entry states no size; the papers' masks are defined for it
STEPS = (1000, 2000)  # training steps of the two checkpoints of a rehearsed run
PLAIN_FILL = "neighbor_fill"  # stands in for methods from outside the package
SMALL_REFINEMENT = {"width": 8, "levels": 6, "local_width": 8, "blocks": 1}  # of `local_global`, which has no weights
ANY_MASKS = "lgnet_train"  # stands in for mask files of unknown hole ratios


def rehearsed(suite: Suite) -> Suite:
    """Return a suite with the same labels, mask bins, metrics and comparison that runs anywhere in seconds.

    - Datasets become the first sample images, at 64 px.
    - Mask sets that read files become generated masks of the same hole ratios; the lengths in pixels of all masks are
      scaled to the smaller images.
    - Networks become the small network of their family, with its shipped weights if there are any and with the options
      of these weights. LGNet's refinement behind them (`local_global`) gets few channels.
    - Folders of results, functions that cannot be imported, model files, programs and pipelines become `neighbor_fill`.
    - Metrics keep their code and get a small random backbone (`metrics.create_stand_in`).
    - Costs are counted on the suite's own networks, and measured on the small ones with one image.
    """
    methods = [(entry, small) for entry in suite.methods for small in _small(entry)]
    masks = [_generated(entry) for entry in suite.masks]
    return replace(
        suite,
        text=f"# {STAMP}\n{suite.text}",
        methods=tuple(small for _, small in methods),
        datasets=tuple(_sample(entry) for entry in suite.datasets),
        masks=tuple(masks),
        costs=replace(suite.costs, images=1) if suite.costs else None,
        rehearsal=Rehearsal(
            replaced=tuple(_replaced(suite, methods, masks)),
            networks=tuple(_untrained(entry) for entry in one_of_each(suite.methods)),
            scale=REHEARSAL_SIDE / _nominal_side(suite),
        ),
    )


def _sample(entry: SourceEntry) -> SourceEntry:
    """Return the sample images under the label of a dataset."""
    spec = {"name": "sample", "select": {"first": IMAGES}, "size": REHEARSAL_SIDE, "crop": "center"}
    return replace(entry, spec=spec, given={})


def _nominal_side(suite: Suite) -> int:
    """Return the longest side of the suite's images, as far as it states their size.

    Raises:
        ZooError: If an entry has an unknown key or an invalid value; the folder of the images may be absent.
    """
    from inpaint_zoo.data import create_dataset

    if not suite.datasets:
        return max(suite.costs.size) if suite.costs else NOMINAL_SIDE
    sides: list[int] = []
    for entry in suite.datasets:
        try:
            sides.extend(create_dataset(entry.spec, files={}).size or (NOMINAL_SIDE,))
        except ZooError as error:
            raise entry.table.located(error) from error
    return max(sides)


def _generated(entry: SourceEntry) -> SourceEntry:
    """Return a mask set without its files; `listed` describes the files, so that it is dropped as well."""
    spec = _without_files(entry.spec) if _reads_files(entry) else entry.spec
    return replace(entry, spec=spec, given={}, listed=None)


def _reads_files(entry: SourceEntry) -> bool:
    from inpaint_zoo.masks import list_masks, mask_info

    if any(key in ("root", "bank") for key in _keys(entry.resolved)):
        return True
    name = str(entry.spec.get("name"))
    return name in list_masks(ready=False) and "root" in mask_info(name).required and "components" not in entry.spec


def _keys(value: object) -> Iterator[str]:
    """Yield the keys of nested plain values."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from _keys(part)


def _without_files(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return generated masks with the hole ratios of a mask set that reads files."""
    name, bins = str(spec.get("name", "")), spec.get("bins")
    if name.startswith("nvidia_") and f"synthetic_{name.removeprefix('nvidia_')}" in _bins():
        return {"name": f"synthetic_{name.removeprefix('nvidia_')}"}
    if spec.get("bin") in range(1, len(_bins()) + 1):
        return {"name": _bins()[spec["bin"] - 1]}
    return {"name": "cmod", "hole_range": [bins[0], bins[-1]]} if bins else {"name": ANY_MASKS}


def _bins() -> list[str]:
    from inpaint_zoo.masks import mask_suite

    return [mask.label for mask in mask_suite("synthetic_bins")]


def _small(entry: MethodEntry) -> Iterator[MethodEntry]:
    """Yield what stands in for a method; a run without checkpoints gets an untrained and a trained one."""
    if isinstance(entry, ModelEntry):
        small = _small_network(entry)
        if entry.family is not None and entry.family.kind == "checkpoints" and entry.family.number is None:
            for step, weights in zip(STEPS, ("random", small.weights), strict=True):
                family = entry.family._replace(number=step)
                yield replace(small, label=f"{entry.label}, step {step}", weights=weights, family=family)
        else:
            yield small
    elif isinstance(entry, CallableEntry) and _importable(entry):
        yield entry
    else:
        yield ModelEntry(entry.label, entry.table, PLAIN_FILL, None, {})


def _importable(entry: CallableEntry) -> bool:
    from inpaint_zoo.benchmark.methods import CallableMethod

    try:
        CallableMethod(entry)
    except ZooError:
        return False
    return True


def _small_network(entry: ModelEntry) -> ModelEntry:
    """Return an entry with the small network of its family, behind the same combinators."""
    from inpaint_zoo.registry import model_info

    combinators, colon, name = entry.model.rpartition(":")
    small = f"{combinators}{colon}{_smallest(name)}"
    if small == entry.model and entry.file is None:
        return entry
    weights = "shipped" if model_info(small).weights and entry.weights != "random" else "random"
    refines = weights == "random" and "local_global" in combinators.split(":")
    options: dict[str, Any] = dict(SMALL_REFINEMENT) if refines else {}
    small_entry = replace(
        entry, model=small, weights=weights, options=options, folders=(), given=False, per_dataset=False
    )
    return replace(small_entry, by_step=None, other_steps=frozenset(), applies=True)


def _smallest(name: str) -> str:
    """Return the small network of a model's family with shipped weights, else its network with fewest parameters."""
    from inpaint_zoo.registry import list_models, model_info

    info = model_info(name)
    if not info.learned:
        return name
    small = [each for each in map(model_info, list_models("*_tiny", ready=True)) if each.family == info.family]
    own = [each for each in small if name.startswith(each.name.removesuffix("_tiny"))]
    if found := own or small:
        return found[0].name
    family = [each for each in map(model_info, list_models()) if each.family == info.family and each.learned]
    return min(family, key=lambda each: each.parameters).name


def _untrained(entry: ModelEntry) -> ModelEntry:
    return replace(entry, weights=None if entry.weights is None else "random", given=False)


def _replaced(
    suite: Suite, methods: Iterable[tuple[MethodEntry, MethodEntry]], masks: Iterable[SourceEntry]
) -> Iterator[str]:
    """Yield what replaces what; entries with the same replacement share a line."""
    from inpaint_zoo.metrics import metric_info

    by_new: dict[str, list[str]] = {}
    if suite.datasets:
        by_new[f"{IMAGES} sample images of {REHEARSAL_SIDE} px"] = [entry.label for entry in suite.datasets]
    for old, new in zip(suite.masks, masks, strict=True):
        if new.spec != old.spec:
            by_new.setdefault(f"generated masks ({new.spec['name']})", []).append(old.label)
    for method, small in methods:
        if small != method and isinstance(small, ModelEntry):
            trained = {"shipped": " with its shipped weights", "random": " with random weights", None: ""}
            by_new.setdefault(f"{small.model}{trained[small.weights]}", []).append(small.label)
    for metric in suite.metrics:
        if needs := metric_info(metric).needs:
            by_new.setdefault("a small random network", []).extend(f"{need} of {metric}" for need in needs)
    yield from (f"{new} in place of {'; '.join(old)}" for new, old in by_new.items())
