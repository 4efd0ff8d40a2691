"""A training that SLURM stops saves, requeues its job and continues; the programs of SLURM are stand-ins."""

import signal
import stat

import pytest

from inpaint_zoo.cli.train import UNFINISHED
from inpaint_zoo.training.requeue import requeue, slurm_job
from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.programs import slurm_environments
from tests.helpers.runs import CONFIG, assert_same, finish, load, start_two
from tests.helpers.toys import SENT

STEP = 4  # of the validation that is stopped


def scontrol(folder, state="RUNNING", code=0):
    """Write a program that logs its arguments, tells the state of a job and requeues nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "scontrol"
    shown = f'echo "JobId=$4 JobName=x JobState={state} Dependency=(null)"'
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/log\ncase $1 in show) {shown};; *) echo refused; exit {code};; esac\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "9"}, "9"),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}, "7_3"),
        ({"SLURM_JOB_ID": "9", "SLURM_JOB_NAME": "interactive"}, None),
    ],
)
def test_the_job_of_this_process(variables, job, monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert slurm_job() == job


@pytest.mark.parametrize(
    ("state", "code", "sentence"),
    [
        ("RUNNING Reason=None", 0, "requeued SLURM job 9"),
        ("CANCELLED", 0, "SLURM job 9 was cancelled, so it is not requeued"),
        # as SLURM 22.05 shows a job that scancel ends, one at its time limit, and a preempted one
        ("COMPLETING Reason=None PreemptTime=None", 0, "SLURM job 9 was cancelled, so it is not requeued"),
        ("COMPLETING Reason=TimeLimit PreemptTime=None", 0, "requeued SLURM job 9"),
        ("COMPLETING Reason=None PreemptTime=2026-11-29T18:24:53", 0, "requeued SLURM job 9"),
        ("RUNNING", 1, "SLURM job 9 could not be requeued (refused): submit it again"),
    ],
)
def test_a_job_is_requeued_unless_it_was_cancelled(state, code, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{scontrol(tmp_path, state, code)}:/usr/bin:/bin")
    assert requeue("9") == sentence
    asked = ["show job --oneliner 9"] + ["requeue 9"] * ("cancelled" not in sentence)
    assert (tmp_path / "log").read_text().splitlines() == asked


def test_without_slurm_nothing_is_requeued(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "could not be requeued" in requeue("9")


@pytest.mark.slow
def test_a_run_on_two_processes_that_is_stopped_in_a_validation_continues_after_a_requeue(tmp_path):
    """The second process gets the signal; the continued run is, bit for bit, the one that was not stopped."""
    told = {"number": int(signal.SIGUSR1), "step": STEP, "rank": 1, "validation": True}
    signals = {"class_path": "tests.helpers.toys.SignalsItself", "init_args": told}
    callbacks = [*CONFIG["trainer"]["callbacks"], signals]
    trainer = {**CONFIG["trainer"], "max_steps": 2 * STEP, "callbacks": callbacks, "val_check_interval": 2 * STEP}
    # without loading processes: the end of a process forked by multiprocessing would wait for them
    data = {**CONFIG["data"], "init_args": {"workers": 0}}
    given = {"trainer": trainer | {"check_val_every_n_epoch": None}, "data": data}
    one, other = tmp_path / "one", tmp_path / "other"
    other.mkdir()
    (other / SENT).touch()
    programs = scontrol(tmp_path / "bin")
    first, second = start_two(one, config=given, environments=slurm_environments(2, programs))
    unbroken = start_two(other, config=given)
    output = finish(first, UNFINISHED).replace("\n", " ")
    finish(second)  # Lightning would kill the first process if another one ended with an error
    newest = list_checkpoints(one / "checkpoints")[0]
    assert f"after step {STEP}; saved" in output
    assert newest.name == f"step_{STEP:08d}.ckpt"
    assert "requeued SLURM job 7_3" in output
    assert (programs / "log").read_text().splitlines() == ["show job --oneliner 7_3", "requeue 7_3"]
    assert not (one / "checkpoints" / "best.ckpt").exists()  # the validation did not end
    for process in start_two(one, "--ckpt_path", "last", config=given, environments=slurm_environments(2, programs)):
        finish(process)
    for process in unbroken:
        finish(process)
    ours, theirs = (list_checkpoints(folder / "checkpoints")[0] for folder in (one, other))
    assert ours.name == theirs.name == f"step_{2 * STEP:08d}.ckpt"
    assert_same(load(ours), load(theirs))
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
