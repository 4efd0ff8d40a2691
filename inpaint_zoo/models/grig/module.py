"""Training of GRIG (docs/papers/grig.md, "Residual steps" to "Training")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast, get_args

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import LPIPS_TAPS
from inpaint_zoo.models.grig.loss import GRIGLoss, PatchLabels
from inpaint_zoo.models.grig.network import GRIGGenerator
from inpaint_zoo.models.grig.patch_discriminator import GRIGPatchDiscriminator
from inpaint_zoo.models.grig.projected_discriminator import BackboneName, ProjectedDiscriminator
from inpaint_zoo.ops import AugmentStep, check_augment_steps, from_range
from inpaint_zoo.training import AdversarialModule, Batch, Recipe, Stages, Terms, completed

__all__ = ["GRIG", "UpdateOrder"]

UpdateOrder = Literal["code", "paper"]
STEP = "step_1"  # each round of the training runs one step of the network
_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))


class GRIG(AdversarialModule):
    """Training module of GRIG.

    For each batch, training runs as many rounds as the network has steps. A round is one forward pass and one update of
    the generator and of both discriminators. It starts from the previous round's composite, detached, so that neither
    gradients nor memory extend over several rounds. All rounds of a batch together count as one training step. The
    number of rounds is the network's option ``steps``, so a checkpoint is used with the number it was trained with.

    Args:
        network: Registry name of the generator.
        generator_optimizer: Optimizer of the generator; the default learning rate is constant.
        discriminator_optimizer: Optimizer, created once per discriminator for its trainable parameters.
        update_order: Order of the updates in a round. "code": projected discriminator, patch discriminator, generator,
            as in the released code. "paper": generator first, as in the paper's Algorithm 1.
        lambda_adv: Weight of the generator's GAN loss with the projected discriminator; 0 trains without this
            discriminator (ablation B).
        lambda_patch: Weight of the generator's GAN loss with the patch discriminator; 0 trains without it (ablation A).
        lambda_lpips: Weight of LPIPS on VGG-16; 0 disables LPIPS, and VGG-16's weights are then not needed. The default
            is 8 times the released 1.5: the released code sums over its batch of 8 images, here LPIPS is the mean.
        lambda_l1: Weight of the L1 loss of the hole pixels, averaged over all pixels. Not part of the paper; for small
            trainings without VGG-16.
        lpips_reduction: Mean over the images, or sum over the batch of all processes. With "sum" and a weight of 1.5,
            as released, the batch size changes the balance with the other terms.
        patch_labels: Patches that the patch discriminator learns to classify as forged, see `GRIGLoss`. "all" is
            ablation C, "soft" is ablation D. "area" and "coverage" preserve the hole ratio of fine grids; they are not
            part of any paper.
        augment: See `TrainingModule`; the default is the released code's, used in the paper on small datasets.
        augment_discriminators: Steps of DiffAugment for the discriminators' inputs; none in the paper and in the
            released code's default.
        projected_width: Channels of the head of the projected discriminator.
        patch_width: Channels of the patch discriminator's first feature map.
        backbone: Frozen network of the projected discriminator. The default is the released code's; the paper names
            tf_efficientnet_lite1.
        backbone_weights: Weight file of the backbone; None searches the weight folders; "random" gives results that are
            not GRIG's. A checkpoint already contains the backbone's weights.
        bug_compatible_reinit: Re-initialize the pretrained backbone randomly, as the released code does.
        vgg_weights: Weight file of VGG-16; None searches the weight folders; "random" is for tests.
        base: Arguments of `AdversarialModule`.

    Raises:
        UnknownNameError: If the update order, the labels or a step of DiffAugment is unknown.
    """

    loss_range = (-1.0, 1.0)

    def __init__(
        self,
        network: str = "grig",
        generator_optimizer: OptimizerCallable = _ADAM,
        discriminator_optimizer: OptimizerCallable = _ADAM,
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
        check_augment_steps("augment_discriminators", augment_discriminators)
        super().__init__(network, generator_optimizer, discriminator_optimizer, augment=augment, **base)
        self.projected: ProjectedDiscriminator | None = None
        self.patch: GRIGPatchDiscriminator | None = None
        if lambda_adv:
            self.projected = ProjectedDiscriminator(
                backbone, projected_width, bug_compatible_reinit=bug_compatible_reinit
            )
        if lambda_patch:
            self.patch = GRIGPatchDiscriminator(patch_width)
        self.update_order = update_order
        self.weights = {"adversarial": lambda_adv, "patch": lambda_patch, "lpips": lambda_lpips, "l1": lambda_l1}
        self.backbone_weights, self.vgg_weights = backbone_weights, vgg_weights
        self.lpips_reduction, self.patch_labels = lpips_reduction, patch_labels
        self.augment_discriminators = augment_discriminators

    # Pretrained networks

    def build_losses(self) -> None:
        """Create the losses; load VGG-16 unless LPIPS has weight 0."""
        features = self.unless_missing(
            lambda: VGGFeatures(
                "vgg16",
                LPIPS_TAPS,
                input_norm="imagenet",
                value_range=self.loss_range,
                full_precision=True,
                weights=self.vgg_weights,
            ),
            "lpips",
        )
        self.losses = GRIGLoss(features, self.lpips_reduction, self.patch_labels, self.augment_discriminators)

    def _loaded_projected(self) -> ProjectedDiscriminator | None:
        """Return the projected discriminator, or None if it is disabled.

        Load its backbone's weights unless a checkpoint has provided them.
        """
        projected = self.projected
        if projected is None or "adversarial" in self.dropped:
            return None

        def loaded() -> ProjectedDiscriminator:
            if projected.backbone_source is None:
                if self.backbone_weights != "random":
                    projected.find_backbone(self.backbone_weights)  # on the meta device, nothing is loaded
                projected.load_backbone(self.backbone_weights)
            return projected

        return self.unless_missing(loaded, "adversarial")

    # Rounds

    def recipe(self) -> Recipe:
        """Return the three update phases on one shared forward pass, repeated once per step of the network.

        Raises:
            WeightsNotFoundError: If the backbone's weights are neither found nor part of a checkpoint, and
                ``on_missing`` is "refuse".
        """
        projected, patch = self._loaded_projected(), self.patch
        discriminators = []
        if projected is not None:
            loss = partial(self.projected_loss, projected)
            discriminators.append(self.discriminator_phase(name="projected", trains=("projected",), loss=loss))
        if patch is not None:
            loss = partial(self.patch_loss, patch)
            discriminators.append(self.discriminator_phase(name="patch", trains=("patch",), loss=loss))
        generator = self.generator_phase(loss=partial(self.generator_loss, projected, patch))
        phases = (*discriminators, generator) if self.update_order == "code" else (generator, *discriminators)
        return Recipe(phases, forward=self.forward_passes, repeats=cast(GRIGGenerator, self.network).steps)

    def prepare(self, batch: Batch) -> tuple[Mapping[str, Tensor] | None, Tensor | None]:
        """Return the features of the ground truth, which the losses of all rounds use.

        Returns:
            VGG's features; None if LPIPS is disabled. Features of the projected discriminator's frozen part; None if it
            is disabled or sees augmented images.
        """
        with torch.no_grad():
            projected = self._features(batch["image"])
        return self.losses.lpips_features(batch["image"]), projected

    def prepare_round(self, batch: Batch, stages: Stages) -> tuple[Tensor | None]:
        """Return the features of the composite from the projected discriminator's frozen part, with their graph."""
        return (self._features(completed(stages[STEP], batch)),)

    def _features(self, image: Tensor) -> Tensor | None:
        used = any("projected" in phase.trains for phase in self.plan.phases)
        if self.projected is None or not used or self.losses.augment:
            return None
        return self.projected.features(image)

    def predict_stages(self, batch: Batch) -> Stages:
        """Return one step, starting from the previous round's result."""
        image, mask, fill = batch["image"], batch["mask"], batch.get("hole_fill")
        return self.network.stages(image, mask, hole_fill=fill, scaled_to=self.loss_range, steps=1)

    def carry(self, batch: Batch, stages: Stages) -> Batch:
        """Return the batch for the next round, with this round's unclamped prediction in the hole."""
        return batch | {"hole_fill": from_range(stages[STEP], *self.loss_range)}

    # Losses

    def projected_loss(
        self,
        discriminator: ProjectedDiscriminator,
        batch: Batch,
        stages: Stages,
        target: Mapping[str, Tensor] | None,
        real: Tensor | None = None,
        fake: Tensor | None = None,
    ) -> Terms:
        """Return the projected discriminator's hinge loss terms; ``real`` and ``fake`` are its frozen features."""
        features = None if real is None or fake is None else (real, fake)
        return self.losses.projected(discriminator, stages[STEP], batch, self.loss_generator, features)

    def patch_loss(
        self, discriminator: GRIGPatchDiscriminator, batch: Batch, stages: Stages, *prepared: object
    ) -> Terms:
        """Return the patch discriminator's loss terms."""
        return self.losses.patch(discriminator, stages[STEP], batch, self.loss_generator)

    def generator_loss(
        self,
        projected: ProjectedDiscriminator | None,
        patch: GRIGPatchDiscriminator | None,
        batch: Batch,
        stages: Stages,
        target: Mapping[str, Tensor] | None,
        real: Tensor | None = None,
        fake: Tensor | None = None,
    ) -> Terms:
        """Return the generator's loss terms on the composite.

        ``target`` are VGG's features of the ground truth, ``fake`` the projected discriminator's of the composite.
        """
        pred = stages[STEP]
        adversarial = self.losses.generator(projected, patch, pred, batch, self.loss_generator, fake)
        return adversarial | self.losses.reconstruction(pred, batch, target)

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store whether the projected discriminator is in use."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["projects"] = "adversarial" not in self.dropped

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore whether the projected discriminator is in use."""
        super().on_load_checkpoint(checkpoint)
        if not checkpoint.get("projects", True):
            self.dropped.add("adversarial")
