"""GRIG's loss terms on the composite of one step (docs/papers/grig.md, "Losses")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import AdversarialLoss, LPIPSLoss, MaskMode, SoftPatchLoss, mask_to_logits, masked_l1
from inpaint_zoo.models.grig.patch_discriminator import GRIGPatchDiscriminator
from inpaint_zoo.models.grig.projected_discriminator import ProjectedDiscriminator
from inpaint_zoo.ops import AugmentStep, diff_augment
from inpaint_zoo.training import Batch, Terms, completed

__all__ = ["GRIGLoss", "PatchLabels"]

PatchLabels = Literal["forged", "all", "nearest", "area", "coverage", "soft"]


class GRIGLoss(nn.Module):
    """Unweighted loss terms of GRIG's generator, projected discriminator and patch discriminator.

    All terms use the composite, so known pixels of the raw prediction get no gradient. Images and predictions are in
    [-1, 1].

    Args:
        features: VGG-16 that returns the features for LPIPS of images in [-1, 1]; None disables LPIPS.
        lpips: Reduction of LPIPS: mean over the images, or sum over the batch of all processes; see `LPIPSLoss`.
        labels: Logits that the patch discriminator learns to classify as forged.
            "forged": logits whose receptive field contains a hole pixel (Eq. 4).
            "all": every logit (PatchGAN).
            "nearest": logits whose nearest pixel lies in the hole (HM-PatchGAN).
            "area", "coverage": soft labels, the hole ratio in the logit's cell or in its receptive field (see
            `mask_to_logits`; not part of any paper).
            "soft": the blurred mask as soft label, with a least-squares loss (SM-PatchGAN).
        augment: Steps of `diff_augment` for the discriminators' inputs. Ground truth and composite get independent
            color changes; translation also moves the mask. The methods that draw random numbers take a ``generator``;
            None uses PyTorch's global random generator.
    """

    def __init__(
        self,
        features: VGGFeatures | None,
        lpips: Literal["sum", "mean"] = "mean",
        labels: PatchLabels = "forged",
        augment: Sequence[AugmentStep] = (),
    ) -> None:
        super().__init__()
        self.features, self.labels, self.augment = features, labels, tuple(augment)
        self.lpips = None if features is None else LPIPSLoss(lpips)
        self.gan_loss = AdversarialLoss("hinge")
        self.soft = SoftPatchLoss()

    @torch.no_grad()
    def lpips_features(self, image: Tensor) -> Mapping[str, Tensor] | None:
        """Return VGG's features of the ground truth, which all steps of a batch reuse; None if LPIPS is disabled."""
        return None if self.features is None else self.features(image)

    def reconstruction(self, pred: Tensor, batch: Batch, target: Mapping[str, Tensor] | None) -> Terms:
        """Return the terms ``l1`` and ``lpips``, both between composite and ground truth.

        ``l1`` is the mean absolute difference over all pixels.

        Args:
            pred: Raw prediction (B, 3, H, W).
            batch: Batch with the (augmented) ground truth ``image`` and ``mask``, 1 = hole.
            target: Features of the ground truth, from `lpips_features`.
        """
        terms = {"l1": masked_l1(pred, batch["image"], batch["mask"], known=0, hole=1)}
        if self.features is not None and self.lpips is not None and target is not None:
            terms["lpips"] = self.lpips(self.features(completed(pred, batch)), target)
        return terms

    def projected(
        self,
        discriminator: ProjectedDiscriminator,
        pred: Tensor,
        batch: Batch,
        generator: torch.Generator | None = None,
        features: tuple[Tensor, Tensor] | None = None,
    ) -> Terms:
        """Return the terms ``real`` and ``fake`` of the projected discriminator.

        Real and fake images pass through it separately, because it contains batch norms. ``features`` are the frozen
        part's features of the ground truth and of the composite, if they are known.
        """
        if features is None:
            real, fake, _ = self._seen(pred, batch, generator)
            features = discriminator.features(real), discriminator.features(fake)
        on_real, on_fake = (discriminator.judge(each.detach()) for each in features)
        return {"real": self.gan_loss.real(on_real), "fake": self.gan_loss.fake(on_fake)}

    def patch(
        self,
        discriminator: GRIGPatchDiscriminator,
        pred: Tensor,
        batch: Batch,
        generator: torch.Generator | None = None,
    ) -> Terms:
        """Return the terms ``real`` and ``fake`` of the patch discriminator."""
        real, fake, mask = self._seen(pred, batch, generator)
        on_real, on_fake = discriminator(real), discriminator(fake)
        if self.labels == "soft":
            return {"real": self.soft.real(on_real, mask), "fake": self.soft.fake(on_fake, mask)}
        return {
            "real": self.gan_loss.real(on_real),
            "fake": self.gan_loss.fake(on_fake, self._label_map(discriminator, mask, on_fake)),
        }

    def generator(
        self,
        projected: ProjectedDiscriminator | None,
        patch: GRIGPatchDiscriminator | None,
        pred: Tensor,
        batch: Batch,
        generator: torch.Generator | None = None,
        features: Tensor | None = None,
    ) -> Terms:
        """Return the generator's terms ``adversarial`` (projected discriminator) and ``patch`` (patch discriminator).

        The caller has frozen the discriminators' parameters. A discriminator that is None gives no term. ``features``
        are the projected discriminator's frozen features of the composite, with their graph, if they are known.
        """
        terms: Terms = {}
        _, fake, mask = self._seen(pred, batch, generator)
        if projected is not None:
            features = projected.features(fake) if features is None else features
            terms["adversarial"] = self.gan_loss.generator(projected.judge(features))
        if patch is not None:
            logits = patch(fake)
            if self.labels == "soft":
                terms["patch"] = self.soft.generator(logits, mask)
            else:
                terms["patch"] = self.gan_loss.generator(logits, self._label_map(patch, mask, logits))
        return terms

    def _label_map(self, discriminator: GRIGPatchDiscriminator, mask: Tensor, logits: Tensor) -> Tensor | None:
        if self.labels == "all":
            return None
        if self.labels == "forged":
            return discriminator.label_map(mask)
        return mask_to_logits(mask, logits, cast(MaskMode, self.labels), discriminator)

    def _seen(self, pred: Tensor, batch: Batch, generator: torch.Generator | None) -> list[Tensor]:
        """Return ground truth, composite and mask, augmented for the discriminators."""
        return diff_augment(
            [batch["image"], completed(pred, batch)], self.augment, moved=[batch["mask"]], generator=generator
        )
