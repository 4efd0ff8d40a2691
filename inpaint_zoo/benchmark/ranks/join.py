"""Join the processes of a run that a launcher has started: torch's elastic agent (torchrun, `--devices`) or SLURM."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo.analysis.machine import cores as count_cores
from inpaint_zoo.benchmark.ranks.group import PATIENCE, LostRankError, ManyRanks, Ranks
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interruption import once_interrupted

if TYPE_CHECKING:
    import torch
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

__all__ = ["find_launcher", "join_ranks"]

START = timedelta(minutes=30)  # how long the first ranks wait for the last one, which may be in a queue


class _Rank(NamedTuple):
    """What a rank tells the others about itself.

    Attributes:
        host: Name of its machine.
        cores: The CPU cores that it may use.
        kind: Type of its device.
        uuid: UUID of its GPU.
        problem: Why it has no device.
    """

    host: str
    cores: tuple[int, ...]
    kind: str = ""
    uuid: str | None = None
    problem: str | None = None


def find_launcher() -> ClusterEnvironment | None:
    """Return the environment of a launcher that has started several processes; None if there is only this one.

    A process of a SLURM job counts only if `srun` has started it: a batch script itself is one process, whatever the
    number of tasks of its job.

    Raises:
        ZooError: If a job of SLURM does not state the number of processes on each machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and "TORCHELASTIC_RUN_ID" in os.environ:
        from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

        try:
            return SLURMEnvironment()
        except RuntimeError as error:  # Lightning refuses a job with --ntasks, which does not say what runs where
            raise ZooError(f"SLURM: {error}") from error
    return None


@contextmanager
def join_ranks(device: str, devices: int | None = None, num_nodes: int | None = None) -> Iterator[Ranks]:
    """Join the other processes of the run, if a launcher has started several.

    Args:
        device: The option `--device`.
        devices: Number of processes on each machine that the user expects; None for any.
        num_nodes: Number of machines that the user expects; None for any.

    Raises:
        ZooError: If the launcher started another number of processes, or processes would share a GPU or have devices
            of several kinds. Rank 0 raises it; the others raise a `LostRankError`.
    """
    launcher = find_launcher()
    if launcher is None:
        yield Ranks()
        return
    with ExitStack() as stack:
        stack.enter_context(once_interrupted())
        ranks = _join(launcher, device, devices, num_nodes)
        orderly = False
        try:
            yield ranks
            orderly = True
        except Exception:
            orderly = ranks.rank == 0  # the others wait for orders, and get the last one
            raise
        finally:
            ranks.leave(orderly)
            _destroy()


def _join(launcher: ClusterEnvironment, device: str, devices: int | None, num_nodes: int | None) -> ManyRanks:
    from torch import distributed

    rank, count = launcher.global_rank(), launcher.world_size()
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = launcher.main_address, str(launcher.main_port)
    distributed.init_process_group("gloo", rank=rank, world_size=count, timeout=START)
    try:
        chosen, mine = _choose(device, launcher.local_rank())
        every: list[Any] = [None] * count
        distributed.all_gather_object(every, mine)
        problem = _wrong_number(count, devices, num_nodes) or _wrong_devices(every)
        if problem is not None or chosen is None:
            raise ZooError(problem or "") if rank == 0 else LostRankError(f"stopped, because {problem}")
        store = _store(rank, launcher.main_address)
    except BaseException:
        _destroy()
        raise
    sharing = sum((each.host, each.cores) == (mine.host, mine.cores) for each in every)
    return ManyRanks(store, rank, [each.host for each in every], chosen, max(1, len(mine.cores) // sharing))


def _choose(name: str, local_rank: int) -> tuple[torch.device | None, _Rank]:
    """Return the device of this rank, and what the others have to know."""
    import torch

    from inpaint_zoo.inference.device import choose_device

    cores = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else (*range(count_cores()),)
    mine = _Rank(socket.gethostname(), cores)
    try:
        device = choose_device(name)
    except ZooError as error:
        return None, mine._replace(problem=str(error))
    if device.type != "cuda":
        return device, mine._replace(kind=device.type)
    # a launcher may show each process only its own GPU
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device, mine._replace(kind="cuda", uuid=str(torch.cuda.get_device_properties(device).uuid))


def _wrong_number(count: int, devices: int | None, num_nodes: int | None) -> str | None:
    expected = (devices or 0) * (num_nodes or 1)
    if not expected or expected == count:
        return None
    return (
        f"--devices {devices}{f' --num-nodes {num_nodes}' if num_nodes else ''}: the launcher has started {count} "
        f"processes, not {expected}. Leave the option out under torchrun and srun, or make the numbers agree."
    )


def _wrong_devices(every: Sequence[_Rank]) -> str | None:
    """Return what is wrong with the devices of all ranks; None if each has its own and all are of one kind."""
    for rank, each in enumerate(every):
        if each.problem is not None:
            return f"rank {rank} on {each.host}: {each.problem}"
        if each.kind != every[0].kind:
            return (
                f"rank 0 runs on {every[0].kind} and rank {rank} on {each.host} on {each.kind}, whose numbers differ "
                "in the last digits. Choose one kind with --device."
            )
        before = [(other.host, other.uuid) for other in every[:rank]]
        if each.uuid is not None and (each.host, each.uuid) in before:
            return (
                f"ranks {before.index((each.host, each.uuid))} and {rank} on {each.host} would share one GPU. Start at "
                "most as many processes on a machine as it has GPUs, or run on the CPU with --device cpu."
            )
        if each.kind == "mps" and rank:
            return "a Mac has one GPU, so --device mps works with one process only."
    return None


def _store(rank: int, address: str) -> TCPStore:
    """Return the store that rank 0 hosts."""
    from torch import distributed
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    place: list[Any] = [None]
    store = None
    if rank == 0:
        store = TCPStore(address, 0, is_master=True, wait_for_workers=False, timeout=PATIENCE)
        place = [store.port]
    distributed.broadcast_object_list(place)
    return store or TCPStore(address, place[0], is_master=False, timeout=PATIENCE)


def _destroy() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
