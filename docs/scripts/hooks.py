"""Hooks of MkDocs: what the site adds to the Markdown pages of docs/.

- Links to files of the repository outside docs/ lead to pages of the site that show these files. On GitHub, the same
  links lead to the files themselves.
- Lists and tables directly after a paragraph, as GitHub reads them, get the blank line that Python-Markdown needs.
- Each package with public names gets a page of the API reference.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from api_pages import API_PAGES  # noqa: E402
from math_fence import math_fence  # noqa: E402

LINK = re.compile(r"(?<!!)(\[(?:[^\]\[]|\[[^\]]*\])*\]\()((?!https?:|mailto:|#)[^)\s#]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
ITEM = re.compile(r"^(?:[-*]|\d+\.) ")
SHOWN = "repository"  # the folder of the site with files of the repository
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", ".csv": "text"}


def parts_by_fence(text: str) -> list[tuple[bool, str]]:
    """Divide a text into (is code, lines) at its fences."""
    parts: list[tuple[bool, str]] = []
    lines: list[str] = []
    closing = None
    for line in text.splitlines(keepends=True):
        fence = FENCE.match(line)
        if closing is None and fence:
            parts.append((False, "".join(lines)))
            lines, closing = [line], fence[1]
        elif closing is not None and line.strip() == closing:
            parts.append((True, "".join([*lines, line])))
            lines, closing = [], None
        else:
            lines.append(line)
    return [*parts, (closing is not None, "".join(lines))]


def with_blank_lines(text: str) -> str:
    """Return Markdown without fences, with a blank line before each list and table."""
    lines: list[str] = []
    inside = False  # a list, or a table
    for line in text.split("\n"):
        starts = bool(ITEM.match(line)) or line.startswith("| ")
        if starts and not inside and lines and lines[-1].strip():
            lines.append("")
        inside = starts or (inside and bool(line.strip()))
        lines.append(line)
    return "\n".join(lines)


def origin(src_uri: str) -> str:
    """Return the path in the repository of the file that a page shows."""
    if src_uri.startswith(f"{SHOWN}/"):
        shown = src_uri.removeprefix(f"{SHOWN}/")
        return shown if (ROOT / shown).is_file() else shown.removesuffix(".md")
    return f"docs/{src_uri}"


def page_of(path: str) -> str:
    """Return the page of the site for a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{SHOWN}/{path}" if path.endswith(".md") else f"{SHOWN}/{path}.md"


def target(src_uri: str, link: str) -> str:
    """Return the path in the repository that a link of a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin(src_uri)), link))


def linked_files(src_uri: str, text: str) -> list[str]:
    """Return the files outside docs/ that a page links to."""
    prose = "".join(part for is_code, part in parts_by_fence(text) if not is_code)
    found = [target(src_uri, link[1]) for link in LINK.findall(prose)]
    return [path for path in found if not path.startswith("docs/") and (ROOT / path).is_file()]


def content_of(path: str) -> str:
    """Return the Markdown of the page that shows a file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    if path.endswith(".ipynb"):
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
        return "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells)
    return f"# {path}\n````{LANGUAGES.get(Path(path).suffix, 'text')}\n{text}````\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Render fences of the language `math` as formulas, and add the API reference to the navigation."""
    fence = {"name": "math", "class": "formula", "format": math_fence}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    config.nav.append({"API": [f"api/{name}.md" for name in API_PAGES]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the API reference, and every file of the repository that a page links to, directly or indirectly."""
    for name, content in API_PAGES.items():
        files.append(File.generated(config, f"api/{name}.md", content=content))
    waiting = [(file.src_uri, file.content_string) for file in files.documentation_pages()]
    known = set()
    while waiting:
        src_uri, text = waiting.pop()
        for path in linked_files(src_uri, text):
            if path not in known:
                known.add(path)
                content = content_of(path)
                files.append(File.generated(config, page_of(path), content=content))
                waiting.append((page_of(path), content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links out of docs/ and set blank lines."""
    src_uri = page.file.src_uri

    def rewritten(match: re.Match[str]) -> str:
        path = page_of(target(src_uri, match[2]))
        if files.get_file_from_path(path) is None:
            return match[0]  # MkDocs warns about it
        return f"{match[1]}{posixpath.relpath(path, posixpath.dirname(src_uri) or '.')}{match[3] or ''}{match[4]}"

    parts = parts_by_fence(markdown)
    return "".join(part if is_code else LINK.sub(rewritten, with_blank_lines(part)) for is_code, part in parts)
