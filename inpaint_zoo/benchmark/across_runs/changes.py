"""What changed between two runs, apart from the numbers: suite, methods, weights, code, machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from inpaint_zoo.benchmark.report.run_folder import Run, flat
from inpaint_zoo.benchmark.report.typography import DASH

__all__ = ["Change", "changes"]

SHORT = 12  # digits of a hash that are shown
SHARED = ("code_version", "git_commit", "code_sha256", "suite_seed", "precision", "device")  # provenance of all cells
OWN = ("weights_sha256", "weights_origin", "method_identity")  # provenance of one method


class Change(NamedTuple):
    """Something that differs; a dash stands for a side that lacks it."""

    what: str
    old: str
    new: str


def changes(old: Run, new: Run, pairs: Iterable[tuple[str, str]]) -> tuple[Change, ...]:
    """Return what differs between two runs: lists of the suites, provenance of all cells, then that of each method.

    Args:
        old: The run to compare with.
        new: The other run.
        pairs: Labels of the compared methods.
    """
    pairs = list(pairs)
    found = [_change("suite", old.suite["name"], new.suite["name"])]
    named = {label for pair in pairs for label in pair}
    for what, lists in (
        ("methods", [[each for each in run.methods if each not in named] for run in (old, new)]),
        ("datasets", [[entry["label"] for entry in run.suite["datasets"]] for run in (old, new)]),
        ("mask sets", [[entry["label"] for entry in run.suite["masks"]] for run in (old, new)]),
        ("metrics", [list(run.infos) for run in (old, new)]),
    ):
        only = [[each for each in lists[side] if each not in lists[1 - side]] for side in (0, 1)]
        found.append(_change(f"{what} of only one run", ", ".join(only[0]), ", ".join(only[1])))
    found += _by_key(SHARED, "", _provenance(old, old.methods), _provenance(new, new.methods))
    environments = [_flat(run.provenance.get("environment", {})) for run in (old, new)]
    known = {line.split(".")[-1] for line in SHARED}
    found += [
        _change(f"environment: {key}", environments[0].get(key), environments[1].get(key))
        for key in dict.fromkeys([*environments[0], *environments[1]])
        if key not in known
    ]
    for before, after in pairs:
        label = before if before == after else f"{before} → {after}"
        found += _by_key(OWN, f"{label}: ", _provenance(old, [before]), _provenance(new, [after]))
    return tuple(each for each in found if each is not None)


def _provenance(run: Run, methods: Sequence[str]) -> list[dict[str, str]]:
    """Return the flat provenance of the cells of some methods, without repetitions."""
    cells = [_flat(record.get("provenance", {})) for (label, *_), (_, record) in run.cells.items() if label in methods]
    return [cell for index, cell in enumerate(cells) if cell not in cells[:index]]


def _by_key(
    names: Sequence[str], prefix: str, old: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]]
) -> list[Change | None]:
    """Compare the provenance under the given names; cells with several values, as of several datasets, list them."""
    keys = [key for name in names for cell in (*old, *new) for key in cell if key.split(".")[0] == name]
    texts = [
        {key: ", ".join(dict.fromkeys(cell[key] for cell in cells if key in cell)) for key in keys}
        for cells in (old, new)
    ]
    # a method's identity repeats the hash of its weights
    shown = [key for key in dict.fromkeys(keys) if key != "method_identity.weights_sha256"]
    return [
        _change(prefix + key.removeprefix("method_identity.").replace("_", " "), texts[0][key], texts[1][key])
        for key in shown
    ]


def _change(what: str, old: str | None, new: str | None) -> Change | None:
    return None if (old or "") == (new or "") else Change(what, old or DASH, new or DASH)


def _flat(content: object) -> dict[str, str]:
    """Flatten nested plain values to {dotted name: text}; long hashes are shortened."""
    return {
        key: text[:SHORT] if len(text) in (40, 64) and set(text) <= set("0123456789abcdef") else text
        for key, text in flat(content)
    }
