"""Refinement of LGNet that is trained together with a first network, which keeps its own losses and optimizers."""

import copy

import pytest
import torch

from inpaint_zoo.errors import ZooError
from inpaint_zoo.models import GRIG, ContextualAttention, JointRefinement, LaMa, PartialConv
from inpaint_zoo.ops import change_range
from tests.helpers.families import SMALL
from tests.helpers.toys import ImageData, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
]


def sgd(lr):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


def lama(**options):
    """Build LaMa's training with a schedule of its own."""
    torch.manual_seed(0)
    given = {"generator_optimizer": sgd(0.5), "discriminator_optimizer": sgd(0.25), "discriminator_width": 8}
    halved = {"generator_scheduler": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)}
    return LaMa("glama_tiny", perceptual=0.0, metrics=[], **given, **halved, **options)


def joint(first, **options):
    name = f"local_global:{first.network.origin.name}"
    given = {"optimizer": sgd(0.125), "scheduler": None, "lambda_per": 0.0, "lambda_style": 0.0, "metrics": []}
    return JointRefinement(name, first, network_options=SMALL, **given, **options)


def batch(module):
    generator = torch.Generator().manual_seed(1)
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 10:40, 20:50] = 1
    given = {"image": torch.rand(2, 3, 64, 64, generator=generator), "mask": mask, "name": ["a", "b"]}
    return given, module.in_loss_range(given)


def test_the_first_network_has_its_own_terms_of_its_unclamped_predictions():
    first = lama()
    module = joint(first).eval()
    module.build_losses()
    given, seen = batch(module)
    stages = module.predict_stages(given)
    wide = {name: 3 * stage - 2 for name, stage in stages.items()}  # out of the range of images
    own = {"prediction": change_range(wide["first/prediction"], (-1, 1), (0, 1))}
    assert own["prediction"].amin() < 0
    generator, discriminator = module.plan.generator, module.plan.phases[1]
    expected = first.generator_loss(given, own)
    found = generator.loss(seen, wide)
    for name, value in expected.items():
        torch.testing.assert_close(found[f"first_{name}"], value, rtol=1e-4, atol=1e-5)
        assert generator.weights[f"first_{name}"] == first.weights[name]
    assert set(found) - {f"first_{name}" for name in expected} == {
        f"{stage}_{term}" for stage in ("local", "global") for term in ("valid", "hole", "tv")
    }
    for name, value in first.discriminator_loss(given, own).items():
        torch.testing.assert_close(discriminator.loss(seen, wide)[name], value, rtol=1e-4, atol=1e-5)
    refined = sum(value for name, value in generator.loss(seen, stages).items() if name.startswith(("local", "global")))
    gradients = torch.autograd.grad(refined, list(first.network.parameters()), allow_unused=True)
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.slow
def test_each_part_is_trained_by_its_own_optimizer_schedule_and_clipping(tmp_path):
    module = joint(lama(gradient_clip=1e-3))
    before = copy.deepcopy(module.state_dict())
    assert not any(key.startswith("first_training") for key in before)
    assert [name for name in before if "first_parts.discriminator" in name]
    trainer = fit(tmp_path, module, ImageData(4, 2, side=64), max_steps=2, limit_val_batches=0)
    assert module.optimizer_names == ["generator/first", "generator/local_net", "generator/global_net", "discriminator"]
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [0.125, 0.125, 0.125, 0.25]
    after = module.state_dict()
    moved = {}
    for part in ("network.first.", "network.local_net.", "network.global_net.", "first_parts.discriminator."):
        names = [name for name, _ in module.named_parameters() if name.startswith(part)]
        moved[part] = float(sum((after[name] - before[name]).square().sum() for name in names)) ** 0.5
    assert all(distance > 0 for distance in moved.values())
    # two steps of at most the clipped norm, with the learning rates 0.5 and 0.25; the refinement is not clipped
    assert moved["network.first."] <= 1.01e-3 * (0.5 + 0.25)
    assert moved["network.global_net."] > 1e-2


def test_a_first_network_without_discriminator_is_one_phase():
    module = joint(PartialConv("partial_conv_tiny", perceptual=0, style=0, freeze_encoder_norms=True, metrics=[]))
    module.build_losses()
    (phase,) = module.plan.phases
    given, seen = batch(module)
    assert "first_valid" in phase.loss(seen, module.predict_stages(given))
    norms = [layer for layer in module.train().network.first.encoder.modules() if "BatchNorm" in type(layer).__name__]
    assert norms
    assert not any(layer.training for layer in norms)


def test_what_cannot_be_combined_is_refused():
    with pytest.raises(ZooError, match=r"trains 'glama_tiny', so `network` must be local_global:glama_tiny"):
        JointRefinement("local_global:lama", lama())
    module = joint(GRIG("grig_tiny", lambda_adv=0.0, lambda_lpips=0.0, metrics=[], patch_width=8))
    module.build_losses()
    with pytest.raises(ZooError, match="GRIG trains in several rounds on a batch"):
        module.recipe()


def test_several_batches_in_a_step_and_penalties_are_kept():
    module = joint(ContextualAttention("glcic_tiny", size=32, window=16, critic_width=8, num_critics=3, metrics=[]))
    module.build_losses()
    assert module.batches_per_step == 3
    assert [phase.penalty is not None for phase in module.plan.phases] == [True, False]
