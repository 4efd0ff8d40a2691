"""Check that the built documentation site loads nothing from other hosts: python .ci/site.py build/site."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
STYLE_URL = re.compile(r"(?:url\(|@import\s+)\s*['\"]?((?:https?:)?//[^'\")\s]+)")


class Loaded(HTMLParser):
    """Collects the addresses of other hosts from which a page loads something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the address of one tag."""
        address = dict(attrs).get(LOADS.get(tag, "")) or ""
        if re.match(r"(?:https?:)?//", address):
            self.found.append(address)


def foreign(site: Path) -> list[str]:
    """Return the pages and style sheets that load from other hosts, with the addresses."""
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            page = Loaded()
            page.feed(path.read_text(encoding="utf-8"))
            addresses = page.found
        elif path.suffix == ".css":
            addresses = STYLE_URL.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        found += [f"{path.relative_to(site)}: {address}" for address in addresses]
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    wrong = foreign(folder)
    print(f"{len(list(folder.rglob('*.html')))} pages in {folder}", *wrong, sep="\n")
    sys.exit(bool(wrong))
