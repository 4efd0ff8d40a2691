"""Merge finished runs of one suite into a run folder with its own report; nothing is computed again.

The runs must have the same seed, and datasets, mask sets and metrics with the same labels and content. A method that
several runs contain with the same cells is merged; methods with the same label and different cells need new labels.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inpaint_zoo._version import __version__
from inpaint_zoo.benchmark.across_runs.names import distinct_names
from inpaint_zoo.benchmark.across_runs.same_suite import LISTS, finished, further_keys, refuse_other_suites
from inpaint_zoo.benchmark.report import write_report
from inpaint_zoo.benchmark.report.run_folder import Cell, Run, read_run
from inpaint_zoo.benchmark.store import CellKey, Store, read_json
from inpaint_zoo.benchmark.totals import totals
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import TEMPORARY_PREFIX, atomic_folder, sha256_json, write_json

__all__ = ["Merged", "merge_runs"]


@dataclass(frozen=True)
class Merged:
    """A leaderboard.

    Attributes:
        report: Path of its report.
        methods, cells: Numbers of methods and of finished cells.
        notes: What was left out, renamed or is worth knowing; the report contains these lines, too.
    """

    report: Path
    methods: int
    cells: int
    notes: tuple[str, ...]


@dataclass
class _Board:
    """What has been merged so far.

    Attributes:
        names: Short name of each folder.
        methods: Entry of suite.json by final label.
        sources: Run and label in it of each finished cell, by final labels of the cell.
        ids: Final label by the identifier of a finished cell.
        unfinished: Runs and labels of cells that some run lacks, by final labels.
        notes: See `Merged`.
    """

    names: dict[Path, str]
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[Cell, tuple[Run, str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    unfinished: dict[Cell, list[tuple[Run, str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def merge_runs(folders: Sequence[str | Path], out: str | Path, names: Mapping[str, str] | None = None) -> Merged:
    """Merge runs into the folder ``out``.

    Args:
        folders: Folders of runs, at least two.
        out: A new or empty folder, or an earlier leaderboard, which is replaced.
        names: Folder -> name that is appended in parentheses to those of its labels that another run uses for another
            method.

    Raises:
        ZooError: If a folder is not a run, runs do not belong to one suite, labels conflict, or ``out`` contains
            something else. Nothing is written.
    """
    out = Path(out)
    _refuse_other(out)
    runs = [read_run(folder) for folder in folders]
    _refuse_repeats(runs)
    given = _given(runs, names or {})
    refuse_other_suites(runs)
    board = _Board(dict(zip((run.folder for run in runs), distinct_names([run.folder for run in runs]), strict=True)))
    conflicts = [line for run in runs for line in _add(board, run, given.get(run.folder))]
    if conflicts:
        raise ZooError(" ".join(conflicts))
    board.notes = [*(note for run in runs for note in run.suite.get("merged", {}).get("notes", ())), *board.notes]
    board.notes += _code_notes(board, runs)
    title = f"{_suite_name(runs[0])}, leaderboard of {len(runs)} runs"
    staging = out.absolute().with_name(f"{TEMPORARY_PREFIX}{out.absolute().name}")
    if staging.exists():  # of a killed process
        shutil.rmtree(staging)
    with atomic_folder(staging) as folder:
        _write(board, runs, folder, title)
        write_report(folder)
    if out.exists():
        shutil.rmtree(out)
    staging.rename(out)
    return Merged(out / "report.html", len(board.methods), len(board.sources), tuple(board.notes))


def _suite_name(run: Run) -> str:
    """Return the name of the suite, also for a run that is a leaderboard."""
    return str(run.suite.get("merged", {}).get("suite", run.suite["name"]))


def _refuse_other(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ZooError(f"{out} is a file; --out needs a folder.")
    if out.is_dir() and any(out.iterdir()) and "merged" not in (read_json(out / "suite.json") or {}):
        raise ZooError(f"{out} contains something other than a leaderboard; give an empty or new folder to --out.")


def _refuse_repeats(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise ZooError(f"A leaderboard needs the folders of at least two runs, got {len(runs)}.")
    seen: set[Path] = set()
    for run in runs:
        if run.folder.resolve() in seen:
            raise ZooError(f"{run.folder} is given twice.")
        seen.add(run.folder.resolve())
        if run.results.empty:
            raise ZooError(f"{run.folder} has no finished cell; leave it out, or run its benchmark first.")


def _given(runs: Sequence[Run], names: Mapping[str, str]) -> dict[Path, str]:
    folders = {run.folder.resolve(): run.folder for run in runs}
    for folder in names:
        if Path(folder).resolve() not in folders:
            known = ", ".join(map(str, folders.values()))
            raise ZooError(f"--label {folder}={names[folder]}: this folder is not merged; the runs are {known}.")
    return {folders[Path(folder).resolve()]: name for folder, name in names.items()}


def _add(board: _Board, run: Run, name: str | None) -> Iterator[str]:
    """Add the methods of a run; yield a line for each label that is taken by another method."""
    here = board.names[run.folder]
    for entry in run.suite["methods"]:
        label = str(entry["label"])
        done = {cell[1:]: made for cell, made in finished(run).items() if cell[0] == label}
        lacking = [table for table in run.tables if table not in done]
        if not done:
            board.notes.append(f"{here}: {label} has no finished cell and is left out.")
            continue
        final = next((board.ids[cell_id] for cell_id, _ in done.values() if cell_id in board.ids), label)
        if final != label:
            board.notes.append(f"{here}: {label} has the same cells as {final} and is merged with it.")
        other = _conflict(board, final, done)
        if other is not None and name:
            final, taken = f"{label} ({name})", other
            other = _conflict(board, final, done)
            if other is None:
                board.notes.append(f"{here}: {label} is {final}, because {label} is that of {board.names[taken]}.")
        if other is not None:
            yield (
                f"'{final}' is another method in {run.folder} than in {other}; give --label {run.folder}=NAME to show "
                f"it as '{label} (NAME)'."
            )
            continue
        board.methods.setdefault(final, {**entry, "label": final})
        for table, (cell_id, _) in done.items():
            board.sources.setdefault((final, *table), (run, label))
            board.ids.setdefault(cell_id, final)
        for table in lacking:
            board.unfinished.setdefault((final, *table), []).append((run, label))


def _conflict(board: _Board, label: str, done: Mapping[tuple[str, str], tuple[str, dict[str, Any]]]) -> Path | None:
    """Return the folder of a run in which ``label`` is another method than the one with the given finished cells."""
    for (other, dataset, mask), (run, name) in board.sources.items():
        if other != label:
            continue
        cell_id, record = run.cells[name, dataset, mask]
        if (dataset, mask) in done:
            if done[dataset, mask][0] != cell_id:
                return run.folder
        elif any(
            each["provenance"]["method_identity"] != record["provenance"]["method_identity"]
            for (of, _), (_, each) in done.items()
            if of == dataset
        ):
            return run.folder
    return None


def _code_notes(board: _Board, runs: Sequence[Run]) -> list[str]:
    """Return lines about runs whose code or precision differ; their numbers are merged nevertheless."""
    lines = []
    for key, what in (("code_version", "versions of inpaint-zoo"), ("precision", "precisions")):
        found = {
            board.names[run.folder]: sorted(
                {str(record["provenance"].get(key)) for _, record in finished(run).values()}
            )
            for run in runs
        }
        if len({tuple(values) for values in found.values()}) > 1:
            each = ", ".join(f"{name}: {' and '.join(values)}" for name, values in found.items())
            lines.append(f"The runs have different {what} ({each}).")
    return lines


def _write(board: _Board, runs: Sequence[Run], folder: Path, title: str) -> None:
    store = Store(folder, runs[0].stamp)
    keys: list[CellKey] = []
    for label in board.methods:
        for table in runs[0].tables:
            cell = (label, *table)
            source = board.sources.get(cell) or _failed(board, cell)
            if source is None:
                continue
            run, name = source
            cell_id = run.cells[name, *table][0]
            key = CellKey(*cell, cell_id)
            if (
                run.cells[name, *table][1]["status"] == "done"
                and not (_cell_folder(run, cell_id) / "values.parquet").is_file()
            ):
                raise ZooError(f"{_cell_folder(run, cell_id)} is missing; a leaderboard needs the cells of every run.")
            shutil.copytree(_cell_folder(run, cell_id), folder / "cells" / cell_id)
            store.rename(key)
            keys.append(key)
    for run in runs:
        for part in ("gallery", "masks"):
            if (run.folder / part).is_dir():
                shutil.copytree(run.folder / part, folder / part, dirs_exist_ok=True)
    refused = _refused(board)
    board.notes += _lacking(board, {(each["method"], each["dataset"], each["mask"]) for each in refused})
    content = {
        "name": title,
        "seed": runs[0].suite["seed"],
        "methods": list(board.methods.values()),
        **{key: runs[0].suite[key] for key in (*LISTS, "metrics")},
        **further_keys(runs[0]),
        "merged": {"runs": list(board.names.values()), "suite": _suite_name(runs[0]), "notes": board.notes},
    }
    write_json(folder / "suite.json", {**content, "identity": sha256_json(content), "version": __version__})
    records = [(key.method, store.record(key) or {}) for key in keys]
    store.assemble(keys, {**_provenance(board, runs, title), **totals(records), "not_applicable": refused})


def _cell_folder(run: Run, cell_id: str) -> Path:
    return run.folder / "cells" / cell_id


def _failed(board: _Board, cell: Cell) -> tuple[Run, str] | None:
    """Return a run in which a cell failed, whose error the report then shows."""
    for run, label in board.unfinished.get(cell, ()):
        made = run.cells.get((label, *cell[1:]))
        if made is not None and made[1]["status"] == "failed" and _cell_folder(run, made[0]).is_dir():
            return run, label
    return None


def _refused(board: _Board) -> list[dict[str, Any]]:
    """Return the cells that do not apply, with their reasons and final labels."""
    return [
        {**entry, "method": label}
        for (label, dataset, mask), sources in board.unfinished.items()
        if (label, dataset, mask) not in board.sources
        for entry in sources[0][0].provenance.get("not_applicable", ())
        if (entry["method"], entry["dataset"], entry["mask"]) == (sources[0][1], dataset, mask)
    ]


def _lacking(board: _Board, refused: Collection[Cell]) -> Iterator[str]:
    """Yield a line for each method that has finished cells, but not all."""
    for label in board.methods:
        lacking = {
            cell: sources
            for cell, sources in board.unfinished.items()
            if cell[0] == label and cell not in board.sources and cell not in refused
        }
        if lacking:
            names = dict.fromkeys(board.names[run.folder] for sources in lacking.values() for run, _ in sources)
            tables = "; ".join(f"{dataset}, {mask}" for _, dataset, mask in lacking)
            yield f"{label} is not finished in {' and '.join(names)}: {tables}."


def _provenance(board: _Board, runs: Sequence[Run], title: str) -> dict[str, Any]:
    """Return the content of provenance.json; what is true of one run only names the run."""
    environments = [run.provenance.get("environment", {}) for run in runs]
    shared = {
        key: value for key, value in environments[0].items() if all(each.get(key) == value for each in environments)
    }
    return {
        "suite": {"name": title, "seed": runs[0].suite["seed"], "version": __version__},
        "environment": shared
        | {
            name: own
            for name, each in zip(board.names.values(), environments, strict=True)
            if (own := {key: value for key, value in each.items() if key not in shared})
        },
        "skipped_metrics": [
            {**entry, "reason": f"{entry['reason']} ({board.names[run.folder]})"}
            for run in runs
            for entry in run.provenance.get("skipped_metrics", ())
        ],
        "other_images": {label: text for run in runs for label, text in run.provenance.get("other_images", {}).items()},
        "unreadable": _once(entry for run in runs for entry in run.provenance.get("unreadable", ())),
        "left_out": _once(entry for run in runs for entry in run.provenance.get("left_out", ())),
    }


def _once(entries: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return found
