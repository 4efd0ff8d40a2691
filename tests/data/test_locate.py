"""Registered data sets on disk: where they are looked for, their splits, and errors for what is missing or wrong."""

import pickle
import warnings

import numpy as np
import pytest

from inpaint_zoo.data import (
    DatasetFolder,
    DatasetLayoutError,
    DatasetNotFoundError,
    DatasetWarning,
    InpaintingDataModule,
    create_dataset,
    dataset_info,
)
from inpaint_zoo.data.entries import list_files
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.io.images import write_image

SPLITS = ("train", "val", "test")


def touch(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def chase(folder, count=28):
    """Write the images of CHASE_DB1 as empty files, and vessel maps beside them."""
    touch(folder / "vessels", [f"Image_{n:02d}_1stHO.png" for n in range(28)])
    return touch(folder / "images", [f"Image_{n:02d}.jpg" for n in range(count)]).parent


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("INPAINT_ZOO_DATA", raising=False)


def files(split, **more):
    return list(list_files({"name": "chase", "split": split, **more}).values())


def test_a_split_is_found_below_root_and_in_the_data_folder(tmp_path, monkeypatch):
    stated, known = chase(tmp_path / "stated"), chase(tmp_path / "all" / "chase_db1")
    expected = {split: files(split, root=str(stated)) for split in SPLITS}
    assert {split: len(found) for split, found in expected.items()} == {"train": 18, "val": 10, "test": 10}
    assert not set(expected["train"]) & set(expected["test"])
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path / "all"))
    assert files("test") == [known / path.relative_to(stated) for path in expected["test"]]
    assert files("test", root=str(stated)) == expected["test"]
    monkeypatch.chdir(tmp_path)
    assert files("test", root="stated") == [path.relative_to(tmp_path) for path in expected["test"]]
    # a relative path is looked for in INPAINT_ZOO_DATA first
    inner = chase(tmp_path / "all" / "stated")
    assert files("test", root="stated") == [inner / path.relative_to(stated) for path in expected["test"]]
    assert [path.resolve() for path in files("test", root="./stated")] == expected["test"]


def test_suites_and_the_data_module_follow_one_rule(tmp_path, monkeypatch):
    chase(tmp_path / "all" / "chase_db1")
    touch(tmp_path / "all" / "mine" / "good", ["1.png", "2.png"])
    touch(tmp_path / "work" / "beside", ["3.png"])
    specs = [
        {"name": "chase", "split": "test"},
        {"name": "chase", "root": "images", "select": {"holdout": 10, "part": "train"}},
        {"name": "chase", "root": "chase_db1/vessels"},
        {"name": "mine"},
        {"name": "mine", "root": "mine/good"},
        {"name": "mine", "root": "beside"},
        {"name": "both", "parts": [{"name": "chase", "split": "test"}, {"name": "mine"}]},
    ]
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path / "all"))
    monkeypatch.chdir(tmp_path / "work")
    for spec, count in zip(specs, (10, 18, 28, 2, 2, 1, 12), strict=True):
        found = create_dataset(spec).files
        assert len(found) == count
        assert InpaintingDataModule(test=spec, size=16).files("test") == found
    # --data.root is the folder of the data set, and of the parts of a joined one
    below = InpaintingDataModule(test=specs[0], val=specs[1], size=16, root=str(tmp_path / "all" / "chase_db1"))
    assert below.files("test") == create_dataset(specs[0]).files
    assert below.files("val") == create_dataset(specs[1]).files
    monkeypatch.delenv("INPAINT_ZOO_DATA")
    monkeypatch.chdir(tmp_path)
    joined = InpaintingDataModule(test=specs[-1], size=16, root="all")
    assert list(joined.files("test")) == [f"chase/{stem}" for stem in below.files("test")] + [
        "mine/good/1",
        "mine/good/2",
    ]


def test_rules_are_applied_to_the_images_of_a_split(tmp_path):
    root = chase(tmp_path)
    few = files("train", root=str(root), select={"few_shot": [5, 1]})
    assert len(few) == 5
    assert set(few) < set(files("train", root=str(root)))
    # without a split, everything is as for other names
    assert len(list_files({"name": "chase", "root": str(root / "images")})) == 28
    assert len(list_files({"name": "chase", "root": str(root / "images"), "select": {"first": 3}})) == 3


def test_class_lists_and_labels_of_places(tmp_path):
    """Twenty categories: those of val_large are given by the official lists beside the folders."""
    classes = [*dataset_info("places2_20").splits["test"].select["classes"], "a/alley"]
    names = [f"Places365_val_{n:08d}.jpg" for n in range(42)]
    touch(tmp_path / "val_large", names)
    (tmp_path / "places365_val.txt").write_text("".join(f"{name} {n % 21}\n" for n, name in enumerate(names)))
    (tmp_path / "categories_places365.txt").write_text("".join(f"/{name} {n}\n" for n, name in enumerate(classes)))
    with pytest.warns(DatasetWarning, match=r"val_large has 42 images, but 'places2_20' has 36,500"):
        found = list_files({"name": "places2_20", "split": "test", "root": str(tmp_path)})
    assert [path.name for path in found.values()] == [name for n, name in enumerate(names) if n % 21 != 20]
    (tmp_path / "places365_val.txt").unlink()
    with pytest.raises(DatasetLayoutError, match=r"the test images cannot be selected: .*places365_val\.txt: no such"):
        list_files({"name": "places2_20", "split": "test", "root": str(tmp_path)})


def test_a_data_set_that_is_absent(tmp_path, monkeypatch):
    with pytest.raises(DatasetNotFoundError) as caught:
        create_dataset({"name": "celeba_hq", "split": "test"})
    assert (caught.value.name, caught.value.place) == ("celeba_hq", "$INPAINT_ZOO_DATA/celeba_hq")
    assert "INPAINT_ZOO_DATA is not set" in str(caught.value)
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path))
    for more in ({"split": "test"}, {"select": {"first": 3}}, {}):
        with pytest.raises(DatasetNotFoundError) as caught:
            create_dataset({"name": "celeba_hq_grig", **more})
        assert (caught.value.name, caught.value.place) == ("celeba_hq_grig", str(tmp_path / "celeba_hq"))
    for text in (
        f"{tmp_path / 'celeba_hq'}: no such folder",
        "30,000 images",
        "https://github.com/tkarras/progressive_growing_of_gans",
        "`--data.root DIR` for fit",
        "`--data celeba_hq_grig=DIR` for benchmark",
    ):
        assert text in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.name, copy.place) == (str(caught.value), caught.value.name, caught.value.place)
    with pytest.raises(DatasetNotFoundError, match="exists neither in") as caught:
        create_dataset({"name": "places2", "root": "data_large"})
    assert caught.value.place == str(tmp_path / "places2" / "data_large")
    with pytest.raises(DatasetNotFoundError, match="no such folder"):
        create_dataset({"name": "places2", "root": str(tmp_path / "data_large")})
    with pytest.raises(ZooError, match=r"dataset 'mine': pictures exists neither in .* nor in the working") as caught:
        create_dataset({"name": "mine", "root": "pictures"})
    assert not isinstance(caught.value, DatasetNotFoundError)


def test_a_folder_of_another_layout(tmp_path):
    touch(tmp_path / "images", ["1.png"])
    touch(tmp_path, ["readme.txt"])
    with pytest.raises(DatasetLayoutError) as caught:
        create_dataset({"name": "paris_streetview", "split": "test", "root": str(tmp_path)})
    assert (caught.value.name, caught.value.place) == ("paris_streetview", str(tmp_path))
    for text in ("it has no folder paris_eval_gt", "Found: images, readme.txt.", "paris_eval_gt/*.png (100 images)"):
        assert text in str(caught.value)
    few = r"it has 1 of 28 images in images, and the train images cannot be selected: .*1 to 0 of 1"
    with pytest.raises(DatasetLayoutError, match=few):
        create_dataset({"name": "chase", "split": "train", "root": str(tmp_path)})
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DatasetLayoutError, match="contains no images"):
        create_dataset({"name": "chase", "split": "train", "root": str(tmp_path)})


def test_another_number_of_images_is_told(tmp_path):
    root = chase(tmp_path, count=27)
    with pytest.warns(DatasetWarning, match=r"images has 27 images, but 'chase' has 28, so its test split differs"):
        assert len(files("test", root=str(root))) == 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert DatasetFolder(dataset_info("wikiart"), chase(tmp_path / "art")).doubt("test") is None  # no fixed number


def test_splits_that_a_data_set_does_not_have(tmp_path):
    write_image(tmp_path / "kodim01.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UnknownNameError, match="split of 'kodak18': 'train'"):
        create_dataset({"name": "kodak18", "split": "train", "root": str(tmp_path)})
    with pytest.raises(UnknownNameError, match="split of the sample images: 'val'"):
        create_dataset({"name": "sample", "split": "val"})
