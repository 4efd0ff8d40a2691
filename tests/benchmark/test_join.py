"""Which launcher has started a process, and which groups of processes are refused."""

import os
import signal

import pytest

from inpaint_zoo.benchmark.ranks import find_launcher
from inpaint_zoo.benchmark.ranks.join import _Rank, _wrong_devices, _wrong_number
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interruption import once_interrupted


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets the environment of a launcher, after all others have been removed."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name in {"WORLD_SIZE", "RANK", "LOCAL_RANK"}:
            monkeypatch.delenv(name)

    def with_(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return with_


def test_a_process_alone_has_no_launcher(environment):
    environment(SLURM_JOB_ID="7", SLURM_NTASKS="4", SLURM_PROCID="0")  # a batch script, which srun has not started
    assert find_launcher() is None
    environment(WORLD_SIZE="1", RANK="0", TORCHELASTIC_RUN_ID="x", SLURM_STEP_NUM_TASKS="1")
    assert find_launcher() is None


def test_torchrun_and_srun_are_recognized(environment):
    environment(SLURM_JOB_ID="7", SLURM_NTASKS="4", SLURM_STEP_NUM_TASKS="4", SLURM_PROCID="3", SLURM_LOCALID="1")
    environment(SLURM_JOB_NAME="job", SLURM_NODELIST="node[2-3]")
    with pytest.raises(ZooError, match="ntasks-per-node"):
        find_launcher()
    environment(SLURM_NTASKS_PER_NODE="2")
    slurm = find_launcher()
    assert (slurm.global_rank(), slurm.local_rank(), slurm.world_size()) == (3, 1, 4)
    assert slurm.main_address == "node2"
    environment(WORLD_SIZE="6", RANK="5", LOCAL_RANK="2", TORCHELASTIC_RUN_ID="x", MASTER_ADDR="a", MASTER_PORT="1")
    torchrun = find_launcher()
    assert (torchrun.global_rank(), torchrun.local_rank(), torchrun.world_size()) == (5, 2, 6)


def test_processes_that_share_a_gpu_or_differ_in_kind_are_refused():
    a, b = _Rank("a", (0, 1), "cuda", "1"), _Rank("b", (0, 1), "cuda", "1")
    assert _wrong_devices([a, a._replace(uuid="2"), b]) is None
    assert "ranks 0 and 2 on a would share one GPU" in _wrong_devices([a, b, a])
    cpu = _Rank("a", (0, 1), "cpu")
    assert _wrong_devices([cpu, cpu]) is None
    assert "rank 0 runs on cuda and rank 1 on a on cpu" in _wrong_devices([a, cpu])
    assert "rank 1 on b: --device cuda" in _wrong_devices([a, _Rank("b", (), problem="--device cuda: not here")])


def test_the_number_of_processes_must_be_the_stated_one():
    assert _wrong_number(4, None, None) is None
    assert _wrong_number(4, None, 2) is None
    assert _wrong_number(4, 2, 2) is None
    assert "has started 4 processes, not 3" in _wrong_number(4, 3, None)


def test_only_the_first_signal_interrupts():
    before = signal.getsignal(signal.SIGTERM)
    with once_interrupted() as outer, once_interrupted() as inner:
        assert not outer.happened
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert outer.happened
        assert inner is outer
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGINT, signal.default_int_handler)
