"""Test all families' losses on a batch that 2 or 4 processes share: the same values and gradients as for one."""

import copy

import pytest
import torch

from inpaint_zoo.training import InpaintingModule
from tests.helpers.families import (
    ALIKE,
    BACKBONES,
    SIDE,
    SIDES,
    arguments,
    choices,
    parts,
    small,
    trained,
    training_modules,
)
from tests.helpers.ranks import on_threads, shard

pytestmark = pytest.mark.filterwarnings("ignore::inpaint_zoo.losses.MissingWeightsWarning")
COUNT = 4
KINDS = training_modules()
CASES = [(kind, options) for kind in KINDS for options in ({}, *choices(kind))]


def batch_and_stages(module):
    """Return random images, holes of 4 to 60 % and one empty hole, and a random prediction per stage."""
    generator = torch.Generator().manual_seed(1)
    side = SIDES.get(type(module).__name__, SIDE)
    image = torch.rand(COUNT, 3, side, side, generator=generator)
    mask = torch.zeros(COUNT, 1, side, side)
    for sample, length in enumerate((7, 15, 25)):
        mask[sample, :, 2 : 2 + length, 3 : 3 + length] = 1
    with torch.no_grad():
        names = list(module.train().predict_stages({"image": image[:2], "mask": mask[:2]}))
    stages = {name: torch.rand(image.shape, generator=generator) * 1.4 - 0.2 for name in names}
    return {"image": image, "mask": mask, "name": list("abcd")}, stages


def measure(module, batch, stages):
    """Return the terms, the weighted sum and the gradients (by stage or parameter) of each phase."""
    module = module.eval()  # norms by their running statistics, which no sample changes
    module.loss_generator = module.common_generator("test", 0)
    found = {}
    for part in parts(module):
        leaves = {name: stage.clone().requires_grad_(part.is_generator) for name, stage in stages.items()}
        terms = part.terms(batch, leaves)
        at = leaves if part.is_generator else trained(module, part)
        gradients = torch.autograd.grad(part.total(terms), list(at.values()), allow_unused=True)
        values = {name: term.detach() for name, term in terms.items()}
        found[part.name] = values, dict(zip(at, gradients, strict=True)), part.is_generator
    return found


def compare(module, *counts):
    batch, stages = batch_and_stages(module)
    whole = measure(module, batch, stages)
    twins = [_twin(module) for _ in range(max(counts))]
    for count in counts:
        shards = on_threads(count, lambda r, n=count: measure(twins[r], shard(batch, r, n), shard(stages, r, n)))
        for phase, expected in whole.items():
            check(phase, expected, [found[phase] for found in shards])
    if isinstance(module, InpaintingModule):  # batches of an accumulation, which know nothing of one another
        (expected,) = whole.values()
        halves = [measure(module, shard(batch, r, 2), shard(stages, r, 2)) for r in (0, 1)]
        check("accumulated", expected, [half["train"] for half in halves])


def check(phase, expected, shards):
    values, gradients, is_generator = expected
    for name, value in values.items():
        mean = torch.stack([terms[name] for terms, _, _ in shards]).mean()
        torch.testing.assert_close(mean, value, rtol=1e-4, atol=1e-6, msg=f"{phase}/{name}: {mean} for {value}")
    for name, gradient in gradients.items():
        own = [found[name] for _, found, _ in shards]
        if gradient is None:
            assert own == [None] * len(own)
            continue
        # samples in their order, from those of each process; the training strategy averages
        mean = torch.stack(own, 1).flatten(0, 1) / len(own) if is_generator else torch.stack(own).mean(0)
        # an L1 of features turns its sign where rounding decides
        assert (mean - gradient).norm() <= 1e-2 * gradient.norm(), f"{phase}: gradient at {name}"


def _twin(module):
    """Return a copy whose losses use the same frozen networks."""
    kept = {id(x.trunk): x.trunk for x in module.modules() if hasattr(x, "trunk")}
    return copy.deepcopy(module, kept)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__name__ not in ALIKE], ids=lambda kind: kind.__name__)
def test_every_family(kind):
    """All loss terms, with random pretrained networks."""
    compare(small(kind), 2, 4)


@pytest.mark.parametrize(("kind", "options"), CASES, ids=[f"{kind.__name__} {options}" for kind, options in CASES])
def test_every_choice(kind, options, no_weights):
    """Without the loss terms that need pretrained networks."""
    absent = dict.fromkeys(arguments(kind) & BACKBONES) | dict.fromkeys(arguments(kind) & {"lambda_adv"}, 0.0)
    compare(small(kind, **options, on_missing="drop", **absent), 2)
