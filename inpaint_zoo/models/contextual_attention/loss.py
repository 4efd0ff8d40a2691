"""Losses of GLCIC and Contextual Attention, on images in [-1, 1] (docs/papers/glcic_ca.md, "Losses and training")."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.losses import (
    AdversarialLoss,
    critic_gradient_norms,
    distance_from_one,
    masked_l1,
    weighted_l1,
)
from inpaint_zoo.ops import discount_from_mask, spatial_discount
from inpaint_zoo.training import Batch, Stages, Terms, completed

__all__ = ["GRADIENT_NORMS", "ContextualAttentionLoss", "Discount", "Window"]

GRADIENT_NORMS = ("local_gradient_norm", "global_gradient_norm")
Discount = Literal["box", "distance", "none"]


class Window:
    """A square window around the hole of each image, centered on the hole's bounding box and shifted into the image.

    The holes of the mask generator `ca_box` are boxes shrunk by the same amount on opposite sides. If ``side`` is the
    size of these boxes, the window is the box before shrinking. An image without a hole gets a window at its center.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        side: Height and width of the window in pixels.

    Raises:
        ZooError: If the image is smaller than the window.

    Example:
        >>> mask = torch.tensor([[[[0.0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]]])
        >>> Window(mask, 2).crop(mask)[0, 0]
        tensor([[0., 1.],
                [1., 0.]])
    """

    def __init__(self, mask: Tensor, side: int) -> None:
        if side > min(mask.shape[-2:]):
            H, W = mask.shape[-2:]
            raise ZooError(f"A window of {side} px does not fit into images of {H} x {W} px: set a smaller `window`.")
        hole = mask[:, 0] > 0.5
        self._rows, self._columns = (_places(hole.any(dim), side) for dim in (2, 1))

    def crop(self, x: Tensor) -> Tensor:
        """Crop each image to its window: (B, C, H, W) -> (B, C, side, side)."""
        item = torch.arange(len(x), device=x.device)[:, None, None]
        return x[item, :, self._rows[:, :, None], self._columns[:, None, :]].permute(0, 3, 1, 2)


def _places(hit: Tensor, side: int) -> Tensor:
    """Return the indices (B, side) of the window's rows or columns; ``hit`` (B, length) marks those with a hole."""
    length = hit.shape[1]
    touched = hit.to(torch.uint8)
    first, end = touched.argmax(1), length - touched.flip(1).argmax(1)
    start = ((first + end) // 2 - side // 2).clamp(0, length - side)
    return start[:, None] + torch.arange(side, device=hit.device)


class ContextualAttentionLoss:
    """The five loss terms, unweighted except for the relative weights of the coarse stage and of the global critic.

    Args:
        window: Height and width in pixels of the window around the hole, used by the local critic and the discounted
            L1 loss.
        gamma: Base of the discount: the weight of a pixel is gamma ** distance.
        coarse_l1: Weight of the coarse stage in both L1 terms; the fine stage has weight 1.
        global_wgan: Weight of the global critic in both GAN terms; the local critic has weight 1.
        discount: Distance of the discounted L1 loss: "box" is the distance to the window's border, as in the released
            code; "distance" is the distance to the nearest known pixel, for holes of any shape; "none" disables the
            discount.
        gp_mask: The gradient penalties use only gradients at hole pixels, as in the TensorFlow code.

    Raises:
        UnknownNameError: If ``discount`` is unknown.
    """

    def __init__(
        self,
        window: int = 128,
        gamma: float = 0.9,
        coarse_l1: float = 1.2,
        global_wgan: float = 1.0,
        discount: Discount = "box",
        gp_mask: bool = False,
    ) -> None:
        if discount not in get_args(Discount):
            raise unknown_name("`discount`:", discount, get_args(Discount))
        self.window, self.gamma, self.discount, self.gp_mask = window, gamma, discount, gp_mask
        self.coarse_l1, self.global_wgan = coarse_l1, global_wgan
        self.gan_loss = AdversarialLoss("wgan")

    def reconstruction(self, stages: Stages, batch: Batch) -> Terms:
        """Return the terms ``l1`` (discounted, on the windows of the composites) and ``ae`` (L1 on known pixels).

        ``ae`` uses the raw predictions. Both terms sum the coarse stage, weighted by ``coarse_l1``, and the fine stage.

        Args:
            stages: Raw predictions ``coarse`` and ``fine``.
            batch: Batch with the ground truth ``image`` and ``mask``, 1 = hole.
        """
        target, mask = batch["image"], batch["mask"]
        window = Window(mask, self.window)
        weight, real = self._weights(mask, window), window.crop(target)
        l1, ae = [], []
        for pred in (stages["coarse"], stages["fine"]):
            l1.append(weighted_l1(window.crop(completed(pred, batch)), real, weight))
            ae.append(masked_l1(pred, target, mask, known=1, hole=0))
        return {"l1": self.coarse_l1 * l1[0] + l1[1], "ae": self.coarse_l1 * ae[0] + ae[1]}

    def _weights(self, mask: Tensor, window: Window) -> Tensor:
        if self.discount == "box":
            return spatial_discount(self.window, self.window, self.gamma).to(mask.device)
        if self.discount == "distance":
            return window.crop(discount_from_mask(mask, self.gamma, "euclidean"))
        return mask.new_ones(1, 1, self.window, self.window)

    def generator(self, local: nn.Module, whole: nn.Module, pred: Tensor, batch: Batch) -> Tensor:
        """Return the generator's GAN loss ``wgan_g``: both critics on the composite of the raw ``pred``."""
        fake = completed(pred, batch)
        near = Window(batch["mask"], self.window).crop(fake)
        return self.gan_loss.generator(local(near)) + self.global_wgan * self.gan_loss.generator(whole(fake))

    def critics(self, local: nn.Module, whole: nn.Module, pred: Tensor, batch: Batch) -> Terms:
        """Return the critics' term ``wgan_d``; each critic takes ground truth and composite in one batch."""
        both = torch.cat([batch["image"], completed(pred, batch).detach()])
        near = Window(batch["mask"].repeat(2, 1, 1, 1), self.window).crop(both)
        costs = [self.gan_loss.discriminator(*critic(seen).chunk(2)) for critic, seen in ((local, near), (whole, both))]
        return {"wgan_d": costs[0] + self.global_wgan * costs[1]}

    def penalty(
        self,
        local: nn.Module,
        whole: nn.Module,
        pred: Tensor,
        batch: Batch,
        alpha: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Terms:
        """Return ``wgan_gp``, the sum of both critics' gradient penalties, and the mean gradient norms.

        Args:
            local: Critic of windows.
            whole: Critic of whole images.
            pred: Raw prediction.
            batch: See `reconstruction`.
            alpha: Position (B,) between ground truth and composite, in [0, 1]; None draws it for each critic.
            generator: Random generator for alpha; see `critic_gradient_norms`.

        Returns:
            The term ``wgan_gp`` and, for logging, the mean gradient norm of each critic by its name in
            `GRADIENT_NORMS`. The penalty pulls these norms towards 1.
        """
        real, fake, mask = batch["image"], completed(pred, batch), batch["mask"]
        window = Window(mask, self.window)
        norms = [
            critic_gradient_norms(
                critic,
                view(real),
                view(fake),
                mask=view(mask) if self.gp_mask else None,
                alpha=alpha,
                generator=generator,
            )
            for critic, view in ((local, window.crop), (whole, _all))
        ]
        means = {name: norm.detach().mean() for name, norm in zip(GRADIENT_NORMS, norms, strict=True)}
        return {"wgan_gp": distance_from_one(norms[0]) + distance_from_one(norms[1])} | means


def _all(x: Tensor) -> Tensor:
    return x
