"""The notebooks: their form, that they use the public API only, and that they run (with the extra `notebooks`)."""

import ast
import importlib
import json

import pytest

import inpaint_zoo as iz
from tests.conftest import REPOSITORY

NOTEBOOKS = sorted(REPOSITORY.glob("notebooks/*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


def source(path):
    """Return the code of all cells. They hold plain Python, without commands of IPython."""
    return "\n\n".join("".join(cell["source"]) for cell in cells(path, "code"))


def test_the_notebooks_are_numbered():
    assert [int(path.stem.split("_")[0]) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1))
    assert len(NOTEBOOKS) >= 7


@each_notebook
def test_outputs_are_stripped(path):
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"], cell["metadata"]) == ([], None, {}), cell["id"]


@each_notebook
def test_it_opens_with_what_the_reader_will_be_able_to_do(path):
    first = json.loads(path.read_text("utf-8"))["cells"][0]
    text = "".join(first["source"])
    assert first["cell_type"] == "markdown"
    assert text.startswith("# ")
    assert "**After this notebook you can**" in text


@each_notebook
def test_it_uses_the_public_api_only(path):
    """Names come from the root package or from a subpackage that lists them in `__all__`."""
    found = set()
    for node in ast.walk(ast.parse(source(path))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "inpaint_zoo":
            package = importlib.import_module(node.module)
            assert hasattr(package, "__path__"), f"{node.module} is a module of a package, not a package"
            for alias in node.names:
                assert alias.name in package.__all__, f"{alias.name} is not public in {node.module}"
                found.add(alias.name)
        elif isinstance(node, ast.Import):
            assert all(alias.name == "inpaint_zoo" or "inpaint_zoo." not in alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert not private, f"{node.attr} is private"
            if isinstance(node.value, ast.Name) and node.value.id == "iz":
                assert node.attr in iz.__all__, f"iz.{node.attr} is not public"
                found.add(node.attr)
    assert found


@each_notebook
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's packages
def test_it_runs_and_ends_with_an_image(path, tmp_path, monkeypatch):
    """Run each notebook in a process of its own, as a reader does, in an empty folder."""
    nbformat = pytest.importorskip("nbformat", reason="`make notebooks` installs the extra `notebooks`")
    client = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY), prepend=":")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))  # the kernel of this interpreter, not of another
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    work = tmp_path / "work"
    work.mkdir()
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(work)}}
    client.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    *_, last = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert any("image/png" in output.get("data", {}) for output in last.outputs)
    assert not [
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
    assert not list(work.iterdir())
