"""Adversarial training: executes the `Recipe` that a family declares. One step is one generator update."""

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
from inpaint_zoo.training.phases import Batch, Phase, Recipe, Stages

__all__ = ["AdversarialModule"]


class AdversarialModule(TrainingModule):
    """LightningModule for adversarial training with manual optimization. A family implements `recipe`.

    Only generator updates advance Lightning's ``global_step``; discriminator updates do not. The recipe sets gradient
    clipping, and there is no gradient accumulation. Lightning refuses the Trainer options for them under manual
    optimization.

    Args:
        network: Registry name of the inpainting network.
        base: Arguments of `TrainingModule`.
    """

    def __init__(self, network: str, **base: Any) -> None:
        super().__init__(network, **base)
        self.automatic_optimization = False
        self._step_in_progress: int | None = None

    @abstractmethod
    def recipe(self) -> Recipe:
        """Return the phases and their order. It is called once, after `build_losses`."""

    def carry(self, batch: Batch, stages: Stages) -> Batch:
        """Return the batch of the next inner round, built from detached stages. Needed if the recipe repeats rounds.

        Args:
            batch: The batch of the round that has just finished.
            stages: The generator's stages of that round, detached.
        """
        raise NotImplementedError(
            f"The recipe of {type(self).__name__} repeats rounds. Implement `carry`, which builds the batch of the "
            "next round."
        )

    @cached_property
    def plan(self) -> Recipe:
        """The recipe, built once and cached."""
        return self.recipe()

    @cached_property
    def _parameters_of(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by phase name. Parameters that the family froze itself are not included."""
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
        return self.plan.critics_per_step

    @property
    def trained_modules(self) -> dict[str, nn.Module]:
        """The modules that the phases train, by attribute name."""
        return {name: self.get_submodule(name) for phase in self.plan.phases for name in phase.trains}

    @property
    def step(self) -> int:
        """Number of generator updates done. Within `training_step` it is the number before the current batch."""
        return super().step if self._step_in_progress is None else self._step_in_progress

    @property
    def optimizer_names(self) -> list[str]:
        """Names of the optimizers, in the order of ``trainer.optimizers``: one per phase, or one per separate part."""
        return [name for phase in self.plan.phases for name in phase.groups]

    def check_trainer(self, trainer: Trainer) -> None:
        """Refuse a Trainer that cannot fit this module, including DDP without the search for unused parameters.

        Each phase computes gradients of its own parameters only. DDP would wait for the gradients of the others.

        Raises:
            ZooError: The strategy is DDP without ``find_unused_parameters``, or `TrainingModule.check_trainer` raises.
        """
        super().check_trainer(trainer)
        strategy = trainer.strategy
        if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
            raise ZooError(
                "DDP needs find_unused_parameters for adversarial training, because each phase updates only some "
                "parameters. Use strategy ddp_find_unused_parameters_true."
            )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizers, in the order of `optimizer_names`, and their learning-rate schedules.

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
                "ReduceLROnPlateau is not supported in adversarial training, because a metric that no longer improves "
                "does not mean that the training has converged. Use a schedule that counts steps or epochs, such as "
                "{class_path: torch.optim.lr_scheduler.StepLR, init_args: {step_size: 10000, gamma: 0.5}}."
            )
        return optimizers, schedulers  # type: ignore[return-value]  # the dictionaries are what Lightning documents

    # One batch

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Run all active phases of the recipe on one batch."""
        self.seed_batch("train", self.batches)
        self._step_in_progress = self.step
        completes_step = self.plan.completes_step(self.batches)
        active = [phase for phase in self.plan.phases if phase.runs(completes_step)]
        for number in range(self.plan.repeats):
            last_round = number == self.plan.repeats - 1
            stages = self._round(batch, active, counts=completes_step and last_round)
            if not last_round:
                batch = self.carry(batch, stages)
        self.batches += 1
        if completes_step:
            self._step_schedulers("step")
            self.undo.complete()
        self._step_in_progress = None

    def _round(self, batch: Batch, active: list[Phase], counts: bool) -> Stages:
        """Run the active phases once and return the stages of the last forward pass, detached."""
        shared: Stages | None = None
        if self.plan.forward == "shared" and active:
            with torch.set_grad_enabled(self.plan.generator in active):
                shared = self.predict_stages(batch)
        stages: Stages = shared or {}
        for phase in active:
            with self._only(phase):
                stages = shared if shared is not None else self._fresh_stages(phase, batch)
                self.manual_backward(self._phase_loss(phase, batch, stages))
            if not self.plan.step_jointly:
                self._update(phase, counts, completes=counts and phase is active[-1])
        if self.plan.step_jointly:
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
        if phase.penalty is not None:
            with without_autocast(self.device):
                terms = terms | phase.penalty(batch, {name: stage.detach().float() for name, stage in stages.items()})
        return self.weighted_sum(phase.name, terms, phase.weights, batch)

    @contextmanager
    def _only(self, phase: Phase) -> Iterator[None]:
        """Freeze the parameters of the other phases within the context."""
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
            phase: The phase to update.
            counts: If the phase is the generator's, count this update as a step.
            completes: This is the last update of the step, so no copy is kept for undoing it.
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
                # Lightning's wrapper would advance global_step. The strategy still applies the precision plugin.
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

    def _step_schedulers(self, interval: str) -> None:
        with warnings.catch_warnings():
            # The warning is wrong here: torch counts optimizer steps per process, and a resumed run may start with
            # the end of an epoch, before its first optimizer step.
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            for config in self.trainer.lr_scheduler_configs:
                if config.interval == interval:
                    config.scheduler.step()  # type: ignore[call-arg]  # no ReduceLROnPlateau: configure_optimizers refuses it

    def on_train_epoch_end(self) -> None:
        """Step the schedules that count epochs, unless training stopped before the end of the epoch."""
        if self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._step_schedulers("epoch")

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted loss of each phase by the phase's name, for a forward pass without updates."""
        sums = {}
        for phase in self.plan.phases:
            with self._only(phase):
                sums[phase.name] = self._phase_loss(phase, batch, self._fresh_stages(phase, batch))
        return sums
