"""Pipelines of diffusers as methods: a tiny one with random weights, built here."""

import json
import warnings

import numpy as np
import pytest
import torch

from inpaint_zoo.benchmark import Options, run_suite
from inpaint_zoo.benchmark.methods import MethodInput, Task
from inpaint_zoo.errors import ZooError
from tests.helpers.suites import make_image, methods_of, results_bytes, small_suite

for package in ("diffusers", "transformers"):
    pytest.importorskip(package, reason="needs the extra 'diffusers'; `make test-diffusers` installs it")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]

ONE = Options(workers=1, device="cpu")
TASK = Task("images", "center", ("a",))
WORDS = ["<|startoftext|>", "<|endoftext|>", "a", "a</w>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a pipeline like Stable Diffusion's, with few channels."""
    with warnings.catch_warnings(action="ignore"):
        from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

        place = tmp_path_factory.mktemp("pipeline")
        (place / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(WORDS)}))
        (place / "merges.txt").write_text("#version: 0.2\n")
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            block_out_channels=(8, 16),
            layers_per_block=1,
            sample_size=8,
            in_channels=9,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=8,
            attention_head_dim=4,
            norm_num_groups=4,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=4,
        )
        text = CLIPTextConfig(
            vocab_size=len(WORDS),
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
        pipeline = StableDiffusionInpaintPipeline(
            vae=vae,
            text_encoder=CLIPTextModel(text),
            tokenizer=CLIPTokenizer(str(place / "vocab.json"), str(place / "merges.txt"), model_max_length=77),
            unet=unet,
            scheduler=DDIMScheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.save_pretrained(place / "tiny")
    return place / "tiny"


def item(key="a", size=(64, 64)):
    mask = np.zeros(size, dtype=bool)
    mask[20:40, 16:44] = True
    return MethodInput(key, np.where(mask[..., None], np.uint8(0), make_image(0, size)), mask)


def started(tmp_path, folder, **entry):
    entry = {"steps": 2, "guidance": 1.0, **entry, "diffusers": str(folder), "label": "Tiny"}
    method = methods_of(small_suite(tmp_path, methods=[entry]))[0]
    method.start(TASK, torch.device("cpu"), "fp32")
    return method


def test_results_depend_on_the_seed_and_the_image_but_not_on_the_order(tmp_path, folder, capfd):
    method = started(tmp_path, folder)
    assert capfd.readouterr().err == ""
    first = method.fill([item("a"), item("b")])
    again = method.fill([item("b"), item("a")])
    np.testing.assert_array_equal(first[0].unrounded, again[1].unrounded)
    np.testing.assert_array_equal(first[1].unrounded, again[0].unrounded)
    assert (first[0].image != first[1].image).any()
    np.testing.assert_array_equal(first[0].image[~item().mask], item().image[~item().mask])
    other = started(tmp_path, folder, seed=5)
    assert (other.fill([item("a")])[0].image != first[0].image).any()
    assert other.identity(TASK) != method.identity(TASK)
    assert method.notes() == []


def test_sizes_that_the_pipeline_does_not_take_are_padded_or_resized(tmp_path, folder):
    assert started(tmp_path, folder).fill([item(size=(60, 70))])[0].image.shape == (60, 70, 3)
    resized = started(tmp_path, folder, convention={"size": 32, "hole_value": "neighbor_fill"})
    assert resized.fill([item(size=(60, 70))])[0].image.shape == (60, 70, 3)


def test_a_suite_with_a_pipeline(tmp_path, folder):
    entry = {"diffusers": str(folder), "steps": 2, "guidance": 1.0, "strength": 0.9, "label": "Tiny"}
    suite = small_suite(tmp_path, methods=[entry], masks=[{"name": "center", "size": 24}])
    for out in ("one", "two"):
        assert run_suite(suite, tmp_path / out, ONE).failed == ()
    assert results_bytes(tmp_path / "one") == results_bytes(tmp_path / "two")


def test_folders_that_are_no_inpainting_pipeline_are_named(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooError, match=r"'Tiny': the folder empty has no model_index\.json"):
        started(tmp_path, tmp_path / "empty")
    (tmp_path / "empty" / "model_index.json").write_text('{"_class_name": "NoSuchPipeline"}')
    with pytest.raises(ZooError, match="'Tiny': the pipeline in empty cannot be loaded for inpainting: "):
        started(tmp_path, tmp_path / "empty")
