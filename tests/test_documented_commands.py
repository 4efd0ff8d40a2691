"""Commands in README and docs, and options in headers of configurations, are accepted by the program."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest

from inpaint_zoo.cli.main import COMMANDS, main
from inpaint_zoo.cli.train import METHODS
from tests.conftest import REPOSITORY
from tests.helpers.configs import settings_of
from tests.helpers.documents import PAGES, fences
from tests.helpers.page_commands import commands_of, inner, make_folder, run_suites
from tests.helpers.parsed import parse

TEXTS = [
    REPOSITORY / "README.md",
    *sorted(path for path in REPOSITORY.glob("docs/**/*.md") if path.name != "adding_a_model.md"),  # has its own test
    *sorted(REPOSITORY.glob("benchmarks/**/*.md")),
    *sorted(REPOSITORY.glob("inpaint_zoo/models/*/README.md")),
]
QUOTED = re.compile(r"`(?:\.venv/bin/)?inpaint-zoo ([^`]+)`|^(?:\.venv/bin/)?inpaint-zoo (.+)$", re.MULTILINE)
OPTION = re.compile(r"--[a-z][\w.]*(?:=\S+| '[^']*'| (?!--)[^\s,;:]+)?")
FAMILIES = sorted(path for path in REPOSITORY.glob("configs/*/*.yaml") if "model" in settings_of(path))
WITH_VERBS = ("data", "masks", "metrics", "models", "weights")
PARTS = [*REPOSITORY.glob("configs/data/*.yaml"), *REPOSITORY.glob("configs/trainer/*.yaml")]
BASE = REPOSITORY / "configs" / "autoencoder" / "paper.yaml"
pytestmark = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")


def commands(path):
    """Yield the quoted commands of a text as lists of arguments, except lists of alternatives with `|`."""
    for quoted, line in QUOTED.findall(path.read_text()):
        text = re.sub(r"\s+#.*", "", " ".join((quoted or line).split()))
        if text.split()[0] in COMMANDS and " | " not in text and "..." not in text:
            yield shlex.split(re.sub(r"[][]", "", text) if "[-" in text else text)


QUOTED_COMMANDS = sorted({tuple(words) for path in TEXTS for words in commands(path)})


def header_options():
    """Return the options in the comments of configurations; equal ones of a family are returned once."""
    first = {}
    for path in [*FAMILIES, *PARTS]:
        lines = [line.removeprefix("#") for line in path.read_text().splitlines() if line.startswith("#")]
        options = tuple(option.rstrip(".,;)") for option in OPTION.findall(" ".join(" ".join(lines).split())))
        if options:
            same = tuple(re.sub(r"name: \w+", "name", option) for option in options)  # of data sets
            first.setdefault((path.parent.name, same), (path, options))
    return list(first.values())


def test_there_are_commands_to_check():
    assert len(QUOTED_COMMANDS) > 40
    assert len(header_options()) > 20


def accept(words, capsys):
    """Check the arguments of `inpaint-zoo` without running it."""
    name, *rest = words
    assert name in COMMANDS
    if name in METHODS:
        if "--config" in rest:  # not a mere mention of the command
            parse(name, [word for word in rest if word != "--dry-run"])
        return
    verbs = rest[:1] if name in WITH_VERBS and rest else []
    with pytest.raises(SystemExit) as stopped:
        main([name, *verbs, "--help"])
    assert stopped.value.code == 0
    known = capsys.readouterr().out
    for option in (word.split("=")[0] for word in rest if word.startswith("--")):
        assert re.search(rf"{option}\b", known), f"inpaint-zoo {' '.join([name, *verbs])} has no {option}"
    for word in rest:
        if word.startswith(("configs/", "benchmarks/")):
            assert (REPOSITORY / word).is_file()


@pytest.mark.parametrize("words", QUOTED_COMMANDS, ids=" ".join)
def test_a_quoted_command_is_accepted(words, capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    accept(words, capsys)


@pytest.mark.parametrize(("path", "options"), header_options(), ids=lambda value: getattr(value, "stem", ""))
def test_the_options_in_a_header_are_accepted(path, options, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    words = [word for option in options for word in shlex.split(option) if option != "--config COPY"]
    if path in FAMILIES and "class_path" not in settings_of(path)["model"]:
        parse("fit", words)  # an overlay, whose header names the configuration that it follows
        return
    base = [] if path in FAMILIES else ["--config", str(BASE)]
    parse("fit", [*base, "--config", str(path), *words])


SHOWN = {page: shown for page in PAGES if page.name != "adding_a_model.md" and (shown := commands_of(page))}
ALL = [command for shown in SHOWN.values() for command in shown]
RUN = {page: run for page, shown in SHOWN.items() if (run := [command for command in shown if not command.reason])}
PROGRAMS = {"eval", "jupyter", "pip", "python3", "source", "srun", "tensorboard", "torchrun", "wandb", "ruff", "pytest"}


def test_most_commands_run():
    assert len(ALL) > 120
    assert sum(not command.reason for command in ALL) > 0.5 * len(ALL)


@pytest.mark.parametrize("command", [command for command in ALL if command.reason], ids=lambda c: " ".join(c.words))
def test_a_command_that_cannot_run_here_is_accepted(command, capsys, monkeypatch):
    """Data, weights, GPUs, clusters and servers are not there: the arguments are checked."""
    monkeypatch.chdir(REPOSITORY)
    words = inner(command.words)
    program, *rest = command.words
    if words is not None:
        accept(words, capsys)
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        assert rest[0] in targets
    elif program == "python" and rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]) is not None
    elif program == "python":
        source = (REPOSITORY / rest[0]).read_text()
        assert all(word.split("=")[0] in source for word in rest if word.startswith("--"))
    else:
        assert program.removeprefix(".venv/bin/") in PROGRAMS


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "template"
    folder.mkdir()
    make_folder(folder)
    run_suites(folder)
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*")
@pytest.mark.parametrize("page", RUN, ids=str)
def test_commands_of_a_page_run(page, template, tmp_path, monkeypatch):
    """In one folder, one after the other, with the small settings that the page's source states."""
    folder = tmp_path / "page"
    shutil.copytree(template, folder, symlinks=True)
    monkeypatch.chdir(folder)
    for command in RUN[page]:
        words = inner(command.words)
        assert words is not None, f"{page} does not say why it is not run: {' '.join(command.words)}"
        with monkeypatch.context() as patch:
            for name, value in command.environment:
                patch.setenv(name, value)
            code = main([*words, *command.further])
        assert code in (0, 3), f"{page}: {' '.join(command.words)} ended with {code}"  # 3: without what is missing here


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "families" in page.parts or page in (Path("README.md"), Path("docs/quickstart.md"))],
    ids=str,
)
def test_python_of_a_page_runs(page, template, tmp_path, monkeypatch):
    folder = tmp_path / "page"
    shutil.copytree(template, folder, symlinks=True)
    monkeypatch.chdir(folder)
    for fence in fences(page):
        if fence.language == "python":
            exec(compile(fence.content, str(page), "exec"), {})
