"""Only one run at a time uses a folder, however the previous run ended."""

import os
import subprocess
import sys
import time

import pytest

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.locks import is_lock, lock_folder

HOLD = """
import os, sys, time
from inpaint_zoo.io.locks import lock_folder
with lock_folder(sys.argv[1]):
    if "fork" in sys.argv and os.fork() == 0:
        os.close(1)
        time.sleep(60)  # as a loading process that outlives the run for a moment
    print("ready", flush=True)
    sys.stdin.read()
"""


def holder(folder, *more):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout.readline() == b"ready\n"
    return process


def end(process):
    process.stdin.close()
    process.stdout.close()
    process.wait()


def test_a_second_run_is_refused_and_names_the_first(tmp_path):
    process = holder(tmp_path)
    message = rf"Another run is using {tmp_path} \(process {process.pid}\)\. Wait until it ends, or choose another"
    with pytest.raises(ZooError, match=message), lock_folder(tmp_path):
        pass
    with lock_folder(tmp_path, "validate"):  # writes other files
        pass
    end(process)
    with lock_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def wait_until_free(folder):
    """Wait until the lock is free: the child closes its copy of the lock file shortly after the fork."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with lock_folder(folder):
                return
        except ZooError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_run_frees_the_lock_though_its_children_live_on(tmp_path):
    process = holder(tmp_path, "fork")
    process.kill()
    process.wait()
    try:
        wait_until_free(tmp_path)
    finally:
        os.killpg(process.pid, 9)
        end(process)


def test_folders_that_were_made_for_nothing_are_removed(tmp_path):
    with lock_folder(tmp_path / "a" / "b"):
        assert [is_lock(path.name) for path in (tmp_path / "a" / "b").iterdir()] == [True]
    assert list(tmp_path.iterdir()) == []
    with lock_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "kept").write_bytes(b"")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["kept"]
    with pytest.raises(ZooError, match="but --out must be a folder"), lock_folder(tmp_path / "a" / "b" / "kept"):
        pass
