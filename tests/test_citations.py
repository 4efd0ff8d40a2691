"""Citations of docs/papers: the pages and section titles exist, and no file cites documents outside the repository."""

import re
import subprocess

import pytest

from inpaint_zoo.masks import list_masks, mask_info
from tests.conftest import REPOSITORY

PAPERS = REPOSITORY / "docs" / "papers"
# a title may go on in the next line of a comment
GAP = r"(?:\s|\n\s*#\s)*"
TITLES = rf',?{GAP}(\\?"[^"]{{1,80}}"(?:(?:,|{GAP}and|{GAP}to)*{GAP}\\?"[^"]{{1,80}}")*)'
CITED = re.compile(rf"docs/papers/(\w+)\.md(?:{TITLES})?")
LINKED = re.compile(rf"\[(\w+)\.md\]\((?:docs/papers/|papers/)?\w+\.md\){TITLES}")
OWN = re.compile(r'\b[Ss]ee "([^"]+)"')


def tracked():
    """Yield the path and content of each text file in the repository."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the files of the repository are listed by git")
    for name in filter(None, listed.stdout.split("\0")):
        path = REPOSITORY / name
        if path.is_file() and not name.startswith("tests/vectors/") and name != "tests/test_citations.py":
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode("utf-8", errors="replace")


@pytest.fixture(scope="module")
def headings():
    return {
        path.stem: set(re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)) for path in PAPERS.glob("*.md")
    }


def titles(text):
    """Return the section titles of a citation, each as one line."""
    found = re.findall(r'"([^"]+)"', text.replace("\\", ""))
    return [re.sub(r"\s*\n\s*(?:#\s)?\s*|\s+", " ", title) for title in found]


def test_cited_pages_and_sections_exist(headings):
    wrong, count = [], 0
    for name, text in tracked():
        for match in [*CITED.finditer(text), *LINKED.finditer(text)]:
            count += 1
            page = match[1]
            if page not in headings:
                wrong.append(f"{name}: docs/papers/{page}.md does not exist")
                continue
            missing = [title for title in titles(match[2] or "") if title not in headings[page]]
            wrong += [f'{name}: docs/papers/{page}.md has no section "{title}"' for title in missing]
    assert not wrong
    assert count > 100


def test_pages_refer_to_their_own_sections(headings):
    for path in PAPERS.glob("*.md"):
        text = re.sub(r"\s*\n\s*", " ", path.read_text(encoding="utf-8"))
        assert [title for title in OWN.findall(text) if title not in headings[path.stem]] == [], path.name


def test_nothing_cites_files_that_do_not_ship():
    assert [name for name, text in tracked() if re.search(r"specs/\w+\.md", text)] == []


def test_sections_of_masks_are_headings(headings):
    sections = {name: mask_info(name).section for name in list_masks(ready=False)}
    assert {name: title for name, title in sections.items() if title not in headings["masks"]} == {}


def test_the_index_names_every_page():
    index = (PAPERS / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in PAPERS.glob("*.md")} - {"README.md"} == set(
        re.findall(r"^- \[(\w+\.md)\]", index, re.M)
    )
