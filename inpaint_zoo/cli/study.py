"""`inpaint-zoo study`: make the page of a blind user study; `inpaint-zoo study score`: score its answers."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from inpaint_zoo.cli.common import command_parser, console, err_console, note_console, print_table

__all__ = ["run"]


def run(args: list[str]) -> int:
    """Run the command; `score` returns 1 if a file of answers was refused."""
    return _score(args[1:]) if args[:1] == ["score"] else _build(args)


def _build(args: list[str]) -> int:
    parser = command_parser(
        "study",
        "Make the page of a blind user study from the results that a run kept (`inpaint-zoo benchmark --gallery N`). "
        "`inpaint-zoo study score DIR` scores the answers.",
    )
    parser.add_argument("folder", metavar="RUN", help="the folder given as --out to `inpaint-zoo benchmark`")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="a new folder for the page, its key and the answers"
    )
    parser.add_argument(
        "--mode",
        choices=["rank", "pairs"],
        default="rank",
        help="rank: order all methods, gives average ranks; pairs: choose one of two, gives Bradley-Terry scores "
        "(default: rank)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="AXIS=GLOB",
        help="use only these results: method=, dataset= or mask= with a shell pattern; may be repeated",
    )
    parser.add_argument("--images", type=int, metavar="N", help="use N random images of those that the run kept")
    parser.add_argument(
        "--questions", type=int, metavar="N", help="questions for each rater (default: at most 20 rankings or 48 pairs)"
    )
    parser.add_argument("--raters", type=int, default=24, metavar="N", help="number of different plans (default: 24)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random orders")
    parser.add_argument(
        "--show",
        choices=["none", "masked", "truth", "both"],
        help="images beside the results: the masked image, the ground truth (default: both for rank, none for pairs)",
    )
    parser.add_argument("--include-truth", action="store_true", help="add the ground truth as one more hidden method")
    parser.add_argument("--question", metavar="TEXT", help="the question that raters answer")
    options = parser.parse_args(args)

    from inpaint_zoo.benchmark.report.notes import count
    from inpaint_zoo.benchmark.report.run_folder import read_run
    from inpaint_zoo.benchmark.study import StudyOptions, build_study

    settings = StudyOptions(
        mode=options.mode,
        only=tuple(options.only),
        images=options.images,
        questions=options.questions,
        raters=options.raters,
        seed=options.seed,
        show=options.show,
        include_truth=options.include_truth,
        question=options.question,
    )
    built = build_study(read_run(options.folder), options.out, settings)
    for line in built.notes:
        note_console.print(f"[yellow]note:[/yellow] {escape(line)}", soft_wrap=True)
    console.print(
        f"{count(built.methods, 'method')}, {count(built.images, 'image')}; {count(built.questions, 'question')} for "
        f"each of {count(built.raters, 'rater')}"
    )
    out = escape(options.out)
    console.print(f"page for the raters: {escape(str(built.page))} (give them the whole folder)", soft_wrap=True)
    console.print(f"keep for yourself: {out}/key.json; put the raters' files into {out}/answers", soft_wrap=True)
    return 0


def _score(args: list[str]) -> int:
    parser = command_parser(
        "study score",
        "Score the answers of a study: average ranks or Bradley-Terry scores, with intervals and the agreement of the "
        "raters. Writes scores.csv, scores.md and votes.csv to its folder.",
    )
    parser.add_argument("folder", metavar="DIR", help="the folder given as --out to `inpaint-zoo study`")
    options = parser.parse_args(args)

    from inpaint_zoo.benchmark.study import score_study
    from inpaint_zoo.benchmark.study.tables import header, headline, row_texts, write_scores

    scored = score_study(options.folder)
    for name, reason in scored.answers.refused.items():
        err_console.print(f"[red]refused:[/red] {escape(f'{name}: {reason}')}", soft_wrap=True)
    for line in scored.caveats():
        note_console.print(f"[yellow]note:[/yellow] {escape(line)}", soft_wrap=True)
    for part in scored.tables:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=escape(headline(part)), title_justify="left")
        for at, title in enumerate(header(scored.key.mode)):
            table.add_column(title, justify="left" if at == 0 else "right")
        for at, row in enumerate(part.rows):
            table.add_row(*map(escape, row_texts(row, at == 0)))
        print_table(table)
        console.print(escape(part.verdict), soft_wrap=True)
        console.print(f"[dim]{escape(part.agreement)}[/dim]", soft_wrap=True)
    console.print(f"scores: {escape(str(write_scores(scored, Path(options.folder))))}", soft_wrap=True)
    return 1 if scored.answers.refused else 0
