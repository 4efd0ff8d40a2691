"""The commands in the fenced blocks of a page, and a folder in which they can run."""

import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from skimage import data

from inpaint_zoo.cli.main import main
from tests.helpers.documents import REPOSITORY, fences

SHELLS = {"bash", "sh", "console", "shell"}
ONLY_PARSED, RUN_WITH = "only parsed: ", "run with: "
SUITE = """
name: mine
seed: 2026
methods: [telea, {callable: "mine:fill", label: Mine}]
datasets: [{name: images, root: images, size: 64}]
masks: [{name: center, size: 32}]
metrics: [psnr, ssim]
"""
FILL = """
def fill(image, mask):
    image[mask] = image[~mask].mean(axis=0).round()
    return image
"""


class Command(NamedTuple):
    """One command of a page.

    Attributes:
        page: The page.
        words: The program and its arguments.
        environment: Variables that are set before the program.
        reason: Why it is only parsed; empty if it runs.
        further: Arguments that are added when it runs, which make it small.
    """

    page: Path
    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    reason: str
    further: tuple[str, ...]


def commands_of(page: Path) -> list[Command]:
    """Return the commands of a page, in their order."""
    found = []
    for fence in fences(page):
        if fence.language not in SHELLS:
            continue
        everything = fence.mark.removeprefix(ONLY_PARSED) if fence.mark.startswith(ONLY_PARSED) else ""
        clauses = fence.mark.removeprefix(RUN_WITH).split("; ") if fence.mark.startswith(RUN_WITH) else []
        for line in fence.content.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            settings = []
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                name, _, value = words.pop(0).partition("=")
                settings.append((name, value))
            if words:
                reason, further = judged(words, clauses)
                found.append(Command(page, tuple(words), tuple(settings), everything or reason, further))
    return found


def judged(words: list[str], clauses: list[str]) -> tuple[str, tuple[str, ...]]:
    """Return why a command is not run, if so, and the arguments that make it small, as a comment states them.

    Clauses of `run with:` are arguments for all commands (`--rehearse`), arguments for those that contain a word
    (`fit --trainer.max_steps 1`), and the reason not to run those that contain a word (`not demo: starts a server`).
    """
    reason, further = "", []
    for clause in clauses:
        if clause.startswith("not "):
            word, _, why = clause.removeprefix("not ").partition(": ")
            reason = why if word in words else reason
        else:
            arguments = shlex.split(clause)
            named = None if arguments[0].startswith("--") else arguments.pop(0)
            further += arguments if named is None or named in words else []
    return reason, tuple(further)


def inner(words: tuple[str, ...]) -> list[str] | None:
    """Return the arguments of `inpaint-zoo` in a command that starts it directly or by a launcher."""
    for place, word in enumerate(words):
        if word.startswith("$(") and word.endswith(")"):
            return inner(tuple(shlex.split(word[2:-1])))
        if word.rpartition("/")[2] == "inpaint-zoo":
            return list(words[place + 1 :])
        if word == "-m" and words[place + 1] in ("inpaint_zoo", "inpaint_zoo.cli.main"):
            return list(words[place + 2 :])
    return None


def make_folder(folder: Path) -> None:
    """Write what commands of the pages name: configurations, suites, images, masks, and finished benchmarks."""
    for name in ("benchmarks", "configs", "docs"):
        (folder / name).symlink_to(REPOSITORY / name)
    colors = Image.fromarray(data.astronaut()).crop((128, 0, 384, 256)).resize((128, 128), Image.Resampling.BOX)
    hole = np.zeros((128, 128), np.uint8)
    hole[40:80, 50:90] = 255
    for name in ("image.jpg", "scan.tif", "photos/2026/one.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        colors.save(folder / name)
    Image.fromarray(hole).save(folder / "mask.png")
    for number in range(2):
        for name, image in (("images", colors), ("masks", Image.fromarray(hole))):
            (folder / name).mkdir(exist_ok=True)
            image.crop((32 * number, 0, 32 * number + 96, 96)).save(folder / name / f"{number}.png")
    (folder / "list.csv").write_text("image,mask\nimage.jpg,mask.png\n")
    (folder / "mine.yaml").write_text(SUITE)
    (folder / "mine.py").write_text(FILL)


def run_suites(folder: Path) -> None:
    """Run the suite of `make_folder`, which several pages continue, compare and publish."""
    assert main(["benchmark", str(folder / "mine.yaml"), "--out", str(folder / "runs" / "mine"), "--gallery", "2"]) == 0
    for name in ("before", "after", "theirs", "alice", "bob"):
        shutil.copytree(folder / "runs" / "mine", folder / "runs" / name)
