"""Folders of the Hugging Face hub's layout, uploads without a network, and torch.hub."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
import yaml

import inpaint_zoo as iz
from inpaint_zoo.errors import ZooError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def net():
    torch.manual_seed(0)
    return iz.create_model("glcic_tiny", difference=True)


def equal(a, b):
    return all(torch.equal(value, b.state_dict()[key]) for key, value in a.state_dict().items())


def test_a_folder_holds_weights_configuration_and_card(tmp_path, net):
    folder = iz.save_pretrained(net, tmp_path / "mine", licence="Apache-2.0", training={"steps": 7})
    loaded = iz.from_pretrained(folder)
    assert equal(loaded, net)
    assert loaded.origin == net.origin
    assert json.loads((folder / "config.json").read_text())["options"] == {"difference": True}
    _, metadata, text = (folder / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(metadata)["license"] == "apache-2.0"
    assert 'iz.from_pretrained("mine")' in text
    assert "- steps: 7" in text
    assert "692,470" in text


def test_a_folder_without_weights_and_a_wrong_name_are_named(tmp_path):
    with pytest.raises(ZooError, match=r"has no model\.safetensors: expected a folder that save_pretrained"):
        iz.from_pretrained(tmp_path)
    with pytest.raises(ZooError, match="it is no name on the Hugging Face hub"):
        iz.from_pretrained("no/such/folder")
    with pytest.raises(ZooError, match=r"of 'nobody/nothing' cannot be loaded from the Hugging Face hub"):
        iz.from_pretrained("nobody/nothing", local_files_only=True, cache_dir=tmp_path)


def test_an_upload_contains_the_folder(monkeypatch, net):
    """The hub itself is replaced; it records what it gets."""
    from huggingface_hub import HfApi

    got = {}

    def create_repo(self, repo, **options):
        got["repo"] = (repo, options)

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        got["files"] = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
        return f"https://huggingface.co/{repo_id}/commit/1"

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    assert iz.push_to_hub(net, "me/glcic", private=True) == "https://huggingface.co/me/glcic/commit/1"
    assert got["repo"] == ("me/glcic", {"private": True, "exist_ok": True})
    assert set(got["files"]) == {"model.safetensors", "config.json", "README.md"}
    assert b'from_pretrained("me/glcic")' in got["files"]["README.md"]


def test_nothing_is_requested_from_the_hub_offline(monkeypatch, tmp_path):
    from huggingface_hub.utils import get_session

    monkeypatch.setenv("INPAINT_ZOO_OFFLINE", "1")
    monkeypatch.setattr(type(get_session()), "send", lambda *args, **kwargs: pytest.fail("a request was sent"))
    with pytest.raises(ZooError, match=r"No folder me/glcic, and model.safetensors of 'me/glcic' cannot be loaded"):
        iz.from_pretrained("me/glcic", cache_dir=tmp_path)


def test_a_file_in_place_of_a_folder_is_an_error(net, tmp_path):
    path = iz.save_weights(net, tmp_path / "net.safetensors")
    with pytest.raises(ZooError, match="is a file: give its folder"):
        iz.from_pretrained(path)


def test_an_upload_without_a_connection_is_an_error_of_one_line(monkeypatch, net):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ZooError, match=r"\AThe network cannot be uploaded to 'me/glcic' on the Hugging Face hub: .+\Z"):
        iz.push_to_hub(net, "me/glcic", token="hf_none")


def test_a_missing_package_is_named(monkeypatch, net):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ZooError, match=r"pip install 'inpaint-zoo\[hub\]'"):
        iz.push_to_hub(net, "me/glcic")


def test_torch_hub_loads_every_model_by_name(tmp_path, net):
    spec = importlib.util.spec_from_file_location("hubconf_of_the_repository", ROOT / "hubconf.py")
    hubconf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hubconf)
    assert set(dir(hubconf)) - {"dependencies"} == set(iz.list_models())
    assert "Small GLaMa" in hubconf.glama_tiny.__doc__
    shipped = torch.hub.load(str(ROOT), "glama_tiny", source="local")
    assert equal(shipped, iz.create_model("glama_tiny", weights="shipped"))
    path = iz.save_weights(net, tmp_path / "net.safetensors")
    assert equal(torch.hub.load(str(ROOT), "glcic_tiny", source="local", weights=str(path)), net)
    assert torch.hub.load(str(ROOT), "lama", source="local", weights="random").origin.name == "lama"
    with pytest.raises(RuntimeError, match="Cannot find callable lamma"):
        torch.hub.load(str(ROOT), "lamma", source="local")
