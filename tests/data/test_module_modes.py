"""Inputs that the data module gives to networks: input modes, flips shared with the mask; invalid settings."""

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.data.sampling import Draw
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks import create_generator
from inpaint_zoo.ops import composite
from inpaint_zoo.ops.mosaic import hole_ns, mosaic


def data_module(**more):
    spec = {"name": "sample", "split": "train", "size": 48}
    options = {"train": spec, "masks": "half", "batch_size": 5, "workers": 0, **more}
    return InpaintingDataModule(**options)


def batch(data):
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


def test_the_hole_is_left_to_the_networks_unless_asked_otherwise():
    found = batch(data_module())
    assert set(found) == {"image", "mask", "index", "name"}
    assert found["image"].dtype == found["mask"].dtype == torch.float32
    assert found["image"].shape == (5, 3, 48, 48)
    assert found["mask"].shape == (5, 1, 48, 48)
    assert 0 <= float(found["image"].min()) < float(found["image"].max()) <= 1
    assert set(found["mask"].unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_mosaic_shows_blocks_in_the_hole(interpolation):
    found = batch(data_module(input_mode="mosaic", mosaic_unit=6, mosaic_interpolation=interpolation))
    expected = mosaic(found["image"], found["mask"], 6, interpolation)
    assert torch.equal(found["hole_fill"], expected)
    assert not torch.equal(found["hole_fill"], found["image"])


@pytest.mark.parametrize("workers", [0, 2])
def test_hole_ns_is_filled_by_those_who_load(workers):
    data = data_module(input_mode="hole_ns", workers=workers)
    raw = next(iter(data.train_dataloader()))
    assert raw["hole_fill"].dtype == torch.uint8
    found = data.on_after_batch_transfer(raw, 0)
    expected = hole_ns(found["image"], found["mask"])
    assert torch.allclose(found["hole_fill"], expected, atol=1e-6)
    assert torch.equal(
        composite(found["image"], found["hole_fill"], found["mask"]), found["image"]
    )  # known pixels are unchanged


def test_the_ground_truth_never_shows_in_what_is_filled():
    data = data_module(input_mode="hole_ns", masks={"name": "center", "size": 48, "limits": {"min_known": 0}})
    assert float(batch(data)["hole_fill"].abs().max()) == 0


def test_evaluation_has_the_input_too():
    data = data_module(val={"name": "sample", "size": 48}, input_mode="hole_ns")
    found = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
    assert found["hole_fill"].shape == (4, 3, 48, 48)


def test_an_evaluation_that_comes_again_has_the_same_fillings():
    """Fillings are equal, cached or computed again, before and after the padding of the ranks."""
    spec = {"name": "sample", "split": "test", "size": 48}
    draws = [Draw(4, -1), *(Draw(item, item) for item in range(4)), Draw(4, -1)]
    samples = data_module(test=spec, input_mode="hole_ns").eval_samples("test")
    rounds = [[samples[draw]["hole_fill"] for draw in draws] for _ in range(2)]
    anew = [data_module(test=spec, input_mode="hole_ns").eval_samples("test")[draw]["hole_fill"] for draw in draws]
    for again in (*rounds[1:], anew):
        assert all(torch.equal(a, b) for a, b in zip(rounds[0], again, strict=True))
    assert not torch.equal(anew[1], anew[2])


def test_whole_images_of_different_sizes_are_evaluated():
    """Images keep their sizes, with batch size 1, and each mask is that of the generator for this size."""
    options = {"size": 48, "eval_crop": "none", "eval_masks": "general_mask_by_size", "eval_batch_size": 1}
    data = data_module(val={"name": "sample"}, test={"name": "sample", "size": 32, "crop": "grid"}, **options)
    batches = [data.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    sizes = [tuple(batch["image"].shape) for batch in batches]
    assert sizes == [(1, 3, *size) for size in ((512, 512), (300, 451), (427, 640), (1411, 1411))]
    generator = create_generator("general_mask_by_size", seed=0, stream="val")
    for index, batch in enumerate(batches):
        assert torch.equal(batch["mask"][0, 0], torch.from_numpy(generator(index, sizes[index][2:])).float())
        assert torch.equal(batch["image"][0], whole_image(data.images("val"), index))
    assert data.images("test").load(0).shape == (32, 32, 3)  # a dataset with its own crop keeps it
    assert data.train_samples()[Draw(0, 0)]["image"].shape == (3, 48, 48)
    with pytest.raises(ZooError, match="the val set keeps every size, so `eval_batch_size` must be 1"):
        data_module(val={"name": "sample"}, size=48, eval_crop="none").val_dataloader()


def whole_image(images, index):
    with Image.open(images.files[images.keys[index]]) as file:
        return torch.from_numpy(np.asarray(file.convert("RGB")).copy()).permute(2, 0, 1).float() / 255


def test_a_shared_flip_turns_the_mask_with_the_image():
    def samples(with_mask):
        data = data_module(augment=[{"op": "hflip", "with_mask": with_mask}])
        return data.train_samples()

    own, shared = samples(False), samples(True)
    turned = 0
    for position in range(20):
        draw = Draw(position, 0)
        a, b = own[draw], shared[draw]
        assert torch.equal(a["image"], b["image"])
        flipped = not torch.equal(a["mask"], b["mask"])
        assert torch.equal(b["mask"], a["mask"].flip(2) if flipped else a["mask"])
        turned += flipped
    assert 3 < turned < 17


def test_a_step_that_cuts_takes_the_place_of_the_crop():
    data = data_module(augment=[{"op": "random_resized_crop", "scale": [0.5, 1]}, "hflip"])
    assert [step.op for step in data.augmentation().steps] == ["random_resized_crop", "hflip"]
    assert [step.op for step in data_module().augmentation().steps] == ["random_crop", "hflip"]
    spec = {"name": "sample", "split": "train", "size": 48, "crop": "resize"}
    assert [step.op for step in data_module(train=spec, augment=[]).augmentation().steps] == ["squash"]
    with pytest.raises(ZooError, match="`crop: resize` and a step of `augment` both crop"):
        data_module(train=spec, augment=["random_crop"]).train_samples()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_mode": "mosaik"}, "Unknown `input_mode`: 'mosaik'. Did you mean 'mosaic'"),
        ({"mosaic_unit": 0}, "`mosaic_unit` must be at least 1, got 0"),
        ({"augment": ["hflop"]}, "Unknown step of `augment`: 'hflop'"),
        ({"train": {"name": "sample"}}, r"the training set needs a `size`: N or \[H, W\], got None"),
        ({"train": {"name": "sample", "size": 8, "crop": "grid"}}, "crop of the training set: 'grid'"),
        ({"train": {"name": "sample", "size": 48, "select": {"frist": 3}}}, "Unknown key of `select`: 'frist'"),
        (
            {"masks": {"name": "expand", "mode": "exterior", "args": {"size": 24}}},
            "are larger than the samples of 48 x 48",
        ),
    ],
)
def test_wrong_settings_are_answered_with_the_way_out(settings, message):
    with pytest.raises(ZooError, match=message):
        data_module(**settings).train_samples()
