"""Adversarial losses by name, each with its discriminator's and its generator's side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.losses.checks import check_choice, check_same_shape
from inpaint_zoo.ops.precision import full_precision

__all__ = ["AdversarialLoss", "GANName", "mask_to_logits"]

GANName = Literal["hinge", "lsgan", "lsgan_sigmoid", "non_saturating", "wgan"]


class Sides(NamedTuple):
    """What one logit costs: a discriminator that should call it real, or fake; a generator that made it."""

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


def mask_to_logits(mask: Tensor, logits: Tensor, mode: Literal["nearest", "max"] = "nearest") -> Tensor:
    """The mask at the size of a patch discriminator's logits: which of them look at the hole.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        logits: (B, 1, h, w).
        mode: "nearest" takes the pixel floor(i H / h), as LaMa: strokes thinner than H / h can vanish. "max" marks
            every cell that touches the hole.
    """
    check_choice("mode", mode, ("nearest", "max"))
    size = (logits.shape[-2], logits.shape[-1])
    return F.interpolate(mask, size, mode="nearest") if mode == "nearest" else F.adaptive_max_pool2d(mask, size)


@dataclass(frozen=True)
class AdversarialLoss:
    """One game between a generator and a discriminator. Logits in, scalars out; means over all logits.

    | name | discriminator: real, fake | generator |
    | --- | --- | --- |
    | hinge | relu(1 - D), relu(1 + D) | -D |
    | lsgan | (D - 1)^2, D^2 | (D - 1)^2 |
    | lsgan_sigmoid | as lsgan, on sigmoid(D) | |
    | non_saturating | softplus(-D), softplus(D) | softplus(-D) |
    | wgan | -D, D; needs `wgan_gradient_penalty` | -D |

    `non_saturating` is binary cross entropy on logits with labels 1 and 0: what others call nsgan, dcgan, bce, vanilla.
    GRIG: hinge. ISNet: hinge, or its code's non_saturating and lsgan_sigmoid, halved. LGNet: lsgan, halved.
    LaMa, GLaMa: non_saturating with a hole map and `r1_penalty`. Contextual Attention, GLCIC: wgan, per critic.
    DeepFillv2: hinge, halved. Context Encoder: non_saturating.

    Args:
        name: The game.
        halve: The discriminator's loss is the mean of its two sides, not their sum.

    Example:
        >>> loss = AdversarialLoss("hinge")
        >>> real, fake = torch.tensor([[0.5, 2.0]]), torch.tensor([[-3.0, 1.0]])
        >>> loss.discriminator(real, fake).item(), loss.generator(fake).item()
        (1.25, 1.0)
    """

    name: GANName
    halve: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown name."""
        hint = f"Known: {', '.join(SIDES)}; bce, dcgan, nsgan and vanilla are 'non_saturating'."
        check_choice("adversarial loss", self.name, SIDES, hint)

    def real(self, logits: Tensor) -> Tensor:
        """What the discriminator pays on the truth."""
        return SIDES[self.name].real(full_precision(logits)).mean()

    def fake(self, logits: Tensor, hole_map: Tensor | None = None) -> Tensor:
        """What the discriminator pays on the generator's picture, which the caller has detached.

        Args:
            logits: Of the picture.
            hole_map: The shape of ``logits``; 1 where a logit looks at the hole, 0 where it sees known pixels alone and
                should call them real: LaMa's (`mask_to_logits`), GRIG's forged patches. None: all of it is fake.
        """
        logits = full_precision(logits)
        fake = SIDES[self.name].fake(logits)
        if hole_map is None:
            return fake.mean()
        check_same_shape(logits, hole_map, "`hole_map`")
        hole_map = full_precision(hole_map)
        return (hole_map * fake + (1 - hole_map) * SIDES[self.name].real(logits)).mean()

    def discriminator(self, real: Tensor, fake: Tensor, hole_map: Tensor | None = None) -> Tensor:
        """Both sides of the discriminator's loss; see `real` and `fake`."""
        total = self.real(real) + self.fake(fake, hole_map)
        return total / 2 if self.halve else total

    def generator(self, logits: Tensor, hole_map: Tensor | None = None) -> Tensor:
        """What the generator pays.

        Args:
            logits: Of its picture, with the graph.
            hole_map: As in `fake`; logits where it is 0 cost nothing, and the divisor stays the number of all logits
                (GRIG's Eq. 5). None: every logit counts (LaMa too).
        """
        cost = SIDES[self.name].generator(full_precision(logits))
        if hole_map is not None:
            check_same_shape(logits, hole_map, "`hole_map`")
            cost = cost * full_precision(hole_map)
        return cost.mean()
