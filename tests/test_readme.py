"""README.md and docs/models.md agree with the program."""

import re

import pytest

from inpaint_zoo._version import __version__
from inpaint_zoo.cli.main import main
from tests.conftest import REPOSITORY

MODELS = (REPOSITORY / "docs" / "models.md").read_text()


def test_the_table_of_models_is_the_generated_one(capsys):
    assert main(["models", "list", "--markdown"]) == 0
    table = MODELS.split("<!-- models -->")[1].split("<!-- /models -->")[0]
    assert table.strip() == capsys.readouterr().out.strip()


PAGES = sorted(
    path.relative_to(REPOSITORY)
    for place in (".", "docs", "docs/papers", "benchmarks", "inpaint_zoo/models/*", "tests/vectors")
    for path in REPOSITORY.glob(f"{place}/*.md")
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_linked_files_exist(page):
    text = (REPOSITORY / page).read_text()
    for link in re.findall(r"\]\(((?!https?:|#)[^)#\s]+)", text):
        assert (REPOSITORY / page).parent.joinpath(link).exists(), f"{page} links to {link}"


def test_the_version_is_the_same_everywhere():
    for file, pattern in (
        ("README.md", r"Version ([\d.]+)\}"),
        ("CITATION.cff", r"^version: (.+)$"),
        ("CHANGELOG.md", r"^## \[(\d[\d.]*)\]"),
    ):
        found = re.search(pattern, (REPOSITORY / file).read_text("utf-8"), re.MULTILINE)
        assert found is not None, file
        assert found[1] == __version__, file
