"""docs/adding_a_model.md: its example is added to a copy of the repository, and its commands are run there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
TEXT = (REPOSITORY / "docs" / "adding_a_model.md").read_text()
FILES = re.findall(r"^\*\*\d\..*?\*\*, `([^`]+)`.*?^```(?:python|yaml)\n(.*?)^```$", TEXT, flags=re.M | re.S)
COMMANDS = re.search(r"^\*\*6\. Try it\.\*\*\n```bash\n(.*?)^```$", TEXT, flags=re.M | re.S).group(1).splitlines()


def test_the_example_has_all_its_files_and_commands():
    names = [Path(name).name for name, _ in FILES]
    assert names == ["network.py", "__init__.py", "module.py", "sample.yaml", "test_tiny_fill.py"]
    assert [command.split()[:2] for command in COMMANDS[:2]] == [["inpaint-zoo", "models"], ["inpaint-zoo", "fit"]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    place = tmp_path_factory.mktemp("copy")
    shutil.copytree(REPOSITORY / "inpaint_zoo", place / "inpaint_zoo")  # with the compiled files, which save time
    shutil.copytree(REPOSITORY / "tests", place / "tests", ignore=shutil.ignore_patterns("vectors"))
    shutil.copy(REPOSITORY / "pyproject.toml", place)
    for name, content in FILES:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    return place


@pytest.mark.slow
def test_the_example_passes_lint(copy):
    written = [name for name, _ in FILES if name.endswith(".py")]
    for verb in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *verb, *written]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


# all in one process: each start of Python with torch takes seconds
RUN = """
import shlex, sys
from inpaint_zoo.cli.main import main
for command in sys.argv[1:]:
    program, *words = shlex.split(command)
    if program == "inpaint-zoo":
        code = main(words)
    else:
        assert (program, *words[:2]) == ("python", "-m", "pytest"), command
        import pytest
        code = pytest.main(words[2:])
    assert code == 0, command
"""


@pytest.mark.slow
def test_the_commands_run(copy):
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", RUN, *COMMANDS]
    done = subprocess.run(words, cwd=copy, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
