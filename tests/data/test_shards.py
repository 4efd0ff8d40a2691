"""Shards: packed, indexed, read by index, downloaded once, readable by WebDataset, and errors of invalid shards."""

import gc
import io
import json
import multiprocessing
import os
import pickle
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset

from inpaint_zoo.data import InpaintingDataModule, create_dataset, fetching
from inpaint_zoo.data.order import MIXED, shuffled
from inpaint_zoo.data.packing import write_shards
from inpaint_zoo.data.samples import collate
from inpaint_zoo.data.sampling import ResumableLoader, StreamSampler
from inpaint_zoo.data.shards import INDEX, index_shards, member_name, open_shards
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image
from inpaint_zoo.io.listing import by_stem
from tests.helpers.loading import load_all
from tests.helpers.odd_files import BASE, write_bad, write_odd

STEMS = ["cat/1", "cat/2", "dog/1.front", "dog/50%", "ein Hund/größer", f"deep/{'x' * 120}/1", "top"]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for n, stem in enumerate(STEMS):
        write_image(root / f"{stem}{'.png' if n % 2 else '.PNG'}", np.roll(BASE, n, axis=0))
    return root


@pytest.fixture
def packed(folder, tmp_path):
    assert write_shards(by_stem(folder), tmp_path / "packed", per_shard=3) == []
    return tmp_path / "packed"


def remote(folder, log=None):
    """Return a pattern for shards that only a command can read; each download appends a letter to ``log``."""
    note = f"printf x >> {log}; " if log else ""
    return f"pipe:{note}cat {folder}/shard-{{000000..000002}}.tar"


def test_shards_hold_the_images_of_the_folder(folder, packed):
    assert sorted(path.name for path in packed.iterdir()) == [INDEX, *(f"shard-{n:06d}.tar" for n in range(3))]
    of_folder = create_dataset({"name": "a", "root": str(folder)})
    of_shards = create_dataset({"name": "b", "shards": str(packed)})
    assert sorted(of_shards.keys) == sorted(STEMS)
    assert of_shards.keys != of_folder.keys  # packed in random order
    for stem in STEMS:
        ours, theirs = (data.load(data.keys.index(stem)) for data in (of_shards, of_folder))
        np.testing.assert_array_equal(ours, theirs)
    assert of_shards.identity() == of_folder.identity()  # the identity depends on the content, not on the storage
    assert of_shards.check(2) == []
    assert of_folder.blocks is None
    assert of_shards.blocks.tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_the_same_images_give_the_same_shards(folder, packed, tmp_path):
    write_shards(by_stem(folder), tmp_path / "again", per_shard=3, workers=1)
    for path in packed.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    write_shards(by_stem(folder), tmp_path / "sorted", per_shard=100, seed=None, name="all")
    assert list(open_shards(tmp_path / "sorted")) == list(by_stem(folder))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # WebDataset leaves files open
def test_webdataset_reads_our_shards(folder, packed):
    urls = sorted(str(path) for path in packed.glob("*.tar"))
    files = by_stem(folder)
    found = {sample["__key__"]: sample for sample in webdataset.WebDataset(urls, shardshuffle=False)}
    assert sorted(found) == sorted(member_name(stem, ".png").removesuffix(".png") for stem in STEMS)
    for stem in STEMS:
        assert found[member_name(stem, "").removesuffix(".")]["png"] == files[stem].read_bytes()
    del found
    gc.collect()


def test_shards_of_webdataset_are_read_without_an_index(folder, tmp_path):
    files = by_stem(folder)
    for number in range(2):
        with webdataset.TarWriter(str(tmp_path / f"other-{number}.tar")) as sink:
            for n in range(3):
                data = files[STEMS[3 * number + n]].read_bytes()
                sink.write({"__key__": f"k{number}{n}", "png": data, "cls": b"7", "seg.png": data, "json": {"a": 1}})
    members = open_shards(tmp_path / "other-*.tar")
    assert list(members) == ["k00", "k01", "k02", "k10", "k11", "k12"]
    assert members["k11"].read() == files[STEMS[4]].read_bytes()
    assert index_shards(str(tmp_path / "other-*.tar"), tmp_path / INDEX) == 6
    assert {stem: member[1:] for stem, member in open_shards(tmp_path).items()} == {
        stem: member[1:] for stem, member in members.items()
    }


def test_any_image_file_survives_packing_and_bad_ones_are_left_out(tmp_path):
    odd, bad = write_odd(tmp_path / "odd"), write_bad(tmp_path / "bad")
    files = {f"{kind}/{name}": tmp_path / kind / name for kind, names in (("odd", odd), ("bad", bad)) for name in names}
    problems = write_shards(files, tmp_path / "packed", per_shard=7)
    assert sorted(stem for stem, _ in problems) == sorted(f"bad/{name}" for name in bad)
    data = create_dataset({"name": "all", "shards": str(tmp_path / "packed")})
    plain = create_dataset({"name": "all", "shards": str(tmp_path / "packed"), "size": 8, "crop": "grid"})
    assert sorted(data.keys) == sorted(f"odd/{name}" for name in odd)
    assert data.check() == []
    assert len(plain) >= 4 * len(odd)


def test_fetched_shards_are_kept_and_the_oldest_removed_first(packed, tmp_path):
    spec = {"name": "far", "shards": remote(packed, tmp_path / "log"), "cache": str(tmp_path / "cache")}
    data = create_dataset({**spec, "cache_shards": 2})
    near = create_dataset({"name": "near", "shards": str(packed)})
    index_fetches = len((tmp_path / "log").read_text())
    for index in range(len(data)):
        np.testing.assert_array_equal(data.load(index), near.load(index))
    kept = sorted(path.name[13:] for path in (tmp_path / "cache").glob("[!.]*.tar"))
    assert kept == ["shard-000001.tar", "shard-000002.tar"]
    assert len((tmp_path / "log").read_text()) - index_fetches == 3
    data.load(5)
    data.load(0)  # downloaded again; the least recently used one is removed
    assert sorted(path.name[13:] for path in (tmp_path / "cache").glob("[!.]*.tar")) == [
        "shard-000000.tar",
        "shard-000001.tar",
    ]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).load(6), near.load(6))
    assert data.identity() == near.identity()


def test_processes_share_what_is_fetched(packed, tmp_path):
    spec = {"name": "far", "shards": remote(packed, tmp_path / "log"), "cache": str(tmp_path / "cache")}
    data = create_dataset(spec)
    before = len((tmp_path / "log").read_text())
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=load_all, args=(data, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    results.close()
    results.join_thread()
    assert found[0] == found[1]
    assert len((tmp_path / "log").read_text()) - before == 3


def test_a_broken_copy_is_fetched_anew(packed, tmp_path):
    data = create_dataset({"name": "far", "shards": remote(packed), "cache": str(tmp_path / "cache")})
    first = data.load(0)
    copy = next((tmp_path / "cache").glob("*-shard-000000.tar"))
    copy.write_bytes(copy.read_bytes()[:700])
    np.testing.assert_array_equal(data.load(0), first)


def test_what_cannot_be_fetched_is_told(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE", 0.0)
    spec = {"name": "far", "shards": remote(packed), "cache": str(tmp_path / "cache")}
    data = create_dataset(spec)
    (packed / "shard-000000.tar").rename(packed / "gone.tar")
    (packed / "shard-000001.tar").write_bytes(b"short")
    with pytest.raises(ZooError, match=r"shard-000000\.tar:.*cannot be fetched"):
        data.load(0)
    with pytest.raises(ZooError, match=r"shard-000001\.tar:.*received 5 bytes, the index says"):
        data.load(3)
    assert not list((tmp_path / "cache").glob("[!.]*00[01].tar"))
    assert len(data.check()) == 6
    (packed / INDEX).unlink()
    with pytest.raises(ZooError, match=r"index\.json: cannot be fetched.*|need their index"):
        create_dataset(spec)
    with pytest.raises(ZooError, match="is remote, so the dataset needs a `cache`"):
        create_dataset({"name": "far", "shards": remote(packed)})


def test_shards_are_read_a_few_at_a_time_and_well_mixed():
    blocks = np.repeat(np.arange(40), 25)
    orders = [shuffled(3, 1000, number, blocks) for number in range(2)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(1000))
        for first in range(0, 1000, 25 * MIXED):
            assert len(set(blocks[order[first : first + 25 * MIXED]].tolist())) == MIXED
            assert len(set(blocks[order[first : first + 25]].tolist())) > 4
    assert not np.array_equal(*orders)
    assert set(blocks[orders[0][:200]].tolist()) != set(blocks[orders[1][:200]].tolist())


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_together_read_the_samples_of_one_process_also_from_the_middle_of_an_epoch(packed, ranks):
    spec = {"name": "a", "shards": str(packed), "size": 8}
    samples = InpaintingDataModule(spec, masks={"name": "center", "size": 4}, seed=5).train_samples()

    def loader(rank, of):
        options = {"length": 24, "batch_size": 6 // of, "rank": rank, "ranks": of, "blocks": samples.images.blocks}
        return ResumableLoader(samples, StreamSampler(len(samples.images), **options), collate_fn=collate)

    whole = list(loader(0, 1))
    interrupted = loader(0, 1)
    reading = iter(interrupted)
    for _ in range(2):
        next(reading)
    for state, done in (({"epoch": 0, "batches": 0}, 0), (interrupted.state_dict(), 2)):
        loaders = [loader(rank, ranks) for rank in range(ranks)]
        for each in loaders:
            each.load_state_dict(state)
        for expected, *shares in zip(whole[done:], *loaders, strict=True):
            names = zip(*(share["name"] for share in shares), strict=True)
            assert [name for together in names for name in together] == expected["name"]
            for key in ("image", "mask"):
                assert torch.stack([share[key] for share in shares], dim=1).flatten(0, 1).equal(expected[key])


def test_local_shards_that_changed_are_refused(packed, tmp_path):
    data = create_dataset({"name": "a", "shards": str(packed)})
    with (packed / "shard-000000.tar").open("ab") as file:
        file.write(bytes(512))
    with pytest.raises(ZooError, match=r"shard-000000\.tar: has .* bytes, its index says .*inpaint-zoo data index"):
        open_shards(packed)
    os.truncate(packed / "shard-000000.tar", 600)
    with pytest.raises(ZooError, match="is shorter than its index says"):
        data.load(0)
    (packed / "shard-000000.tar").unlink()
    with pytest.raises(ZooError, match=r"shard-000000\.tar:.*no such shard"):
        data.load(0)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p: (p / INDEX).write_text("{"), "is not an index of shards; write the index again"),
        (lambda p: (p / INDEX).write_text('{"format": "other", "shards": []}'), "is not an index of shards"),
        (
            lambda p: (p / INDEX).write_text(json.dumps({"format": "inpaint-zoo shards 2", "shards": []})),
            "is not in its",
        ),
        (lambda p: [path.unlink() for path in p.glob("*.tar")], "no shards; give a folder of"),
    ],
)
def test_damaged_sets_are_answered_with_the_way_out(packed, break_it, message):
    break_it(packed)
    with pytest.raises(ZooError, match=message):
        open_shards(packed)


def test_odd_tars(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz"):
        pass
    with pytest.raises(ZooError, match="cannot be read as a tar file"):
        open_shards(tmp_path)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("readme.txt"), io.BytesIO(b""))
    with pytest.raises(ZooError, match="the shards contain no images"):
        open_shards(tmp_path)
    for name in ("a.tar", "b.tar"):
        with tarfile.open(tmp_path / name, "w") as tar:
            tar.addfile(tarfile.TarInfo("1.png"), io.BytesIO(b""))
    with pytest.raises(ZooError, match=r"a\.tar:1\.png and .*b\.tar:1\.png have the same stem '1'"):
        open_shards(tmp_path)
    with pytest.raises(ZooError, match="a shard is a file named"):
        open_shards("https://example.org/a.zip", cache=tmp_path)


def test_nothing_is_packed_where_nothing_can_be(tmp_path, folder):
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    with pytest.raises(ZooError, match=r"none of 1 images can be read; the first: .*bad"):
        write_shards({"bad": tmp_path / "bad.png"}, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
    with pytest.raises(ZooError, match="already exists"):
        write_shards(by_stem(folder), folder)
    with pytest.raises(ZooError, match="`per_shard` must be at least 1"):
        write_shards(by_stem(folder), tmp_path / "packed", per_shard=0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "a", "shards": ".", "root": "."}, "give `shards` or `root`, not both"),
        ({"name": "a", "shards": ".", "list": "x"}, "give `shards` or `list`, not both"),
        ({"name": "a", "root": ".", "cache": "x"}, "`cache` applies only to `shards`"),
        ({"name": "a", "shards": 3}, "`shards` must be a folder or pattern, got 3"),
        ({"name": "a", "shards": ".", "cache_shards": 0}, "`cache_shards` must be at least 1"),
        ({"name": "sample", "shards": "."}, "'sample' has no `shards`"),
        ({"name": "a", "root": ".", "select": 3}, "`select` must be a mapping"),
        ({"name": "a", "list": "no.txt"}, "no.txt: no such list file"),
    ],
)
def test_wrong_entries_are_answered_with_the_way_out(spec, message):
    with pytest.raises(ZooError, match=message):
        create_dataset(spec)


def test_parts_of_lists_and_shards(packed, folder, tmp_path):
    whole = create_dataset({"name": "a", "shards": str(packed), "select": {"first": 4}})
    assert whole.keys == ["cat/1", f"deep/{'x' * 120}/1", "dog/1.front", "top"]  # one from each of four folders
    (tmp_path / "list.txt").write_text("dog/50%.png\ntop.PNG\n")
    assert re.match(
        "dog/50%", create_dataset({"name": "a", "root": str(folder), "list": str(tmp_path / "list.txt")}).keys[0]
    )
    assert Path(folder / "top.PNG").is_file()
