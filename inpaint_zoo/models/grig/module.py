"""Training of GRIG (specs/grig.md, sections 4 to 8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, cast, get_args

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import LPIPS_TAPS
from inpaint_zoo.models.grig.loss import GRIGLoss, PatchLabels
from inpaint_zoo.models.grig.network import GRIGGenerator
from inpaint_zoo.models.grig.patch_discriminator import GRIGPatchDiscriminator
from inpaint_zoo.models.grig.projected_discriminator import BackboneName, ProjectedDiscriminator
from inpaint_zoo.ops import AugmentStep, check_augment_steps, diff_augment, from_range, to_range
from inpaint_zoo.training import AdversarialModule, Batch, LossFunction, Phase, Recipe, Stages, Terms

__all__ = ["GRIG", "UpdateOrder"]

UpdateOrder = Literal["code", "paper"]
STEP = "step_1"  # a round is one step
_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))


class GRIG(AdversarialModule):
    """As many rounds on a batch as the network takes steps, each of them one forward pass and one update of all three.

    A round goes on from the composite of the round before, detached, so that no gradient and no memory crosses rounds.
    The rounds of a batch make one step of the training. How many there are is the network's option ``steps``, so that a
    checkpoint is used with the steps it was trained with.

    Args:
        network: Registry name.
        generator_optimizer: Built over the generator's parameters; the rate is constant.
        discriminator_optimizer: One is built over each discriminator's parameters that are not frozen.
        generator_scheduler: Learning-rate schedule of the generator, by steps of the training.
        discriminator_scheduler: ... of each discriminator.
        update_order: Of a round: projected discriminator, patch discriminator, generator, as released; the paper's
            Algorithm 1 has the generator first.
        lambda_adv: Weight of the projected discriminator's term; 0 trains without that discriminator (ablation B).
        lambda_patch: ... of the forged-patch discriminator's; 0 trains without it (ablation A).
        lambda_lpips: Weight of LPIPS on VGG-16; 0 disables LPIPS, and VGG-16's weights are then not needed. The
            default is the released 1.5 times 8: the code takes the sum over its batch of 8, here it is the mean.
        lambda_l1: Weight of L1 in the hole. Not the paper's: for small trainings without VGG-16.
        lpips_reduction: Mean over the images, or their sum over the batch of all processes: with "sum" and a weight of
            1.5, as released, the batch size changes the balance with the other terms.
        patch_labels: What the patch discriminator calls forged: "all" is ablation C, "soft" ablation D, "area" and
            "coverage" keep the hole ratio of fine grids, in no paper (`GRIGLoss`).
        augment: DiffAugment of the truth, before the hole is made: the code's default, the paper's on small sets.
        augment_discriminators: DiffAugment of what the discriminators see; none in paper and default code.
        projected_width: Channels of the projected discriminator's head.
        patch_width: Channels of the patch discriminator's first map.
        backbone: What the projected discriminator looks through: the code's; the paper says tf_efficientnet_lite1.
        backbone_weights: Its file; None searches; "random" is no longer GRIG. A checkpoint brings it along.
        bug_compatible_reinit: Draw the pretrained backbone anew, as the released code does.
        vgg_weights: File of VGG-16; None searches; "random" is for tests.
        base: Arguments of `TrainingModule`.

    Raises:
        UnknownNameError: No such order, labels or step of DiffAugment.
    """

    def __init__(
        self,
        network: str = "grig",
        generator_optimizer: OptimizerCallable = _ADAM,
        discriminator_optimizer: OptimizerCallable = _ADAM,
        generator_scheduler: LRSchedulerCallable | None = None,
        discriminator_scheduler: LRSchedulerCallable | None = None,
        update_order: UpdateOrder = "code",
        lambda_adv: float = 1.0,
        lambda_patch: float = 1.0,
        lambda_lpips: float = 12.0,
        lambda_l1: float = 0.0,
        lpips_reduction: Literal["sum", "mean"] = "mean",
        patch_labels: PatchLabels = "forged",
        augment: Sequence[AugmentStep] = ("color", "translation"),
        augment_discriminators: Sequence[AugmentStep] = (),
        projected_width: int = 64,
        patch_width: int = 64,
        backbone: BackboneName = "tf_efficientnet_lite0",
        backbone_weights: str | None = None,
        bug_compatible_reinit: bool = False,
        vgg_weights: str | None = None,
        **base: Any,
    ) -> None:
        for name, value, known in (
            ("update_order", update_order, UpdateOrder),
            ("patch_labels", patch_labels, PatchLabels),
        ):
            if value not in get_args(known):
                raise unknown_name(f"`{name}`:", value, get_args(known))
        check_augment_steps("augment", augment)
        check_augment_steps("augment_discriminators", augment_discriminators)
        super().__init__(network, **base)
        self.projected: ProjectedDiscriminator | None = None
        self.patch: GRIGPatchDiscriminator | None = None
        if lambda_adv:
            self.projected = ProjectedDiscriminator(
                backbone, projected_width, bug_compatible_reinit=bug_compatible_reinit
            )
        if lambda_patch:
            self.patch = GRIGPatchDiscriminator(patch_width)
        self.optimizers_of = {"generator": generator_optimizer, "discriminator": discriminator_optimizer}
        self.schedulers = {"generator": generator_scheduler, "discriminator": discriminator_scheduler}
        self.update_order = update_order
        self.weights = {"adversarial": lambda_adv, "patch": lambda_patch, "lpips": lambda_lpips, "l1": lambda_l1}
        self.augment = tuple(augment)
        self.backbone_weights, self.vgg_weights = backbone_weights, vgg_weights
        self.lpips_reduction, self.patch_labels = lpips_reduction, patch_labels
        self.augment_discriminators = augment_discriminators

    # What is looked through

    def build_losses(self) -> None:
        """Look VGG-16 up."""
        self.losses = GRIGLoss(self._features(), self.lpips_reduction, self.patch_labels, self.augment_discriminators)

    def _features(self) -> VGGFeatures | None:
        if not self.weights["lpips"]:
            return None
        return self.unless_missing(
            lambda: VGGFeatures("vgg16", LPIPS_TAPS, fed_as="imagenet", full_precision=True, weights=self.vgg_weights),
            "lpips",
        )

    def _projecting(self) -> ProjectedDiscriminator | None:
        """The projected discriminator, if it takes part; its backbone is looked up unless a checkpoint brought it."""
        critic = self.projected
        if critic is None or "adversarial" in self.dropped:
            return None

        def loaded() -> ProjectedDiscriminator:
            if critic.backbone_source is None:
                critic.load_backbone(self.backbone_weights)
            return critic

        return self.unless_missing(loaded, "adversarial")

    # Rounds

    def recipe(self) -> Recipe:
        """The three phases on one forward pass, as many rounds as the network takes steps.

        Raises:
            WeightsNotFoundError: The backbone is nowhere, no checkpoint brought it, and ``on_missing`` is "refuse".
        """
        projected, patch = self._projecting(), self.patch
        critics = []
        if projected is not None:
            critics.append(self._phase("projected", partial(self.projected_loss, projected)))
        if patch is not None:
            critics.append(self._phase("patch", partial(self.patch_loss, patch)))
        generator = self._phase("generator", partial(self.generator_loss, projected, patch))
        phases = (*critics, generator) if self.update_order == "code" else (generator, *critics)
        return Recipe(phases, forward="shared", repeats=cast(GRIGGenerator, self.network).steps)

    def _phase(self, name: str, loss: LossFunction) -> Phase:
        generates = name == "generator"
        kind = "generator" if generates else "discriminator"
        return Phase(
            name,
            ("network" if generates else name,),
            loss,
            self.optimizers_of[kind],
            weights=self.weights if generates else {},
            scheduler=self.schedulers[kind],
        )

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Change the truth, look at it once, and carry the recipe out."""
        if self.augment:
            if "input" in batch:
                raise ZooError("`augment` would change the truth but not what `input_mode` put into the hole: set [].")
            generator = self.common_generator("augment", self.batches)  # each sample's own, on any number of processes
            (image,) = diff_augment([to_range(batch["image"], -1, 1)], self.augment, generator=generator)
            batch = batch | {"image": from_range(image, -1, 1)}
        super().training_step(batch | {"truth": self.losses.look(batch["image"])}, batch_idx)

    def predict_stages(self, batch: Batch) -> Stages:
        """In training one step, from where the round before ended; otherwise all."""
        if not self.training:
            return super().predict_stages(batch)
        return self.network.stages(batch["image"], batch["mask"], filling=batch.get("input"), steps=1)

    def carry(self, batch: Batch, stages: Stages) -> Batch:
        """The next round finds in the hole what this one painted there, unclamped."""
        return batch | {"input": stages[STEP]}

    # Losses

    def projected_loss(self, critic: ProjectedDiscriminator, batch: Batch, stages: Stages) -> Terms:
        """The hinge on truth and composite as wholes."""
        return self.losses.projected(critic, stages[STEP], batch, self.loss_generator)

    def patch_loss(self, critic: GRIGPatchDiscriminator, batch: Batch, stages: Stages) -> Terms:
        """The hinge on their patches."""
        return self.losses.patch(critic, stages[STEP], batch, self.loss_generator)

    def generator_loss(
        self,
        projected: ProjectedDiscriminator | None,
        patch: GRIGPatchDiscriminator | None,
        batch: Batch,
        stages: Stages,
    ) -> Terms:
        """The terms of the composite."""
        pred = stages[STEP]
        adversarial = self.losses.generator(projected, patch, pred, batch, self.loss_generator)
        return adversarial | self.losses.reconstruction(pred, batch)

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note whether the projected discriminator takes part."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["projects"] = "adversarial" not in self.dropped

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the players that there were."""
        super().on_load_checkpoint(checkpoint)
        if not checkpoint.get("projects", True):
            self.dropped.add("adversarial")
