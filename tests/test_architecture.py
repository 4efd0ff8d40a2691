"""Architecture rules: packages import only lower levels, and modules that must be fast to import stay so."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "inpaint_zoo"
LEVELS = [
    {"_version", "errors", "random"},
    {"config"},
    {"io"},
    {"ops"},
    {"interfaces"},
    {"weights"},
    {"registry"},
    {"layers"},
    {"combinators"},
    {"masks", "losses", "metrics"},
    {"data", "inference"},
    {"training"},
    {"models"},
    {"analysis"},
    {"benchmark"},
    {"cli"},
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
NETWORK_MAY_IMPORT = {
    "torch",
    "einops",
    "inpaint_zoo",
    "__future__",
    "collections",
    "itertools",
    "math",
    "typing",
    "functools",
    "cv2",
    "numpy",
}
NETWORK_LEVELS = {"errors", "interfaces", "ops", "layers", "combinators", "models"}
TORCH_FREE = [
    "inpaint_zoo",
    "inpaint_zoo.errors",
    "inpaint_zoo.random",
    "inpaint_zoo.config",
    "inpaint_zoo.io",
    "inpaint_zoo.masks",
    "inpaint_zoo.cli.main",
    "inpaint_zoo.registry",
]


def imports(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports anywhere in its code, except for type checking."""
    found = set()
    tree = ast.parse(path.read_text())
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def top(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert here in LEVEL, f"{here} stands on no level: add it to LEVELS"
    for module in imports(path):
        if module == "inpaint_zoo" or not module.startswith("inpaint_zoo."):
            continue
        there = top(module)
        assert there == here or LEVEL[there] < LEVEL[here], f"{path.relative_to(PACKAGE)} imports {module}"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("models/*/network.py")), ids=lambda path: path.parent.name)
def test_networks_read_beside_their_paper(path):
    for module in imports(path):
        root = module.split(".")[0]
        assert root in NETWORK_MAY_IMPORT, f"{path.parent.name}/network.py imports {module}"
        if root == "inpaint_zoo":
            assert top(module) in NETWORK_LEVELS
            if top(module) == "models":
                assert module.split(".")[2] == path.parent.name, "families never import each other"


@pytest.mark.parametrize("module", TORCH_FREE)
def test_import_loads_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from inpaint_zoo.cli.main import main; code = main(['--help']);"
        "sys.exit(code or any(name in sys.modules for name in ('torch', 'numpy', 'cv2', 'lightning', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_package_states_its_public_names(path):
    names = {node.targets[0].id for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)} | {
        node.target.id for node in ast.parse(path.read_text()).body if isinstance(node, ast.AnnAssign)
    }
    assert "__all__" in names or not imports(path)
