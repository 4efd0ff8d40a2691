"""Unreadable images: replaced in training, left out of evaluation, reported and counted; the run continues."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.data.sampling import Draw
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image
from inpaint_zoo.masks import MaskWarning
from tests.helpers.odd_files import BASE


@pytest.fixture
def folder(tmp_path):
    """Write eight images, of which 2, 3 and 7 are broken in three ways; each pixel value is the image's number."""
    for n in range(8):
        write_image(tmp_path / f"{n}.png", np.full_like(BASE, n))
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:60])
    (tmp_path / "7.png").unlink()
    (tmp_path / "7.png").symlink_to(tmp_path / "nowhere.png")
    return tmp_path


def data_module(folder, **more):
    spec = {"name": "mine", "root": str(folder), "size": 16}
    options = {"masks": {"name": "center", "size": 8}, "batch_size": 4, "workers": 0, **more}
    return InpaintingDataModule(train=spec, val=spec, test=spec, **options)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_readable_image_takes_the_place(folder, workers):
    data = data_module(folder, workers=workers)
    loader = data.train_dataloader()
    drawn = [loader.stream.draw(position).item for position in range(8)]
    with pytest.warns(UserWarning, match="another takes its place in training") as told:
        batches = [data.on_after_batch_transfer(batch, 0) for batch in loader]
    stand_in = {2: 4, 3: 4, 7: 0}
    expected = [stand_in.get(item, item) for item in drawn]
    assert torch.cat([batch["index"] for batch in batches]).tolist() == expected
    assert [name for batch in batches for name in batch["name"]] == [str(item) for item in expected]
    values = torch.cat([batch["image"][:, 0, 0, 0] for batch in batches]) * 255
    assert values.round().tolist() == expected
    assert data.replaced == {"2": 1, "3": 2, "7": 1}  # 3 is also tried as a replacement of 2
    # Python 3.12 also warns of the fork of a loading process
    texts = [str(warning.message) for warning in told if warning.category is UserWarning]
    assert len(texts) == 3  # one warning for each image, not for each attempt
    assert any("2.png: is empty (0 bytes) (another takes its place" in text for text in texts)
    assert any("7.png: no such file" in text for text in texts)
    with pytest.warns(UserWarning, match=r"^3 image\(s\) could not be read, 4 time\(s\) in total$"):
        data.teardown("fit")


def test_mask_and_augmentation_stay_those_of_the_position(folder):
    samples = data_module(folder, masks={"name": "ca_box", "mask_shape": [8, 8], "max_delta": [4, 4]}).train_samples()
    bad, good = samples[Draw(90, 3)], samples[Draw(90, 4)]
    assert torch.equal(bad["mask"], good["mask"])
    assert torch.equal(bad["image"], good["image"])
    assert [entry.key for entry in bad["replaced"]] == ["3"]


def test_evaluation_leaves_out_what_cannot_be_read(folder):
    data = data_module(folder)
    with pytest.warns(UserWarning, match="metrics leave it out"):
        batches = [data.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    indices = torch.cat([batch["index"] for batch in batches]).tolist()
    assert indices == [0, 1, -1, -1, 4, 5, 6, -1]
    assert data.replaced == {"2": 1, "3": 1, "7": 1}
    assert set(batches[0]) == {"image", "mask", "index", "name"}


def test_a_folder_that_is_gone_ends_the_run_with_one_line(tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.png").write_bytes(b"nonsense")
    samples = data_module(tmp_path).train_samples()
    with pytest.raises(ZooError, match=r"^3 images in a row cannot be read; the first: .*1\.png: is not a PNG"):
        samples[Draw(0, 1)]


def test_many_bad_files_are_counted_without_a_flood(tmp_path):
    for n in range(60):
        write_image(tmp_path / f"{n}.png", BASE)
        if n % 2:
            (tmp_path / f"{n}.png").write_bytes(b"")
    data = data_module(tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for batch in data.train_dataloader():
            data.on_after_batch_transfer(batch, 0)
    assert len(data.replaced) == 30
    assert len(told) == 20
    assert "further ones are only counted" in str(told[-1].message)


def test_check_finds_them_beforehand(folder):
    problems = data_module(folder, workers=2).check()
    assert sorted({problem.key for problem in problems}) == ["2", "3", "7"]


def bank(folder, *masks):
    folder.mkdir()
    for number, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / f"{number}.png")
    return {"name": "files", "root": str(folder)}


HOLE = np.zeros((24, 32), np.uint8)
HOLE[4:12, 4:12] = 255


def write_images(folder, count):
    for n in range(count):
        write_image(folder / f"{n}.png", np.full_like(BASE, n))
    return folder


def test_mask_files_that_look_wrong_are_told_before_the_first_batch(tmp_path):
    folder = write_images(tmp_path / "in", 4)
    data = data_module(folder, masks=bank(tmp_path / "inverted", 255 - HOLE, 255 - HOLE))
    for samples in (data.train_samples, lambda: data.eval_samples("val")):
        with pytest.warns(
            MaskWarning, match=r"^2 mask files look wrong \(more than 60 % hole\), e\.g\. .*0\.png: 91\.7 %"
        ):
            samples()
    data = data_module(folder, masks=bank(tmp_path / "ones", HOLE // 255))
    with pytest.raises(ZooError, match=r"none of 1 files .*0\.png: the mask holds only 0 and 1"):
        data.train_samples()
    with pytest.raises(ZooError, match=r"0\.png: is used both as image and as mask"):
        data_module(folder, masks={"name": "files", "root": str(folder)}).train_samples()


def test_evaluation_leaves_out_images_without_a_mask(tmp_path):
    folder = write_images(tmp_path / "in", 4)
    data = data_module(folder, masks=bank(tmp_path / "bank", HOLE, HOLE * 0))
    with pytest.warns(MaskWarning, match=r"a mask file looks wrong \(empty\)"):
        loader = data.val_dataloader()
    with pytest.warns(UserWarning, match=r"size 16 x 16: no mask .* read .*bank/1\.png: the mask is empty"):
        batches = [data.on_after_batch_transfer(batch, 0) for batch in loader]
    assert torch.cat([batch["index"] for batch in batches]).tolist() == [0, -1, 2, -1]
    assert data.replaced == {"1": 1, "3": 1}


def test_evaluation_leaves_out_images_that_networks_do_not_take(tmp_path):
    folder = write_images(tmp_path / "in", 2)
    write_image(folder / "0_small.png", BASE[:8, :10])
    spec = {"name": "mine", "root": str(folder)}
    data = InpaintingDataModule(val=spec, masks={"name": "center", "size": 4}, eval_batch_size=1, workers=0)
    with pytest.warns(UserWarning, match=r"0_small\.png: is 10 x 8; networks need at least 16 px"):
        batches = [data.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    assert [int(batch["index"]) for batch in batches] == [0, -1, 2]


def test_training_passes_over_images_that_cannot_be_cut(tmp_path):
    folder = write_images(tmp_path / "in", 3)
    write_image(
        folder / "1.png", np.tile(BASE[:1, :1], (1, 60_000, 1))
    )  # covering 64 px would exceed the maximum number of pixels
    spec = {"name": "mine", "root": str(folder), "size": 64}
    samples = InpaintingDataModule(train=spec, masks={"name": "center", "size": 32}, workers=0).train_samples()
    sample = samples[Draw(5, 1)]
    assert sample["index"] == 2
    ((key, reason),) = sample["replaced"]
    assert key == "1"
    assert reason.startswith(f"{folder / '1.png'}: 60000 x 1 would have to be enlarged")
