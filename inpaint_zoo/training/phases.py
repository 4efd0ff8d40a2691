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
from inpaint_zoo.ops import composite

__all__ = ["HALVED", "Batch", "LossFunction", "Phase", "Recipe", "Stages", "Terms", "Updates", "completed"]

Batch = dict[str, Any]
"""A batch of B samples by name.

``image`` (B, 3, H, W) in [0, 1], ``mask`` (B, 1, H, W) with 1 = hole, ``index`` (B,) with -1 for padding samples, and
``name``, a list of B strings. If the data's ``input_mode`` fills the hole, also ``hole_fill`` (B, 3, H, W) in [0, 1].
"""
Stages = dict[str, Tensor]
"""Raw predictions (B, 3, H, W) by stage name, not composited; see `InpaintingNetwork.stages`.

Losses receive them, and the batch's ``image``, in the module's ``loss_range``.
"""
Terms = dict[str, Tensor]
"""Unweighted loss terms by name, each a scalar."""
LossFunction = Callable[..., Terms]
"""Function of a batch, its stages, and what `AdversarialModule.prepare` returned for the batch."""
HALVED: Mapping[str, float] = {"real": 0.5, "fake": 0.5}
"""Weights of a discriminator whose loss is the mean, not the sum, of its real and its fake term."""
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]


def completed(pred: Tensor, batch: Batch) -> Tensor:
    """Return the composited prediction, (B, 3, H, W): the prediction in the hole, the image elsewhere.

    Args:
        pred: Raw prediction, (B, 3, H, W).
        batch: The batch with ``image``, in the value range of ``pred``, and ``mask``.
    """
    return composite(pred, batch["image"], batch["mask"])


@dataclass(frozen=True)
class Updates:
    """How parameters are updated.

    Attributes:
        optimizer: Function that builds the optimizer from the parameters.
        scheduler: Function that builds the learning-rate schedule from the optimizer.
        interval: Unit of the schedule: generator steps or epochs.
        clip: Maximum norm of their gradient; None disables clipping.
    """

    optimizer: OptimizerFactory
    scheduler: SchedulerFactory | None = None
    interval: Literal["step", "epoch"] = "step"
    clip: float | None = None


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
        own_updates: Updates of entries of ``trains`` that differ from those of the phase; needs
            ``separate_optimizers``.
        weights: Loss weights by term; 1 for terms that are absent. A term of weight 0 is logged but not optimized.
        penalty: Function that returns the terms of a gradient penalty. It runs in fp32 outside autocast, because it
            needs second derivatives; its stages are detached and in fp32. Its terms are weighted by ``weights``, too.
        scheduler: Function that builds the learning-rate schedule from the optimizer.
        interval: Unit of the schedule: generator steps or epochs.
        clip: Maximum norm of the gradient of all its parameters; None disables clipping.
        on: Batches of a step on which it runs: "every", "last" or "but_last". None means "last" for the generator and
            "every" for other phases.
    """

    name: str
    trains: tuple[str, ...]
    loss: LossFunction
    optimizer: OptimizerFactory
    weights: Mapping[str, float] = field(default_factory=dict)
    penalty: LossFunction | None = None
    scheduler: SchedulerFactory | None = None
    interval: Literal["step", "epoch"] = "step"
    clip: float | None = None
    on: Literal["every", "last", "but_last"] | None = None
    separate_optimizers: bool = False
    own_updates: Mapping[str, Updates] = field(default_factory=dict)

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

    def updates(self, attribute: str) -> Updates:
        """Return how an entry of ``trains`` is updated."""
        shared = Updates(self.optimizer, self.scheduler, self.interval, self.clip)
        return self.own_updates.get(attribute, shared)

    def runs(self, completes_step: bool) -> bool:
        """Return whether it runs on a batch that completes a step, see `Recipe.completes_step`, or on another one."""
        on = self.on or ("last" if self.is_generator else "every")
        return on == "every" or (on == "last") == completes_step


@dataclass(frozen=True)
class Recipe:
    """The phases of one training step in order, and how they share batches and forward passes.

    Attributes:
        phases: The phases, in the order of their updates.
        forward: "shared" runs the generator once per batch, and all phases use that prediction. "fresh" runs it again
            for each phase, with the current weights. Phases that do not train it run it without a graph, in train mode.
        batches_per_step: Number of batches in a step. The generator's phase runs on the last one.
        step_jointly: Whether all gradients are computed before the first optimizer steps, so that every loss uses the
            old weights.
        repeats: Number of inner rounds on one batch. `AdversarialModule.carry` builds the batch of the next round.

    Raises:
        ZooError: Not exactly one phase trains ``network``, two phases have the same name, the generator's phase does
            not run on the last batch of a step, or a number is less than 1.
    """

    phases: tuple[Phase, ...]
    forward: Literal["fresh", "shared"] = "fresh"
    batches_per_step: int = 1
    step_jointly: bool = False
    repeats: int = 1

    def __post_init__(self) -> None:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ZooError(f"Phases must have different names, got {names}.")
        if sum(phase.is_generator for phase in self.phases) != 1:
            raise ZooError(f"Exactly one phase must train 'network', got {[phase.trains for phase in self.phases]}.")
        if (self.generator.on or "last") != "last":
            raise ZooError("The phase that trains 'network' must run on the last batch of a step. Leave `on` unset.")
        for key in ("batches_per_step", "repeats"):
            if getattr(self, key) < 1:
                raise ZooError(f"`{key}` must be at least 1, got {getattr(self, key)}.")

    @property
    def generator(self) -> Phase:
        """The phase that trains ``network``."""
        return next(phase for phase in self.phases if phase.is_generator)

    def completes_step(self, batches: int) -> bool:
        """Return whether the batch with index ``batches``, counted from 0, is the last one of a step."""
        return batches % self.batches_per_step == self.batches_per_step - 1
