"""Read the files of answers of a study, and refuse those that do not belong to it or were changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from inpaint_zoo.benchmark.store import read_json
from inpaint_zoo.benchmark.study.checksum import checksum
from inpaint_zoo.benchmark.study.key import ANSWERS, Key
from inpaint_zoo.errors import ZooError

__all__ = ["Answers", "Vote", "read_answers"]


class Vote(NamedTuple):
    """One answer: rater and item by position, and the positions of the methods, best first."""

    rater: int
    item: int
    methods: tuple[int, ...]


class Answers(NamedTuple):
    """The answers of a study.

    Attributes:
        raters: Names of the raters.
        votes: All answers.
        notes: Lines about raters who did not finish, and about files that were merged.
        refused: Name of a file that cannot be used -> the reason.
    """

    raters: tuple[str, ...]
    votes: tuple[Vote, ...]
    notes: tuple[str, ...]
    refused: dict[str, str]


class _Session(NamedTuple):
    """The answers of one rater: the files of each question, best first."""

    file: str
    rater: str
    started: str
    plan: int
    answers: dict[int, tuple[str, ...]]


def read_answers(folder: Path, key: Key) -> Answers:
    """Read all files in `answers/`.

    Two files of one rater, saved before and after the last questions, count once. A file that cannot be used is
    returned in ``refused``.

    Args:
        folder: Folder of the study.
        key: Its key.

    Raises:
        ZooError: If there is no file.
    """
    paths = sorted((folder / ANSWERS).glob("*.json"))
    if not paths:
        raise ZooError(f"{folder / ANSWERS} contains no *.json file; put the files there that the raters saved.")
    sessions: dict[tuple[str, str], _Session] = {}
    notes: list[str] = []
    refused: dict[str, str] = {}
    for path in paths:
        try:
            session = _session(path, key)
        except ZooError as error:
            refused[path.name] = str(error)
            continue
        other = sessions.setdefault((session.rater, session.started), session)
        if other is session:
            continue
        more, less = sorted((session, other), key=lambda each: -len(each.answers))
        if any(more.answers.get(question) != files for question, files in less.answers.items()):
            refused[session.file] = f"it contradicts {other.file}, which is of the same rater"
            continue
        sessions[session.rater, session.started] = more
        notes.append(f"{less.file} is an earlier state of {more.file}.")
    names = [session.rater for session in sessions.values()]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            notes.append(f"{names.count(name)} raters have the name '{name}'; they are counted separately.")
    for session in sessions.values():
        wanted = len(key.plans[session.plan])
        if len(session.answers) < wanted:
            notes.append(f"{session.file} is partial: {len(session.answers)} of {wanted} questions are answered.")
    positions = {method: at for at, method in enumerate(key.methods)}
    votes = [
        Vote(rater, key.files[files[0]].item, tuple(positions[str(key.files[name].method)] for name in files))
        for rater, session in enumerate(sessions.values())
        for _, files in sorted(session.answers.items())
    ]
    return Answers(tuple(names), tuple(votes), tuple(notes), refused)


def _session(path: Path, key: Key) -> _Session:
    """Read one file.

    Raises:
        ZooError: If it cannot be used.
    """
    content = read_json(path)
    if content is None or not isinstance(content.get("study"), str):
        raise ZooError("it is not a file of answers, or it is incomplete")
    if content["study"] != key.study:
        raise ZooError(f"it belongs to another study ({content['study']}, not {key.study})")
    try:
        rater, started, plan = content["rater"], content["started"], content["plan"]
        answers = {int(each["question"]): tuple(map(str, each["files"])) for each in content["answers"]}
        found = checksum(key.study, rater, plan, answers.items())
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ZooError("it is damaged") from None
    if found != content.get("checksum") or len(answers) != len(content["answers"]):
        raise ZooError("it was changed after it was saved")
    if not answers:
        raise ZooError("it contains no answer")
    _refuse_wrong(plan, answers, key)
    return _Session(path.name, str(rater), str(started), plan, answers)


def _refuse_wrong(plan: Any, answers: dict[int, tuple[str, ...]], key: Key) -> None:  # noqa: ANN401 - any plain value
    if not isinstance(plan, int) or not 0 <= plan < len(key.plans):
        raise ZooError(f"the study has no plan {plan}")
    for question, files in answers.items():
        if not 0 <= question < len(key.plans[plan]):
            raise ZooError(f"plan {plan} has no question {question}")
        if sorted(files) != sorted(key.plans[plan][question]):
            raise ZooError(f"question {question}: the images are not those of the plan")
