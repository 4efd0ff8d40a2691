"""configs/data and configs/augment: every file gives the paper's numbers of images and can be built."""

import functools
from pathlib import Path

import numpy as np
import pytest
import yaml

from inpaint_zoo.data import DatasetNotFoundError, DatasetWarning, InpaintingDataModule, dataset_info
from inpaint_zoo.data.sampling import Draw
from inpaint_zoo.data.splits import select
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image

CONFIGS = Path(__file__).parent.parent.parent / "configs"
DATA, AUGMENT = (sorted((CONFIGS / part).glob("*.yaml")) for part in ("data", "augment"))
IMAGE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)


def settings(path):
    content = yaml.safe_load(path.read_text())
    # if the validation set is the test set, nothing is selected on it
    assert content.pop("checkpoints", {"monitor": None}) == {"monitor": None}
    assert list(content) == ["data"]
    assert content["data"]["class_path"] == "inpaint_zoo.data.InpaintingDataModule"
    return content["data"]["init_args"]


@functools.cache
def stems(count, classes=0):
    names = (f"{n:06d}" for n in range(count))
    if not classes:
        return dict.fromkeys(names)
    return dict.fromkeys(f"class{n % classes:03d}/{name}" for n, name in enumerate(names))


# images of the whole dataset (in so many classes), then expected numbers of train, val, test: a part of the papers'
# training images is held out for validation
NUMBERS = {
    "animals90": (stems, (5400, 90), (4860, 90, 450)),
    "celeba": (stems, (202_599,), (162_770, 500, 19_962)),
    "celeba_hq": (stems, (30_000,), (26_800, 200, 3000)),
    "celeba_hq_grig": (stems, (30_000,), (27_800, 200, 2000)),
    "chase": (stems, (28,), (18, 10, 10)),
    "ffhq": (stems, (70_000,), (59_500, 500, 10_000)),
    "ffhq_grig": (stems, (70_000,), (59_500, 500, 10_000)),
    "imagenet": (stems, (60_000, 1000), (50_000, 500, 2000)),
    "wikiart": (stems, (20_000, 27), (17_500, 500, 2000)),
}
FOLDERS = {
    "places2": ("data_large/a/airfield", "val_large"),
    "paris_streetview": ("paris_train_original", "paris_eval_gt"),
    "train_test_folders": ("train", "test"),
}


def rule(name, split):
    """Return the rule of a split, which a configuration of configs/data states by the data set's name."""
    assert settings(CONFIGS / "data" / f"{name}.yaml")[split] == {"name": name, "split": split}
    return dataset_info(name).splits[split]


def test_no_file_is_forgotten():
    assert {path.stem for path in DATA} == {*NUMBERS, *FOLDERS, "sample", "tiny"}


@pytest.mark.parametrize("name", NUMBERS)
def test_rules_give_the_papers_numbers(name):
    make, arguments, expected = NUMBERS[name]
    files = make(*arguments)
    parts = {}
    for split in ("train", "val", "test"):
        parts[split] = set(select(files, rule(name, split).select))
    assert tuple(len(part) for part in parts.values()) == expected
    stated = tuple(rule(name, split).images for split in parts)
    assert stated == ((None, *expected[1:]) if name == "wikiart" else expected)
    if name != "imagenet":  # its training images are in another folder
        assert not parts["train"] & parts["test"]
        assert not parts["train"] & parts["val"]
    if name == "chase":
        assert parts["val"] == parts["test"]
    else:
        assert not parts["val"] & parts["test"]


def test_ffhq_is_split_by_number_and_at_random():
    """GLaMa and others use the first 60,000 by number; GRIG used 60,000 random ones."""
    for name, is_random in (("ffhq", False), ("ffhq_grig", True)):
        test = [int(stem) for stem in select(stems(70_000), rule(name, "test").select)]
        assert (test == list(range(60_000, 70_000))) != is_random
        if is_random:  # a hypergeometric count: about a seventh of the last 10,000
            assert abs(sum(n >= 60_000 for n in test) - 10_000 / 7) < 5 * (10_000 / 7 * 6 / 7 * 6 / 7) ** 0.5


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.filterwarnings(f"ignore::{DatasetWarning.__module__}.DatasetWarning")
def test_folders_are_found_below_the_root(name, tmp_path, monkeypatch):
    counts = {"places2": (503, 3), "paris_streetview": (103, 3), "train_test_folders": (3, 3)}[name]
    for folder, count in zip(FOLDERS[name], counts, strict=True):
        write_image(tmp_path / folder / "0.png", IMAGE)
        for n in range(1, count):
            (tmp_path / folder / f"{n}.png").touch()
    data = InpaintingDataModule(**settings(CONFIGS / "data" / f"{name}.yaml"), root=str(tmp_path), size=32, workers=0)
    held_out = counts[0] - 3
    for split, count in (("train", 3), ("val", held_out or 3), ("test", 3)):
        assert len(data.images(split)) == count
    assert data.images("test").load(0).shape == (32, 32, 3)
    monkeypatch.delenv("INPAINT_ZOO_DATA", raising=False)
    without = InpaintingDataModule(**settings(CONFIGS / "data" / f"{name}.yaml"), size=32)
    with pytest.raises(ZooError, match="no such folder"):
        without.images("train")


def test_the_root_is_asked_for(monkeypatch):
    monkeypatch.delenv("INPAINT_ZOO_DATA", raising=False)
    data = InpaintingDataModule(**settings(CONFIGS / "data" / "animals90.yaml"), size=32)
    with pytest.raises(DatasetNotFoundError, match=r"`--data.root DIR` for fit"):
        data.images("train")


def test_the_root_leaves_alone_what_lies_elsewhere(tmp_path):
    write_image(tmp_path / "a" / "1.png", IMAGE)
    far = {"name": "far", "shards": "https://example.org/x-{0..1}.tar"}
    data = InpaintingDataModule(
        train={"name": "near", "root": str(tmp_path / "a")},
        val=far,
        test={"name": "sample"},
        root=str(tmp_path),
        size=[16, 24],
        eval_crop="grid",
    )
    assert data.specs["train"]["root"] == str(tmp_path / "a")
    assert data.specs["val"] == {**far, "size": [16, 24], "crop": "grid"}
    assert data.images("test").crop == "grid"
    assert "root" not in data.specs["test"]


@pytest.mark.parametrize("path", AUGMENT, ids=lambda path: path.stem)
def test_augmentations_make_samples(path):
    given = settings(path)
    assert set(given) <= {"size", "eval_crop", "eval_batch_size", "augment"}
    size = given["size"]
    assert size == (512 if path.stem == "aot_gan" else 256)
    data = InpaintingDataModule(
        train={"name": "sample", "split": "train"}, val={"name": "sample"}, masks="half", workers=0, **given
    )
    samples = data.train_samples()
    first = samples[Draw(0, 0)]["image"]
    assert first.shape == (3, size, size)
    assert ((samples[Draw(1, 0)]["image"] - first).any()) == (
        path.stem not in ("glcic_ca", "lama_celeba", "glama_ffhq")
    )
    whole = path.stem.startswith("glama")  # evaluated at original size
    assert given.get("eval_batch_size") == (1 if whole else None)
    for item in (0, 2):  # of 512 x 512 and 640 x 427 pixels
        original = (512, 512) if item == 0 else (427, 640)
        assert data.images("val").load(item).shape == (*(original if whole else (size, size)), 3)


MASKS = [path for path in sorted((CONFIGS / "masks").glob("*.yaml")) if "root:" not in path.read_text()]


@pytest.mark.parametrize("path", MASKS, ids=lambda path: path.stem)
def test_masks_of_the_papers_go_with_the_datamodule(path):
    data = InpaintingDataModule(train={"name": "sample", "size": 256}, masks=str(path), workers=0)
    assert data.train_samples()[Draw(3, 0)]["mask"].shape == (1, 256, 256)
