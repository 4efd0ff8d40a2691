"""Requeue the SLURM job of a training that was stopped by a signal, so that it continues at its newest checkpoint."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

__all__ = ["requeue", "slurm_job"]

INTERACTIVE = ("bash", "interactive")  # names of jobs that have no script to run again
SECONDS = 60  # that SLURM gets for an answer


def slurm_job() -> str | None:
    """Return the id of the SLURM batch job that runs this process; None outside SLURM and in interactive jobs."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or os.environ.get("SLURM_JOB_NAME") in INTERACTIVE:
        return None
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else job


def requeue(job: str) -> str:
    """Requeue a job, unless it was cancelled, and return a sentence that says what was done.

    SLURM also sends SIGTERM to a job that its user cancels. Such a job must not start again.

    Args:
        job: Id of the job, see `slurm_job`.
    """
    _, shown = _scontrol("show", "job", "--oneliner", job)
    if _is_cancelled(dict(re.findall(r"\b(JobState|Reason|PreemptTime)=(\S+)", shown))):
        return f"SLURM job {job} was cancelled, so it is not requeued"
    code, text = _scontrol("requeue", job)
    if code != 0:
        return f"SLURM job {job} could not be requeued ({text or f'scontrol ended with {code}'}): submit it again"
    return f"requeued SLURM job {job}"


def _is_cancelled(job: Mapping[str, str]) -> bool:
    """Return whether a job was cancelled, given the fields that ``scontrol show job`` prints.

    While the processes of a job end, its state is COMPLETING, whatever the reason. The other reasons are its time limit
    and a preemption, which the fields name.
    """
    if job.get("JobState") == "COMPLETING":
        return job.get("Reason") != "TimeLimit" and job.get("PreemptTime", "None") == "None"
    return job.get("JobState", "").startswith("CANCEL")


def _scontrol(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the output of SLURM's command ``scontrol``."""
    try:
        done = subprocess.run(
            ["scontrol", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, " ".join(f"{done.stdout}{done.stderr}".split())
