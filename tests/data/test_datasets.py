"""Datasets: the sample images, folders with any content, identity, and errors of invalid entries."""

import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.data import create_dataset
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.io.images import ImageError, write_image
from tests.helpers.odd_files import BASE, write_bad, write_odd


@pytest.fixture
def folder(tmp_path):
    """Write two images, one of them in a sub-folder."""
    root = tmp_path / "images"
    write_image(root / "a" / "img10.png", BASE)
    write_image(root / "img2.png", np.flipud(BASE))
    return root


def test_sample_splits_share_nothing():
    splits = {split: create_dataset({"name": "sample", "split": split}) for split in ("test", "train", "all")}
    assert splits["test"].keys == ["astronaut", "chelsea", "rocket", "retina"]
    assert {"motorcycle_left", "motorcycle_right"} <= set(splits["train"].keys)
    assert not set(splits["test"].keys) & set(splits["train"].keys)
    assert set(splits["all"].keys) == set(splits["test"].keys) | set(splits["train"].keys)
    assert create_dataset({"name": "sample"}).keys == splits["test"].keys
    assert splits["all"].check(2) == []
    assert splits["all"].notes == {}


@pytest.mark.parametrize("crop", ["center", "resize", "random"])
def test_items_have_the_size_asked_for(crop):
    data = create_dataset({"name": "sample", "size": [96, 64], "crop": crop})
    assert [data.load(index).shape for index in range(len(data))] == [(96, 64, 3)] * 4
    assert data.keys == data.groups


def test_grid_gives_several_crops_of_each_image():
    data = create_dataset({"name": "sample", "size": 64, "crop": "grid"})
    assert data.keys[:5] == [
        "astronaut_crop0",
        "astronaut_crop1",
        "astronaut_crop2",
        "astronaut_crop3",
        "chelsea_crop0",
    ]
    assert data.groups[:5] == ["astronaut"] * 4 + ["chelsea"]
    assert len({data.load(index).tobytes() for index in range(len(data))}) == len(data)
    quarters = [data.load(index) for index in range(4)]
    whole = create_dataset({"name": "sample", "size": 128}).load(0)
    np.testing.assert_array_equal(np.vstack([np.hstack(quarters[:2]), np.hstack(quarters[2:])]), whole)


def test_random_crops_depend_on_seed_and_index_alone():
    spec = {"name": "sample", "size": 64, "crop": "random", "seed": 5}
    data = create_dataset(spec)
    backwards = [create_dataset(spec).load(index) for index in (3, 2, 1, 0)][::-1]
    for index, item in enumerate(backwards):
        np.testing.assert_array_equal(data.load(index), item)
    assert not np.array_equal(data.load(0), create_dataset({**spec, "seed": 6}).load(0))


def test_folders_are_read_in_natural_order(folder):
    data = create_dataset({"name": "mine", "root": str(folder)})
    assert (data.name, data.keys) == ("mine", ["a/img10", "img2"])
    np.testing.assert_array_equal(data.load(0), BASE)


def test_enlarging_is_noted(folder):
    data = create_dataset({"name": "mine", "root": str(folder), "size": 48})
    assert data.check() == []
    assert data.notes["img2"] == ("enlarged from 32 x 24 to 64 x 48",)
    assert create_dataset({"name": "sample", "size": 256}).notes == {}


def test_every_unreadable_file_is_listed_and_nothing_else(tmp_path):
    odd, bad = write_odd(tmp_path / "odd"), write_bad(tmp_path / "bad")
    for name in bad:  # not the other stems: `cut_png.png` and so on are already unique
        shutil.move(tmp_path / "bad" / name, tmp_path / "odd" / f"bad_{name.replace('.', '_')}.{name.split('.')[-1]}")
    by_kind = tmp_path / "all"
    for name in [*odd, *(path.name for path in (tmp_path / "odd").glob("bad_*"))]:
        target = by_kind / name.replace(".", "_") / name
        target.parent.mkdir(parents=True)
        shutil.move(tmp_path / "odd" / name, target)
    data = create_dataset({"name": "all", "root": str(by_kind), "size": 16})
    assert len(data) == len(odd) + len(bad)
    problems = {threads: data.check(threads) for threads in (1, 4)}
    assert problems[1] == problems[4]
    assert [problem.key for problem in problems[1]] == [key for key in data.keys if "/bad_" in key]
    for problem in problems[1]:
        assert str(problem.path) not in problem.reason
        assert "\n" not in problem.reason
        with pytest.raises(ImageError, match=re.escape(f"{problem.path}: {problem.reason}")):
            data.load(data.keys.index(problem.key))
    assert data.load(data.keys.index("rgba_png/rgba")).shape == (16, 16, 3)
    assert "alpha left out" in data.notes["rgba_png/rgba"]


def test_grid_leaves_unreadable_files_to_check(folder):
    (folder / "zero.png").write_bytes(b"")
    data = create_dataset({"name": "mine", "root": str(folder), "size": 8, "crop": "grid"})
    assert set(data.groups) == {"a/img10", "img2"}
    assert [(problem.key, problem.reason) for problem in data.check()] == [("zero", "is empty (0 bytes)")]


def test_identity_is_content_and_rules_but_not_place(folder, tmp_path):
    spec = {"name": "mine", "root": str(folder), "size": 16}
    identity = create_dataset(spec).identity()
    shutil.copytree(folder, tmp_path / "copy")
    assert create_dataset({**spec, "name": "other", "root": str(tmp_path / "copy")}).identity() == identity
    assert create_dataset({**spec, "size": 17}).identity() != identity
    assert create_dataset({**spec, "crop": "resize"}).identity() != identity
    write_image(folder / "img2.png", BASE)
    assert create_dataset(spec).identity() != identity
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    assert create_dataset(spec).identity()["files"]["gone"] == "unreadable"


def test_a_dataset_goes_to_other_processes(folder):
    data = create_dataset({"name": "mine", "root": str(folder), "size": 16})
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy.load(1), data.load(1))


def test_kept_images_are_decoded_once_and_cannot_be_changed(folder):
    for name in ("a/img10.png", "img2.png"):  # 0.75 MiB each, so that the cache has room for one of them
        write_image(folder / name, np.full((512, 512, 3), 9, np.uint8))
    data = create_dataset({"name": "mine", "root": str(folder), "keep_mib": 1})
    first, second = data.load(0), data.load(1)
    for name in ("a/img10.png", "img2.png"):
        (folder / name).unlink()
    first[:] = 0
    assert data.load(0).any()
    with pytest.raises(ImageError, match="img"):
        data.load(1)
    assert second.any()


def test_images_are_upright_before_they_are_cropped(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(BASE).save(tmp_path / "a.png", exif=exif)
    data = create_dataset({"name": "mine", "root": str(tmp_path), "size": 24})
    np.testing.assert_array_equal(data.load(0), np.rot90(BASE, -1)[4:28])


def test_kodak_is_what_its_papers_say(shared):
    data = create_dataset({"name": "kodak", "root": str(shared / "data" / "kodak18"), "size": 256, "crop": "grid"})
    assert len(data) == 18 * 6
    assert data.check(2) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "sample", "crops": "center"}, "Unknown dataset key 'crops'. Did you mean 'crop'"),
        ({"size": 64}, "a dataset needs a `name`"),
        ({"name": "sampel"}, "Unknown dataset 'sampel'. Did you mean 'sample'?"),
        ({"name": "mine"}, "A folder needs `root: FOLDER`"),
        ({"name": "sample", "root": "x"}, "'sample' has no `root`"),
        ({"name": "sample", "split": "tset"}, "Did you mean 'test'"),
        ({"name": "sample", "crop": "centre", "size": 8}, "Did you mean 'center'"),
        ({"name": "sample", "crop": "center"}, "`crop: center` needs a `size`"),
        ({"name": "sample", "crop": "none", "size": 8}, "`crop: none` keeps every size"),
        ({"name": "sample", "size": 0}, "`size` must be at least 1, got 0"),
        ({"name": "sample", "size": "256"}, "`size` must be an integer of at least 1, got '256'"),
        ({"name": "sample", "size": True}, "`size` must be an integer of at least 1, got True"),
        ({"name": "sample", "size": [8, 8, 8]}, r"`size` must be N or \[H, W\]"),
        ({"name": "sample", "size": 8, "seed": 3}, "`seed` applies only to `crop: random`"),
        ({"name": "sample", "size": 8, "crop": "random", "seed": -1}, "`seed` must be at least 0, got -1"),
        ({"name": "sample", "max_pixels": 0}, "`max_pixels` must be"),
        ({"name": "sample", "keep_mib": -1}, "`keep_mib` must be"),
        ({"name": "mine", "root": 3}, "`root` must be a folder, got 3"),
        ({"name": "mine", "root": "no/such/folder"}, "no/such/folder: no such folder"),
        ({"name": "mine", "root": ".", "split": "test"}, "`split` applies only to registered data sets"),
        ({"name": "celeba", "root": ".", "list": "x", "split": "test"}, "give `split` or `list`, not both"),
        ({"name": "celeba", "root": ".", "split": "tset"}, "split of 'celeba': 'tset'. Did you mean 'test'"),
    ],
)
def test_wrong_entries_are_answered_with_the_way_out(spec, message):
    with pytest.raises(ZooError, match=message):
        create_dataset(spec)


def test_wrong_names_are_unknown_names():
    with pytest.raises(UnknownNameError, match="crop"):
        create_dataset({"name": "sample", "size": 8, "crop": "middle"})


def test_empty_folders_and_equal_stems_are_refused(tmp_path):
    with pytest.raises(ZooError, match="contains no images"):
        create_dataset({"name": "mine", "root": str(tmp_path)})
    write_image(tmp_path / "a.png", BASE)
    write_image(tmp_path / "a.jpg", BASE)
    with pytest.raises(ZooError, match=r"a\.jpg and a\.png have the same stem"):
        create_dataset({"name": "mine", "root": str(tmp_path)})


def test_keys_stay_unique_beside_files_named_like_crops(tmp_path):
    for name in ("a", "a_crop1", "a_crop1_crop0"):
        write_image(tmp_path / f"{name}.png", BASE)
    data = create_dataset({"name": "mine", "root": str(tmp_path), "size": 8, "crop": "grid"})
    assert len(set(data.keys)) == len(data) == 12


def test_images_load_without_torch():
    code = "import sys; from inpaint_zoo.data import create_dataset as c; c({'name': 'sample', 'size': 32}).load(0)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
