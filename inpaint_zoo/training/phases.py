"""What a family declares of its adversarial training: plain data that `AdversarialModule` carries out.

A `Recipe` is an ordered list of `Phase`s and how they interleave. One phase trains ``network`` (the generator's); the
completion of its update is the step that schedules, EMA, logging, checkpoints and stopping follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import composite, to_range

__all__ = ["Batch", "BatchSchedule", "LossFunction", "Penalty", "Phase", "Recipe", "Stages", "Terms", "completed"]

Batch = dict[str, Any]
"""image (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole, index (B,) and name (list of B); `-1` pads.

``hole_fill`` (B, 3, H, W) as well, where the data put something in the hole that the network is to find there.
"""
Stages = dict[str, Tensor]
"""Raw predictions by stage name, in [0, 1], not composited: what `InpaintingNetwork.stages` gives."""
Terms = dict[str, Tensor]
"""Unweighted loss terms by name, each a scalar."""
LossFunction = Callable[[Batch, Stages], Terms]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]


def completed(pred: Tensor, batch: Batch) -> Tensor:
    """What critics of composites see: the batch's known pixels around a prediction.

    Args:
        pred: (B, 3, H, W) in [0, 1], raw.
        batch: With image and mask.

    Returns:
        (B, 3, H, W) in [-1, 1].
    """
    return to_range(composite(pred, batch["image"], batch["mask"]), -1, 1)


@dataclass(frozen=True)
class Penalty:
    """A gradient penalty: evaluated in fp32 outside autocast, because it differentiates twice.

    Attributes:
        function: Terms of the penalty, as `Phase.loss`; the stages come detached and in fp32.
        every: Generator steps between two evaluations (1: always; lazy regularisation takes more).
    """

    function: LossFunction
    every: int = 1


@dataclass(frozen=True)
class Phase:
    """One kind of update.

    Attributes:
        name: Of its optimizer, schedule and log entries (``<name>/<term>``).
        trains: Attributes of the module whose parameters it updates, such as ``network`` or parts of it
            (``network.local``); all other phases' parameters are frozen meanwhile.
        loss: Terms of one batch. A phase that trains ``network`` gets stages with their graph, others detached ones.
        optimizer: Built over the trained parameters.
        separate_optimizers: Whether each entry of ``trains`` has an optimizer and a schedule of its own, logged as
            ``<name>/<last word>``. All of them step at the same time.
        weights: Factor of each term; 1 where absent. A term of weight 0 is logged and takes no gradient.
        penalty: Gradient penalty, its terms weighted by ``weights`` as well.
        scheduler: Learning-rate schedule.
        interval: What the schedule counts: generator steps or epochs.
        clip: Largest norm of its gradient; None leaves it.
        on: Batches of a cycle on which it runs. Default: "last" for the generator, "every" for the others.
        window: Generator steps [first, end) in which it runs; outside, nothing of it is computed.
    """

    name: str
    trains: tuple[str, ...]
    loss: LossFunction
    optimizer: OptimizerFactory
    weights: Mapping[str, float] = field(default_factory=dict)
    penalty: Penalty | None = None
    scheduler: SchedulerFactory | None = None
    interval: Literal["step", "epoch"] = "step"
    clip: float | None = None
    on: Literal["every", "last", "but_last"] | None = None
    window: tuple[int, int | None] = (0, None)
    separate_optimizers: bool = False

    @property
    def is_generator(self) -> bool:
        """Whether it trains the inpainting network: its update is the step that is counted."""
        return any(name.split(".")[0] == "network" for name in self.trains)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """What each of its optimizers trains, by the optimizer's name."""
        if not self.separate_optimizers:
            return {self.name: self.trains}
        return {f"{self.name}/{attribute.split('.')[-1]}": (attribute,) for attribute in self.trains}

    def runs(self, schedule: BatchSchedule, step: int) -> bool:
        """Whether it takes part in a batch."""
        on = self.on or ("last" if self.is_generator else "every")
        first, end = self.window
        inside = step >= first and (end is None or step < end)
        return inside and (on == "every" or (on == "last") == schedule.last_of_cycle)


@dataclass(frozen=True)
class BatchSchedule:
    """Where a batch stands: see `Recipe.schedule`.

    Attributes:
        updates: The optimizers of its phases step on this batch (the last of an accumulation).
        last_of_cycle: Its slot is the generator's.
    """

    updates: bool
    last_of_cycle: bool

    @property
    def completes_step(self) -> bool:
        """Whether the generator's step is complete after this batch."""
        return self.updates and self.last_of_cycle


@dataclass(frozen=True)
class Recipe:
    """The phases of one training step, in their order, and how they share batches and forward passes.

    Attributes:
        phases: In the order of their updates.
        forward: "shared": the generator runs once a batch, and every phase sees that result; "fresh": each phase runs
            it anew with the weights of the moment (without a graph, but in train mode, where it is not trained).
        critics_per_step: Batches of a cycle; the generator's phase runs on the last.
        step_jointly: All gradients are taken before the first optimizer steps, so that every loss sees the old weights.
        repeats: Inner rounds on one batch; `AdversarialModule.carry` makes the next round's batch of the last one.
        accumulate: Batches whose gradients are averaged into one update.

    Raises:
        ZooError: Not exactly one phase trains ``network``, names are doubled, or a number is out of range.
    """

    phases: tuple[Phase, ...]
    forward: Literal["fresh", "shared"] = "fresh"
    critics_per_step: int = 1
    step_jointly: bool = False
    repeats: int = 1
    accumulate: int = 1

    def __post_init__(self) -> None:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ZooError(f"Phases must have different names, got {names}.")
        if sum(phase.is_generator for phase in self.phases) != 1:
            raise ZooError(f"Exactly one phase must train 'network', got {[phase.trains for phase in self.phases]}.")
        if (self.generator.on or "last") != "last":
            raise ZooError("The phase that trains 'network' runs on the last batch of a cycle: leave `on` out.")
        for key in ("critics_per_step", "repeats", "accumulate"):
            if getattr(self, key) < 1:
                raise ZooError(f"`{key}` must be 1 or more, got {getattr(self, key)}.")

    @property
    def generator(self) -> Phase:
        """The phase that trains ``network``."""
        return next(phase for phase in self.phases if phase.is_generator)

    @property
    def batches_per_step(self) -> int:
        """Batches from one generator update to the next."""
        return self.critics_per_step * self.accumulate

    def schedule(self, batches: int) -> BatchSchedule:
        """What the batch after ``batches`` others does.

        Example:
            >>> from types import SimpleNamespace
            >>> recipe = SimpleNamespace(accumulate=2, critics_per_step=3)
            >>> [Recipe.schedule(recipe, n).completes_step for n in range(6)]
            [False, False, False, False, False, True]
        """
        slot, part = divmod(batches, self.accumulate)
        return BatchSchedule(
            updates=part == self.accumulate - 1,
            last_of_cycle=slot % self.critics_per_step == self.critics_per_step - 1,
        )
