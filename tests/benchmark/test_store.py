import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inpaint_zoo.benchmark.identity import cell_id
from inpaint_zoo.benchmark.store import CellKey, open_store
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import TEMPORARY_PREFIX
from tests.helpers.suites import small_suite

KEY = CellKey("telea", "images", "center", "0123456789abcdef0123")
DONE = {"status": "done", "error": None}


def write_cell(store, key=KEY, value=1.0, record=DONE):
    columns = {"image": ["a"], "metric": ["psnr"], "value": [value], "group": ["a"], "hole_ratio": [0.25]}
    with store.writing(key, record) as folder:
        pq.write_table(pa.table(columns), folder / "values.parquet")
        pq.write_table(
            pa.table({"image": ["a"], "seconds": [0.1], "width": [8], "height": [8]}), folder / "timings.parquet"
        )


def test_a_cell_is_there_whole_and_replaced_whole(tmp_path):
    with open_store(tmp_path / "out", small_suite(tmp_path)) as store:
        assert store.record(KEY) is None
        write_cell(store)
        assert store.is_done(KEY)
        with pytest.raises(OSError, match="disk full"), store.writing(KEY, DONE):
            raise OSError("disk full")
        assert [path.name for path in (store.out / "cells").iterdir()] == [KEY.id]
        assert store.is_done(KEY)
        write_cell(store, value=2.0)
        store.assemble([KEY], {"capped": {}})
    table = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert table == [
        {
            "method": "telea",
            "dataset": "images",
            "mask": "center",
            "image": "a",
            "metric": "psnr",
            "value": 2.0,
            "group": "a",
            "hole_ratio": 0.25,
        }
    ]


def test_torn_cells_count_as_missing(tmp_path):
    with open_store(tmp_path / "out", small_suite(tmp_path)) as store:
        write_cell(store)
        folder = store.out / "cells" / KEY.id
        (folder / "values.parquet").rename(tmp_path / "values.parquet")
        assert store.record(KEY) is None
        (tmp_path / "values.parquet").rename(folder / "values.parquet")
        assert store.is_done(KEY)
        (folder / "cell.json").write_text('{"status": "do')
        assert store.record(KEY) is None


def test_failed_cells_give_no_rows_but_their_error(tmp_path):
    with open_store(tmp_path / "out", small_suite(tmp_path)) as store:
        with store.writing(KEY, {"status": "failed", "error": "no luck"}):
            pass
        assert not store.is_done(KEY)
        store.assemble([KEY], {})
    assert pq.read_table(tmp_path / "out" / "results.parquet").num_rows == 0
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert provenance["failed"] == [{"method": "telea", "dataset": "images", "mask": "center", "error": "no luck"}]


def test_a_cell_takes_the_labels_of_the_suite(tmp_path):
    with open_store(tmp_path / "out", small_suite(tmp_path)) as store:
        write_cell(store)
        renamed = KEY._replace(method="Telea (2004)")
        store.rename(renamed)
        assert store.record(renamed)["method"] == "Telea (2004)"
        store.assemble([renamed], {})
    assert pq.read_table(tmp_path / "out" / "results.parquet")["method"].to_pylist() == ["Telea (2004)"]


def test_leftovers_of_a_kill_are_removed(tmp_path):
    out = tmp_path / "out"
    suite = small_suite(tmp_path)
    out.mkdir()
    (out / f"{TEMPORARY_PREFIX}1-suite.json").write_text("half")
    (out / ".lock").write_text("1")
    with open_store(out, suite):
        pass
    torn = out / "cells" / f"{TEMPORARY_PREFIX}2-{KEY.id}"
    torn.mkdir(parents=True)
    (torn / "values.parquet").write_text("half")
    with open_store(out, suite):
        assert list(out.rglob(f"{TEMPORARY_PREFIX}*")) == []


def folder_state(folder):
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_other_folders_are_refused_and_untouched(tmp_path):
    out = tmp_path / "out"
    suite = small_suite(tmp_path)
    with open_store(out, suite):
        pass
    before = folder_state(out)
    for change in ({"name": "other"}, {"seed": 8}):
        with (
            pytest.raises(ZooError, match="contains results of the suite 'small' with seed 7"),
            open_store(out, small_suite(tmp_path, **change)),
        ):
            pass
    assert folder_state(out) == before
    with open_store(out, small_suite(tmp_path, metrics=["psnr"])):  # the same suite, edited
        pass
    foreign = tmp_path / "images"
    before = folder_state(foreign)
    with pytest.raises(ZooError, match="contains other files and no results"), open_store(foreign, suite):
        pass
    assert folder_state(foreign) == before
    with pytest.raises(ZooError, match="is a file; --out needs a folder"), open_store(suite.path, suite):
        pass


HOLD = """
import sys
from pathlib import Path
from inpaint_zoo.benchmark.store import open_store
from inpaint_zoo.benchmark import load_suite
with open_store(Path(sys.argv[2]), load_suite(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_in_one_folder_is_refused(tmp_path):
    suite, out = small_suite(tmp_path), tmp_path / "out"
    command = [sys.executable, "-c", HOLD, str(suite.path), str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        with (
            pytest.raises(ZooError, match=rf"Another run is using .* \(process {process.pid}\)"),
            open_store(out, suite),
        ):
            pass
        process.kill()  # the operating system releases the lock
        process.wait()
    with open_store(out, suite):
        pass


def test_identity_hangs_on_each_part():
    parts = {
        "seed": 1,
        "method": {"model": "telea"},
        "dataset": {"content_sha256": "a"},
        "mask": {"generator_sha256": "b"},
        "metrics": {"psnr": {"implementation": "c"}},
        "precision": "fp32",
    }
    other = {**parts, "seed": 2, "precision": "bf16", "method": {}, "dataset": {}, "mask": {}, "metrics": {}}
    names = {cell_id(**parts)} | {cell_id(**{**parts, part: other[part]}) for part in parts}
    assert len(names) == 1 + len(parts)
