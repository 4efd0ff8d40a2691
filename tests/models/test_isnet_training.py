"""Test ISNet's losses against recorded values, its steps against plain PyTorch, and invalid arguments."""

import json

import pytest
import torch
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import UnknownNameError
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import PERCEPTUAL_TAPS, STYLE_TAPS, MissingWeightsWarning
from inpaint_zoo.models import ISNet
from inpaint_zoo.models.isnet.loss import PRESETS, ISNetLoss
from inpaint_zoo.training import NetworkEMA
from inpaint_zoo.weights import WeightsNotFoundError
from tests.helpers.fill import fill_module, losses_batch, read_vector
from tests.helpers.small_runs import REPOSITORY, TINY
from tests.helpers.toys import ImageData, fit, make_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
NO_VGG = {"style": 0.0, "perceptual": 0.0}


def small(metrics=(), **options):
    return ISNet("isnet_tiny", discriminator_width=8, metrics=metrics, **options)


# Losses


def test_recorded_losses(filled_vgg19):
    recorded = read_vector("isnet_losses_64")["values_named"]
    target, pred, mask = losses_batch(64, 64, low=0)
    critic = fill_module(iz.create_discriminator("isnet"))
    vgg = VGGFeatures("vgg19", PERCEPTUAL_TAPS + STYLE_TAPS, input_norm="zero_one", weights=filled_vgg19)
    names = {
        "hinge": ("hinge_D_real_textbook", "hinge_D_fake", "hinge_G"),
        "nsgan": ("nsgan_D_real", "nsgan_D_fake", "nsgan_G"),
        "lsgan": (None, None, "lsgan_G_sigmoid"),  # the other side was not recorded
    }
    with torch.no_grad():
        terms = ISNetLoss(vgg).reconstruction(pred, {"image": target, "mask": mask})
        found = {"l1_weight1": terms["l1"], "perceptual": terms["perceptual"], "style": terms["style"]}
        for gan_type, (real, fake, generator) in names.items():
            loss = ISNetLoss(None, gan_type)
            logits, maps = critic.forward_features(target)
            sides = loss.discriminator(critic, pred, logits)
            played = loss.generator(critic, pred, maps)
            found |= {real: sides["real"], fake: sides["fake"], generator: played["adversarial"]}
            found["feature_matching"] = played["feature_matching"]
            if gan_type == "hinge":
                terms |= played
    found["hinge_D_real_reference_code"] = F.relu(1 + found["hinge_D_real_textbook"])
    for preset in ("eq5", "eq4"):
        weights, gan_loss = PRESETS[preset]
        assert gan_loss == "hinge"
        found[f"{preset}_total"] = sum(weight * terms[name] for name, weight in weights._asdict().items())
    found.pop(None)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value for name, value in recorded.items() if name != "l1_plain"}, rel=1e-5, abs=1e-7
    )


def test_presets_and_what_replaces_them():
    assert tuple(small().weights.values()) == (1, 3, 3, 1, 0)
    assert (small().gan_type, small(preset="eq4").gan_type) == ("hinge", "hinge")
    own = small(preset="eq4", gan_type="nsgan", perceptual=0.5, feature_matching=0.0)
    assert (tuple(own.weights.values()), own.gan_type) == ((1, 0.1, 250, 0.5, 0), "nsgan")
    released = small(preset="journal_config")
    assert (tuple(released.weights.values()), released.gan_type) == ((1, 1, 0, 0, 0), "nsgan")


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match=r"Unknown preset 'eq6'\. Did you mean 'eq"):
        small(preset="eq6")
    with pytest.raises(UnknownNameError, match=r"Unknown `gan_type`: 'lsgans'\. Did you mean 'lsgan'"):
        small(gan_type="lsgans")


# Steps


class ByHand:
    """ISNet's training as specified, without this package's phases and losses."""

    def __init__(self, module, rates, fresh_critic=False):
        self.generator = iz.create_model("isnet_tiny").train()
        self.critic = iz.create_discriminator("isnet", width=8)
        self.generator.load_state_dict(module.network.state_dict())
        self.critic.load_state_dict(module.discriminator.state_dict())
        self.steps = [torch.optim.SGD(x.parameters(), lr) for x, lr in zip(self.players, rates, strict=True)]
        self.fresh_critic = fresh_critic

    @property
    def players(self):
        return self.generator, self.critic

    def step(self, batch, l1, adversarial, feature_matching):
        x, hole = batch["image"], batch["mask"]
        y = self.generator.stages(x, hole)["prediction"]
        real, real_maps = self.critic.forward_features(x)
        fake = self.critic(y.detach())
        critic_loss = (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2
        for parameter, gradient in self.gradients(critic_loss, self.critic):
            parameter.grad = gradient
        if self.fresh_critic:  # the order that the specification warns of
            self.steps[1].step()
        logits, maps = self.critic.forward_features(y)
        matching = sum(F.l1_loss(a, b.detach()) for a, b in zip(maps, real_maps, strict=True))
        loss = l1 * (y - x).abs().mean() / hole.mean() - adversarial * logits.mean() + feature_matching * matching
        for parameter, gradient in self.gradients(loss, self.generator):
            parameter.grad = gradient
        self.steps[0].step()
        if not self.fresh_critic:
            self.steps[1].step()

    @staticmethod
    def gradients(loss, player):
        parameters = list(player.parameters())
        return zip(parameters, torch.autograd.grad(loss, parameters), strict=True)


def test_two_steps_equal_those_written_out_by_hand(tmp_path):
    """Both gradients use the weights from before the step; three discriminator passes, including u and v."""
    weights = {"l1": 1.0, "adversarial": 3.0, "feature_matching": 10.0}
    rates = (0.02, 0.05)
    torch.manual_seed(0)
    module = small(
        generator_optimizer=lambda p: torch.optim.SGD(p, rates[0]),
        discriminator_optimizer=lambda p: torch.optim.SGD(p, rates[1]),
        **weights,
        **NO_VGG,
    )
    before = {name: value.clone() for name, value in module.state_dict().items()}
    right, wrong = ByHand(module, rates), ByHand(module, rates, fresh_critic=True)
    data = ImageData()
    data.trainer = make_trainer(tmp_path / "order")
    for batch, _ in zip(data.train_dataloader(), range(2), strict=False):
        right.step(batch, **weights)
        wrong.step(batch, **weights)
    trainer = fit(tmp_path, module, ImageData(), max_steps=2, limit_val_batches=0)
    assert trainer.global_step == 2
    for player, by_hand, other in zip(("network", "discriminator"), right.players, wrong.players, strict=True):
        trained = getattr(module, player).state_dict()
        changes, misses, others = [], [], []
        for name, value in by_hand.state_dict().items():
            changes.append((value - before[f"{player}.{name}"]).abs().max())
            misses.append((value - trained[name]).abs().max())
            others.append((value - other.state_dict()[name]).abs().max())
        assert max(misses) < 1e-5 * max(changes)
        assert max(others) > 1e-3 * max(changes)


def test_what_the_authors_train_with(tmp_path):
    module = small(vgg_weights="random")
    for player in (module.network, module.discriminator):
        named = list(player.named_parameters())
        drawn = torch.cat([parameter.flatten() for name, parameter in named if not name.endswith("bias")])
        assert drawn.std().item() == pytest.approx(0.001, rel=0.05)
        assert not any(parameter.any() for name, parameter in named if name.endswith("bias"))
    fit(tmp_path, module, max_steps=1, limit_val_batches=0)
    rates = {
        name: (optimizer.defaults["lr"], optimizer.defaults["betas"], optimizer.defaults["weight_decay"])
        for name, optimizer in zip(module.optimizer_names, module.trainer.optimizers, strict=True)
    }
    assert rates == {"generator": (1e-4, (0.0, 0.9), 0), "discriminator": (1e-5, (0.0, 0.9), 0)}
    value = {name: value.item() for name, value in module.values.items()}
    sides = value["discriminator/real"], value["discriminator/fake"]
    assert value["discriminator/loss"] == pytest.approx(sum(sides) / 2)
    terms = {"l1": 1, "adversarial": 3, "style": 3, "perceptual": 1}
    total = sum(weight * value[f"generator/{name}"] for name, weight in terms.items())
    assert value["generator/loss"] == pytest.approx(total)


def test_half_precision_and_a_running_average_are_finite(tmp_path):
    module = small(preset="eq4", metrics=["psnr"], **NO_VGG)
    options = {"max_steps": 3, "limit_val_batches": 1, "precision": "bf16-mixed"}
    fit(tmp_path, module, ImageData(batches=3), callbacks=[NetworkEMA(decay=0.9)], **options)
    assert all(value.isfinite().all() for value in module.state_dict().values())
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert all(value.isfinite() for value in module.values.values())


# What is missing


def test_missing_vgg_is_refused_before_the_first_step(no_weights, tmp_path):
    with pytest.raises(WeightsNotFoundError, match="vgg19"):
        fit(tmp_path, small(), max_steps=1, limit_val_batches=0)


def test_missing_vgg_drops_its_terms_if_the_config_says_so(no_weights, tmp_path):
    module = small(on_missing="drop")
    with pytest.warns(MissingWeightsWarning, match="perceptual and style: .*vgg19"):
        fit(tmp_path, module, max_steps=1, limit_val_batches=0)
    terms = {name.removeprefix("generator/") for name in module.values if name.startswith("generator/")}
    assert terms == {"l1", "adversarial", "feature_matching", "loss", "grad_norm"}
    value = {name: module.values[f"generator/{name}"].item() for name in terms}
    assert value["loss"] == pytest.approx(value["l1"] + 3 * value["adversarial"])


# By its configuration


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* images are .* images too")  # by heart
def test_it_learns(tmp_path):
    """The tiny generator overfits two images to 24 dB; Telea's method reaches 21.2 dB."""
    words = [
        "fit",
        "--config",
        str(REPOSITORY / "configs" / "isnet" / "sample.yaml"),
        "--out",
        str(tmp_path),
        *TINY,
        "--trainer.max_steps=60",
        '--data.train={"name": "sample", "split": "train", "select": {"after": 2, "first": 2}, "keep_mib": 64}',
        '--data.val={"name": "sample", "split": "train", "select": {"after": 2, "first": 2}, "crop": "center"}',
        "--data.init_args.augment=[center_crop]",
        '--data.init_args.masks={"name": "center", "size": 32}',
        '--data.init_args.eval_masks={"name": "center", "size": 32}',
        "--model.init_args.generator_scheduler.init_args.T_max=60",
        "--trainer.check_val_every_n_epoch=1000",
        "--data.init_args.epoch_samples=12",
    ]
    assert main(words) == 0
    words = ["validate", "--config", str(tmp_path / "config.yaml"), "--out", str(tmp_path), "--ckpt_path", "last"]
    assert main(words) == 0
    assert json.loads((tmp_path / "validate.json").read_text())["metrics"]["val/psnr"] > 24
