"""Start the trainings of a sweep as jobs of submitit, on this machine or by SLURM, and wait for them."""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo.cli.sweep_check import RECORD, Checked, run_folder
from inpaint_zoo.cli.training_job import TrainingJob
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.atomic import write_json

if TYPE_CHECKING:
    from submitit import Job

__all__ = ["Result", "local_submitter", "run_jobs", "slurm_submitter"]

LOGS = "jobs"  # folder of submitit's files in the folder of a run
LOG_LINES = 5  # of a failed run that are shown
POLL_SECONDS = 1.0
NO_LIMIT = 10**9  # minutes and requeues, because a training may take as long as it does
ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "REQUEUED", "SUSPENDED", "COMPLETING", "PREEMPTED")  # states of SLURM


class Result(NamedTuple):
    """How a run ended.

    Attributes:
        code: Exit code; 0 if its weights are written.
        log: Last lines of its log, or why it was not started.
    """

    code: int
    log: str = ""


def job_of(checked: Checked) -> TrainingJob:
    """Return the job of a run."""
    run = checked.run
    trainer = run.final_settings.get("trainer", {})
    return TrainingJob(
        words=tuple(run.words()),
        start={argument: run.out / name / "checkpoints" for argument, name in run.start.items()},
        network=run.network,
        folder=run.folder,
        checkpoints=run_folder(run).checkpoints,
        selects=run.selects and (run.final_settings.get("checkpoints") or {}).get("monitor", "") is not None,
        limits=(trainer.get("max_steps"), trainer.get("max_epochs")),
        target=run.target,
        provenance=_provenance(checked),
    )


def _provenance(checked: Checked) -> dict[str, Any]:
    from inpaint_zoo._version import __version__
    from inpaint_zoo.benchmark.identity import git_commit

    run = checked.run
    started = {"started_from": dict(run.start)} if run.start else {}
    return {
        "config": run.config,
        "recipe_sha256": checked.recipe_sha256,
        "images_sha256": checked.images_sha256,
        "train": run.splits["train"],
        "images": checked.images,
        **({"other_images": checked.difference} if checked.difference else {}),
        "steps_planned": checked.steps,
        "steps_of_recipe": checked.steps_of_recipe,
        "changed": run.changed,
        **started,
        "seed": run.final_settings.get("seed_everything", 0),
        "commit": git_commit(),
        "version": __version__,
    }


Submit = Callable[[TrainingJob, str, int], "Job[int]"]
"""Function that starts a job, given the name of its run and its place among the jobs at a time."""


def run_jobs(runs: Sequence[Checked], submit: Submit, at_once: int, report: Callable[[str], None]) -> dict[str, Result]:
    """Run jobs, those that others wait for first, and return how each run ended.

    Args:
        runs: The runs to do.
        submit: See `Submit`.
        at_once: Largest number of jobs at a time.
        report: Function that is called with a line for each start and end.
    """
    left = {checked.run.name: checked for checked in runs}
    results: dict[str, Result] = {}
    active: dict[str, tuple[int, Job[int]]] = {}
    while left or active:
        for name, checked in list(left.items()):
            if broken := [
                first
                for first in checked.waits
                if first not in left and first not in active and _failed(first, results)
            ]:
                results[name] = Result(1, f"not started, because '{broken[0]}' failed")
                report(f"{name}: {results[name].log}")
                del left[name]
            elif len(active) < at_once and not any(first in left or first in active for first in checked.waits):
                slot = min(set(range(at_once)) - {slot for slot, _ in active.values()})
                _record(checked)
                active[name] = (slot, submit(job_of(checked), name, slot))
                report(f"{name}: started, log in {checked.run.folder / LOGS}")
                del left[name]
        for name, (_, job) in list(active.items()):
            if job.done():
                results[name] = _result(job)
                report(f"{name}: {'done' if results[name].code == 0 else 'failed'}")
                del active[name]
        if active:
            time.sleep(POLL_SECONDS)
    return results


def _failed(name: str, results: Mapping[str, Result]) -> bool:
    return name not in results or results[name].code != 0


def _record(checked: Checked) -> None:
    """Write what a run trains into its folder, so that a later sweep does not continue it with another recipe."""
    content = {"recipe_sha256": checked.recipe_sha256, "images_sha256": checked.images_sha256}
    write_json(checked.run.folder / RECORD, {**content, "config": checked.run.config})


def _result(job: Job[int]) -> Result:
    try:
        code = max(int(code or 0) for code in job.results())
    except Exception as error:  # submitit raises many kinds if the process was killed or the function failed
        code, reason = 1, str(error).splitlines()[0] if str(error) else type(error).__name__
    else:
        reason = ""
    if code == 0:
        return Result(0)
    lines = [line for text in (job.stdout(), job.stderr()) if text for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("submitit ")]
    return Result(code, "\n".join(lines[-LOG_LINES:]) or reason)


def local_submitter(folders: Mapping[str, Path], at_once: int) -> Submit:
    """Return a function that starts jobs on this machine. The GPUs are divided among the jobs at a time.

    Args:
        folders: Folder of each run by name.
        at_once: Largest number of jobs at a time.
    """
    from submitit import LocalExecutor

    def submit(job: TrainingJob, name: str, slot: int) -> Job[int]:
        executor = LocalExecutor(folder=folders[name] / LOGS)
        executor.update_parameters(timeout_min=NO_LIMIT, tasks_per_node=1)
        started: Job[int] = executor.submit(replace(job, devices=_devices(slot, at_once)))
        return started

    return submit


def _devices(slot: int, slots: int) -> str:
    """Return the GPUs of one of several jobs at a time, as in CUDA_VISIBLE_DEVICES; several share one if necessary."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = (
        [str(k) for k in range(torch.cuda.device_count())] if visible is None else [x for x in visible.split(",") if x]
    )
    return ",".join(gpus[slot::slots] or gpus[slot % len(gpus) :][:1] if gpus else [])


def slurm_submitter(folders: Mapping[str, Path], options: Mapping[str, Any]) -> Submit:
    """Return a function that submits jobs to SLURM, or finds the job of an earlier call that is not finished.

    Args:
        folders: Folder of each run by name.
        options: Options of sbatch by their names in submitit, such as partition, time and gpus_per_node.

    Raises:
        ZooError: If an option is unknown, or SLURM is not there.
    """
    from submitit import SlurmExecutor, SlurmJob
    from submitit.slurm.slurm import _make_sbatch_string

    known = [name for name in inspect.signature(_make_sbatch_string).parameters if name not in ("command", "folder")]
    for name in options:
        if name not in known:
            raise unknown_name("option of --slurm:", name, known, f"Known: {', '.join(known)}.")

    def submit(job: TrainingJob, name: str, slot: int) -> Job[int]:
        logs, note = folders[name] / LOGS, folders[name] / LOGS / "slurm.json"
        if note.is_file():
            earlier: Job[int] = SlurmJob(folder=logs, job_id=json.loads(note.read_text("utf-8"))["job"])
            if earlier.state in ALIVE:
                return earlier
        try:
            executor = SlurmExecutor(folder=logs, max_num_timeout=NO_LIMIT)
        except RuntimeError as error:
            raise ZooError(f"--submit slurm: {error}") from error
        executor.update_parameters(**{"job_name": name.replace("/", "-"), **options})
        started: Job[int] = executor.submit(job)
        write_json(note, {"job": started.job_id})
        return started

    return submit
