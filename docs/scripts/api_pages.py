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


def imported(module: str) -> dict[str, str]:
    """Return the modules from which a package imports names, by name."""
    path = PACKAGE.parent.joinpath(*module.split("."), "__init__.py")
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else ()
    found = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: str(node.module) for node in found for alias in node.names}


def hidden(module: str, name: str) -> str:
    """Return the full name of a function or class that has the name of its module, else an empty text.

    `inpaint_zoo.inference.inpaint` is both a module and the function that the package imports from it. mkdocstrings
    documents the module under this name, so such functions need a directive of their own.
    """
    source = imported(module).get(name, "")
    nested = imported(source).get(name, "") if source else ""
    return next((f"{path}.{name}" for path in (source, nested) if path.endswith(f".{name}")), "")


def anchor(name: str) -> str:
    """Return the anchor of a name on the first page."""
    return hidden("inpaint_zoo", name) or f"inpaint_zoo.{name}"


def shown(module: str, names: list[str], skipped: set[str]) -> str:
    """Return the directives that document the public names of a module."""
    wanted = [name for name in names if name not in skipped and name not in {"convert", "fused"}]
    alone = {name: path for name in wanted if (path := hidden(module, name))}
    members = [name for name in wanted if name not in alone]
    parts = [f"::: {module}\n    options:\n      members: {members}"]
    parts += [f"::: {path}\n    options: {{heading_level: 3, show_root_full_path: false}}" for path in alone.values()]
    return "\n\n".join(parts)


def elsewhere(modules: dict[str, list[str]], root: list[str]) -> str:
    """Return a sentence with links to the names of modules that the first page documents; empty if there are none."""
    names = sorted({name for found in modules.values() for name in found} & set(root))
    links = ", ".join(f"[`{name}`](index.md#{anchor(name)})" for name in names)
    return f"The page of `inpaint_zoo` documents {links}.\n\n" if names else ""


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
            pages[path.stem] = f"# inpaint_zoo.{path.stem}\n{elsewhere(modules, root)}{body}\n"
    return pages


API_PAGES = all_pages()
