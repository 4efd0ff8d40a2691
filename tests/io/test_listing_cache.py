"""Listings of large folders are stored, valid as long as no folder has changed, and small in memory."""

import os
import random
import tracemalloc

import pytest

from inpaint_zoo.data import create_dataset
from inpaint_zoo.data.sampling import StreamSampler
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io import listing, listing_cache
from inpaint_zoo.io.listing import FolderWarning, by_stem, natural_key
from inpaint_zoo.io.listing_cache import Listing, write_listing
from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.names import plain_name

PAST = 1_600_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(listing_cache.CACHE_FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache" / "listings"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder of five images that is large enough to be stored."""
    monkeypatch.setattr(listing_cache, "STORED_FROM", 3)
    monkeypatch.setattr(listing_cache, "FILES_PER_FOLDER", 1)
    root = tmp_path / "images"
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/@eaDir/x.png", "b/y.psd", "3.png", "10.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    age(root)
    return root


def age(root, seconds=PAST):
    """Set the times of all folders to the past, because recent changes are not trusted."""
    for path in (root, *root.rglob("*/")):
        os.utime(path, (seconds, seconds))


def walks(monkeypatch):
    """Return a list that gets an entry for each folder that is listed without the cache."""
    seen = []
    monkeypatch.setattr(listing, "walk", lambda root, walk=listing.walk: seen.append(root) or walk(root))
    return seen


@pytest.mark.filterwarnings("ignore::inpaint_zoo.io.listing.FolderWarning")
def test_a_listing_is_read_until_a_folder_changes(folder, cache, monkeypatch):
    seen = walks(monkeypatch)
    first = by_stem(folder)
    assert list(first) == ["3", "10", "a/1", "a/2", "b/1"]
    assert len(list(cache.iterdir())) == len(seen) == 1
    with pytest.warns(FolderWarning) as stored:
        assert by_stem(folder) == first
    assert len(seen) == 1
    assert [str(warning.message).partition(": ")[2] for warning in stored] == [
        "folders of thumbnails or system files left out (1): b/@eaDir",
        "files of formats that are not read left out (1): b/y.psd",
    ]
    (folder / "a" / "1.png").rename(folder / "a" / "0.png")
    assert list(by_stem(folder))[2:4] == ["a/0", "a/2"]
    by_stem(folder)
    assert len(seen) == 3  # a folder that has just changed is not trusted
    age(folder, PAST + 1)
    by_stem(folder)
    by_stem(folder)
    assert len(seen) == 4
    (folder / "b" / "1.png").unlink()
    assert "b/1" not in by_stem(folder)


@pytest.mark.filterwarnings("ignore::inpaint_zoo.io.listing.FolderWarning")
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: b"", lambda data: b"{}\n", lambda data: b"\xff"]
)
def test_damaged_listings_are_written_again(folder, cache, damage):
    files = by_stem(folder)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert by_stem(folder) == files
    assert path.read_bytes() == whole


@pytest.mark.filterwarnings("ignore::inpaint_zoo.io.listing.FolderWarning")
def test_what_may_change_unnoticed_or_is_small_is_not_stored(folder, cache, monkeypatch, tmp_path):
    (folder / "later").symlink_to(tmp_path / "nothing")  # may become a folder
    age(folder)
    by_stem(folder)
    assert not cache.exists()
    (folder / "later").unlink()
    age(folder)
    monkeypatch.setattr(listing_cache, "STORED_FROM", 6)
    by_stem(folder)
    assert not cache.exists()
    monkeypatch.setattr(listing_cache, "STORED_FROM", 3)
    cache.parent.write_text("a file, so nothing can be stored")
    assert len(by_stem(folder)) == 5


def test_folders_sorted_one_by_one_are_in_natural_order(tmp_path):
    draw = random.Random(3)
    for _ in range(150):
        parts = [
            draw.choice(["a1", "a01", "a001.png", "a1.png", "b-", "b", "B2", "é"]) for _ in range(draw.randint(0, 3))
        ]
        path = tmp_path.joinpath("images", *parts, f"{draw.choice(['1', '01', '2', 'x', 'x-'])}.png")
        if not any(above.is_file() for above in path.parents) and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    found, _ = listing.walk(tmp_path / "images")
    assert list(found.names) == sorted(found.names, key=lambda name: natural_key(plain_name(name)))
    assert len(found.names) > 60


def write_places2(root, count):
    """Store the listing of folders with ``count`` names of Places2's form, which are empty.

    The listing is as valid as that of full folders.
    """
    folders, names = {}, []
    for number in range(20):
        name = f"c/category_{number:02d}"
        (root / name).mkdir(parents=True)
        names += [f"{name}/{image:08d}.jpg" for image in range(count // 20)]
    age(root)
    for path in (root, *root.rglob("*/")):
        folders["" if path == root else path.relative_to(root).as_posix()] = path.stat().st_mtime_ns
    write_listing(root, Listing(NameList.of(names), [], [], folders))


def places2(root):
    data = create_dataset({"name": "mine", "root": str(root), "select": {"val": 500, "part": "train"}})
    return data, next(iter(StreamSampler(len(data), batch_size=8, blocks=data.blocks))).item


def test_the_names_of_places2_are_read_from_a_stored_listing(tmp_path):
    """200,000 of them; benchmarks/speed/listing.py reads all 1,803,460 and prints time and memory."""
    root = tmp_path / "images"
    write_places2(root, 200_000)
    data, drawn = places2(root)
    assert len(data) == 199_500
    assert data.keys[drawn].startswith("c/category_")
    assert data.blame(drawn, ZooError("is gone")) == f"{root}/{data.keys[drawn]}.jpg: is gone"


def test_a_name_takes_little_memory(tmp_path):
    root = tmp_path / "images"
    write_places2(root, 20_000)
    tracemalloc.start()
    data, _ = places2(root)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 1,803,460 names must fit into 1 GiB beside the libraries
    assert kept < 70 * len(data)
    assert peak < 350 * len(data)
