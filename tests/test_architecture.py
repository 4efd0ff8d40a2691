"""Architecture rules: packages import only lower levels and never in a circle, and what imports no PyTorch.

`tests/cli/test_imports.py` checks what each command imports.
"""

import ast
import functools
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "inpaint_zoo"
LEVELS = [
    {"_version", "discovery", "errors", "interruption", "lazy", "model_table", "random"},
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
    {"demo", "export", "hub"},
    {"cli"},
    {"__main__"},
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
TORCH_FREE = (
    *("inpaint_zoo", "inpaint_zoo.errors", "inpaint_zoo.random", "inpaint_zoo.config", "inpaint_zoo.io"),
    *("inpaint_zoo.masks", "inpaint_zoo.cli.main", "inpaint_zoo.registry", "inpaint_zoo.data", "inpaint_zoo.metrics"),
    *("inpaint_zoo.benchmark.listing", "inpaint_zoo.benchmark.report"),
)


MODULES = {
    ".".join(("inpaint_zoo", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
NAMES = {path: name for name, path in MODULES.items()}
# modules that import what others name: the root package's list, and what users write in suites and configurations
IMPORT_WHAT_THEY_ARE_GIVEN = {
    *("discovery.py", "lazy.py", "benchmark/methods/function.py", "cli/train_errors.py", "training/hyperparameters.py"),
}


@functools.cache  # three tests ask for each file
def imports(path: Path, code: str | None = None) -> set[str]:
    """Return the full names of all modules that a file imports, also in functions, for types, and by their names.

    Args:
        path: The file.
        code: Its content, if it is not that of the file.
    """
    tree = ast.parse(path.read_text() if code is None else code)
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    # a package's own name is no arrow: `PackageLoader(package, ...)` finds its files
    found = {name for name in strings & MODULES.keys() if not NAMES[path].startswith(name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES.keys() or {node.module}
            found |= {node.module} if names - MODULES.keys() else set()
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"importlib.import_module", "import_module"}:
            found |= imported_by_name(path, node.args[0], strings)
    return found


def imported_by_name(path: Path, name: ast.expr, strings: set[str]) -> set[str]:
    """Return the modules that a call of `import_module` may import.

    For a name such as f"inpaint_zoo.cli.{table[key]}", these are all modules whose names can be put together from the
    strings in the file. A package that imports f"{__name__}.{child}" may import all of its children.
    """
    if isinstance(name, ast.Constant):
        return {name.value}
    start = name.values[0] if isinstance(name, ast.JoinedStr) else None
    if isinstance(start, ast.Constant):
        return {start.value + string for string in strings} & MODULES.keys()
    if isinstance(start, ast.FormattedValue) and ast.unparse(start.value) == "__name__":
        return {module for module in MODULES if module.rpartition(".")[0] == NAMES[path]}
    where = path.relative_to(PACKAGE).as_posix()
    assert where in IMPORT_WHAT_THEY_ARE_GIVEN, f"{where}: import_module of a name that this test cannot follow"
    return set()


def top(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert here in LEVEL, f"{here} stands on no level: add it to LEVELS"
    for module in imports(path):
        assert module != "inpaint_zoo", f"{path.relative_to(PACKAGE)} imports the root package, which imports all"
        if not module.startswith("inpaint_zoo."):
            continue
        there = top(module)
        assert there == here or LEVEL[there] < LEVEL[here], f"{path.relative_to(PACKAGE)} imports {module}"


def test_no_import_circle():
    arrows = {(NAMES[path], module) for path in MODULES.values() for module in imports(path) & MODULES.keys()}
    graph = {module: set() for module in MODULES}
    for module, other in arrows:
        if module != other:
            graph[module].add(other)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the modules of a circle


@pytest.mark.parametrize(
    ("path", "code", "module"),
    [
        ("registry/lookup.py", "import importlib\nimportlib.import_module('inpaint_zoo.models')", "inpaint_zoo.models"),
        (
            "registry/lookup.py",
            "from importlib import import_module\nimport_module('inpaint_zoo.cli')",
            "inpaint_zoo.cli",
        ),
        ("registry/lookup.py", "PROVIDERS = ['inpaint_zoo.models']", "inpaint_zoo.models"),
        (
            "registry/lookup.py",
            "H = {'m': 'models'}\nimportlib.import_module(f'inpaint_zoo.{H[0]}')",
            "inpaint_zoo.models",
        ),
        ("registry/lookup.py", "def f():\n    from inpaint_zoo import models", "inpaint_zoo.models"),
        (
            "registry/lookup.py",
            "if TYPE_CHECKING:\n    from inpaint_zoo.models.glama import lama",
            "inpaint_zoo.models.glama",
        ),
        ("models/__init__.py", "importlib.import_module(f'{__name__}.{family.name}')", "inpaint_zoo.models.glama"),
        ("registry/lookup.py", "from inpaint_zoo import create_model", "inpaint_zoo"),
    ],
)
def test_every_way_to_import_is_an_arrow(path, code, module):
    assert module in imports(PACKAGE / path, code)


def test_a_name_that_cannot_be_followed_is_refused():
    with pytest.raises(AssertionError, match=r"registry/lookup.py: import_module of a name"):
        imports(PACKAGE / "registry/lookup.py", "importlib.import_module(name)")


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("models/*/network.py")), ids=lambda path: path.parent.name)
def test_networks_read_beside_their_paper(path):
    for module in imports(path):
        root = module.split(".")[0]
        assert root in NETWORK_MAY_IMPORT, f"{path.parent.name}/network.py imports {module}"
        if root == "inpaint_zoo":
            assert top(module) in NETWORK_LEVELS
            if top(module) == "models":
                assert module.split(".")[2] == path.parent.name, "families never import each other"
                assert module.split(".")[3] != "fused", "inference forms import the network, not the reverse"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_operators_are_called_in_one_module(path):
    private = "torch.ops.mkldnn" in path.read_text() or "_mkldnn_enabled" in path.read_text()
    assert private == (path == PACKAGE / "inference" / "fusion" / "onednn.py")


def test_imports_that_load_no_torch():
    code = (
        "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules:\n        sys.exit(f'the import of {name} loads torch')"
    )
    assert subprocess.run([sys.executable, "-c", code, *TORCH_FREE], check=False).returncode == 0


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_package_states_its_public_names(path):
    names = {node.targets[0].id for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)} | {
        node.target.id for node in ast.parse(path.read_text()).body if isinstance(node, ast.AnnAssign)
    }
    assert "__all__" in names or not imports(path)
