"""The pages of the documentation: their links, headings and fences."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parent.parent.parent
PLACES = (
    "*.md",
    "docs/*.md",
    "docs/*/*.md",
    "benchmarks/*.md",
    "inpaint_zoo/models/*/*.md",
    "notebooks/*.md",
    "tests/vectors/*.md",
)
PAGES = sorted(path.relative_to(REPOSITORY) for place in PLACES for path in REPOSITORY.glob(place))
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```+)([^\n`]*)\n(.*?)^\1 *$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- ([^>]*?) -->\n\Z")


class Fence(NamedTuple):
    """A fenced block: its language, its content, and the comment on the line before it."""

    language: str
    content: str
    mark: str


@cache
def text_of(page: Path) -> str:
    """Return the content of a page."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


def fences(page: Path) -> list[Fence]:
    """Return the fenced blocks of a page."""
    text = text_of(page)
    found = []
    for match in FENCE.finditer(text):
        mark = MARK.search(text[: match.start()])
        found.append(Fence(match[2].strip(), match[3], mark[1] if mark else ""))
    return found


def prose(page: Path) -> str:
    """Return a page without its fenced blocks and inline code."""
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text_of(page)))


def links(page: Path) -> list[str]:
    """Return the targets of the links and images of a page."""
    return LINK.findall(prose(page))


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
