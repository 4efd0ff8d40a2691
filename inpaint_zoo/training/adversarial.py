"""Adversarial training: executes the `Recipe` that a family declares. One step is one generator update."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers import init_normal
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.ops.precision import full_precision
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training.ema import NetworkEMA
from inpaint_zoo.training.fused import use_fused_updates
from inpaint_zoo.training.module import TrainingModule, gradient_norm
from inpaint_zoo.training.phases import Batch, Phase, Recipe, Stages, Terms

__all__ = ["AdversarialModule"]


class AdversarialModule(TrainingModule):
    """LightningModule for adversarial training with manual optimization.

    The default recipe has two phases, "generator" and "discriminator". A family states their order by the attributes
    below, and implements `generator_loss` and `discriminator_loss`. For other recipes, it overrides `generator_phase`,
    `discriminator_phase` or `recipe`.

    Only generator updates advance Lightning's ``global_step``; discriminator updates do not. The recipe sets gradient
    clipping, and there is no gradient accumulation. Lightning refuses the Trainer options for them under manual
    optimization.

    Args:
        network: Registry name of the inpainting network.
        generator_optimizer: Optimizer of the generator.
        discriminator_optimizer: Optimizer of the discriminator.
        generator_scheduler: Learning-rate schedule of the generator, stepped per training step; None keeps the learning
            rate constant.
        discriminator_scheduler: Learning-rate schedule of the discriminator, stepped per training step.
        base: Arguments of `TrainingModule`.

    Attributes:
        discriminator: The discriminator, see `add_discriminator`.
        discriminator_weights: Loss weights of the discriminator's terms; 1 for terms that are absent.
        gradient_clip: Maximum gradient norm of each phase; None disables clipping.
        generator_first: Whether the generator is updated before the discriminator.
        forward_passes: See `Recipe.forward`.
        step_jointly: See `Recipe.step_jointly`.
        step_batches: Number of batches in a step, see `Recipe.batches_per_step`.
        interval: Unit of the schedules: generator steps or epochs.
    """

    discriminator: nn.Module
    discriminator_weights: Mapping[str, float] = {}
    gradient_clip: float | None = None
    generator_first: ClassVar[bool] = False
    forward_passes: ClassVar[Literal["fresh", "shared"]] = "shared"
    step_jointly: ClassVar[bool] = False
    step_batches: int = 1
    interval: ClassVar[Literal["step", "epoch"]] = "step"

    def __init__(
        self,
        network: str,
        generator_optimizer: OptimizerCallable = torch.optim.Adam,
        discriminator_optimizer: OptimizerCallable = torch.optim.Adam,
        generator_scheduler: LRSchedulerCallable | None = None,
        discriminator_scheduler: LRSchedulerCallable | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        self.automatic_optimization = False
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.generator_scheduler = generator_scheduler
        self.discriminator_scheduler = discriminator_scheduler
        self._step_in_progress: int | None = None

    # Methods that a family may override or use

    def add_discriminator(self, name: str, init_std: float | None = None, **options: Any) -> None:
        """Create the discriminator.

        Args:
            name: Registry name of the discriminator.
            init_std: Standard deviation of the initial weights of the discriminator and, unless it starts from trained
                weights, of the network; see `init_normal`. None keeps their default initialization.
            options: Options of `create_discriminator`.
        """
        self.discriminator = create_discriminator(name, **options)
        if init_std is not None:
            init_normal(self.discriminator, init_std)
            if not self.starts_trained:
                init_normal(self.network, init_std)

    def generator_loss(self, *args: Any, **kwargs: Any) -> Terms:
        """Return the unweighted loss terms of the generator by name.

        Its arguments are the batch, the stages with their graph, both in ``loss_range``, and what `prepare` returned.
        """
        raise NotImplementedError

    def discriminator_loss(self, *args: Any, **kwargs: Any) -> Terms:
        """Return the unweighted loss terms of the discriminator; as `generator_loss`, but with detached stages."""
        raise NotImplementedError

    def prepare(self, batch: Batch) -> tuple[Any, ...]:
        """Return further arguments for the losses of all phases, such as VGG features of the ground truth.

        They are computed once per batch.

        Args:
            batch: The batch that the losses receive.
        """
        return ()

    def prepare_round(self, batch: Batch, stages: Stages) -> tuple[Any, ...]:
        """Return further arguments for the losses of one round, after those of `prepare`.

        They are computed once for each forward pass of the generator, such as features of its prediction.

        Args:
            batch: The batch that the losses receive.
            stages: The generator's stages in ``loss_range``, with their graph if the generator is trained on them.
        """
        return ()

    def generator_phase(self, **changes: Any) -> Phase:
        """Return the phase that trains the network.

        Args:
            changes: Attributes of the `Phase` that differ from the defaults.
        """
        phase = Phase(
            "generator",
            ("network",),
            self.generator_loss,
            self.generator_optimizer,
            weights=self.weights,
            scheduler=self.generator_scheduler,
            interval=self.interval,
            clip=self.gradient_clip,
        )
        return replace(phase, **changes)

    def discriminator_phase(self, **changes: Any) -> Phase:
        """Return the phase that trains the discriminator.

        Args:
            changes: Attributes of the `Phase` that differ from the defaults.
        """
        phase = Phase(
            "discriminator",
            ("discriminator",),
            self.discriminator_loss,
            self.discriminator_optimizer,
            weights=self.discriminator_weights,
            scheduler=self.discriminator_scheduler,
            interval=self.interval,
            clip=self.gradient_clip,
        )
        return replace(phase, **changes)

    def recipe(self) -> Recipe:
        """Return the phases and their order. It is called once, after `build_losses`."""
        generator, discriminator = self.generator_phase(), self.discriminator_phase()
        return Recipe(
            (generator, discriminator) if self.generator_first else (discriminator, generator),
            forward=self.forward_passes,
            batches_per_step=self.step_batches,
            step_jointly=self.step_jointly,
        )

    def carry(self, batch: Batch, stages: Stages) -> Batch:
        """Return the batch of the next inner round, built from detached stages. Needed if the recipe repeats rounds.

        Args:
            batch: The batch of the round that has just finished, with ``image`` in [0, 1].
            stages: The generator's stages of that round in ``loss_range``, detached.
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
    def parameters_of(self) -> dict[str, list[nn.Parameter]]:
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
        return self.plan.batches_per_step

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
        """Names of the optimizers, in the order of ``trainer.optimizers``.

        A phase has one optimizer, or with ``separate_optimizers`` one for each entry of ``trains``.
        """
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
        built = []
        for phase in self.plan.phases:
            for name, trains in phase.groups.items():
                updates = phase.updates(trains[0])
                built.append((updates, name, updates.optimizer(self._trainable(trains))))
        optimizers = [optimizer for _, _, optimizer in built]
        for optimizer in optimizers:
            use_fused_updates(optimizer)
        schedulers = [
            {"scheduler": updates.scheduler(optimizer), "interval": updates.interval, "name": name}
            for updates, name, optimizer in built
            if updates.scheduler is not None
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
        batch = self.augmented(batch)
        self.seed_batch("train", self.batches)
        self._step_in_progress = self.step
        completes_step = self.plan.completes_step(self.batches)
        active = [phase for phase in self.plan.phases if phase.runs(completes_step)]
        prepared = self.prepare(self.in_loss_range(batch))
        for number in range(self.plan.repeats):
            last_round = number == self.plan.repeats - 1
            stages = self._round(batch, prepared, active, counts=completes_step and last_round)
            if not last_round:
                batch = self.carry(batch, stages)
        self.batches += 1
        self.show_losses()
        if completes_step:
            self._note_balance()
            self._step_schedulers("step")
            self.undo.complete()
        self._step_in_progress = None

    def _note_balance(self) -> None:
        """Store the gradient norm of each discriminator's phase, divided by that of the generator, for the logs."""
        generator = self.values.get(f"{self.plan.generator.name}/grad_norm")
        if not self.logs_next_step or generator is None:
            return
        for phase in self.plan.phases:
            norm = self.values.get(f"{phase.name}/grad_norm")
            if norm is not None and not phase.is_generator:
                self.values[f"balance/{phase.name}"] = norm / generator

    def _round(self, batch: Batch, prepared: tuple[Any, ...], active: list[Phase], counts: bool) -> Stages:
        """Run the active phases once and return the stages of the last forward pass, detached."""
        seen = self.in_loss_range(batch)
        shared: tuple[Stages, tuple[Any, ...]] | None = None
        if self.plan.forward == "shared" and active:
            shared = self._predict(batch, seen, self.plan.generator in active)
        stages: Stages = shared[0] if shared is not None else {}
        for phase in active:
            with self.only(phase):
                stages, own = shared if shared is not None else self._predict(batch, seen, phase.is_generator)
                self.manual_backward(self._phase_loss(phase, seen, stages, (*prepared, *own)))
            if not self.plan.step_jointly:
                self._update(phase, counts, completes=counts and phase is active[-1])
        if self.plan.step_jointly:
            for phase in active:
                self._update(phase, counts, completes=counts and phase is active[-1])
        return {name: stage.detach() for name, stage in stages.items()}

    def _predict(self, batch: Batch, seen: Batch, with_graph: bool) -> tuple[Stages, tuple[Any, ...]]:
        """Return the generator's stages and what `prepare_round` returns for them."""
        with torch.set_grad_enabled(with_graph):
            stages = self.predict_stages(batch)
            return stages, self.prepare_round(seen, stages)

    def _phase_loss(self, phase: Phase, batch: Batch, stages: Stages, prepared: tuple[Any, ...]) -> Tensor:
        if not phase.is_generator:
            stages = {name: stage.detach() for name, stage in stages.items()}
        terms = phase.loss(batch, stages, *prepared)
        if phase.penalty is not None:
            with without_autocast(self.device):
                precise = {name: full_precision(stage.detach()) for name, stage in stages.items()}
                terms = terms | phase.penalty(batch, precise, *prepared)
        return self.weighted_sum(phase.name, terms, phase.weights, batch)

    @contextmanager
    def only(self, phase: Phase) -> Iterator[None]:
        """Freeze the parameters of the other phases within the context."""
        own = {id(parameter) for parameter in self.parameters_of[phase.name]}
        others = [
            parameter
            for parameters in self.parameters_of.values()
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
            counts: Whether an update of the generator advances ``global_step``.
            completes: Whether this is the last update of the step; then no copy is kept for undoing it.
        """
        parameters = self.parameters_of[phase.name]
        for attribute, updates in phase.own_updates.items():
            if updates.clip is not None:
                nn.utils.clip_grad_norm_(self._trainable((attribute,)), updates.clip)
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
        seen = self.in_loss_range(batch)
        prepared = self.prepare(seen)
        for phase in self.plan.phases:
            with self.only(phase):
                stages, own = self._predict(batch, seen, phase.is_generator)
                sums[phase.name] = self._phase_loss(phase, seen, stages, (*prepared, *own))
        return sums
