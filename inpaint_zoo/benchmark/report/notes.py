"""Sentences that page, Markdown and LaTeX share: what was compared, what is missing, how to read the numbers."""

from __future__ import annotations

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import count_pictures
from inpaint_zoo.benchmark.report.typography import NBSP
from inpaint_zoo.benchmark.statistics import DRAWS, EXACT_GROUPS

__all__ = ["caveats", "count", "failures", "headline", "how_to_read", "skipped", "unreadable"]

FEW_PHOTOGRAPHS = 10  # below, percentile intervals are clearly too narrow


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
    """Images that could not be read, or not scored."""
    read = [f"{entry['dataset']}, {entry['path']}: {entry['reason']}" for entry in run.provenance.get("unreadable", ())]
    left_out = run.provenance.get("left_out", ())
    scored = [f"{entry['dataset']}, {entry['mask']}, {entry['image']}: {entry['reason']}" for entry in left_out]
    return read + scored


def caveats(run: Run) -> list[str]:
    """What a careful reader should know about these very numbers."""
    lines = []
    small = [(name, photographs(run, name)[1]) for name in run.datasets]
    few = [f"{name}: {number}" for name, number in small if 0 < number < FEW_PHOTOGRAPHS]
    if few:
        lines.append(
            f"Few photographs ({', '.join(few)}): bootstrap intervals are too narrow then; at 4 photographs, a "
            f"95{NBSP}% interval covers about 80{NBSP}%."
        )
    if run.deblurring:
        lines.append(
            f"{', '.join(sorted(run.deblurring))}: a mosaic of the truth stands in the hole, which is deblurring and "
            "no inpainting; mean ranks and plots leave it out."
        )
    for name, info in run.infos.items():
        texts = {text for table in run.tables for text in run.set_notes(name, *table)}
        lines += [f"{info.title}: {text}." for text in sorted(texts) if "biased" in text or "undefined" in text]
    for name, number in run.provenance.get("capped", {}).items():
        if number and name in run.infos:
            info = run.infos[name]
            lines.append(
                f"{info.title}: {count(number, 'value')} at the cap of {info.cap:g}, for results equal to the truth."
            )
    return lines


def how_to_read() -> list[str]:
    """The statistics in plain words."""
    return [
        f"Numbers are means over pictures; brackets are 95{NBSP}% percentile bootstrap intervals that draw whole "
        f"photographs ({DRAWS:,} draws), because crops of one photograph are not independent.",
        "Bold: the best method and every method that a paired sign-flip test (all sign patterns up to "
        f"{EXACT_GROUPS} photographs, {DRAWS:,} random ones above) does not tell from it at 5{NBSP}% after Holm's "
        "correction over the table. Nothing is bold where nothing is told apart.",
        "The tests are paired: intervals of two methods may overlap although every photograph prefers the same one.",
        "Ranks follow the means, whether or not the data carry the order.",
    ]
