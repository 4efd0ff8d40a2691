"""The weights in the package: their quality on held-out images, and their cards."""

import functools

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.cli.ship import MAX_BYTES
from inpaint_zoo.data import create_dataset
from inpaint_zoo.masks import create_generator
from inpaint_zoo.weights import load_weights
from inpaint_zoo.weights.files import SHIPPED_FOLDER

LEARNED = [name for name in iz.list_models("*_tiny") if (SHIPPED_FOLDER / f"{name}.safetensors").is_file()]
COMMON = [  # trained by configs/tiny
    n
    for n in LEARNED
    if load_weights(SHIPPED_FOLDER / f"{n}.safetensors").training["config"].startswith("configs/tiny/")
]
MASKS = ["lama_thick_256", "lgnet_train"]


@functools.cache
def held_out(mask):
    """Return every sixth 256 px crop of the sample's test images, different ones for each mask, and masks."""
    files = create_dataset({"name": "sample", "size": 256, "crop": "grid"})
    holes = create_generator(mask, seed=2026, stream="test")
    chosen = range(3 * MASKS.index(mask), len(files), 6)
    images = torch.stack([torch.from_numpy(files.load(k)).permute(2, 0, 1) / 255 for k in chosen])
    return images, torch.stack([torch.from_numpy(holes(k, (256, 256)))[None].float() for k in chosen])


@functools.cache
def psnr(name, mask):
    images, masks = held_out(mask)
    with torch.no_grad():
        result = iz.create_model(name, weights="shipped" if name in LEARNED else None)(images, masks)
    return -10 * (result - images).square().mean((1, 2, 3)).log10().mean().item()


def test_all_are_trained_by_the_common_recipe():
    assert COMMON == LEARNED == [name for name in iz.list_models("*_tiny") if iz.model_info(name).learned]


@pytest.mark.parametrize("name", COMMON)
def test_it_is_better_than_the_mean_color_and_not_far_from_telea(name):
    for mask in MASKS:
        assert psnr(name, mask) > psnr("mean_fill", mask) + 0.5, mask
        assert psnr(name, mask) > psnr("telea", mask) - 1.5, mask


@pytest.mark.parametrize("name", COMMON)
def test_its_card_states_data_terms_and_budget(name):
    file = SHIPPED_FOLDER / f"{name}.safetensors"
    assert file.stat().st_size <= MAX_BYTES
    card = (SHIPPED_FOLDER / f"{name}.md").read_text()
    for part in (
        "for non-commercial research and education",
        " steps in ",
        "neighbor_fill",
        "| telea |",
        "| step | val/",
    ):
        assert part in card
