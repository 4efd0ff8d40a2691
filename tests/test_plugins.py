"""Models of other installed distributions, found by the entry-point group `inpaint_zoo.models`."""

import importlib
import sys

import pytest

import inpaint_zoo as iz
from inpaint_zoo import discovery, registry
from inpaint_zoo.benchmark import Options, run_suite
from inpaint_zoo.benchmark.methods import Task
from inpaint_zoo.cli.main import main
from tests.helpers.suites import methods_of, small_suite

MODULE = """
import inpaint_zoo as iz

class Gray(iz.InpaintingNetwork):
    def predict(self, image, mask):
        return {"prediction": image * 0 + 0.5}

@iz.register_model(source="tests", learned=False)
def theirs_gray():
    "Fills the hole with gray."
    return Gray()
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that installs a distribution with one module; all of them are removed after the test."""
    modules = []
    discovery.discover()  # our own models are registered before
    before = set(registry.MODELS)
    site = tmp_path / "site"
    site.mkdir()

    def install(name, code, version="1.2"):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[inpaint_zoo.models]\n{name} = {name}_models\n")
        (site / f"{name}_models.py").write_text(code)
        modules.append(f"{name}_models")
        importlib.invalidate_caches()
        discovery.discover.cache_clear()

    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(discovery, "_broken", {})
    yield install
    for name in modules:
        sys.modules.pop(name, None)
    for name in set(registry.MODELS) - before:
        del registry.MODELS[name]
    discovery.discover.cache_clear()


def test_an_installed_model_is_used_like_our_own(installed, tmp_path, capsys):
    installed("theirs", MODULE)
    assert "theirs_gray" in iz.list_models()
    assert iz.model_info("theirs_gray").plugin == "theirs 1.2"
    assert iz.model_info("telea").plugin is None
    suite = small_suite(tmp_path, methods=["theirs_gray", {"shipped": "*_gray"}, "progressive:theirs_gray"])
    assert [method.label for method in suite.methods] == ["theirs_gray", "progressive:theirs_gray"]
    for method in methods_of(suite):
        assert method.identity(Task("images", "center", ()))["plugin"] == "theirs 1.2"
    outcome = run_suite(suite, tmp_path / "out", Options(workers=1, device="cpu", only=["theirs_gray"]))
    assert (outcome.computed, outcome.failed) == (2, ())
    assert main(["models", "show", "theirs_gray"]) == 0
    assert "theirs 1.2" in capsys.readouterr().out


def test_a_broken_plugin_is_named_and_the_others_work(installed):
    installed("broken", "import no_such_package\n")
    installed("twice", MODULE.replace("def theirs_gray", "def telea"))
    installed("theirs", MODULE)
    with pytest.warns(discovery.BrokenPluginWarning) as caught:
        names = iz.list_models()
    texts = sorted(str(each.message) for each in caught)
    assert len(texts) == 2
    assert "plugin 'broken' (broken_models) of broken 1.2 are not available: ModuleNotFoundError" in texts[0]
    assert "The model name 'telea' is already registered. Repair" in texts[1]
    assert {"theirs_gray", "telea", "lama"} <= set(names)
    with pytest.raises(
        iz.ZooError, match=r"Unknown model 'theirs'.*The plugin 'broken' \(broken_models\) of broken 1\.2"
    ):
        iz.create_model("theirs")
    assert len(discovery.broken_plugins()) == 2


def test_a_model_that_cannot_be_built_is_left_out_of_lists(installed):
    installed("theirs", MODULE.replace("return Gray()", "return Gray().to('no such device')"))
    with pytest.warns(discovery.BrokenPluginWarning, match="'theirs_gray' of the plugin theirs 1.2 cannot be built"):
        names = [info.name for info in registry.model_infos("t*")]
    assert "telea" in names
    assert "theirs_gray" not in names
