"""Sentences that page, Markdown and LaTeX share: what was compared, what is missing, how to read the numbers."""

from __future__ import annotations

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import count_pictures
from inpaint_zoo.benchmark.statistics import DRAWS, EXACT_GROUPS

__all__ = ["caveats", "count", "failures", "headline", "how_to_read", "skipped", "unreadable"]

FEW_PHOTOGRAPHS = 10  # below, percentile intervals are clearly too narrow
FEW_FOR_FID = 2048  # below, FID is biased upwards


def count(number: int, thing: str) -> str:
    """A number with its noun.

    Example:
        >>> count(1, "method"), count(3, "mask set")
        ('1 method', '3 mask sets')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"


def photographs(run: Run, dataset: str) -> tuple[int, int]:
    """Images and source photographs of a dataset that were scored."""
    rows = run.results[(run.results["dataset"] == dataset) & run.results["image"].notna()]
    return rows["image"].nunique(), rows["group"].nunique()


def headline(run: Run) -> str:
    """What was compared on what."""
    data = " and ".join(f"{count_pictures(*photographs(run, name))} ({name})" for name in run.datasets)
    masks = len({mask for _, mask in run.tables})
    return (
        f"{count(len(run.methods), 'method')} on {data}, under {count(masks, 'mask set')}, "
        f"by {count(len(run.infos), 'metric')}."
    )


def failures(run: Run) -> list[str]:
    """Cells without numbers."""
    return [f"{method} on {dataset}, {mask}: {reason}" for (method, dataset, mask), reason in run.missing.items()]


def skipped(run: Run) -> list[str]:
    """Metrics that the suite asks for and nobody measured."""
    return [f"{metric}: {reason}" for metric, reason in run.skipped_metrics]


def unreadable(run: Run) -> list[str]:
    """Pictures that could not be read."""
    return [f"{entry['dataset']}, {entry['path']}: {entry['reason']}" for entry in run.provenance.get("unreadable", ())]


def caveats(run: Run) -> list[str]:
    """What a careful reader should know about these very numbers."""
    lines = []
    small = [(name, photographs(run, name)[1]) for name in run.datasets]
    few = [f"{name}: {number}" for name, number in small if 0 < number < FEW_PHOTOGRAPHS]
    if few:
        lines.append(
            f"Few photographs ({', '.join(few)}): bootstrap intervals are too narrow then; at 4 photographs a 95 % "
            "interval covers about 80 %."
        )
    whole = [info.title for info in run.infos.values() if not info.per_image]
    if whole and any(photographs(run, name)[0] < FEW_FOR_FID for name in run.datasets):
        lines.append(
            f"Biased, small N: {', '.join(whole)} on fewer than {FEW_FOR_FID} pictures; compare within a table only."
        )
    for metric, number in _capped(run.provenance.get("capped") or {}):
        lines.append(f"Capped: {metric} of {count(number, 'result')} equal to the truth, which would be infinite.")
    return lines


def _capped(content: object, path: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    """(what, how many) of the nested counts in provenance.json, zeros left out."""
    if isinstance(content, dict):
        return [pair for key, value in content.items() for pair in _capped(value, (*path, str(key)))]
    return [(", ".join(path), int(content))] if isinstance(content, int | float) and content else []


def how_to_read() -> list[str]:
    """The statistics in plain words."""
    return [
        "Numbers are means over pictures; brackets are 95 % percentile bootstrap intervals that draw whole photographs "
        f"({DRAWS:,} draws), because crops of one photograph are not independent.",
        "Bold: the best method and every method that a paired sign-flip test (all sign patterns up to "
        f"{EXACT_GROUPS} photographs, {DRAWS:,} random ones above) does not tell from it at 5 % after Holm's "
        "correction over the table. Nothing is bold where nothing is told apart.",
        "The tests are paired: intervals of two methods may overlap although every photograph prefers the same one.",
        "Ranks follow the means, whether or not the data carry the order.",
    ]
