"""Training of LGNet, and of LGNet's refinement stages after any other model.

Source: docs/papers/lgnet.md, "Training" and "Refinement of other models".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from inpaint_zoo.combinators import LocalGlobal
from inpaint_zoo.combinators.local_global import FIRST
from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers import init_normal
from inpaint_zoo.models.lgnet.loss import LGNetLoss, LossWeights, perceptual_features
from inpaint_zoo.models.lgnet.network import LGNetGenerator
from inpaint_zoo.ops import change_range
from inpaint_zoo.registry import create_model, options_through
from inpaint_zoo.training import (
    HALVED,
    AdversarialModule,
    Batch,
    ConstantThenLinear,
    InpaintingModule,
    LossFunction,
    Phase,
    Recipe,
    Stages,
    Terms,
    TrainingModule,
    Updates,
)
from inpaint_zoo.training.hyperparameters import build_stated, origin_of, stated_form

__all__ = ["JointRefinement", "LGNet", "LocalGlobalRefinement"]

REFINED = ("local", "global")
_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
_SCHEDULE: LRSchedulerCallable = partial(ConstantThenLinear, constant=100, decay=100)


class LGNet(AdversarialModule):
    """Training module of LGNet, as in the released code.

    Each step runs one forward pass, updates the discriminator and then the network of every stage, each with its own
    optimizer. The discriminator sees only the composite of the first stage. The later stages have total variation,
    perceptual and style terms instead. With ``lambda_gan: 0`` the discriminator is still trained, but has no effect on
    the generator.

    Args:
        network: Registry name of an LGNet generator.
        optimizer: Optimizer, created once per stage network and once for the discriminator.
        scheduler: Learning-rate schedule of all optimizers, stepped per epoch. The default is constant for 100 epochs
            and then falls linearly over 100 epochs to 1/101 of the initial learning rate.
        lambda_hole: Weight of the L1 loss on hole pixels, for every stage.
        lambda_tv: Weight of the total variation loss.
        lambda_per: Weight of the perceptual loss.
        lambda_style: Weight of the style loss.
        lambda_gan: Weight of the generator's GAN loss.
        discriminator_width: Channels of the discriminator's first feature map.
        vgg_weights: Weight file of VGG-16; None searches the weight folders; "random" is for tests.
        init_std: Standard deviation of the initial weights.
        base: Arguments of `TrainingModule`.
    """

    network: LGNetGenerator
    loss_range = (-1.0, 1.0)
    discriminator_weights = HALVED
    interval = "epoch"

    def __init__(
        self,
        network: str = "lgnet",
        optimizer: OptimizerCallable = _ADAM,
        scheduler: LRSchedulerCallable | None = _SCHEDULE,
        lambda_hole: float = 6.0,
        lambda_tv: float = 0.1,
        lambda_per: float = 0.05,
        lambda_style: float = 120.0,
        lambda_gan: float = 0.1,
        discriminator_width: int = 64,
        vgg_weights: str | None = None,
        init_std: float = 0.02,
        **base: Any,
    ) -> None:
        super().__init__(
            network,
            generator_optimizer=optimizer,
            discriminator_optimizer=optimizer,
            generator_scheduler=scheduler,
            discriminator_scheduler=scheduler,
            **base,
        )
        self.add_discriminator("lgnet", init_std, width=discriminator_width)
        factors = LossWeights(lambda_hole, lambda_tv, lambda_per, lambda_style)
        self.weights = factors.of(self.network.stage_names) | {"adversarial": lambda_gan}
        self.vgg_weights = vgg_weights

    def build_losses(self) -> None:
        """Create the losses; load VGG-16 if a perceptual or style term needs it."""
        self.losses = LGNetLoss(perceptual_features(self, self.network.stage_names[1:], self.vgg_weights))

    def generator_phase(self, **changes: Any) -> Phase:
        """Return the generator's phase, with an optimizer for the network of each stage."""
        nets = tuple(f"network.nets.{name}" for name in self.network.nets)
        return super().generator_phase(trains=nets, separate_optimizers=True, **changes)

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the loss terms of all stages, and the GAN loss of the first stage."""
        terms = self.losses.reconstruction(stages, batch, self.network.stage_names[1:])
        return terms | {"adversarial": self.losses.generator(self.discriminator, stages[self.network.first], batch)}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms on the first stage."""
        return self.losses.discriminator(self.discriminator, stages[self.network.first], batch)


class LocalGlobalRefinement(InpaintingModule):
    """Training module of LGNet's local and global refinement stages after any other model, without a discriminator.

    The first network is either frozen, or trained together with the refinement stages. In the latter case its
    prediction also gets the L1 terms of LGNet's coarse stage. To train it by its own losses and schedule, as in the
    paper, use `JointRefinement`.

    Args:
        network: Registry name, such as "local_global:autoencoder".
        first_weights: Weight file or checkpoint of the first network, or "shipped".
        freeze_first: Keep the first network's weights fixed.
        optimizer: Optimizer of the trainable parameters.
        scheduler: Learning-rate schedule, stepped per epoch. The default is constant for 100 epochs and then falls
            linearly over 100 epochs.
        lambda_hole: Weight of the L1 loss on hole pixels.
        lambda_tv: Weight of the total variation loss.
        lambda_per: Weight of the perceptual loss.
        lambda_style: Weight of the style loss.
        vgg_weights: Weight file of VGG-16; None searches the weight folders; "random" is for tests.
        init_std: Standard deviation of the initial weights.
        network_options: Arguments of `create_model`; they override the options stored in ``first_weights``.
        base: Arguments of `TrainingModule`.

    Raises:
        ZooError: If ``network`` is not `local_global:NAME`, or ``first_weights`` belongs to another network.
    """

    network: LocalGlobal
    loss_range = (-1.0, 1.0)
    start_arguments = InpaintingModule.start_arguments | {"first_weights"}

    def __init__(
        self,
        network: str,
        first_weights: str | None = None,
        freeze_first: bool = False,
        optimizer: OptimizerCallable = _ADAM,
        scheduler: LRSchedulerCallable | None = _SCHEDULE,
        lambda_hole: float = 6.0,
        lambda_tv: float = 0.1,
        lambda_per: float = 0.05,
        lambda_style: float = 120.0,
        vgg_weights: str | None = None,
        init_std: float = 0.02,
        network_options: dict[str, Any] | None = None,
        **base: Any,
    ) -> None:
        if not network.startswith("local_global:"):
            raise ZooError(f"`network` must be local_global:NAME, where NAME is a model, got '{network}'.")
        factors = LossWeights(lambda_hole, lambda_tv, lambda_per, lambda_style)
        still = {"coarse_valid": 0.0, "coarse_hole": 0.0} if freeze_first else {}
        inner = network.removeprefix("local_global:")
        first = create_model(inner, weights=first_weights) if first_weights is not None else None
        options = options_through(network, *first.origin) if first is not None and first.origin is not None else {}
        super().__init__(
            network,
            optimizer=optimizer,
            scheduler=scheduler,
            interval="epoch",
            weights=factors.of(("coarse", *REFINED)) | still,
            network_options={**options, **(network_options or {}), "freeze_first": freeze_first},
            **base,
        )
        self.vgg_weights = vgg_weights
        if not self.starts_trained:
            init_normal(self.network.local_net, init_std)
            init_normal(self.network.global_net, init_std)
        if first is not None:
            self.start_first(first.state_dict(), str(first_weights))

    def build_losses(self) -> None:
        """Create the losses; load VGG-16 if a perceptual or style term needs it."""
        self.losses = LGNetLoss(perceptual_features(self, REFINED, self.vgg_weights))

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the loss terms of all three stages."""
        return self.losses.reconstruction(stages, batch, REFINED)


class JointRefinement(AdversarialModule):
    """Training module of LGNet's refinement stages together with the first network, which keeps its own training.

    The first network has the losses, the discriminators, the optimizers, the schedules, the clipping and the order of
    updates of ``first_training``; its losses see its raw predictions, not clamped. The refinement stages have LGNet's
    terms, whose gradients also reach the first network, as in LGNet. (The paper trains the first network in its
    "original setting", and published no code for it.)

    Args:
        network: Registry name, such as "local_global:lama".
        first_training: Training module of the first network, or a mapping with its ``class_path`` and ``init_args``.
            Its weights and options are those of the first network.
        optimizer: Optimizer, created once for each refinement stage.
        scheduler: Learning-rate schedule of these optimizers, stepped per epoch.
        lambda_hole: Weight of the L1 loss on hole pixels, for both refinement stages.
        lambda_tv: Weight of the total variation loss.
        lambda_per: Weight of the perceptual loss.
        lambda_style: Weight of the style loss.
        vgg_weights: Weight file of VGG-16; None searches the weight folders; "random" is for tests.
        init_std: Standard deviation of the initial weights of the refinement stages.
        network_options: Arguments of `create_model` for the refinement stages.
        base: Arguments of `TrainingModule`.

    Raises:
        ZooError: If ``network`` is not `local_global:NAME`, where NAME is the network of ``first_training``, or if the
            training of NAME repeats rounds on a batch, as GRIG's does.
    """

    network: LocalGlobal
    first_training: TrainingModule
    loss_range = (-1.0, 1.0)

    def __init__(
        self,
        network: str,
        first_training: TrainingModule | dict[str, Any],
        optimizer: OptimizerCallable = _ADAM,
        scheduler: LRSchedulerCallable | None = _SCHEDULE,
        lambda_hole: float = 6.0,
        lambda_tv: float = 0.1,
        lambda_per: float = 0.05,
        lambda_style: float = 120.0,
        vgg_weights: str | None = None,
        init_std: float = 0.02,
        network_options: dict[str, Any] | None = None,
        **base: Any,
    ) -> None:
        first = build_stated(first_training) if isinstance(first_training, dict) else first_training
        if not isinstance(first, TrainingModule):
            raise ZooError(f"`first_training` must be a training module, got {type(first).__name__}.")
        origin = origin_of(first.network)
        if network != f"local_global:{origin.name}":
            raise ZooError(f"`first_training` trains '{origin.name}', so `network` must be local_global:{origin.name}.")
        options = {**options_through(network, *origin), **(network_options or {})}
        super().__init__(network, optimizer, optimizer, scheduler, scheduler, network_options=options, **base)
        self.save_hyperparameters({"first_training": stated_form(first, first.hparams)}, logger=False)
        self._not_stored = [name for name in self._not_stored if name != "first_training"]
        self._not_stored += [f"first_training.{name}" for name in first._not_stored]
        if not self.starts_trained:
            init_normal(self.network.local_net, init_std)
            init_normal(self.network.global_net, init_std)
        else:
            first.network.load_state_dict(self.network.first.state_dict())
        self.network.first = first.network
        if base.get("channels_last"):
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        # Not a submodule, because the state dict would hold the first network twice; its other parts are submodules.
        object.__setattr__(self, "first_training", first)
        self.first_parts = nn.ModuleDict()
        self._register_parts()
        refined = LossWeights(lambda_hole, lambda_tv, lambda_per, lambda_style).of(REFINED)
        self.weights = {f"first_{name}": weight for name, weight in first.weights.items()} | refined
        self.vgg_weights = vgg_weights

    def _register_parts(self) -> None:
        for name, part in self.first_training.named_children():
            if name != "network":
                self.first_parts[name] = part

    def setup(self, stage: str) -> None:
        """Attach the first network's training to the Trainer, then see `TrainingModule.setup`."""
        self.first_training.trainer = self.trainer
        super().setup(stage)

    def train(self, mode: bool = True) -> Self:
        """Set the training mode, also that of the first network's training, which may freeze norms."""
        super().train(mode)
        if "first_training" in self.__dict__:
            self.first_training.train(mode)
        return self

    def build_losses(self) -> None:
        """Create the losses of the first network and of the refinement stages."""
        first = self.first_training
        first.build_losses()
        self.dropped |= first.dropped | {f"first_{name}" for name in first.dropped}
        self._register_parts()
        self.losses = LGNetLoss(perceptual_features(self, REFINED, self.vgg_weights))

    def recipe(self) -> Recipe:
        """Return the recipe of the first network, whose generator's phase also trains the refinement stages.

        Raises:
            ZooError: The recipe repeats rounds.
        """
        first = self.first_training
        if not isinstance(first, AdversarialModule):
            assert isinstance(first, InpaintingModule)
            own = Updates(first.optimizer, first.scheduler, first.interval)
            return Recipe((self._joint_phase(first.loss, {"network.first": own}),), forward="shared")
        plan = first.plan
        if plan.repeats > 1:
            raise ZooError(
                f"{type(first).__name__} trains in several rounds on a batch, which its refinement cannot follow. "
                "Train it alone, and use LocalGlobalRefinement with `first_weights` and `freeze_first`."
            )
        phases = []
        for phase in plan.phases:
            names = [name.replace("network", "network.first", 1) for name in phase.trains]
            if phase.is_generator:
                own = Updates(phase.optimizer, phase.scheduler, phase.interval, phase.clip)
                phases.append(self._joint_phase(phase.loss, dict.fromkeys(names, own)))
                continue
            penalty = None if phase.penalty is None else partial(self._first_terms, phase.penalty)
            trains = tuple(f"first_parts.{name}" for name in phase.trains)
            phases.append(replace(phase, trains=trains, loss=partial(self._first_terms, phase.loss), penalty=penalty))
        return replace(plan, phases=tuple(phases))

    def _joint_phase(self, loss: LossFunction, own: Mapping[str, Updates]) -> Phase:
        return self.generator_phase(
            trains=(*own, "network.local_net", "network.global_net"),
            loss=partial(self._joint_terms, loss),
            interval="epoch",
            separate_optimizers=True,
            own_updates=own,
        )

    # Losses

    def predict_stages(self, batch: Batch) -> Stages:
        """Return the raw predictions of all stages, those of the first network by its own names after ``first/``."""
        return self.network.stages(batch["image"], batch["mask"], scaled_to=self.loss_range, keep_first=True)

    def _first_batch(self, batch: Batch) -> Batch:
        return batch | {"image": change_range(batch["image"], self.loss_range, self.first_training.loss_range)}

    def prepare(self, batch: Batch) -> tuple[Any, ...]:
        """Return what the losses of the first network share."""
        first = self.first_training
        if not isinstance(first, AdversarialModule):
            return ()
        first._step_in_progress = self._step_in_progress
        return first.prepare(self._first_batch(batch))

    def _first_terms(self, loss: LossFunction, batch: Batch, stages: Stages, *prepared: Any) -> Terms:
        """Return the terms of the first network's training."""
        own = {
            name.removeprefix(FIRST): change_range(stage, self.loss_range, self.first_training.loss_range)
            for name, stage in stages.items()
            if name.startswith(FIRST)
        }
        self.first_training.loss_generator = self.loss_generator
        return loss(self._first_batch(batch), own, *prepared)

    def _joint_terms(self, loss: LossFunction, batch: Batch, stages: Stages, *prepared: Any) -> Terms:
        """Return the generator's terms: those of the first network, as ``first_<term>``, and of the refinement."""
        terms = self._first_terms(loss, batch, stages, *prepared)
        refined = {name: stages[name] for name in REFINED}
        return {f"first_{name}": term for name, term in terms.items()} | self.losses.reconstruction(
            refined, batch, REFINED
        )
