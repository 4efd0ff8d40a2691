"""Listing of image folders and pairing of two folders."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.listing import (
    FolderWarning,
    by_stem,
    list_images,
    natural_key,
    pair_by_stem,
    pair_masks,
    refuse_own_masks,
    relative_stem,
)


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names(root):
    return [path.relative_to(root).as_posix() for path in list_images(root)]


def test_order_is_natural_and_folders_are_searched(tmp_path):
    make(tmp_path, "img10.png", "img2.PNG", "img1.jpg", "b/x10.tif", "b/x9.tif", "a/z.webp", "notes.txt", "b/c/d.gif")
    assert names(tmp_path) == ["a/z.webp", "b/c/d.gif", "b/x9.tif", "b/x10.tif", "img1.jpg", "img2.PNG", "img10.png"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    make(tmp_path, "a.png", ".b.png", ".cache/c.png", "._a.png", ".tmp-0123-a.png")
    assert names(tmp_path) == ["a.png"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    make(tmp_path, "in/a.png", "elsewhere/b.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nothing.png")
    assert names(tmp_path / "in") == ["a.png", "gone.png", "more/b.png"]


def test_empty_missing_and_wrong_folders_are_named(tmp_path):
    with pytest.raises(ZooError, match=r"contains no images \(searched all its subfolders for .apng .avif .bmp .gif"):
        list_images(tmp_path)
    with pytest.raises(ZooError, match="nothing: no such folder"):
        list_images(tmp_path / "nothing")
    make(tmp_path, "a.png")
    with pytest.raises(ZooError, match=r"a.png: is a file, but a folder of images was expected"):
        list_images(tmp_path / "a.png")


def test_stems_keep_folders_and_inner_dots(tmp_path):
    assert relative_stem(tmp_path / "trees" / "oak.v2.jpg", tmp_path) == "trees/oak.v2"
    make(tmp_path, "b/1.png", "a/1.jpg", "oak.v2.jpg", "oak.v3.jpg")
    assert list(by_stem(tmp_path)) == ["a/1", "b/1", "oak.v2", "oak.v3"]


def test_two_files_of_one_stem_are_named(tmp_path):
    make(tmp_path, "sub/a.jpg", "sub/a.png")
    with pytest.raises(ZooError, match=r"sub/a.jpg and sub/a.png have the same stem 'sub/a'"):
        by_stem(tmp_path)


def test_pairs_follow_the_first_folder(tmp_path):
    make(tmp_path, "images/b.jpg", "images/a/x.jpg", "masks/a/x.png", "masks/b.png")
    pairs = pair_by_stem(by_stem(tmp_path / "images"), by_stem(tmp_path / "masks"))
    assert [(stem, mask.name) for stem, _, mask in pairs] == [("a/x", "x.png"), ("b", "b.png")]


def test_missing_partners_are_counted_and_named(tmp_path):
    make(tmp_path, *(f"images/{i}.jpg" for i in range(9)), "masks/0.png", "masks/extra.png")
    images, masks = by_stem(tmp_path / "images"), by_stem(tmp_path / "masks")
    message = (
        r"9 images and 2 masks do not match: 8 without a partner among the masks: 1, 2, 3, 4, 5, \.\.\.; "
        r"1 without a partner among the images: extra"
    )
    with pytest.raises(ZooError, match=message):
        pair_by_stem(images, masks)
    few = {"0": images["0"]}
    with pytest.raises(ZooError, match="1 images and 2 masks do not match"):
        pair_by_stem(few, masks)
    assert len(pair_by_stem(few, masks, allow_extra=True)) == 1


@given(st.lists(st.text("a1/0.é²", max_size=8)), st.randoms(use_true_random=False))
def test_natural_order_is_total(words, shuffler: random.Random):
    shuffled = list(words)
    shuffler.shuffle(shuffled)
    assert sorted(words, key=natural_key) == sorted(shuffled, key=natural_key)


@given(st.lists(st.text("ab01259/. -", max_size=8)))
def test_natural_order_is_that_of_the_texts_and_numbers_of_each_folder(words):
    def parts(name):
        texts_and_numbers = [re.split("([0-9]+)", folder) for folder in name.split("/")]
        return [[int(x) if x.isdecimal() else x for x in folder] for folder in texts_and_numbers], name

    assert sorted(words, key=natural_key) == sorted(words, key=parts)


def test_folders_of_thumbnails_are_left_out_and_named(tmp_path):
    make(tmp_path, "a.png", "@eaDir/a.png/SYNOPHOTO_THUMB_M.png", "b/__MACOSX/c.png", "b/Thumbnails/c.png", "b/c.png")
    make(tmp_path, ".thumbnails/a.png", "lost+found/x.png", "b/thumbnails128x128/d.png")
    with pytest.warns(
        FolderWarning, match=r"folders of thumbnails or system files left out \(5\): \.thumbnails, @eaDir, b/"
    ):
        found = names(tmp_path)
    assert found == ["a.png", "b/c.png", "b/thumbnails128x128/d.png"]
    assert names(tmp_path / "@eaDir") == ["a.png/SYNOPHOTO_THUMB_M.png"]  # given by name, it is meant


def test_image_files_that_are_not_images_are_named(tmp_path):
    make(tmp_path, "a.png", "b.psd", "c/d.EXR", "notes.txt")
    with pytest.warns(FolderWarning, match=r"files of formats that are not read left out \(2\): b\.psd, c/d\.EXR$"):
        assert names(tmp_path) == ["a.png"]


def test_a_raw_file_counts_unless_its_image_lies_beside_it(tmp_path):
    make(tmp_path, "a.nef", "b.NEF", "b.jpg", "c/b.cr2")
    with pytest.warns(FolderWarning, match=r"with the same image in another format, left out \(1\): b\.NEF$"):
        assert names(tmp_path) == ["a.nef", "b.jpg", "c/b.cr2"]


def test_masks_beside_their_images_are_told_apart(tmp_path):
    make(tmp_path, "x.png", "x_mask001.png", "s/y.jpg", "s/y_mask.png", "gas_mask.png", "z_mask001.png")
    with pytest.warns(FolderWarning, match=r"masks stored next to their image left out \(2\): s/y_mask\.png, x"):
        images = list_images(tmp_path, "images")
    assert [path.name for path in images] == ["gas_mask.png", "y.jpg", "x.png", "z_mask001.png"]
    with pytest.warns(FolderWarning, match=r"files other than masks stored next to their image left out \(4\)"):
        masks = list_images(tmp_path, "masks")
    assert [path.name for path in masks] == ["y_mask.png", "x_mask001.png"]
    assert len(list_images(tmp_path)) == 6
    make(tmp_path / "plain", "a.png", "b.png")
    assert list_images(tmp_path / "plain", "masks") == list_images(tmp_path / "plain", "images")


def test_composed_and_decomposed_accents_are_one_name(tmp_path):
    make(tmp_path, "images/caf\u00e9/\u00fc.png", "masks/cafe\u0301/u\u0308.png")
    images, masks = by_stem(tmp_path / "images"), by_stem(tmp_path / "masks")
    assert list(images) == list(masks) == ["caf\u00e9/\u00fc"]
    assert len(pair_by_stem(images, masks)) == 1
    make(tmp_path, "images/cafe\u0301/\u00fc.png")
    if len(list_images(tmp_path / "images")) == 2:  # some file systems hold one name only
        with pytest.raises(ZooError, match="have the same stem 'caf\u00e9/\u00fc'"):
            by_stem(tmp_path / "images")


def test_masks_are_paired_by_the_name_of_their_image(tmp_path):
    make(tmp_path, "in/x.png", "in/y_mask.png", "masks/x_mask001.png", "masks/y_mask.png")
    images, masks = by_stem(tmp_path / "in"), by_stem(tmp_path / "masks")
    assert {a.name: b.name for a, b in pair_masks(images, masks).items()} == {
        "x.png": "x_mask001.png",
        "y_mask.png": "y_mask.png",
    }
    make(tmp_path, "masks/x_mask002.png")
    with pytest.raises(ZooError, match=r"x_mask001.png and .*x_mask002.png are both masks of 'x'"):
        pair_masks(images, by_stem(tmp_path / "masks"))


def test_no_image_is_its_own_mask(tmp_path):
    make(tmp_path, "in/x.png", "masks/y.png")
    images = by_stem(tmp_path / "in")
    with pytest.raises(ZooError, match=r"x\.png: is used both as image and as mask\. .*x_mask001\.png next to x"):
        pair_masks(images, by_stem(tmp_path / "in"))
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(ZooError, match="is used both as image and as mask"):
        refuse_own_masks(images.values(), [tmp_path / "link" / "x.png"])
    (tmp_path / "masks" / "x.png").symlink_to(tmp_path / "in" / "x.png")
    with pytest.raises(ZooError, match="is used both as image and as mask"):
        refuse_own_masks(images.values(), [tmp_path / "masks" / "x.png"])
    refuse_own_masks(images.values(), [tmp_path / "masks" / "y.png"])
