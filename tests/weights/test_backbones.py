"""Backbones are found in order, or refused in one line that helps."""

import sys
from pathlib import Path

import pytest
import torch

from inpaint_zoo.errors import UnknownNameError
from inpaint_zoo.weights import BACKBONES, WeightsNotFoundError, backbones, find_backbone


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty folder for weights, an empty hub cache, and no network."""
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "given"))
    monkeypatch.setenv("INPAINT_ZOO_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path


def test_search_order(nowhere):
    for folder in ("hub/checkpoints", "given"):  # the later, the stronger
        file = nowhere / folder / BACKBONES["vgg16"].files[0]
        file.parent.mkdir(parents=True)
        file.write_bytes(b"weights")
        assert find_backbone("vgg16") == file
    mine = nowhere / "mine.pth"
    mine.write_bytes(b"weights")
    assert find_backbone("vgg16", mine) == mine


def test_every_accepted_name_is_found(nowhere):
    (nowhere / "given").mkdir()
    file = nowhere / "given" / BACKBONES["squeezenet1_1"].files[-1]
    file.write_bytes(b"weights")
    assert find_backbone("squeezenet1_1") == file


@pytest.mark.parametrize("name", BACKBONES)
def test_missing_weights_say_which_file_goes_where(nowhere, name):
    with pytest.raises(
        WeightsNotFoundError, match=rf"put {BACKBONES[name].files[0]} from https?://.*INPAINT_ZOO_WEIGHTS"
    ):
        find_backbone(name)


def test_wrong_names_and_paths(nowhere):
    with pytest.raises(UnknownNameError, match="Unknown backbone 'vgg61'"):
        find_backbone("vgg61")
    with pytest.raises(WeightsNotFoundError, match=r"No file .*none\.pth for the backbone 'vgg16'"):
        find_backbone("vgg16", nowhere / "none.pth")


@pytest.mark.parametrize("variable", ["TORCH_HOME", "XDG_CACHE_HOME", None])
def test_the_hub_folder_is_known_without_pytorch(variable, tmp_path, monkeypatch):
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    expected = Path(torch.hub.get_dir())
    monkeypatch.delitem(sys.modules, "torch")
    assert backbones._hub_folder() == expected
