"""Adversarial training: carries out the `Recipe` that a family declares, and counts generator updates only."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.training.ema import NetworkEMA
from inpaint_zoo.training.module import TrainingModule, gradient_norm
from inpaint_zoo.training.phases import Batch, BatchSchedule, Phase, Recipe, Stages

__all__ = ["AdversarialModule"]


class AdversarialModule(TrainingModule):
    """Training of a network against critics, by manual optimisation. A family implements `recipe`.

    The generator's update advances Lightning's ``global_step``; the critics' updates don't. Accumulation is the
    recipe's, and so is clipping: the Trainer's own flags for them are refused by Lightning.

    Args:
        network: Registry name.
        base: Arguments of `TrainingModule`.
    """

    def __init__(self, network: str, **base: Any) -> None:
        super().__init__(network, **base)
        self.automatic_optimization = False
        self._step_in_progress: int | None = None

    @abstractmethod
    def recipe(self) -> Recipe:
        """The phases; called once, after `build_losses`."""

    def carry(self, batch: Batch, stages: Stages) -> Batch:
        """The batch of the next inner round, where the recipe repeats: made of detached stages."""
        raise NotImplementedError(f"{type(self).__name__} repeats rounds but does not say what one hands to the next.")

    @cached_property
    def plan(self) -> Recipe:
        """The recipe, built once."""
        return self.recipe()

    @cached_property
    def _parameters_of(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by phase; what is frozen by its owner stays so."""
        return {phase.name: self._trainable(phase.trains) for phase in self.plan.phases}

    def _trainable(self, attributes: tuple[str, ...]) -> list[nn.Parameter]:
        return [
            parameter
            for attribute in attributes
            for parameter in self.get_submodule(attribute).parameters()
            if parameter.requires_grad
        ]

    @property
    def batches_per_step(self) -> int:
        """Batches from one generator update to the next."""
        return self.plan.batches_per_step

    @property
    def trained_modules(self) -> dict[str, nn.Module]:
        """What the phases train, by attribute name."""
        return {name: self.get_submodule(name) for phase in self.plan.phases for name in phase.trains}

    @property
    def step(self) -> int:
        """Generator updates done; while a batch is worked on, those before it."""
        return super().step if self._step_in_progress is None else self._step_in_progress

    @property
    def optimizer_names(self) -> list[str]:
        """In the order of the trainer's optimizers: the phases, or what a phase trains apart."""
        return [name for phase in self.plan.phases for name in phase.groups]

    def check_trainer(self, trainer: Trainer) -> None:
        """As the base; refuses a distributed strategy that waits for gradients which a phase does not make.

        Raises:
            ZooError: DDP does not look for unused parameters.
        """
        super().check_trainer(trainer)
        strategy = trainer.strategy
        if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
            raise ZooError("Adversarial phases train in turn: use strategy ddp_find_unused_parameters_true.")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return one optimizer for each phase, or for each part of one that trains apart, and their schedules.

        Raises:
            ZooError: A schedule is a `ReduceLROnPlateau`.
        """
        built = [
            (phase, name, phase.optimizer(self._trainable(trains)))
            for phase in self.plan.phases
            for name, trains in phase.groups.items()
        ]
        optimizers = [optimizer for _, _, optimizer in built]
        schedulers = [
            {"scheduler": phase.scheduler(optimizer), "interval": phase.interval, "name": name}
            for phase, name, optimizer in built
            if phase.scheduler is not None
        ]
        if any(isinstance(config["scheduler"], ReduceLROnPlateau) for config in schedulers):
            raise ZooError(
                "ReduceLROnPlateau is not supported in adversarial training, where a metric that stagnates does not "
                "mean that the training does. Use a schedule that counts steps or epochs, such as {class_path: "
                "torch.optim.lr_scheduler.StepLR, init_args: {step_size: 10000, gamma: 0.5}}."
            )
        return optimizers, schedulers  # type: ignore[return-value]  # the dictionaries are what Lightning documents

    # One batch

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Carry out the recipe on one batch."""
        self.seed_batch("train", self.batches)
        self._step_in_progress = self.step
        schedule = self.plan.schedule(self.batches)
        active = [phase for phase in self.plan.phases if phase.runs(schedule, self._step_in_progress)]
        for number in range(self.plan.repeats):
            last_round = number == self.plan.repeats - 1
            stages = self._round(batch, active, schedule, counts=schedule.completes_step and last_round)
            if not last_round:
                batch = self.carry(batch, stages)
        self.batches += 1
        if schedule.completes_step:
            if self.plan.generator not in active:
                self._count_step()
            self._step_schedulers("step")
            self.undo.complete()
        self._step_in_progress = None

    def _round(self, batch: Batch, active: list[Phase], schedule: BatchSchedule, counts: bool) -> Stages:
        """All phases once; returns the generator's last stages, detached."""
        shared: Stages | None = None
        if self.plan.forward == "shared" and active:
            with torch.set_grad_enabled(self.plan.generator in active):
                shared = self.predict_stages(batch)
        stages: Stages = shared or {}
        for phase in active:
            with self._only(phase):
                stages = shared if shared is not None else self._fresh_stages(phase, batch)
                total = self._phase_loss(phase, batch, stages)
                self.manual_backward(total / self.plan.accumulate)
            if schedule.updates and not self.plan.step_jointly:
                self._update(phase, counts, completes=counts and phase is active[-1])
        if schedule.updates and self.plan.step_jointly:
            for phase in active:
                self._update(phase, counts, completes=counts and phase is active[-1])
        return {name: stage.detach() for name, stage in stages.items()}

    def _fresh_stages(self, phase: Phase, batch: Batch) -> Stages:
        with torch.set_grad_enabled(phase.is_generator):
            return self.predict_stages(batch)

    def _phase_loss(self, phase: Phase, batch: Batch, stages: Stages) -> Tensor:
        if not phase.is_generator:
            stages = {name: stage.detach() for name, stage in stages.items()}
        terms = phase.loss(batch, stages)
        if phase.penalty is not None and self.step % phase.penalty.every == 0:
            with without_autocast(self.device):
                terms = terms | phase.penalty.function(
                    batch, {name: stage.detach().float() for name, stage in stages.items()}
                )
        return self.weighted_sum(phase.name, terms, phase.weights, batch)

    @contextmanager
    def _only(self, phase: Phase) -> Iterator[None]:
        """Freeze what the other phases train."""
        own = {id(parameter) for parameter in self._parameters_of[phase.name]}
        others = [
            parameter
            for parameters in self._parameters_of.values()
            for parameter in parameters
            if id(parameter) not in own
        ]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    # Updates

    def _optimizers(self, phase: Phase) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        listed = optimizers if isinstance(optimizers, list) else [optimizers]
        return [optimizer for optimizer, name in zip(listed, self.optimizer_names, strict=True) if name in phase.groups]

    def _update(self, phase: Phase, counts: bool, completes: bool) -> None:
        """Step the optimizers of a phase.

        Args:
            phase: What to update.
            counts: The generator's update is the one that is counted.
            completes: No update of this step comes after it, so that no copy is needed to take it back.
        """
        parameters = self._parameters_of[phase.name]
        if phase.clip is not None:
            self.values[f"{phase.name}/grad_norm"] = nn.utils.clip_grad_norm_(parameters, phase.clip).detach()
        elif self.logs_next_step:
            self.values[f"{phase.name}/grad_norm"] = gradient_norm(parameters)
        optimizers = self._optimizers(phase)
        self._prepare_undo(phase, optimizers, completes)
        for optimizer in optimizers:
            if phase.is_generator and counts and optimizer is optimizers[-1]:
                optimizer.step()
            else:
                # past the wrapper that counts, through the strategy and its precision all the same
                self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)
            optimizer.zero_grad()
        if phase.is_generator:
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, NetworkEMA):
                    callback.on_generator_update(self, self.step)

    def _prepare_undo(self, phase: Phase, optimizers: list[LightningOptimizer], completes: bool) -> None:
        if completes:
            self.undo.impossible = True
            return
        for optimizer in optimizers:
            self.undo.keep_optimizer(optimizer.optimizer)
        if phase.is_generator:
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, NetworkEMA) and callback.each_update:
                    self.undo.keep(callback.tensors)

    def _count_step(self) -> None:
        """Count a step in which the generator rests, so that windows and schedules go on."""
        *_, optimizer = self._optimizers(self.plan.generator)
        optimizer._on_before_step()
        optimizer._on_after_step()

    def _step_schedulers(self, interval: str) -> None:
        with warnings.catch_warnings():
            # torch counts the optimizer's steps in this process only: a resumed run may begin with an epoch's end
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            for config in self.trainer.lr_scheduler_configs:
                if config.interval == interval:
                    config.scheduler.step()  # type: ignore[call-arg]  # no ReduceLROnPlateau: configure_optimizers refuses it

    def on_train_epoch_end(self) -> None:
        """Step the schedules that count epochs, unless the epoch was cut short."""
        if self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._step_schedulers("epoch")

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted sum of each phase, by its name."""
        sums = {}
        for phase in self.plan.phases:
            with self._only(phase):
                sums[phase.name] = self._phase_loss(phase, batch, self._fresh_stages(phase, batch))
        return sums
