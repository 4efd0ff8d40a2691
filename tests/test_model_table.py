"""The recorded table of models: it is what the networks say, and models are found without importing the networks."""

import json
import subprocess
import sys

import inpaint_zoo as iz
from inpaint_zoo import discovery, model_table, registry
from inpaint_zoo.analysis.model_table import model_table_content
from inpaint_zoo.registry import recorded as from_table


def test_the_table_is_up_to_date():
    written = json.loads(model_table.TABLE.read_text("utf-8"))
    computed = json.loads(json.dumps(model_table_content()))
    for part in ("models", "combinators", "files"):
        differing = [
            name for name in computed[part] | written[part] if computed[part].get(name) != written[part].get(name)
        ]
        assert not differing, f"run: python -m inpaint_zoo.analysis.model_table  ({', '.join(differing)})"


def test_recorded_models_equal_registered_ones():
    discovery.discover()
    recorded = from_table.recorded_models()
    ours = {name: entry for name, entry in registry.MODELS.items() if entry.build.__module__.startswith("inpaint_zoo.")}
    assert recorded.keys() == ours.keys()
    for name, entry in ours.items():
        same = recorded[name]
        assert same._replace(build=None) == entry._replace(build=None)
        assert (same.defaults, same.family, same.description) == (entry.defaults, entry.family, entry.description)
    combinators = from_table.recorded_combinators()
    for name, combinator in registry.COMBINATORS.items():
        same = combinators[name]
        assert (same.defaults, same.description) == (combinator.defaults, combinator.description)
        assert same.learned == combinator.learned


def test_a_recorded_builder_builds_the_network():
    """The entries that stand for networks which are not imported yet."""
    net = from_table.recorded_models()["telea"].build(radius=7)
    assert isinstance(net, iz.InpaintingNetwork)
    assert net.radius == 7
    around = from_table.recorded_combinators()["progressive"].combine(net, max_iterations=3)
    assert (around.network, around.max_iterations) == (net, 3)


def test_models_are_looked_up_without_pytorch():
    code = """
import sys
import inpaint_zoo as iz
from inpaint_zoo import registry
assert len(iz.list_models()) > 30 and "telea" in iz.list_models(ready=True)
assert iz.model_info("progressive:isnet_tiny", threshold=0.3).options["threshold"] == 0.3
assert iz.model_info("isnet").parameters == 24_774_307
for call in (lambda: iz.model_info("isnett"), lambda: iz.model_info("telea", radios=3)):
    try:
        call()
    except iz.UnknownNameError:
        pass
    else:
        raise AssertionError
assert "torch" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_table_of_other_files_is_not_used(monkeypatch, tmp_path):
    content = json.loads(model_table.TABLE.read_text("utf-8"))
    content["files"]["models/added/__init__.py"] = "0"
    table = tmp_path / "table.json"
    table.write_text(json.dumps(content))
    monkeypatch.setattr(model_table, "TABLE", table)
    model_table.read_table.cache_clear()
    try:
        assert not model_table.read_table().is_current
        monkeypatch.setattr(from_table, "MODELS", {})
        monkeypatch.setattr(from_table, "COMBINATORS", {})
        assert not from_table.table_suffices()
    finally:
        model_table.read_table.cache_clear()
    monkeypatch.setattr(model_table, "TABLE", model_table.PACKAGE / "models" / "table.json")
    assert from_table.table_suffices()
