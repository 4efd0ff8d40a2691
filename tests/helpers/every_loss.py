"""All losses with each of their options, as functions of one batch that other processes can import."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import get_args

import torch
from torch import Tensor

from inpaint_zoo.losses import (
    LPIPS_TAPS,
    AdversarialLoss,
    Distance,
    FeatureMatching,
    FocalFrequencyLoss,
    GANName,
    L1Divisor,
    LPIPSLoss,
    MaskedL1,
    PerceptualLoss,
    SoftPatchLoss,
    StyleLoss,
    TotalVariation,
    TVReduction,
    mask_to_logits,
    r1_penalty,
    spatial_discount,
    weighted_l1,
    wgan_gradient_penalty,
)
from inpaint_zoo.losses.feature_matching import Layers
from inpaint_zoo.losses.soft_patch import SoftTarget
from inpaint_zoo.losses.total_variation import TVRegion
from inpaint_zoo.ops import diff_augment
from tests.helpers.ranks import shard

Samples = dict[str, Tensor]
Case = Callable[[Samples], Tensor]
SIDE = 12
COUNT = 4


def samples() -> Samples:
    """Return predictions, ground truth, logits and features of a batch in float64, with hole ratios of 0 to 90 %."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(COUNT, *shape, generator=generator, dtype=torch.float64)

    share = torch.linspace(0, 0.9, COUNT).view(-1, 1, 1, 1)
    return {
        "pred": normal(3, SIDE, SIDE),
        "target": normal(3, SIDE, SIDE),
        "mask": (torch.rand(COUNT, 1, SIDE, SIDE, generator=generator) < share).double(),
        "logits": normal(1, 4, 4),
    } | {tap: normal(2 + number, 5, 5) for number, tap in enumerate(LPIPS_TAPS)}


def critic(image: Tensor) -> Tensor:
    """Return a score for each image, with nonzero second derivatives."""
    return (image.square() * torch.arange(1.0, SIDE + 1)).sin().mean((1, 2, 3))


def _scaled(values: Tensor, pred: Tensor) -> Tensor:
    return values * pred.square().mean((1, 2, 3)).view(-1, 1, 1, 1)


def _features(batch: Samples) -> tuple[Samples, Samples]:
    return {tap: _scaled(batch[tap], batch["pred"]) for tap in LPIPS_TAPS}, {
        tap: batch[tap].cos() for tap in LPIPS_TAPS
    }


def _l1(loss: MaskedL1, batch: Samples) -> Tensor:
    return loss(batch["pred"], batch["target"], batch["mask"])


def _variation(loss: TotalVariation, batch: Samples) -> Tensor:
    return loss(batch["pred"], batch["mask"])


def _frequencies(loss: FocalFrequencyLoss, batch: Samples) -> Tensor:
    return loss(batch["pred"], batch["target"])


def _perceived(loss: PerceptualLoss | StyleLoss, batch: Samples) -> Tensor:
    return loss(*_features(batch))


def _matched(loss: FeatureMatching, batch: Samples) -> Tensor:
    pred, target = _features(batch)
    return loss([*pred.values()], [*target.values()])


def _game(loss: AdversarialLoss, batch: Samples) -> Tensor:
    logits = _scaled(batch["logits"], batch["pred"])
    hole_map = mask_to_logits(batch["mask"], logits)
    return loss.discriminator(-logits, logits, hole_map) + loss.generator(logits, hole_map) + 2 * loss.generator(logits)


def _soft(loss: SoftPatchLoss, batch: Samples) -> Tensor:
    logits = _scaled(batch["logits"], batch["pred"])
    return loss.discriminator(-logits, logits, batch["mask"]) + loss.generator(logits, batch["mask"])


def _lpips(loss: LPIPSLoss, batch: Samples) -> Tensor:
    for number, tap in enumerate(LPIPS_TAPS):  # heads for these few channels
        setattr(loss, f"head{number}", torch.arange(1.0, batch[tap].shape[1] + 1))
    return loss(*_features(batch))


def _r1(batch: Samples) -> Tensor:
    real = batch["target"].clone().requires_grad_()
    return r1_penalty(critic(real * batch["pred"]), real)


def _mixed(batch: Samples) -> Tensor:
    """Return the gradient penalty, whose gradient reaches the prediction only through the critic."""
    generator = torch.Generator().manual_seed(7)
    scale = batch["pred"].mean((1, 2, 3))
    return wgan_gradient_penalty(lambda x: critic(x) * scale, batch["target"], batch["pred"], generator=generator)


def _augmented(batch: Samples) -> Tensor:
    generator = torch.Generator().manual_seed(8)
    pred, mask = diff_augment([batch["pred"]], ["color", "translation"], moved=[batch["mask"]], generator=generator)
    return (pred * mask).square().mean()


def cases() -> dict[str, Case]:
    """Return all cases by the name of the loss and its options."""
    found: dict[str, Case] = {}

    def add(loss: object, case: Case, *options: object) -> None:
        found[" ".join(map(str, (getattr(loss, "__name__", loss), *options)))] = case

    for divisor, (known, hole) in itertools.product(get_args(L1Divisor), ((1, 6), (0, 1))):
        add(MaskedL1, partial(_l1, MaskedL1(known, hole, divisor)), divisor, known, hole)
    for name in get_args(GANName):
        add(AdversarialLoss, partial(_game, AdversarialLoss(name)), name)
    for target in get_args(SoftTarget):
        add(SoftPatchLoss, partial(_soft, SoftPatchLoss(target, kernel=5, sigma=1.0)), target)
    for options in itertools.product(get_args(TVRegion), (1.0, 1.5), (False, True), get_args(TVReduction)):
        add(TotalVariation, partial(_variation, TotalVariation(*options)), *options)
    for options in itertools.product((1.0, 2.0), (1, 2), *[(False, True)] * 3):
        add(FocalFrequencyLoss, partial(_frequencies, FocalFrequencyLoss(*options)), *options)
    for distance in get_args(Distance):
        add(PerceptualLoss, partial(_perceived, PerceptualLoss(LPIPS_TAPS, distance)), distance)
        for layers in get_args(Layers):
            add(FeatureMatching, partial(_matched, FeatureMatching(distance, layers)), distance, layers)
    for reduction in ("sum", "mean"):
        add(LPIPSLoss, partial(_lpips, LPIPSLoss(reduction)), reduction)
    add(StyleLoss, partial(_perceived, StyleLoss(LPIPS_TAPS)))
    add(weighted_l1, lambda b: weighted_l1(b["pred"], b["target"], spatial_discount(SIDE, SIDE)))
    add(r1_penalty, _r1)
    add(wgan_gradient_penalty, _mixed)
    add(diff_augment, _augmented)
    return found


def measure(rank: int = 0, count: int = 1) -> dict[str, tuple[Tensor, Tensor]]:
    """Return value and gradient with respect to the prediction of each case, on the samples of one process."""
    results = {}
    for name, case in cases().items():
        batch = shard(samples(), rank, count)
        value = case(batch | {"pred": batch["pred"].requires_grad_()})
        results[name] = value.detach(), torch.autograd.grad(value, batch["pred"])[0]
    return results
