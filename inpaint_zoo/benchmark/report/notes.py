"""Sentences shared by page, Markdown and LaTeX: what was compared, what is missing, how to read the numbers."""

from __future__ import annotations

from collections.abc import Iterable

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import count_images
from inpaint_zoo.benchmark.report.typography import NBSP
from inpaint_zoo.benchmark.statistics import DRAWS, EXACT_GROUPS

__all__ = [
    "absent",
    "caveats",
    "count",
    "doubts",
    "failures",
    "headline",
    "how_to_read",
    "replaced",
    "set_warnings",
    "skipped",
    "stand_ins",
    "unreadable",
]

FEW_IMAGES = 10  # with fewer, percentile intervals are clearly too narrow


def count(number: int, thing: str) -> str:
    """Return a number with its noun.

    Example:
        >>> count(1, "method"), count(3, "mask set")
        ('1 method', '3 mask sets')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"


def image_counts(run: Run, dataset: str) -> tuple[int, int]:
    """Return the numbers of scored crops and of source images of a dataset."""
    images = run.image_groups(dataset)
    return len(images), len(set(images.values()))


def headline(run: Run) -> str:
    """Return what was compared on what."""
    if run.results.empty:
        size = " × ".join(str(side) for side in run.suite.get("costs", {}).get("size", ()))  # noqa: RUF001 - times
        return f"Cost of {count(len(run.methods), 'method')} at {size} px." if size else "Numbers of a paper only."
    scored = [name for name in run.datasets if image_counts(run, name)[0]]
    data = " and ".join(f"{count_images(*image_counts(run, name))} ({name})" for name in scored)
    masks = len({mask for _, mask in run.tables})
    return (
        f"{count(len(run.methods), 'method')} on {data}, under {count(masks, 'mask set')}, "
        f"by {count(len(run.infos), 'metric')}."
    )


def replaced(run: Run) -> list[str]:
    """Return what a rehearsal uses in place of the suite's data, masks, networks and backbones."""
    return list(run.suite.get("rehearsal", {}).get("replaced", ()))


def absent(run: Run) -> list[str]:
    """Return what the run lacked, and where it goes."""
    return [f"{line} ({count(len(cells), 'cell')})" for line, cells in run.absent.items()]


def failures(run: Run) -> list[str]:
    """Return the cells without numbers, except those that lack something that `absent` names."""
    named = {(run.networks.get(cell[0], cell[0]), *cell[1:]) for cells in run.absent.values() for cell in cells}
    return [
        f"{method} on {dataset}, {mask}: {reason}"
        for (method, dataset, mask), reason in run.missing.items()
        if (method, dataset, mask) not in named
    ]


def stand_ins(run: Run) -> list[str]:
    """Return which mask sets replace mask files that were not there."""
    by_files: dict[str, list[str]] = {}
    for mask, files in run.stand_ins.items():
        by_files.setdefault(files, []).append(mask)
    return [
        f"{', '.join(masks)}: generated masks stand in for the mask files '{files}', which were not there. The numbers "
        f"are not comparable with published ones. Give --data {files}=DIR to use the files."
        for files, masks in by_files.items()
    ]


def doubts(run: Run) -> dict[str, list[str]]:
    """Return the doubts about the conventions of models from outside the package, by the label of the method."""
    tables: dict[tuple[str, str], list[str]] = {}
    for (method, dataset, mask), (_, record) in run.cells.items():
        for note in record.get("method_notes", ()):
            tables.setdefault((method, note), []).append(f"{dataset}, {mask}")
    found: dict[str, list[str]] = {}
    for (method, note), cells in tables.items():
        found.setdefault(method, []).append(f"{note} ({'; '.join(cells)})")
    return found


def skipped(run: Run) -> list[str]:
    """Return the metrics that the suite lists and that were not computed."""
    return [f"{metric}: {reason}" for metric, reason in run.skipped_metrics]


def unreadable(run: Run) -> list[str]:
    """Return the images that could not be read, or not scored."""
    read = [f"{entry['dataset']}, {entry['path']}: {entry['reason']}" for entry in run.provenance.get("unreadable", ())]
    left_out = run.provenance.get("left_out", ())
    scored = [f"{entry['dataset']}, {entry['mask']}, {entry['image']}: {entry['reason']}" for entry in left_out]
    return read + scored


def caveats(run: Run) -> list[str]:
    """Return the limitations of the numbers of this run."""
    lines = [*run.suite.get("merged", {}).get("notes", ()), *stand_ins(run)]
    lines += [f"{method}: {note}." for method, notes in doubts(run).items() for note in notes]
    for name, difference in run.provenance.get("other_images", {}).items():
        lines.append(f"{name}: {difference}. The numbers are not comparable with published ones.")
    small = [(name, image_counts(run, name)[1]) for name in run.datasets]
    few = [f"{name}: {number}" for name, number in small if 0 < number < FEW_IMAGES]
    if few:
        lines.append(
            f"Few images ({', '.join(few)}): bootstrap intervals are then too narrow; with 4 images, a "
            f"95{NBSP}% interval covers about 80{NBSP}%."
        )
    if run.deblurring:
        lines.append(
            f"{', '.join(sorted(run.deblurring))}: the hole shows a mosaic of the ground truth. This is deblurring, "
            "not inpainting; mean ranks and plots exclude it."
        )
    lines += set_warnings(run, run.tables)
    for name, number in run.provenance.get("capped", {}).items():
        if number and name in run.infos:
            info = run.infos[name]
            lines.append(
                f"{info.title}: {count(number, 'value')} at the cap of {info.cap:g} (result equals ground truth)."
            )
    return lines


def set_warnings(run: Run, tables: Iterable[tuple[str, str]]) -> list[str]:
    """Return what limits the values of set metrics in some tables, such as the bias of FID for few images."""
    lines = [
        f"{info.title}: {text}."
        for name, info in run.infos.items()
        for table in tables
        for text in run.set_warnings(name, *table)
    ]
    return list(dict.fromkeys(lines))


def how_to_read() -> list[str]:
    """Return the explanation of the statistics."""
    return [
        f"Numbers are means over images; brackets are 95{NBSP}% percentile bootstrap intervals that resample whole "
        f"images ({DRAWS:,} resamples), because crops of one image, or several masks on it, are not independent. "
        "Intervals of a value of a whole set, such as FID, are those of the infinitesimal jackknife over whole images: "
        "they describe how the value varies between sets of this size, and not its bias.",
        "Bold: the best method and every method that does not differ significantly from it, by a paired sign-flip test "
        f"(all sign patterns up to {EXACT_GROUPS} images, {DRAWS:,} random ones above) at 5{NBSP}% after Holm's "
        "correction over the table. If no difference is significant, nothing is bold.",
        "The tests are paired: intervals of two methods may overlap even if one is better on every image.",
        "Ranks follow the means, whether or not the differences are significant. Shared ranks, in summary.csv and "
        "beside the win matrices, are equal for methods that the tests cannot tell apart: rank 1 for the bold methods, "
        "then for the best of the others and all that do not differ significantly from it, and so on.",
        "Win matrices give the share of the images on which one method is better than another one. Bold there are the "
        "differences of means that are significant after Holm's correction over all pairs of the table, which is "
        "stricter than the comparison with the best method alone. pairs.csv contains the differences, their intervals "
        "and p-values.",
    ]
