"""Declarative description of adversarial training, which `AdversarialModule` executes.

A `Recipe` is an ordered list of `Phase`s, and the rules of how they share batches and forward passes. Exactly one phase
trains ``network``, the generator. One update of this phase is one step. Schedules, EMA, logging, checkpoints and
stopping count these steps.
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
"""A batch of B samples by name.

``image`` (B, 3, H, W) in [0, 1], ``mask`` (B, 1, H, W) with 1 = hole, ``index`` (B,) with -1 for padding samples, and
``name``, a list of B strings. If the data's ``input_mode`` fills the hole, also ``hole_fill`` (B, 3, H, W) in [0, 1].
"""
Stages = dict[str, Tensor]
"""Raw predictions (B, 3, H, W) by stage name, in [0, 1], not composited; see `InpaintingNetwork.stages`."""
Terms = dict[str, Tensor]
"""Unweighted loss terms by name, each a scalar."""
LossFunction = Callable[[Batch, Stages], Terms]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]


def completed(pred: Tensor, batch: Batch) -> Tensor:
    """Return the composited prediction in [-1, 1], the input of discriminators that see composites.

    Args:
        pred: Raw prediction, (B, 3, H, W) in [0, 1].
        batch: The batch with ``image`` and ``mask``.

    Returns:
        (B, 3, H, W) in [-1, 1]: the prediction in the hole, the image elsewhere.
    """
    return to_range(composite(pred, batch["image"], batch["mask"]), -1, 1)


@dataclass(frozen=True)
class Penalty:
    """A gradient penalty. It is computed in fp32 outside autocast, because it needs second derivatives.

    Attributes:
        function: Function that returns the penalty terms, like `Phase.loss`. Its stages are detached and in fp32.
        every: Number of generator steps between two evaluations. 1 evaluates it at every step; lazy regularization
            uses a larger value.
    """

    function: LossFunction
    every: int = 1


@dataclass(frozen=True)
class Phase:
    """One part of the training step: the loss and the optimizers of some modules.

    Attributes:
        name: Name of its optimizer and schedule, and prefix of its log entries (``<name>/<term>``).
        trains: Attributes of the module whose parameters it updates, such as ``network`` or parts of it
            (``network.local``). The parameters of all other phases are frozen while it runs.
        loss: Function that returns the loss terms of one batch. A phase that trains ``network`` gets stages with their
            graph; other phases get detached stages.
        optimizer: Function that builds the optimizer from the trained parameters.
        separate_optimizers: Whether each entry of ``trains`` has its own optimizer and schedule, logged as
            ``<name>/<last part of the attribute>``. All of them step at the same time.
        weights: Loss weights by term; 1 for terms that are absent. A term of weight 0 is logged but not optimized.
        penalty: Gradient penalty. Its terms are weighted by ``weights``, too.
        scheduler: Function that builds the learning-rate schedule from the optimizer.
        interval: Unit of the schedule: generator steps or epochs.
        clip: Maximum norm of the gradient of all its parameters; None disables clipping.
        on: Batches of a cycle on which it runs: "every", "last" or "but_last". None means "last" for the generator and
            "every" for other phases.
        window: Generator steps [first, end) in which it runs, counted from 0. Outside, it is not computed.
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
        """Whether it trains ``network`` or parts of it. The updates of this phase are counted as steps."""
        return any(name.split(".")[0] == "network" for name in self.trains)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The attributes that each of its optimizers trains, by the optimizer's name."""
        if not self.separate_optimizers:
            return {self.name: self.trains}
        return {f"{self.name}/{attribute.split('.')[-1]}": (attribute,) for attribute in self.trains}

    def runs(self, schedule: BatchSchedule, step: int) -> bool:
        """Return whether it runs on a batch.

        Args:
            schedule: Position of the batch, from `Recipe.schedule`.
            step: Number of generator steps done before the batch.
        """
        on = self.on or ("last" if self.is_generator else "every")
        first, end = self.window
        inside = step >= first and (end is None or step < end)
        return inside and (on == "every" or (on == "last") == schedule.last_of_cycle)


@dataclass(frozen=True)
class BatchSchedule:
    """Position of a batch within a step; see `Recipe.schedule`.

    Attributes:
        updates: Whether the optimizers step on this batch, because it is the last of an accumulation.
        last_of_cycle: Whether the batch belongs to the last slot of the cycle, in which the generator runs.
    """

    updates: bool
    last_of_cycle: bool

    @property
    def completes_step(self) -> bool:
        """Whether the generator's step is complete after this batch."""
        return self.updates and self.last_of_cycle


@dataclass(frozen=True)
class Recipe:
    """The phases of one training step in order, and how they share batches and forward passes.

    Attributes:
        phases: The phases, in the order of their updates.
        forward: "shared" runs the generator once per batch, and all phases use that prediction. "fresh" runs it again
            for each phase, with the current weights. Phases that do not train it run it without a graph, in train mode.
        critics_per_step: Number of batches (or accumulations) in a cycle. The generator's phase runs on the last one.
        step_jointly: Whether all gradients are computed before the first optimizer steps, so that every loss uses the
            old weights.
        repeats: Number of inner rounds on one batch. `AdversarialModule.carry` builds the batch of the next round.
        accumulate: Number of batches whose gradients are averaged into one update.

    Raises:
        ZooError: Not exactly one phase trains ``network``, two phases have the same name, the generator's phase does
            not run on the last batch of a cycle, or a number is less than 1.
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
            raise ZooError("The phase that trains 'network' must run on the last batch of a cycle. Leave `on` unset.")
        for key in ("critics_per_step", "repeats", "accumulate"):
            if getattr(self, key) < 1:
                raise ZooError(f"`{key}` must be 1 or more, got {getattr(self, key)}.")

    @property
    def generator(self) -> Phase:
        """The phase that trains ``network``."""
        return next(phase for phase in self.phases if phase.is_generator)

    @property
    def batches_per_step(self) -> int:
        """Number of batches per step: ``critics_per_step * accumulate``."""
        return self.critics_per_step * self.accumulate

    def schedule(self, batches: int) -> BatchSchedule:
        """Return the position within a step of the batch with index ``batches``, counted from 0.

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
