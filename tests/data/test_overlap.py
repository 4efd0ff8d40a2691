"""Images that two datasets share: found through links, folders and shards; reported when training starts."""

import itertools
import os
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from inpaint_zoo.data import InpaintingDataModule, create_dataset
from inpaint_zoo.data.entries import list_files
from inpaint_zoo.data.overlap import find_overlaps
from inpaint_zoo.data.packing import write_shards
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image
from inpaint_zoo.io.listing import by_stem

IMAGE = np.zeros((6, 6, 3), np.uint8)


@pytest.fixture
def pool(tmp_path):
    for n in range(12):
        write_image(tmp_path / "pool" / f"{n}.png", IMAGE)
    return tmp_path / "pool"


def linked(folder, pool, numbers):
    folder.mkdir()
    for n in numbers:
        (folder / f"other_name_{n}.png").symlink_to(pool / f"{n}.png")
    return by_stem(folder)


def test_overlaps_equal_those_of_all_resolved_paths(pool, tmp_path):
    """Compare with a slow version that resolves every path and compares every pair of sets."""
    (tmp_path / "folder_link").symlink_to(pool)
    sets = {
        "training": linked(tmp_path / "a", pool, range(8)),
        "validation": by_stem(tmp_path / "folder_link"),
        "test": {
            **linked(tmp_path / "b", pool, [7, 9, 11]),
            **by_stem(tmp_path / "a", [tmp_path / "a/other_name_0.png"]),
        },
        "lone": {"x": tmp_path / "nowhere" / "x.png"},
    }
    found = {frozenset((entry.smaller, entry.larger)): entry for entry in find_overlaps(sets)}
    for pair in itertools.combinations(sets, 2):
        smaller, larger = sorted(pair, key=lambda name: len(sets[name]))
        theirs = {os.path.realpath(path) for path in sets[larger].values()}
        shared = [str(path) for path in sets[smaller].values() if os.path.realpath(path) in theirs]
        if not shared:
            assert frozenset(pair) not in found
            continue
        entry = found.pop(frozenset(pair))
        assert (entry.smaller, entry.larger) == (smaller, larger)
        assert (entry.count, entry.size) == (len(shared), len(sets[smaller]))
        assert entry.first == tuple(shared[:5])
        assert str(entry).startswith(f"{len(shared)} of the {len(sets[smaller])} {smaller} images are {larger} images")
        assert str(entry).endswith(", ..." if len(shared) > 5 else shared[-1])
    assert not found


def test_shards_are_compared_by_tar_file_and_member(pool, tmp_path):
    files = by_stem(pool)
    assert write_shards(files, tmp_path / "packed", per_shard=4) == []
    (tmp_path / "link").symlink_to(tmp_path / "packed")
    whole, part = (list_files({"name": "a", "shards": str(tmp_path / name)}) for name in ("packed", "link"))
    part = dict(itertools.islice(part.items(), 6))
    (entry,) = find_overlaps({"training": whole, "test": part})
    assert (entry.smaller, entry.count) == ("test", 6)
    assert entry.first[0] == f"{tmp_path}/link/shard-000000.tar:{next(iter(part))}.png"
    # a packed image is a copy, which its name alone does not show
    assert find_overlaps({"training": whole, "test": files}) == []
    cache = {"name": "a", "cache": str(tmp_path / "cache")}
    far = [list_files({**cache, "shards": f"pipe:cat {tmp_path}/packed/shard-00000{n}.tar"}) for n in range(2)]
    assert find_overlaps({"training": far[0], "test": far[1]}) == []
    assert find_overlaps({"training": far[0], "test": far[0]})[0].count == len(far[0])


def trainer(monitor=None, **more):
    callbacks = [SimpleNamespace(), SimpleNamespace(monitor=monitor)]
    return SimpleNamespace(
        callbacks=callbacks,
        lr_scheduler_configs=[],
        is_global_zero=True,
        limit_val_batches=1.0,
        overfit_batches=0.0,
        world_size=1,
        **more,
    )


def spec(pool, **rules):
    return {"name": "mine", "root": str(pool), "select": rules}


def told(data, attached):
    data.trainer = attached
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        data.setup("fit")
    return [str(entry.message) for entry in found]


def test_a_training_warns_of_shared_images(pool):
    some = {split: spec(pool, **rules) for split, rules in (("train", {"first": 8}), ("val", {"after": 6, "first": 4}))}
    data = InpaintingDataModule(**some, test=spec(pool, after=9), size=4)
    by_training, by_test = told(data, trainer(None))
    assert by_training == (
        f"2 of the 4 validation images are training images too: {pool}/6.png, {pool}/7.png; scores on images that were "
        "trained on do not tell how well a network generalizes"
    )
    assert by_test.endswith("9.png; nothing may be selected on them")
    assert told(data, trainer("train/loss"))[1].endswith("nothing may be selected on them")
    assert len(told(data, None)) == 2  # without a trainer as well
    silent = SimpleNamespace(**{**vars(trainer(None)), "is_global_zero": False})
    assert told(data, silent) == []  # one process warns for all
    no_validation = SimpleNamespace(**{**vars(trainer("val/psnr")), "limit_val_batches": 0})
    assert told(data, no_validation) == []


def test_the_test_set_as_validation_set_is_silent_only_if_nothing_is_selected(pool):
    rules = {"holdout": 4, "part": "test"}
    data = InpaintingDataModule(
        train=spec(pool, holdout=4, part="train"), val=spec(pool, **rules), test=spec(pool, **rules), size=4
    )
    assert told(data, trainer(None)) == []
    with pytest.raises(ZooError, match=r"4 of the 4 validation images are test images too: .* `val/psnr` would select"):
        told(data, trainer("val/psnr"))


def test_one_test_image_among_the_validation_images_is_enough_to_refuse_a_selection(pool):
    data = InpaintingDataModule(
        train=spec(pool, first=6), val=spec(pool, after=6, first=4), test=spec(pool, after=9), size=4
    )
    with pytest.raises(ZooError, match=r"1 of the 3 test .*9.png; `val/psnr` would .* `select: {val: N, part: val}`"):
        told(data, trainer("val/psnr"))


def test_a_test_set_of_training_images_is_no_test_that_a_selection_could_spoil(pool):
    """As in a first try on one folder: the run starts, and warns that its scores tell nothing of other images."""
    data = InpaintingDataModule(**dict.fromkeys(("train", "val", "test"), spec(pool)), size=4)
    notes = told(data, trainer("val/psnr"))
    assert [note.split(": ")[0] for note in notes] == [
        "12 of the 12 training images are validation images too",
        "12 of the 12 training images are test images too",
    ]
    assert all("do not tell how well a network generalizes" in note for note in notes)


def test_disjoint_sets_and_sets_that_are_elsewhere_are_silent(pool, tmp_path):
    parts = {part: spec(pool, holdout=4, val=2, part=part) for part in ("train", "val", "test")}
    data = InpaintingDataModule(**parts, size=4)
    assert data.overlaps() == []
    assert told(data, trainer("val/psnr")) == []
    # training does not need the test images on its machine; the loader reports an invalid training set
    absent = {"name": "gone", "root": str(tmp_path / "gone")}
    data = InpaintingDataModule(train=parts["train"], val=parts["train"], test=absent, size=4)
    assert [text[:50] for text in told(data, trainer())] == ["6 of the 6 training images are validation images t"]


def test_the_files_that_were_compared_are_not_listed_again(pool):
    data = InpaintingDataModule(train=spec(pool, first=8), val=spec(pool, after=8), size=4)
    assert data.overlaps() == []
    (pool / "12.png").write_bytes((pool / "0.png").read_bytes())
    assert len(data.images("val")) == len(data.files("val")) == 4
    assert list(create_dataset(data.specs["val"]).files) == ["8", "9", "10", "11", "12"]
