"""Test AOT-GAN's losses against recorded values, and its steps against steps written in plain PyTorch."""

import pytest
import torch
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.errors import UnknownNameError
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import PERCEPTUAL_TAPS, STYLE_TAPS, MissingWeightsWarning, soft_label
from inpaint_zoo.models import AOTGAN
from inpaint_zoo.models.aot_gan.loss import AOTGANLoss
from inpaint_zoo.training import NetworkEMA
from inpaint_zoo.weights import WeightsNotFoundError
from tests.helpers.authors_losses import gradient_norm
from tests.helpers.fill import fill_module, losses_batch, read_vector
from tests.helpers.overfit import Images64, psnr_by_heart
from tests.helpers.toys import fit, make_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
NO_VGG = {"style": 0.0, "perceptual": 0.0}


def small(metrics=(), **options):
    return AOTGAN("aot_gan_tiny", discriminator_width=8, metrics=metrics, **options)


# Losses


@pytest.mark.parametrize("side", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_recorded_losses(filled_vgg19, side):
    recorded = read_vector("aot_gan_losses")["networks"][str(side)]
    target, pred, mask = losses_batch(side, side, low=-1)
    pred.requires_grad_()
    batch, taps = {"image": target, "mask": mask}, PERCEPTUAL_TAPS + STYLE_TAPS
    critic = fill_module(iz.create_discriminator("aot_gan")).requires_grad_(False)
    vgg = VGGFeatures("vgg19", taps, input_norm="imagenet", value_range=(-1, 1), weights=filled_vgg19)
    released = AOTGANLoss(vgg, "released")
    with torch.no_grad():
        terms = released.reconstruction(pred, batch)
        sides = released.discriminator(critic, pred, batch)
        intended = AOTGANLoss(None).generator(critic, pred, batch)
    terms["adversarial"] = released.generator(critic, pred, batch)
    (gradient,) = torch.autograd.grad(terms["adversarial"], pred, retain_graph=True)
    weights = AOTGAN("aot_gan_tiny", discriminator_width=8).weights
    found = {
        "L1(pred, gt)": terms["l1"],
        "Style (VGG19 filled by the rule)": terms["style"],
        "Perceptual (VGG19 filled by the rule)": terms["perceptual"],
        "SM G as the code runs (scalar mse, so the mask cancels)": terms["adversarial"],
        "SM G with the real label 0, per pixel, masked": intended,
        "SM D fake: mse(upsampled D(fake), soft label)": sides["fake"],
        "SM D real: mse(upsampled D(real), 0)": sides["real"],
        "SM D total": sides["fake"] + sides["real"],
        "G total: L1 + 250 Style + 0.1 Perceptual + 0.01 SM G": sum(weights[name] * x for name, x in terms.items()),
    }
    assert {name: x.item() for name, x in found.items()} == pytest.approx({k: recorded[k] for k in found}, rel=2e-5)
    norm = gradient_norm(terms["adversarial"], pred)
    assert norm == pytest.approx(recorded["L2 norm of d(SM G)/d(pred)"], rel=1e-4)
    assert not (gradient * (1 - mask)).any()


def test_unknown_targets_are_refused():
    with pytest.raises(UnknownNameError, match=r"Unknown target 'release'\. Did you mean 'released'"):
        small(target="release")


# Steps


class ByHand:
    """AOT-GAN's training as specified, without this package's phases and losses.

    With ``as_released``, the discriminator keeps the gradient from the generator's GAN loss.
    """

    def __init__(self, module, rates, target="real", as_released=False):
        self.generator = iz.create_model("aot_gan_tiny").train().double()
        self.critic = iz.create_discriminator("aot_gan", width=8).double()
        self.generator.load_state_dict(module.network.state_dict())
        self.critic.load_state_dict(module.discriminator.state_dict())
        self.steps = [torch.optim.SGD(x.parameters(), lr) for x, lr in zip(self.players, rates, strict=True)]
        self.target, self.as_released = target, as_released

    @property
    def players(self):
        return self.generator, self.critic

    def judged(self, image):
        return F.interpolate(self.critic(image), image.shape[-2:], mode="bilinear", align_corners=True)

    def step(self, batch, l1, adversarial):
        x, hole = batch["image"].double() * 2 - 1, batch["mask"].double()
        white = torch.cat([x * (1 - hole) + hole, hole], 1)
        y = self.generator.decoder(self.generator.middle(self.generator.encoder(white)))
        merged = y * hole + x * (1 - hole)
        heard = self.judged(merged)
        if self.target == "released":
            term = F.mse_loss(heard, torch.ones_like(heard))
        else:
            term = ((heard**2) * hole).sum() / hole.sum()
        loss = l1 * (y - x).abs().mean() + adversarial * term
        fake, real = self.judged(merged.detach()), self.judged(x)
        critic_loss = F.mse_loss(fake, soft_label(hole)) + F.mse_loss(real, torch.zeros_like(real))
        for step in self.steps:
            step.zero_grad()
        loss.backward()
        if not self.as_released:
            self.steps[1].zero_grad()
        critic_loss.backward()
        for step in self.steps:
            step.step()


@pytest.mark.parametrize("target", ["real", "released"])
def test_two_steps_equal_those_written_out_by_hand(target, tmp_path):
    """Both gradients use the weights from before the step; three discriminator passes, including u and v.

    Computed in float64, because the normalization of nearly constant gates amplifies rounding errors.
    """
    weights = {"l1": 1.0, "adversarial": 0.3}  # more than the paper's, so that it shows
    rates = (0.02, 0.05)
    torch.manual_seed(0)
    module = small(
        generator_optimizer=lambda p: torch.optim.SGD(p, rates[0]),
        discriminator_optimizer=lambda p: torch.optim.SGD(p, rates[1]),
        target=target,
        init_std=0.05,
        **weights,
        **NO_VGG,
    )
    before = {name: value.clone() for name, value in module.state_dict().items()}
    right, kept = ByHand(module, rates, target), ByHand(module, rates, target, as_released=True)
    data = Images64()
    data.trainer = make_trainer(tmp_path / "order")
    for batch, _ in zip(data.train_dataloader(), range(2), strict=False):
        right.step(batch, **weights)
        kept.step(batch, **weights)
    trainer = fit(tmp_path, module, Images64(), max_steps=2, limit_val_batches=0, precision="64-true")
    assert trainer.global_step == 2
    for player, by_hand in zip(("network", "discriminator"), right.players, strict=True):
        trained = getattr(module, player).state_dict()
        changes, misses = [], []
        for name, value in by_hand.state_dict().items():
            changes.append((value - before[f"{player}.{name}"]).abs().max())
            misses.append((value - trained[name]).abs().max())
        assert max(misses) < 1e-9 * max(changes)
    other = kept.critic.state_dict()
    assert max((value - other[name]).abs().max() for name, value in trained.items()) > 1e-3 * max(changes)


def test_what_the_authors_train_with(tmp_path):
    module = small(vgg_weights="random")
    for player in (module.network, module.discriminator):
        named = list(player.named_parameters())
        drawn = torch.cat([parameter.flatten() for name, parameter in named if not name.endswith("bias")])
        assert drawn.std().item() == pytest.approx(0.02, rel=0.05)
        assert not any(parameter.any() for name, parameter in named if name.endswith("bias"))
    fit(tmp_path, module, Images64(), max_steps=1, limit_val_batches=0)
    rates = {(x.defaults["lr"], x.defaults["betas"], x.defaults["weight_decay"]) for x in module.trainer.optimizers}
    assert rates == {(1e-4, (0.5, 0.999), 0)}
    value = {name: value.item() for name, value in module.values.items()}
    assert value["discriminator/loss"] == pytest.approx(value["discriminator/real"] + value["discriminator/fake"])
    terms = {"l1": 1, "style": 250, "perceptual": 0.1, "adversarial": 0.01}
    total = sum(weight * value[f"generator/{name}"] for name, weight in terms.items())
    assert value["generator/loss"] == pytest.approx(total)


def test_half_precision_and_a_running_average_are_finite(tmp_path):
    module = small(metrics=["psnr"], **NO_VGG)
    options = {"max_steps": 2, "limit_val_batches": 1, "precision": "bf16-mixed"}
    fit(tmp_path, module, Images64(batches=2), callbacks=[NetworkEMA(decay=0.9)], **options)
    assert all(value.isfinite().all() for value in module.state_dict().values())
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert all(value.isfinite() for value in module.values.values())


def test_missing_vgg_is_refused_or_drops_its_terms(no_weights, tmp_path):
    with pytest.raises(WeightsNotFoundError, match="vgg19"):
        fit(tmp_path, small(), max_steps=1, limit_val_batches=0)
    module = small(on_missing="drop")
    with pytest.warns(MissingWeightsWarning, match="perceptual and style: .*vgg19"):
        fit(tmp_path / "dropped", module, max_steps=1, limit_val_batches=0)
    terms = {name.removeprefix("generator/") for name in module.values if name.startswith("generator/")}
    assert terms == {"l1", "adversarial", "loss", "grad_norm"}


@pytest.mark.slow
def test_it_learns(tmp_path):
    schedules = [f"--model.init_args.{x}_scheduler.init_args.T_max=35" for x in ("generator", "discriminator")]
    assert psnr_by_heart("aot_gan/sample.yaml", tmp_path, *schedules, steps=35) > 24.5
