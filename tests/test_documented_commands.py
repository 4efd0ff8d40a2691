"""Commands in README and docs, and options in headers of configurations, are accepted by the program."""

import re
import shlex

import pytest

from inpaint_zoo.cli.main import COMMANDS, main
from inpaint_zoo.cli.train import METHODS
from tests.conftest import REPOSITORY
from tests.helpers.configs import settings_of
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


@pytest.mark.parametrize("words", QUOTED_COMMANDS, ids=" ".join)
def test_a_quoted_command_is_accepted(words, capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
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


@pytest.mark.parametrize(("path", "options"), header_options(), ids=lambda value: getattr(value, "stem", ""))
def test_the_options_in_a_header_are_accepted(path, options, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    words = [word for option in options for word in shlex.split(option) if option != "--config COPY"]
    if path in FAMILIES and "class_path" not in settings_of(path)["model"]:
        parse("fit", words)  # an overlay, whose header names the configuration that it follows
        return
    base = [] if path in FAMILIES else ["--config", str(BASE)]
    parse("fit", [*base, "--config", str(path), *words])
