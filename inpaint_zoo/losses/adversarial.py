"""GAN losses by name, for the discriminator and for the generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses.checks import check_choice, check_same_shape
from inpaint_zoo.ops import area_coverage, field_coverage
from inpaint_zoo.ops.precision import full_precision

__all__ = ["AdversarialLoss", "GANName", "MaskMode", "mask_to_logits"]

GANName = Literal["hinge", "lsgan", "lsgan_sigmoid", "non_saturating", "wgan"]
MaskMode = Literal["nearest", "max", "area", "coverage"]


class Sides(NamedTuple):
    """Elementwise losses on logits: of the discriminator for real and for fake images, and of the generator."""

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def _lsgan_real(logits: Tensor) -> Tensor:
    return (logits - 1).square()


def _lsgan_sigmoid_real(logits: Tensor) -> Tensor:
    return (torch.sigmoid(logits) - 1).square()


def _non_saturating_real(logits: Tensor) -> Tensor:
    return F.softplus(-logits)


SIDES: dict[GANName, Sides] = {
    "hinge": Sides(lambda x: F.relu(1 - x), lambda x: F.relu(1 + x), torch.neg),
    "lsgan": Sides(_lsgan_real, torch.square, _lsgan_real),
    "lsgan_sigmoid": Sides(_lsgan_sigmoid_real, lambda x: torch.sigmoid(x).square(), _lsgan_sigmoid_real),
    "non_saturating": Sides(_non_saturating_real, F.softplus, _non_saturating_real),
    "wgan": Sides(torch.neg, lambda x: x, torch.neg),
}


def mask_to_logits(
    mask: Tensor, logits: Tensor, mode: MaskMode = "nearest", discriminator: nn.Module | None = None
) -> Tensor:
    """Return the label map of a patch discriminator: how far each of its logits should call the result fake.

    Labels are 1 for fake and 0 for real. With `area` and `coverage` they are shares in between, so that a regular grid
    of holes gets its hole ratio everywhere. `nearest` and `max` are 0 or 1: on grids finer than H / h, `nearest`
    aliases and `max` is 1 everywhere. docs/losses.md shows the four of them.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        logits: (B, 1, h, w).
        mode: "nearest": the pixel at floor(i H / h), as LaMa's code; strokes thinner than H / h can vanish. "max": 1
            for a cell that touches the hole. "area": the share of hole pixels in the cell, see `area_coverage`.
            "coverage": the share of hole pixels in the receptive field of the logit, see `field_coverage`.
        discriminator: The network that gives ``logits``. "coverage" reads the geometry of its convolutions, which must
            run in the order of `modules()`; the other modes do not use it.

    Returns:
        (B, 1, h, w) in [0, 1].

    Raises:
        UnknownNameError: ``mode`` is unknown.
        ZooError: "coverage" without a discriminator, or with one whose convolutions do not give logits of that size.
    """
    check_choice("mode", mode, get_args(MaskMode))
    size = (logits.shape[-2], logits.shape[-1])
    if mode == "nearest":
        return F.interpolate(mask, size, mode="nearest")
    if mode == "max":
        return F.adaptive_max_pool2d(mask, size)
    if mode == "area":
        return area_coverage(mask, size)
    if discriminator is None:
        raise ZooError('`mode="coverage"` needs the discriminator whose receptive fields count: pass `discriminator`.')
    label = field_coverage(mask, (layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)))
    check_same_shape(logits, label, "The label map of the discriminator's receptive fields")
    return label


@dataclass(frozen=True)
class AdversarialLoss:
    """GAN loss of discriminator and generator, computed from logits as a mean over all logits.

    | name | discriminator: real, fake | generator |
    | --- | --- | --- |
    | hinge | relu(1 - D), relu(1 + D) | -D |
    | lsgan | (D - 1)^2, D^2 | (D - 1)^2 |
    | lsgan_sigmoid | as lsgan, on sigmoid(D) | |
    | non_saturating | softplus(-D), softplus(D) | softplus(-D) |
    | wgan | -D, D; needs `wgan_gradient_penalty` | -D |

    `non_saturating` is binary cross entropy on logits with labels 1 and 0; other code bases call it nsgan, dcgan, bce
    or vanilla. GRIG: hinge. ISNet: hinge, or its code's non_saturating and lsgan_sigmoid. LGNet: lsgan. DeepFillv2:
    hinge. LaMa, GLaMa: non_saturating with a hole map and `r1_penalty`. Contextual Attention, GLCIC: wgan, per critic.
    Context Encoder: non_saturating. ISNet, LGNet and DeepFillv2 give both terms of the discriminator the weight 0.5.

    Args:
        name: Name of the GAN loss, see the table.

    Example:
        >>> loss = AdversarialLoss("hinge")
        >>> real, fake = torch.tensor([[0.5, 2.0]]), torch.tensor([[-3.0, 1.0]])
        >>> loss.discriminator(real, fake).item(), loss.generator(fake).item()
        (1.25, 1.0)
    """

    name: GANName

    def __post_init__(self) -> None:
        """Refuse an unknown name."""
        hint = f"Known: {', '.join(SIDES)}; bce, dcgan, nsgan and vanilla are 'non_saturating'."
        check_choice("adversarial loss", self.name, SIDES, hint)

    def real(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss on the ground truth, from its logits."""
        return SIDES[self.name].real(full_precision(logits)).mean()

    def fake(self, logits: Tensor, hole_map: Tensor | None = None) -> Tensor:
        """Return the discriminator's loss on the generator's image, which the caller has detached.

        Args:
            logits: Logits of the generator's image.
            hole_map: Label map of the shape of ``logits``, in [0, 1]. 1 means that the logit should be fake, 0 that it
                sees only known pixels and should be real; values in between weight both losses. LaMa uses
                `mask_to_logits`, GRIG its forged patches. None means that all logits should be fake.
        """
        logits = full_precision(logits)
        fake = SIDES[self.name].fake(logits)
        if hole_map is None:
            return fake.mean()
        check_same_shape(logits, hole_map, "`hole_map`")
        hole_map = full_precision(hole_map)
        return (hole_map * fake + (1 - hole_map) * SIDES[self.name].real(logits)).mean()

    def discriminator(self, real: Tensor, fake: Tensor, hole_map: Tensor | None = None) -> Tensor:
        """Return the discriminator's loss, the sum of `real` and `fake`."""
        return self.real(real) + self.fake(fake, hole_map)

    def generator(self, logits: Tensor, hole_map: Tensor | None = None) -> Tensor:
        """Return the generator's loss.

        Args:
            logits: Logits of the generator's image, with the graph.
            hole_map: Label map as in `fake`. The loss of each logit is multiplied by it; the divisor is still the
                number of all logits (GRIG's Eq. 5). None means that every logit counts, as in LaMa.
        """
        cost = SIDES[self.name].generator(full_precision(logits))
        if hole_map is not None:
            check_same_shape(logits, hole_map, "`hole_map`")
            cost = cost * full_precision(hole_map)
        return cost.mean()
