"""Test that no clamp lies between network and losses: predictions outside [0, 1] have gradients too."""

from contextlib import contextmanager

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.ops import to_range
from tests.helpers.families import BACKBONES, SIDE, SIDES, SMALL, arguments, parts, small, training_modules
from tests.helpers.images import sample

pytestmark = pytest.mark.filterwarnings("ignore::inpaint_zoo.losses.MissingWeightsWarning")
LEARNED = iz.list_models("*_tiny")
FIRST = "glcic_tiny"  # takes a filling; nothing bounds its predictions
COMBINED = [f"{combinator}:{FIRST}" for combinator in iz.registry.list_combinators()]
UNBOUNDED = {"contextual_attention_tiny", "glcic_tiny", "grig_tiny", "partial_conv_tiny"}


@contextmanager
def raised(network, by):
    """Add ``by`` to the output of each layer with three channels, and yield these outputs in the order of calls."""
    raw = []

    def add(layer, given, output):
        raw.append(output + by)
        return raw[-1]

    hooks = [
        layer.register_forward_hook(add) for layer in network.modules() if getattr(layer, "out_channels", None) == 3
    ]
    try:
        yield raw
    finally:
        for hook in hooks:
            hook.remove()


def reached(value, at, mask):
    """Return the largest fraction of hole pixels with a nonzero gradient of ``value``, over the tensors ``at``."""
    gradients = torch.autograd.grad(value.sum(), at, allow_unused=True, retain_graph=True)
    H, W = mask.shape[-2:]
    hole = mask.expand(-1, 3, -1, -1) > 0
    # networks pad on the right and at the bottom
    cut = [gradient[..., :H, :W] for gradient in gradients if gradient is not None]
    return max((gradient[hole] != 0).double().mean().item() for gradient in cut)


def build(name):
    if name == "two_stage":
        return iz.two_stage(*(iz.create_model(FIRST) for _ in range(2)))
    return iz.create_model(name, **(SMALL if name.startswith("local_global") else {}))


@pytest.mark.parametrize("by", [-4.0, 4.0])
@pytest.mark.parametrize("name", [*LEARNED, *COMBINED, "two_stage"])
def test_every_stage_of_a_network(name, by):
    torch.manual_seed(0)
    net = build(name).train()
    image, mask = sample((64, 64), batch=2)
    with raised(net, by) as raw:
        stages = net.stages(image, mask)
    for stage in stages.values():
        assert reached(stage, raw, mask) > 0.9
    leaves = any(stage.amin() < -0.1 or stage.amax() > 1.1 for stage in stages.values())
    assert leaves == (name in UNBOUNDED or FIRST in name or name == "two_stage")  # the others end in tanh or a sigmoid


@pytest.mark.parametrize("name", [f"local_global:{FIRST}", "two_stage"])
def test_later_stages_see_the_first_networks_prediction_unclamped(name):
    torch.manual_seed(0)
    net = build(name).train()
    image, mask = sample((64, 64), batch=2)
    with raised(net.first, 4.0) as raw:
        *_, last = net.stages(image, mask).values()
    assert raw[-1].amin() > 1
    assert reached(last, raw[-1:], mask) > 0.9


def test_progressive_networks_see_what_is_in_range():
    """Pixels that become known between passes lie in [0, 1], like known pixels; the result is not clamped."""
    torch.manual_seed(0)
    net = iz.progressive(iz.create_model(FIRST), kernel_size=7, threshold=0.1).eval()
    image, mask = sample((64, 64))
    mask[..., 4:60, 6:60] = 1
    fed, predict = [], net.network.predict
    net.network.predict = lambda x, hole: fed.append(x) or predict(x, hole)
    with torch.no_grad(), raised(net.network, 3.0):
        stages, (frames,) = net.stages(image, mask), net.frames(image, mask)
        out = net(image, mask)
    assert len(frames) > 2
    assert max(x.abs().max().item() for x in fed) <= 1
    assert stages["prediction"].amax() > 1.1
    assert torch.equal(stages["prediction"].clamp(0, 1), frames[-1].image[None])
    assert torch.equal(out[0], frames[-1].image)


@pytest.mark.parametrize("kind", training_modules(), ids=lambda kind: kind.__name__)
def test_every_familys_losses(kind, no_weights):
    """Gradients with respect to the predictions, and to the outputs of the layers before them."""
    module = small(kind, on_missing="drop", **dict.fromkeys(arguments(kind) & BACKBONES)).train()
    side = SIDES.get(kind.__name__, SIDE)
    image, mask = sample((side, side), batch=2)
    batch = {"image": image, "mask": mask, "name": ["a", "b"]}
    for by in (-4.0, 4.0):
        with raised(module.network, by) as raw:
            stages = module.predict_stages(batch)
        total = generator_total(module, module.in_loss_range(batch), stages)
        assert reached(total, raw, mask) > 0.5
    generator = torch.Generator().manual_seed(0)
    outside = {  # -0.5 or 1.5 of the range
        name: to_range(torch.randint(0, 2, stage.shape, generator=generator) * 2 - 0.5, *module.loss_range)
        for name, stage in stages.items()
    }
    for stage in outside.values():
        stage.requires_grad_()
    total = generator_total(module, module.in_loss_range(batch), outside)
    gradients = torch.autograd.grad(total, [*outside.values()], allow_unused=True, retain_graph=True)
    used = [stage for stage, gradient in zip(outside.values(), gradients, strict=True) if gradient is not None]
    assert used[-1] is [*outside.values()][-1]
    assert all(reached(total, [stage], mask) > 0.5 for stage in used)


def generator_total(module, batch, stages):
    """Return the weighted sum of the generator's phase, after the preceding discriminator phases."""
    for part in parts(module):
        if part.is_generator:
            return part.total(part.terms(batch, stages))
        part.terms(batch, {name: stage.detach() for name, stage in stages.items()})
    raise AssertionError
