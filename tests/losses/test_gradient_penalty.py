"""Test gradient penalties with critics of known gradient, and against the authors' values."""

import pytest
import torch

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses import (
    AdversarialLoss,
    FeatureMatching,
    MaskedL1,
    critic_gradient_norms,
    mask_to_logits,
    r1_penalty,
    wgan_gradient_penalty,
)
from inpaint_zoo.registry import create_discriminator
from tests.helpers import authors_losses as authors
from tests.helpers.fill import fill_module, read_vector, vector_image, vector_mask
from tests.losses.test_masked_l1 import contextual_case


def test_a_linear_critic():
    weight = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))

    def critic(x):
        return (x * weight).flatten(1).sum(1)

    real, fake = torch.rand(2, 2, 3, 4, 4)
    assert wgan_gradient_penalty(critic, real, fake).item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-5)
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, 1:3, 1:3] = 1  # the second image has no hole
    inside = weight[:, 1:3, 1:3].norm().item()
    norms = critic_gradient_norms(critic, real, fake, mask=mask)
    assert norms.tolist() == pytest.approx([inside, 0], rel=1e-5)
    masked = wgan_gradient_penalty(critic, real, fake, mask=mask)
    assert masked.item() == pytest.approx(((inside - 1) ** 2 + 1) / 2, rel=1e-5)
    images = real.clone().requires_grad_()
    assert r1_penalty(critic(images), images).item() == pytest.approx(weight.square().sum().item(), rel=1e-5)


def test_alpha_is_the_share_of_the_ground_truth():
    def critic(x):
        return (x**2).flatten(1).sum(1) / 2  # its gradient is the image itself

    real, fake, alpha = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), torch.tensor([0.25, 0.75])
    between = [a * r + (1 - a) * f for a, r, f in zip(alpha, real, fake, strict=True)]
    expected = sum((x.norm().item() - 1) ** 2 for x in between) / 2
    assert wgan_gradient_penalty(critic, real, fake, alpha=alpha).item() == pytest.approx(expected, rel=1e-5)
    drawn = torch.rand(2, generator=torch.Generator().manual_seed(5))
    by_generator = wgan_gradient_penalty(critic, real, fake, generator=torch.Generator().manual_seed(5))
    assert by_generator.item() == wgan_gradient_penalty(critic, real, fake, alpha=drawn).item()


def test_second_derivatives():
    torch.manual_seed(0)
    real, fake = torch.rand(2, 2, 2, 3, 3, dtype=torch.float64)
    first = torch.rand(4, 2, 3, 3, dtype=torch.float64, requires_grad=True)

    def critic(x, w):
        return torch.tanh(torch.nn.functional.conv2d(x, w)).flatten(1).sum(1)

    alpha = torch.tensor([0.2, 0.6])
    assert torch.autograd.gradcheck(
        lambda w: wgan_gradient_penalty(lambda x: critic(x, w), real, fake, alpha=alpha), first
    )
    images = real.requires_grad_()
    assert torch.autograd.gradcheck(lambda w: r1_penalty(critic(images, w), images), first)


def test_a_flat_critic_gives_no_nan():
    weight = torch.zeros(3, requires_grad=True)
    real, fake = torch.rand(2, 2, 3, 4, 4)
    wgan_gradient_penalty(lambda x: (x * weight.view(1, 3, 1, 1)).sum((1, 2, 3)), real, fake).backward()
    assert torch.equal(weight.grad, torch.zeros(3))


def test_full_precision_under_autocast():
    torch.manual_seed(0)
    critic, (real, fake) = torch.nn.Conv2d(3, 1, 4), torch.rand(2, 2, 3, 4, 4)
    alpha = torch.tensor([0.5, 0.5])
    exact = wgan_gradient_penalty(critic, real, fake, alpha=alpha)
    with torch.autocast("cpu", torch.bfloat16):
        assert wgan_gradient_penalty(critic, real, fake, alpha=alpha).item() == exact.item()


def test_wrong_arguments():
    real = torch.rand(1, 3, 4, 4)
    with pytest.raises(ZooError, match=r"call real\.requires_grad_\(\) before the discriminator's forward pass"):
        r1_penalty(torch.nn.Conv2d(3, 1, 4)(real), real)
    with pytest.raises(ZooError, match=r"`mask` must be \(1, 1, 4, 4\)"):
        wgan_gradient_penalty(torch.nn.Conv2d(3, 1, 4), real, real, mask=torch.ones(1, 3, 4, 4))


def test_contextual_attention():
    """Both critics with the recorded alpha: scores, penalties with and without mask, gradients of the total loss."""
    recorded = read_vector("ca_losses")
    named, variants = recorded["synthetic"]["values_named"], recorded["synthetic_variants"]
    target, _, fine, mask, box = contextual_case()
    completed = fine * mask + target * (1 - mask)
    alpha, gan_loss = torch.tensor([0.25, 0.75]), AdversarialLoss("wgan")
    d_total = torch.zeros(())
    wgan_d, wgan_g = 0.0, 0.0
    for name, critic, crop in (
        ("local", authors.contextual_critic(128), box),
        ("global", authors.contextual_critic(256), ...),
    ):
        real, fake = critic(target[crop]), critic(completed[crop])
        assert real.flatten().tolist() == pytest.approx(named[f"{name}_real"], abs=1e-5)
        assert fake.flatten().tolist() == pytest.approx(named[f"{name}_fake"], abs=1e-5)
        penalty = wgan_gradient_penalty(critic, target[crop], completed[crop], alpha=alpha)
        assert penalty.item() == pytest.approx(named[f"gp_{name}"], abs=1e-5)
        masked = wgan_gradient_penalty(critic, target[crop], completed[crop], alpha=alpha, mask=mask[crop])
        assert masked.item() == pytest.approx(variants[f"gp_{name}_masked"], abs=1e-5)
        loss = gan_loss.discriminator(real, fake) + 10 * penalty
        for key, norm in recorded["synthetic"]["grad_norms_of_d_total"][name].items():
            assert authors.gradient_norm(loss, critic.get_parameter(key)) == pytest.approx(norm, rel=1e-4), key
        d_total = d_total + loss.detach()
        wgan_d += gan_loss.discriminator(real, fake).item()
        wgan_g += gan_loss.generator(fake).item()
    assert [wgan_d, wgan_g] == pytest.approx([named["wgan_d"], named["wgan_g"]], abs=1e-5)
    assert d_total.item() == pytest.approx(named["d_total"], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("case", ["64_eval", "64_train", "256_eval", "256_train"])
def test_lama(case):
    """All shared loss terms of LaMa's two updates, and their gradients, with its discriminator."""
    recorded = read_vector("lama_losses")["cases"][case]
    side = int(case.split("_")[0])
    real, fake, mask = vector_image(side, side), vector_image(side, side, 0.7), vector_mask(side, side)
    real, fake, mask = (torch.cat([x, x.flip(3)]) for x in (real, fake, mask))
    network = fill_module(create_discriminator("lama")).train(case.endswith("train"))
    gan_loss = AdversarialLoss("non_saturating")

    fake.requires_grad_()
    real_features, (fake_logits, fake_features) = network.forward_features(real)[1], network.forward_features(fake)
    l1, adversarial = MaskedL1(10, 0)(fake, real, mask), 10 * gan_loss.generator(fake_logits)
    matching = FeatureMatching("mse", "mean")(fake_features, real_features)
    total = l1 + adversarial + 100 * matching
    got = {
        "l1 (known 10, missing 0)": l1.item(),
        "generator adversarial (x10 included)": adversarial.item(),
        "feature matching (unweighted)": matching.item(),
        "sum l1+adv+100*fm": total.item(),
        "L2 norm of d(sum)/d(fake)": authors.gradient_norm(total, fake),
        "mean D(fake)": fake_logits.mean().item(),
    }

    real.requires_grad_()
    real_logits, fake_logits = network(real), network(fake.detach())
    hole_map = mask_to_logits(mask, fake_logits)
    penalty = 0.001 * r1_penalty(real_logits, real)
    total = gan_loss.discriminator(real_logits, fake_logits, hole_map) + penalty
    assert [list(hole_map.shape), hole_map.sum().item()] == recorded["mask at discriminator resolution: shape, sum"]
    got |= {
        "discriminator total": total.item(),
        "R1 term already x0.001": penalty.item(),
        "mean D(real)": real_logits.mean().item(),
        **{
            f"L2 norm of d(disc total)/d({key})": authors.gradient_norm(total, network.get_parameter(key))
            for key in ("model0.0.weight", "model3.0.weight")
        },
    }
    assert got == pytest.approx({name: recorded[name] for name in got}, rel=1e-4, abs=1e-6)
