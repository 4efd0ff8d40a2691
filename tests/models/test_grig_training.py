"""Test GRIG's losses against recorded values, its rounds against plain PyTorch, and few-shot training."""

import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import LPIPS_TAPS, MissingWeightsWarning, SoftPatchLoss
from inpaint_zoo.models import GRIG
from inpaint_zoo.models.grig.loss import GRIGLoss
from inpaint_zoo.models.grig.patch_discriminator import GRIGPatchDiscriminator
from inpaint_zoo.models.grig.projected_discriminator import ProjectedDiscriminator
from inpaint_zoo.ops import composite, diff_augment, to_range
from inpaint_zoo.training import NetworkEMA, image_row
from inpaint_zoo.training.resume import list_checkpoints
from inpaint_zoo.weights import WeightsNotFoundError
from tests.helpers.families import with_small_inputs
from tests.helpers.fill import fill_module, losses_batch, read_vector
from tests.helpers.overfit import Images64, psnr_by_heart
from tests.helpers.runs import load
from tests.helpers.toys import fit, make_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
SMALL = {"projected_width": 4, "patch_width": 8, "backbone_weights": "random", "lambda_lpips": 0.0, "metrics": ()}
ALONE = {"lambda_adv": 0.0, "lambda_l1": 1.0}
BOTH = ["color", "translation"]
ALL = {"projected", "patch", "network"}


def small(steps=2, **options):
    return with_small_inputs(GRIG("grig_tiny", network_options={"steps": steps}, **{**SMALL, **options}))


# Losses


@pytest.mark.parametrize("case", ["64", "64_corner"])
def test_recorded_losses(case):
    recorded = read_vector("grig_losses")["networks"][case]
    target, pred, mask = losses_batch(64, 64, low=-1)
    if case == "64_corner":
        corner = torch.zeros(1, 1, 64, 64)
        corner[..., :16, :16] = 1
        mask = torch.cat([corner, corner.roll(11, 3)])
    batch = {"image": target, "mask": mask}
    pred.requires_grad_()
    projected, patch = (fill_module(critic) for critic in (ProjectedDiscriminator(), GRIGPatchDiscriminator()))
    loss = GRIGLoss(None)
    with torch.no_grad():
        whole, patches = loss.projected(projected, pred, batch), loss.patch(patch, pred, batch)
    terms = loss.generator(projected, patch, pred, batch)
    (gradient,) = torch.autograd.grad(terms["adversarial"] + terms["patch"], pred)
    assert not gradient.masked_select(mask == 0).any()
    got = {
        "E real": whole["real"],
        "E fake": whole["fake"],
        "E total": whole["real"] + whole["fake"],
        "D real": patches["real"],
        "D forged-patch (known + forged)": patches["fake"],
        "D total": patches["real"] + patches["fake"],
        "G adv": terms["adversarial"],
        "G patch, paper Eq.5": terms["patch"],
        "L2 norm of d(G adv + G patch)/d(pred)": gradient.norm(),
    }
    assert {name: value.item() for name, value in got.items()} == pytest.approx(
        {name: recorded[name] for name in got}, rel=2e-4
    )


def test_recorded_lpips(filled_vgg16):
    recorded = read_vector("grig_losses")["lpips_vgg_filled"]["64"]
    target, pred, mask = losses_batch(64, 64, low=-1)
    norm = {"input_norm": "imagenet", "value_range": (-1, 1)}
    vgg = VGGFeatures("vgg16", LPIPS_TAPS, full_precision=True, weights=filled_vgg16, **norm)
    batch = {"image": target, "mask": mask}
    for reduction in ("sum", "mean"):
        loss = GRIGLoss(vgg, reduction)
        term = loss.reconstruction(pred, batch, loss.lpips_features(target))["lpips"]
        name = "G LPIPS term: 1.5 * sum over the batch" if reduction == "sum" else "1.5 * mean over the batch"
        assert 1.5 * term.item() == pytest.approx(recorded[name], rel=1e-5)


def test_l1_is_that_of_the_composite():
    target, pred, mask = losses_batch(16, 16, low=-1)
    term = GRIGLoss(None).reconstruction(pred, {"image": target, "mask": mask}, None)["l1"]
    assert term.item() == pytest.approx(F.l1_loss(composite(pred, target, mask), target).item())


class Recorder(nn.Module):
    """Discriminator whose logits are the image's mean over channels, with a label map."""

    def forward(self, image):
        self.seen = image
        return image.mean(1, keepdim=True)

    def label_map(self, mask):
        self.mask = mask
        return mask


def test_labels_of_the_ablations():
    target, pred, mask = losses_batch(16, 16, low=-1)
    batch, critic = {"image": target, "mask": mask}, Recorder()
    logits = critic(composite(pred, target, mask))
    fake, real = F.relu(1 + logits), F.relu(1 - logits)
    wanted = {"forged": (mask * fake + (1 - mask) * real).mean(), "all": fake.mean()}
    wanted["nearest"] = wanted["forged"]  # as many logits as pixels
    for labels, value in wanted.items():
        assert GRIGLoss(None, labels=labels).patch(critic, pred, batch)["fake"].item() == pytest.approx(value.item())
        cost = -(logits if labels == "all" else logits * mask).mean()
        played = GRIGLoss(None, labels=labels).generator(None, critic, pred, batch)
        assert played["patch"].item() == pytest.approx(cost.item())
        assert set(played) == {"patch"}
    soft = GRIGLoss(None, labels="soft")
    assert sum(soft.patch(critic, pred, batch).values()).item() == pytest.approx(
        SoftPatchLoss().discriminator(target.mean(1, keepdim=True), logits, mask).item()
    )


@pytest.mark.parametrize("labels", ["area", "coverage"])
def test_shares_as_labels(labels):
    """Both hinge losses, weighted by the hole ratio in each of 6 x 6 cells or in receptive fields of up to 70 px."""
    target, pred, mask = losses_batch(64, 64, low=-1)
    batch, critic = {"image": target, "mask": mask}, iz.create_discriminator("patchgan70", width=4).eval()
    logits = critic(composite(pred, target, mask))
    finer = mask.repeat_interleave(3, 2).repeat_interleave(3, 3)
    if labels == "area":
        share = F.avg_pool2d(finer, 32)
    else:
        inside = F.avg_pool2d(F.pad(torch.ones_like(mask), (23,) * 4), 70, 8)
        share = F.avg_pool2d(F.pad(mask, (23,) * 4), 70, 8) / inside
    losses = GRIGLoss(None, labels=labels)
    paid = losses.patch(critic, pred, batch)["fake"]
    torch.testing.assert_close(paid, (share * F.relu(1 + logits) + (1 - share) * F.relu(1 - logits)).mean())
    hoped = losses.generator(None, critic, pred, batch)["patch"]
    torch.testing.assert_close(hoped, -(share * logits).mean())


def test_what_the_discriminators_see_moves_with_its_labels():
    image, mask = torch.ones(6, 3, 24, 24), losses_batch(24, 24, low=0)[2].repeat(3, 1, 1, 1)
    critic, batch = Recorder(), {"image": image, "mask": mask}
    GRIGLoss(None, augment=["translation"]).generator(None, critic, -image, batch)
    assert torch.equal(critic.mask, (critic.seen[:, :1] == -1).float())  # known is 1, what came in is 0
    assert not torch.equal(critic.mask, mask)
    GRIGLoss(None, augment=["color"]).generator(None, critic, -image, batch)
    assert torch.equal(critic.mask, mask)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match=r"Unknown `update_order`: 'codes'\. Did you mean 'code'"):
        small(update_order="codes")
    with pytest.raises(UnknownNameError, match=r"Unknown `patch_labels`: 'forgd'\. Did you mean 'forged'"):
        small(patch_labels="forgd")
    with pytest.raises(UnknownNameError, match=r"Unknown `augment_discriminators`: 'cutout'"):
        small(augment_discriminators=["cutout"])


# Rounds


class Whole(nn.Sequential):
    """Substitute for the slow projected discriminator: logits after batch norms."""

    backbone_source = "none"

    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 4))

    def features(self, image):
        return image  # nothing of it is frozen

    def judge(self, features):
        return self(features)


class ByHand:
    """GRIG's training as specified, without this package's phases and losses."""

    def __init__(self, module, rates):
        self.module = module
        self.generator = iz.create_model("grig_tiny").train()
        self.projected = Whole()
        self.patch = GRIGPatchDiscriminator(8).train()
        for mine, theirs in zip(self.players, (module.network, module.projected, module.patch), strict=True):
            mine.load_state_dict(theirs.state_dict())
            mine.double()
        self.steps = [
            torch.optim.SGD([p for p in player.parameters() if p.requires_grad], lr)
            for player, lr in zip(self.players, rates, strict=True)
        ]

    @property
    def players(self):
        return self.generator, self.projected, self.patch

    def update(self, number, loss):
        self.steps[number].zero_grad()
        parameters = self.steps[number].param_groups[0]["params"]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        self.steps[number].step()

    def batch(self, batch, number, rounds, order="code"):
        real, hole = 2 * batch["image"].double() - 1, batch["mask"].double()
        labels = F.max_pool2d(F.pad(hole, (23,) * 4), 70, 8)  # (B, 1, 6, 6): whose 70 px see a hole
        self.module.seed_batch("train", number)
        current = real * (1 - hole)
        for _ in range(rounds):
            completed = (current + self.generator.residual(current, hole)) * hole + real * (1 - hole)
            for player in (1, 2, 0) if order == "code" else (0, 1, 2):
                if player == 1:
                    pays = (
                        F.relu(1 - self.projected(real)).mean() + F.relu(1 + self.projected(completed.detach())).mean()
                    )
                elif player == 2:
                    on_real, on_fake = self.patch(real), self.patch(completed.detach())
                    known, forged = F.relu(1 - on_fake) * (1 - labels), F.relu(1 + on_fake) * labels
                    pays = F.relu(1 - on_real).mean() + known.mean() + forged.mean()
                else:
                    pays = -self.projected(completed).mean() - (self.patch(completed) * labels).mean()
                    pays = pays + 0.5 * (completed - real).abs().mean()
                self.update(player, pays)
            current = completed.detach()


@pytest.mark.parametrize("order", ["code", "paper"])
def test_two_batches_of_two_rounds_equal_those_written_out_by_hand(order, tmp_path):
    """Updates in order, each round from the previous detached composite, including u, v and batch norms.

    Computed in float64: rounding errors grow with each round, because the hinge loss and the deepest level's attention
    are not smooth.
    """
    rates = (0.02, 0.03, 0.03)
    torch.manual_seed(0)
    module = small(
        update_order=order,
        lambda_l1=0.5,
        augment=(),
        generator_optimizer=lambda p: torch.optim.SGD(p, rates[0]),
        discriminator_optimizer=lambda p: torch.optim.SGD(p, rates[1]),
    )
    module.projected = Whole()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    right, wrong = ByHand(module, rates), ByHand(module, rates)
    data = Images64()
    data.trainer = make_trainer(tmp_path / "order")
    for number, batch in zip(range(2), data.train_dataloader(), strict=False):
        right.batch(batch, number, 2, order)
        wrong.batch(batch, number, 2, "paper" if order == "code" else "code")
    trainer = fit(tmp_path, module, Images64(), max_steps=2, limit_val_batches=0, precision="64-true")
    assert trainer.global_step == 2
    for name, by_hand, other in zip(("network", "projected", "patch"), right.players, wrong.players, strict=True):
        trained = getattr(module, name).state_dict()
        changes, misses, others = [], [], []
        for key, value in by_hand.state_dict().items():
            if key.endswith("num_batches_tracked"):
                assert value == trained[key]
                continue
            changes.append((value - before[f"{name}.{key}"]).abs().max())
            misses.append((value - trained[key]).abs().max())
            others.append((value - other.state_dict()[key]).abs().max())
        assert max(misses) < 1e-7 * max(changes), name
        assert max(others) > 1e-3 * max(changes), name


class Watched(GRIG):
    """Records what each round starts from, and whether the previous round is still in memory."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.hole_fills, self.held, self.last = [], [], None

    def predict_stages(self, batch):
        self.hole_fills.append(batch.get("hole_fill"))
        self.held.append(self.last is not None and self.last() is not None)
        stages = super().predict_stages(batch)
        self.last = weakref.ref(stages["step_1"])
        return stages


def test_no_graph_crosses_rounds(tmp_path):
    module = Watched("grig_tiny", network_options={"steps": 3}, **SMALL, **ALONE)
    ema = NetworkEMA(buffers=False, each_update=True)
    trainer = fit(tmp_path, module, Images64(), max_steps=2, limit_val_batches=0, callbacks=[ema])
    assert trainer.global_step == 2
    assert int(ema.average.n_averaged) == 6  # each update of the generator
    starts = [hole_fill is None for hole_fill in module.hole_fills]
    assert starts == [True, False, False] * 2
    assert all(hole_fill is None or not hole_fill.requires_grad for hole_fill in module.hole_fills)
    assert not any(module.held)  # what a round needed is gone before the next
    averaged, live = ema.average.module.state_dict(), module.network.state_dict()
    assert all(torch.equal(averaged[name], value) for name, value in module.network.named_buffers())
    assert live.keys() == averaged.keys()


def test_evaluation_takes_all_steps(tmp_path):
    module = small(steps=3, **ALONE | {"metrics": ["psnr"]})
    fit(tmp_path, module, Images64(batches=1), max_steps=1, limit_val_batches=1)
    assert set(module.results) == {"val/psnr", "val/step_1/psnr", "val/step_2/psnr"}
    batch = {"image": torch.rand(1, 3, 64, 64), "mask": torch.ones(1, 1, 64, 64)}
    assert len(image_row(module.eval(), batch)) == 6  # masked input, three steps, result, ground truth
    assert list(module.train().predict_stages(batch)) == ["step_1"]


@pytest.mark.parametrize(
    ("options", "players"),
    [
        ({"lambda_patch": 0.0}, {"projected", "network"}),
        ({"lambda_adv": 0.0}, {"patch", "network"}),
        ({"patch_labels": "all"}, ALL),
        (
            {"patch_labels": "soft", "augment_discriminators": ["color", "translation"]},
            {"projected", "patch", "network"},
        ),
        ({"network_options": {"steps": 1, "core": "convolution"}}, ALL),
    ],
    ids=["A", "B", "C", "D", "E"],
)
def test_each_ablation_trains_its_players_and_nothing_else(options, players, tmp_path):
    module = with_small_inputs(GRIG("grig_tiny", **{**SMALL, "network_options": {"steps": 1}, **options}))
    assert {name for name in ("projected", "patch") if getattr(module, name) is not None} == players - {"network"}
    if module.projected is not None:
        module.projected.load_backbone("random")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fit(tmp_path, module, Images64(), max_steps=1, limit_val_batches=0)
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == players
    assert not any(name.startswith("projected.feature_network") for name in changed)
    assert all(value.isfinite() for value in module.values.values())
    optimizers = dict(zip(module.optimizer_names, module.trainer.optimizers, strict=True))
    assert all((o.defaults["lr"], o.defaults["betas"]) == (2e-4, (0.5, 0.999)) for o in optimizers.values())


def test_weights_of_the_terms(tmp_path):
    module = small(steps=1, lambda_lpips=1.5, lambda_l1=0.25, vgg_weights="random")
    fit(tmp_path, module, Images64(), max_steps=1, limit_val_batches=0, precision="bf16-mixed")
    value = {name: value.item() for name, value in module.values.items()}
    terms = {"adversarial": 1, "patch": 1, "lpips": 1.5, "l1": 0.25}
    total = sum(weight * value[f"generator/{name}"] for name, weight in terms.items())
    assert value["generator/loss"] == pytest.approx(total)
    for critic in ("projected", "patch"):
        assert value[f"{critic}/loss"] == pytest.approx(value[f"{critic}/real"] + value[f"{critic}/fake"])
    assert value["generator/lpips"] > 0


# The truth, changed


class Looking(GRIG):
    """Records the ground truth of its batches."""

    def carry(self, batch, stages):
        self.targets = [*getattr(self, "targets", []), batch["image"]]
        return super().carry(batch, stages)


def test_the_ground_truth_is_changed_before_the_hole_and_alike_in_all_rounds(tmp_path):
    def trained(folder, augment):
        torch.manual_seed(0)
        module = Looking("grig_tiny", network_options={"steps": 3}, augment=augment, **SMALL, **ALONE)
        fit(tmp_path / folder, module, Images64(), max_steps=2, limit_val_batches=0)
        return module

    plain, changed, again = (
        trained(name, steps)
        for name, steps in (("a", []), ("b", ["color", "translation"]), ("c", ["color", "translation"]))
    )
    for target in (plain.targets, changed.targets):
        assert target[0] is target[1]  # of one batch
    assert not torch.equal(changed.targets[0], changed.targets[2])
    assert all(torch.equal(a, b) for a, b in zip(changed.targets, again.targets, strict=True))
    changed.seed_batch("augment", 1)
    by_hand = diff_augment([to_range(plain.targets[2], -1, 1)], BOTH)[0]
    assert torch.allclose(to_range(changed.targets[2], -1, 1), by_hand, atol=1e-6)


def test_what_the_data_put_into_the_hole_is_not_changed_along():
    batch = {"image": torch.rand(1, 3, 64, 64), "mask": torch.ones(1, 1, 64, 64), "hole_fill": torch.rand(1, 3, 64, 64)}
    with pytest.raises(ZooError, match=r"`augment` changes the ground truth but not the filling from `input_mode`"):
        small().training_step(batch, 0)


# What is missing


def test_missing_vgg_is_refused_before_the_first_step(no_weights, tmp_path):
    with pytest.raises(WeightsNotFoundError, match="vgg16"):
        fit(tmp_path, small(lambda_lpips=1.5), Images64(), max_steps=1, limit_val_batches=0)


def test_a_missing_backbone_is_refused_unless_a_checkpoint_brings_it(no_weights, tmp_path):
    with pytest.raises(WeightsNotFoundError, match="tf_efficientnet_lite0"):
        fit(tmp_path / "a", small(steps=1, backbone_weights=None), Images64(), max_steps=1, limit_val_batches=0)
    fit(tmp_path / "b", small(steps=1), Images64(), max_steps=1, limit_val_batches=0)
    (checkpoint,) = list_checkpoints(tmp_path / "b" / "checkpoints")
    module = small(steps=1, backbone_weights=None)
    trainer = fit(tmp_path / "b", module, Images64(), checkpoint, max_steps=2, limit_val_batches=0)
    assert trainer.global_step == 2
    stem = "feature_network.pretrained.layer0.0.weight"
    assert torch.equal(module.projected.state_dict()[stem], load(checkpoint)["state_dict"][f"projected.{stem}"])


def test_a_missing_backbone_leaves_its_player_out_if_the_config_says_so(no_weights, tmp_path):
    module = small(steps=1, backbone_weights=None, on_missing="drop")
    with pytest.warns(MissingWeightsWarning, match="adversarial: .*tf_efficientnet_lite0"):
        fit(tmp_path / "a", module, Images64(), max_steps=1, limit_val_batches=0)
    assert module.optimizer_names == ["patch", "generator"]
    assert "generator/adversarial" not in module.values
    (checkpoint,) = list_checkpoints(tmp_path / "a" / "checkpoints")
    resumed = small(steps=1)  # by now there are weights, but this run has no such player
    fit(tmp_path / "a", resumed, Images64(), checkpoint, max_steps=2, limit_val_batches=0)
    assert resumed.optimizer_names == ["patch", "generator"]


# Few images


def test_a_batch_of_eight_from_five_images():
    five = {"name": "sample", "split": "train", "select": {"few_shot": 5}}
    data = InpaintingDataModule(five, size=64, masks="cmod", batch_size=8, epoch_samples=16, workers=0)
    batches = list(data.train_dataloader())
    assert [len(batch["image"]) for batch in batches] == [8, 8]
    assert all(len(set(batch["name"])) == 5 for batch in batches)


# By its configuration


@pytest.mark.slow
def test_it_learns(tmp_path):
    own = [
        "--model.init_args.augment=[]",
        "--model.init_args.generator_optimizer.init_args.lr=2e-3",
        "--model.init_args.generator_scheduler.init_args.T_max=45",
        "--model.init_args.network_options.steps=2",
        "--data.init_args.batch_size=2",
        "--trainer.callbacks=[]",  # an average over so short a run would hold the first weights above all
    ]
    assert psnr_by_heart("grig/sample.yaml", tmp_path, *own, steps=45) > 24.2
