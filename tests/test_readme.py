"""README.md and docs/models.md agree with the program."""

import re

from inpaint_zoo._version import __version__
from inpaint_zoo.cli.main import main
from tests.conftest import REPOSITORY

MODELS = (REPOSITORY / "docs" / "models.md").read_text()


def test_the_table_of_models_is_the_generated_one(capsys):
    assert main(["models", "list", "--markdown"]) == 0
    table = MODELS.split("<!-- models -->")[1].split("<!-- /models -->")[0]
    assert table.strip() == capsys.readouterr().out.strip()


def test_the_version_is_the_same_everywhere():
    for file, pattern in (
        ("README.md", r"Version ([\d.]+)\}"),
        ("CITATION.cff", r"^version: (.+)$"),
        ("CHANGELOG.md", r"^## \[(\d[\d.]*)\]"),
    ):
        found = re.search(pattern, (REPOSITORY / file).read_text("utf-8"), re.MULTILINE)
        assert found is not None, file
        assert found[1] == __version__, file
