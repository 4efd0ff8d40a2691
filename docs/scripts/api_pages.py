"""The pages of the API reference: one for each package or module of inpaint_zoo with public names (`__all__`)."""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = ["API_PAGES"]

PACKAGE = Path(__file__).parents[2] / "inpaint_zoo"
INTERNAL = {"cli", "demo", "discovery", "lazy", "model_table", "__main__", "_version"}  # how the program works inside


def public_names(path: Path) -> list[str]:
    """Return the `__all__` of a module, without the names with underscores."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return [name for name in ast.literal_eval(node.value) if not name.startswith("_")]
    return []


def modules_of(path: Path) -> dict[str, list[str]]:
    """Return the public names of a module, or of a package and its packages, by the module's full name."""
    if path.is_file():
        files = [path]
    else:
        # the training module of a family is no name of its package, because it imports Lightning
        files = [path / "__init__.py", *sorted(path.glob("*/__init__.py")), *sorted(path.glob("*/module.py"))]
    found = {}
    for file in files:
        relative = file.relative_to(PACKAGE.parent).with_suffix("")
        name = ".".join(relative.parts).removesuffix(".__init__")
        names = public_names(file)
        if names:
            found[name] = names
    return found


def shown(module: str, names: list[str], skipped: set[str]) -> str:
    """Return the directive that documents the public names of a module."""
    members = [name for name in names if name not in skipped and name not in {"convert", "fused"}]
    lines = [f"::: {module}", "    options:", f"      members: {members}"]
    return "\n".join(lines)


def all_pages() -> dict[str, str]:
    """Return the Markdown of each page by its name."""
    root = public_names(PACKAGE / "__init__.py")
    pages = {"index": "# API reference\n" + shown("inpaint_zoo", root, set()) + "\n"}
    for path in sorted(PACKAGE.iterdir()):
        if path.stem in INTERNAL or path.stem.startswith("__") or not (path.suffix == ".py" or path.is_dir()):
            continue
        modules = modules_of(path)
        if modules:
            skipped = set(root)  # they are on the first page
            body = "\n\n".join(shown(name, names, skipped) for name, names in sorted(modules.items()))
            pages[path.stem] = f"# inpaint_zoo.{path.stem}\n{body}\n"
    return pages


API_PAGES = all_pages()
