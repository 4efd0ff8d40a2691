"""Write the generated tables of docs/families: models, configurations and suites.

A page marks a table by `<!-- generated: models isnet isnet_* -->` ... `<!-- /generated -->`; the other kinds are
`configurations FOLDER` and `suites FOLDER`. Run it from the root of the repository after a change of a model, a
configuration or a suite: python docs/scripts/generated.py
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import inpaint_zoo as iz

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "families").glob("*.md"))
BLOCK = re.compile(r"(<!-- generated: (\w+) ([^>]+?) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def table(*rows: tuple[str, ...]) -> str:
    """Return rows as a Markdown table; the first one is the head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---:" if cell == "parameters" else "---" for cell in rows[0]) + " |")
    return "\n".join(lines) + "\n"


def header(path: Path) -> str:
    """Return the first sentence of the first paragraph at the top of a YAML file."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or line.strip() == "#":
            break
        lines.append(line.lstrip("# "))
    text = " ".join(lines)
    return re.split(r"(?<=[^.\s]{2}[.])\s(?=[A-Z])", text, maxsplit=1)[0].removesuffix(".")


def models(*patterns: str) -> str:
    """Return the table of models whose names match the patterns, in the order of the patterns."""
    names = dict.fromkeys(name for pattern in patterns for name in iz.list_models(pattern))
    rows = []
    for name in names:
        info = iz.model_info(name)
        weights = "in the package" if info.weights else "train or convert them" if info.learned else "none needed"
        rows.append((f"`{name}`", info.description, weights, f"{info.parameters:,}"))
    return table(("model", "what it does", "weights", "parameters"), *rows)


def configurations(*folders: str) -> str:
    """Return the table of configurations in folders of configs/."""
    rows = []
    for path in (path for folder in folders for path in sorted((ROOT / "configs" / folder).glob("*.yaml"))):
        name = path.relative_to(ROOT / "configs").with_suffix("").as_posix()
        rows.append((f"[`{name}`](../../configs/{name}.yaml)", header(path)))
    return table(("configuration", "what it is"), *rows)


def suites(*folders: str) -> str:
    """Return the table of suites in folders of benchmarks/."""
    rows = []
    for path in (path for folder in folders for path in sorted((ROOT / "benchmarks" / folder).glob("*.yaml"))):
        name = path.relative_to(ROOT).as_posix()
        suite = yaml.safe_load(path.read_text(encoding="utf-8"))
        rows.append((f"[`{name}`](../../{name})", str(suite.get("title") or header(path))))
    return table(("suite", "what it computes"), *rows)


def written(text: str) -> str:
    """Return a page with its tables as they are now."""
    kinds = {"models": models, "configurations": configurations, "suites": suites}
    return BLOCK.sub(lambda match: match[1] + kinds[match[2]](*match[3].split()) + match[4], text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
