"""Start the processes of `inpaint-zoo benchmark --devices N` with torch's elastic agent, the engine of torchrun."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch.distributed.elastic.multiprocessing import LogsDest, LogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from inpaint_zoo.benchmark import LOGS, Suite, refuse_foreign
from inpaint_zoo.cli.exit_codes import exit_code
from inpaint_zoo.cli.output import readable_output
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interruption import once_interrupted

__all__ = ["launch_ranks"]

STOPPED = 130  # exit code after SIGINT (Ctrl-C) or SIGTERM


def launch_ranks(
    command: Callable[[list[str]], int],
    args: Sequence[str],
    *,
    suite: Suite,
    out: Path,
    device: str,
    devices: int,
    num_nodes: int,
) -> int:
    """Run a command in ``devices`` processes on this machine; return its exit code.

    If a process dies, the others are stopped in order, and a message names its log file. Rank 0 prints to the terminal,
    the other ranks into ``out``/logs.

    Args:
        command: Function of a module that runs the command.
        args: Its arguments, which all processes get.
        suite: The suite.
        out: The folder of results.
        device: The option `--device`.
        devices: Number of processes on this machine.
        num_nodes: Number of machines. If there are several, the same command runs on each, with MASTER_ADDR,
            MASTER_PORT and NODE_RANK in the environment.

    Raises:
        ZooError: If this machine has fewer devices, the folder cannot be used, or a process has died.
    """
    import torch

    _refuse_number(device, devices)
    refuse_foreign(out, suite)
    meeting_point = _meeting_point(num_nodes)
    created = not out.exists()
    logs = out / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    # an idle thread must not keep a core busy that a thread of another process needs
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" in methods:  # the ranks fork from one process that has imported the libraries
        multiprocessing.get_context("forkserver").set_forkserver_preload(["inpaint_zoo.cli.preloaded"])
    config = LaunchConfig(
        min_nodes=num_nodes,
        max_nodes=num_nodes,
        nproc_per_node=devices,
        start_method="forkserver" if "forkserver" in methods else "spawn",
        max_restarts=0,
        logs_specs=_RankLogs(logs),
        **meeting_point,
    )
    code = 1
    try:
        with _agent_messages_in(logs / "launcher.log"), _signal_handlers_kept():
            codes = elastic_launch(config, _rank)(command, list(args), torch.get_num_threads())
        code = codes.get(0, max(codes.values()))
    except SignalException:
        code = STOPPED
    except ChildFailedError as error:
        raise ZooError(_report(error, logs)) from error
    finally:
        if code == 2:  # the run was refused, so nothing must have changed
            shutil.rmtree(logs, ignore_errors=True)
            if created:
                with suppress(OSError):
                    out.rmdir()
    return code


@readable_output()
def _rank(command: Callable[[list[str]], int], args: list[str], threads: int) -> int:
    """Run the command in one of the processes, and return its exit code.

    Args:
        command: The function.
        args: Its arguments.
        threads: Number of threads of one operation of torch. One process alone would use as many, and the last digits
            of a network's numbers can depend on it.
    """
    import torch

    torch.set_num_threads(threads)
    leads = os.environ["RANK"] == "0"
    with once_interrupted() as interruption:
        # the log of the others contains the whole traceback
        code = exit_code(lambda: command(args), ["benchmark", *args], debug=not leads)
    # a rank that returns waits until the agent has read its exit code, which an agent that stops the ranks never does
    if interruption.happened or (not leads and code not in {0, STOPPED}):
        sys.exit(code)
    return code


def _refuse_number(device: str, devices: int) -> None:
    import torch

    from inpaint_zoo.inference.device import choose_device

    kind = choose_device(device).type
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(kind, devices)
    if devices > there:
        raise ZooError(
            f"--devices {devices}: this machine has {there} device{'s' if there > 1 else ''} of the kind {kind}. Use "
            f"--devices {there}, or --device cpu for {devices} processes on the CPU."
        )


def _meeting_point(num_nodes: int) -> dict[str, Any]:
    """Return where the agents of all machines meet, as arguments of `LaunchConfig`."""
    if num_nodes == 1:
        run_id = uuid.uuid4().hex
        return {"run_id": run_id, "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost"}
    names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise ZooError(
            f"--num-nodes {num_nodes}: {', '.join(missing)} must be set in the environment: address and free port "
            "of the first machine, and the number of this machine from 0. Run the same command on every machine. "
            "torchrun and srun do this by themselves."
        )
    address, port, number = (os.environ[name] for name in names)
    if not (port.isdigit() and number.isdigit() and int(number) < num_nodes):
        raise ZooError(
            f"--num-nodes {num_nodes}: MASTER_PORT must be a port and NODE_RANK a number below {num_nodes}, got "
            f"MASTER_PORT={port} and NODE_RANK={number}."
        )
    return {
        "run_id": "inpaint-zoo",
        "rdzv_backend": "static",
        "rdzv_endpoint": f"{address}:{port}",
        "rdzv_configs": {"rank": int(number)},
    }


class _RankLogs(LogsSpecs):
    """Log files `rank_1.log`, and so on; rank 0 prints to the terminal."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder

    @property
    def root_log_dir(self) -> str:
        return str(self._folder)

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        """Return the files by local rank. An empty name is the terminal."""
        ranks = {local: int(env["RANK"]) for local, env in envs.items()}
        errors = {local: self._folder / f"rank_{rank}.json" for local, rank in ranks.items()}
        for local, path in errors.items():
            path.unlink(missing_ok=True)  # of an earlier run
            envs[local]["TORCHELASTIC_ERROR_FILE"] = str(path)
        return LogsDest(
            stdouts={local: str(self._folder / f"rank_{rank}.out") if rank else "" for local, rank in ranks.items()},
            stderrs={local: str(_log(self._folder, rank)) if rank else "" for local, rank in ranks.items()},
            error_files={local: str(path) for local, path in errors.items()},
            filtered_stdout=str(self._folder / "filtered.out"),
            filtered_stderr=str(self._folder / "filtered.err"),
        )


def _log(folder: Path, rank: int) -> Path:
    return folder / f"rank_{rank}.log"


def _report(error: ChildFailedError, logs: Path) -> str:
    """Return which rank died, of what, and where its log is."""
    rank, failure = error.get_first_failure()
    place = f"Its log: {_log(logs, rank)}. " if rank else ""
    return (
        f"rank {rank} (process {failure.pid}) {_cause(failure)}, and the other processes were stopped. {place}Finished "
        "work is kept, and running the same command again continues it."
    )


def _cause(failure: ProcessFailure) -> str:
    if failure.exitcode < 0:
        return f"was killed by signal {-failure.exitcode} ({failure.signal_name()})"
    if failure.exitcode == STOPPED:
        return "was interrupted"
    message = failure.error_file_data["message"]
    text = message.get("message", "") if isinstance(message, dict) else ""
    return f"failed: {' '.join(text.split())}" if text else f"failed with exit code {failure.exitcode}"


@contextmanager
def _agent_messages_in(path: Path) -> Iterator[None]:
    """Write the messages of the agent into a file, because `_report` says what a user needs of them."""
    loggers = [logging.getLogger(name) for name in ("torch.distributed.elastic", "torch.multiprocessing")]
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
        handler.close()


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Restore the handlers of the signals that the agent handles."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(ValueError):  # not the main thread, where the agent sets none either
                signal.signal(number, handler)
