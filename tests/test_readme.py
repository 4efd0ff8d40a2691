"""Statements of the README agree with the program."""

import re

from inpaint_zoo.cli.main import main
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_the_table_of_models_is_the_generated_one(capsys):
    assert main(["models", "list", "--markdown"]) == 0
    table = README.split("<!-- models -->")[1].split("<!-- /models -->")[0]
    assert table.strip() == capsys.readouterr().out.strip()


def test_its_files_exist():
    for link in re.findall(r"\]\(((?!https?:)[^)#]+)", README):
        assert (REPOSITORY / link).exists(), f"README links to {link}"
