"""Test GLCIC's and Contextual Attention's losses against recorded values, windows, steps, and fillings of holes."""

import numpy as np
import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.combinators import hole_ns as hole_ns_of
from inpaint_zoo.combinators import two_stage
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.inference.attention import attention_sheet
from inpaint_zoo.io.images import read_image
from inpaint_zoo.masks import create_generator
from inpaint_zoo.models import ContextualAttention
from inpaint_zoo.models.contextual_attention.loss import ContextualAttentionLoss, Window
from inpaint_zoo.ops import hole_ns
from inpaint_zoo.random import sample_key
from inpaint_zoo.training import image_row
from inpaint_zoo.training.resume import list_checkpoints
from inpaint_zoo.weights import WeightsError
from tests.helpers.fill import fill_module, read_vector, vector_image
from tests.helpers.images import sample
from tests.helpers.overfit import Images64, psnr_by_heart
from tests.helpers.small_runs import CRITICS, REPOSITORY, TINY
from tests.helpers.toys import fit, make_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
ALPHA = torch.tensor([0.25, 0.75])
ADVERSARIAL = 50.0  # more than the study's, so that it shows


def small(network="glcic_tiny", metrics=(), **options):
    return ContextualAttention(network, metrics=metrics, size=64, window=32, critic_width=8, **options)


# Losses


@pytest.fixture(scope="module")
def recorded_case():
    """Return ground truth in [-1, 1] and mask from `ca_losses`, and both critics."""
    x = vector_image(256, 256) * 2 - 1
    mask = torch.zeros(2, 1, 256, 256)
    mask[..., 67:181, 81:187] = 1
    critics = [fill_module(iz.create_discriminator(f"ca_{name}")) for name in ("local", "global")]
    return {"image": torch.cat([x, x.flip(3)]), "mask": mask}, critics


def totals(module, batch, stages, critics):
    """Return all terms, and both weighted sums with the module's weights."""
    losses = module.losses
    d = losses.critics(*critics, stages["fine"], batch) | losses.penalty(*critics, stages["fine"], batch, ALPHA)
    g = losses.reconstruction(stages, batch) | {"wgan_g": losses.generator(*critics, stages["fine"], batch)}
    critics_phase, generator_phase = module.recipe().phases
    sums = {
        "d_total": sum(critics_phase.weights.get(name, 1) * term for name, term in d.items()),
        "g_total": sum(generator_phase.weights[name] * term for name, term in g.items()),
    }
    return d | g | sums


def test_recorded_losses(recorded_case):
    """Losses of synthetic predictions, and gradients of the critics' total loss."""
    batch, critics = recorded_case
    recorded = read_vector("ca_losses")
    mirrored = batch["image"].flip(2)
    stages = {"coarse": 0.5 * mirrored, "fine": 0.8 * mirrored + 0.1}
    terms = totals(ContextualAttention("glcic_tiny"), batch, stages, critics)
    named = recorded["synthetic"]["values_named"]
    for which in ("local", "global"):  # of two images: the norms' mean is 1 off by no more than the penalty's root
        norm = terms.pop(f"{which}_gradient_norm").item()
        assert abs(norm - 1) <= named[f"gp_{which}"] ** 0.5 + 1e-6
    for name, term in terms.items():
        assert term.item() == pytest.approx(named[name], abs=1e-5, rel=1e-5), name
    for critic, name in zip(critics, ("local", "global"), strict=True):
        norms = recorded["synthetic"]["grad_norms_of_d_total"][name]
        gradients = torch.autograd.grad(terms["d_total"], [critic.get_parameter(k) for k in norms], retain_graph=True)
        assert [x.norm().item() for x in gradients] == pytest.approx(list(norms.values()), rel=1e-4)
    masked = ContextualAttentionLoss(gp_mask=True).penalty(*critics, stages["fine"], batch, ALPHA)["wgan_gp"]
    variants = recorded["synthetic_variants"]
    assert masked.item() == pytest.approx(variants["gp_local_masked"] + variants["gp_global_masked"], abs=1e-5)


@pytest.mark.slow
def test_recorded_chain(recorded_case):
    """The same with the generator: the gradient of its total loss passes through attention and composite."""
    batch, critics = recorded_case
    recorded = read_vector("ca_losses")["chain"]
    net = fill_module(iz.create_model("contextual_attention"))
    stages = net.stages((batch["image"] + 1) / 2, batch["mask"], scaled_to=(-1.0, 1.0))
    terms = totals(ContextualAttention("glcic_tiny"), batch, stages, critics)
    for name, value in recorded["values_named"].items():
        assert terms[name].item() == pytest.approx(value, abs=1e-5, rel=1e-5), name
    norms = recorded["grad_norms_of_g_total"]
    gradients = torch.autograd.grad(terms["g_total"], [net.get_parameter(key) for key in norms])
    assert [x.norm().item() for x in gradients] == pytest.approx(list(norms.values()), rel=1e-4)


def test_the_window_of_a_shrunk_box_is_the_box():
    """The window found from the mask equals the box that the reference code gives to its critic."""
    generator = create_generator("ca", seed=5)
    size, count = (256, 256), 40
    masks = torch.from_numpy(np.stack([generator(index, size) for index in range(count)]))[:, None].float()
    boxes = [generator.meta(index, size)["bbox"] for index in range(count)]
    window = Window(masks, 128)
    places = torch.arange(256.0)[None, None, :, None].expand(count, 1, *size)
    for number, crops in enumerate((window.crop(places)[:, 0, :, 0], window.crop(places.transpose(2, 3))[:, 0, 0])):
        assert crops.tolist() == [list(range(box[number], box[number] + 128)) for box in boxes]


def test_windows_stay_inside_and_look_at_the_middle_of_nothing():
    mask = torch.zeros(3, 1, 40, 64)
    mask[0, :, :2, 60:] = 1
    mask[1, :, 10:40, 0:50] = 1  # larger than the window
    rows = torch.arange(40.0)[None, None, :, None].expand(3, 2, 40, 64)
    columns = torch.arange(64.0).expand(3, 2, 40, 64)
    window = Window(mask, 16)
    assert window.crop(rows)[:, 1, 0, 0].tolist() == [0, 17, 12]
    assert window.crop(columns)[:, 1, 0, 0].tolist() == [48, 17, 24]
    with pytest.raises(ZooError, match="A window of 41 px does not fit into images of 40 x 64 px"):
        Window(mask, 41)


def test_discounts_of_free_form_holes():
    generator = torch.Generator().manual_seed(0)
    image, coarse, fine = (torch.rand(1, 3, 32, 32, generator=generator) for _ in range(3))
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:14, 5:25] = 1  # rows 10 and 13 are one pixel from what is known, 11 and 12 two, the ends less
    batch, stages = {"image": image, "mask": mask}, {"coarse": coarse, "fine": fine}
    found = {
        discount: ContextualAttentionLoss(32, 0.5, 0.0, discount=discount).reconstruction(stages, batch)["l1"].item()
        for discount in ("distance", "none")
    }
    error = (fine - image).abs()[0, :, 10:14, 5:25]
    weight = torch.full((4, 20), 0.25)
    weight[[0, -1]] = weight[:, [0, -1]] = 0.5
    assert found["none"] == pytest.approx(error.sum().item() / (3 * 32 * 32), rel=1e-5)
    assert found["distance"] == pytest.approx((error * weight).sum().item() / (3 * 32 * 32), rel=1e-5)
    with pytest.raises(UnknownNameError, match=r"Unknown `discount`: 'distances'\. Did you mean 'distance'"):
        ContextualAttentionLoss(discount="distances")


# Steps


class ByHand:
    """Training as specified, two critic batches per generator update, without this package's phases and losses."""

    def __init__(self, module, rates, stale_critics=False):
        self.net = iz.create_model("glcic_tiny").train()
        self.critics = [iz.create_discriminator(f"ca_{n}", size=s, width=8) for n, s in (("local", 32), ("global", 64))]
        for ours, theirs in zip(self.players, (module.network, module.local_critic, module.global_critic), strict=True):
            ours.load_state_dict(theirs.state_dict())
        self.generator_step = torch.optim.SGD(self.net.parameters(), rates[0])
        self.critics_step = torch.optim.SGD([p for critic in self.critics for p in critic.parameters()], rates[1])
        self.stale_critics = stale_critics

    @property
    def players(self):
        return self.net, *self.critics

    @staticmethod
    def near(x, mask):
        crops = []
        for image, hole in zip(x, mask[:, 0], strict=True):
            rows, columns = hole.nonzero().T
            top, left = ((int(places.min()) + int(places.max()) + 1) // 2 - 16 for places in (rows, columns))
            top, left = (min(max(start, 0), 64 - 32) for start in (top, left))
            crops.append(image[:, top : top + 32, left : left + 32])
        return torch.stack(crops)

    def critics_gradients(self, x, made, mask):
        loss = 0
        for critic, real, fake in zip(
            self.critics, (self.near(x, mask), x), (self.near(made, mask), made), strict=True
        ):
            alpha = torch.rand(len(x), generator=self.factors)[:, None, None, None]
            between = (alpha * real + (1 - alpha) * fake).requires_grad_()
            (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = ((gradient.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
            loss = loss + critic(fake).mean() - critic(real).mean() + 10 * penalty
        return self.gradients(loss, self.critics_step)

    def generator_gradients(self, x, stages, mask):
        i = torch.arange(32.0)
        near, far = 0.9 ** torch.minimum(i, 32 - i), 1 - mask
        discount = torch.maximum(near[:, None], near)
        merged = [y * mask + x * far for y in stages]
        l1 = [((self.near(y, mask) - self.near(x, mask)).abs() * discount).mean() for y in merged]
        ae = [((y - x) * far).abs().mean() for y in stages]
        local, whole = self.critics
        wgan = -local(self.near(merged[1], mask)).mean() - whole(merged[1]).mean()
        loss = 1.2 * (1.2 * l1[0] + l1[1]) + 1.2 * (1.2 * ae[0] + ae[1]) + ADVERSARIAL * wgan
        return self.gradients(loss, self.generator_step)

    def batch(self, batch, number):
        mask, x = batch["mask"], batch["image"] * 2 - 1
        stages = [2 * stage - 1 for stage in self.net.stages(batch["image"], mask).values()]
        self.factors = torch.Generator().manual_seed(sample_key(0, "train/losses/0", number) >> 1)
        critics = self.critics_gradients(x, (stages[1] * mask + x * (1 - mask)).detach(), mask)
        if number % 2 == 0:
            self.apply(self.critics_step, critics)
            return
        if self.stale_critics:
            generator = self.generator_gradients(x, stages, mask)
        self.apply(self.critics_step, critics)
        if not self.stale_critics:
            generator = self.generator_gradients(x, stages, mask)
        self.apply(self.generator_step, generator)

    @staticmethod
    def gradients(loss, optimizer):
        return torch.autograd.grad(loss, optimizer.param_groups[0]["params"])

    @staticmethod
    def apply(optimizer, gradients):
        for parameter, gradient in zip(optimizer.param_groups[0]["params"], gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()


def test_two_rounds_equal_those_written_out_by_hand(tmp_path, monkeypatch):
    """Critics on each batch with their own alpha; the generator on every second batch, with the updated critics."""
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    rates = (0.05, 0.1)
    torch.manual_seed(0)
    module = small(
        generator_optimizer=lambda p: torch.optim.SGD(p, rates[0]),
        critic_optimizer=lambda p: torch.optim.SGD(p, rates[1]),
        num_critics=2,
        gan_loss_alpha=ADVERSARIAL,
    )
    before = {name: value.clone() for name, value in module.state_dict().items()}
    right, wrong = ByHand(module, rates), ByHand(module, rates, stale_critics=True)
    data = Images64()
    data.trainer = make_trainer(tmp_path / "order")
    for number, batch in zip(range(4), data.train_dataloader(), strict=False):
        right.batch(batch, number)
        wrong.batch(batch, number)
    trainer = fit(tmp_path, module, Images64(), max_steps=2, limit_val_batches=0)
    assert (trainer.global_step, module.batches) == (2, 4)
    names = ("network", "local_critic", "global_critic")
    for player, by_hand, other in zip(names, right.players, wrong.players, strict=True):
        trained, others = getattr(module, player).state_dict(), other.state_dict()
        changes, misses, strays = [], [], []
        for name, value in by_hand.state_dict().items():
            changes.append((value - before[f"{player}.{name}"]).abs().max())
            misses.append((value - trained[name]).abs().max())
            strays.append((value - others[name]).abs().max())
        assert max(misses) < 1e-5 * max(changes)
        assert max(strays) > 1e-3 * max(changes)


def test_what_the_study_trains_with(tmp_path):
    module = small()
    before = {name: value.clone() for name, value in module.named_parameters()}
    fit(tmp_path, module, Images64(), max_steps=1, limit_val_batches=0)
    assert module.batches == 5
    # a score's offset is no matter: it cancels between truth and composite
    still = {name for name, value in module.named_parameters() if torch.equal(value, before[name])}
    assert still <= {"local_critic.linear.bias", "global_critic.linear.bias"}
    assert module.optimizer_names == ["critics", "generator"]
    rates = {(x.defaults["lr"], x.defaults["betas"], x.defaults["weight_decay"]) for x in module.trainer.optimizers}
    assert rates == {(1e-4, (0.5, 0.9), 0)}
    value = {name: x.item() for name, x in module.values.items()}
    assert all(np.isfinite(list(value.values())))
    assert value["critics/grad_norm"] > 0
    assert value["critics/local_gradient_norm"] > 0
    assert value["critics/global_gradient_norm"] > 0
    assert value["critics/loss"] == pytest.approx(value["critics/wgan_d"] + 10 * value["critics/wgan_gp"])
    terms = 1.2 * value["generator/l1"] + 1.2 * value["generator/ae"] + 0.001 * value["generator/wgan_g"]
    assert value["generator/loss"] == pytest.approx(terms)


def test_images_of_another_size_are_refused(tmp_path):
    with pytest.raises(ZooError, match=r"must be \(B, 3, 128, 128\), got \(4, 3, 64, 64\)\. Create the critic"):
        fit(tmp_path, ContextualAttention("glcic_tiny", size=128, window=32, critic_width=8), Images64(), max_steps=1)


def test_a_training_starts_from_network_and_critics_of_another(tmp_path):
    first = small()
    fit(tmp_path, first, Images64(), max_steps=2, limit_val_batches=0)
    checkpoint = str(list_checkpoints(tmp_path / "checkpoints")[0])
    second = small(init_weights=checkpoint, init_critics=checkpoint)
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    bare = tmp_path / "network.pt"
    torch.save(first.network.state_dict(), bare)
    with pytest.raises(WeightsError, match="contains no 'local_critic': give a checkpoint"):
        small(init_weights=str(bare), init_critics=str(bare))


# What stands in the hole


class Filled(Images64):
    """The images with a gray of 0.8 in their holes."""

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return {**batch, "hole_fill": torch.where(batch["mask"] > 0, 0.8, batch["image"])}


def test_fillings_that_no_network_can_take_are_refused():
    image, mask = sample((32, 32))
    net = iz.create_model("glcic_tiny")
    with pytest.raises(
        ZooError, match=r"`hole_fill` must be \(1, 3, 32, 32\) float32 on cpu like `image`, got \(1, 1, 32"
    ):
        net(image, mask, hole_fill=mask)
    with pytest.raises(ZooError, match=r"`hole_fill` must lie in \[0, 1\] in the hole, got -1"):
        net(image, mask, hole_fill=torch.where(mask > 0, -1.0, image))


def test_training_and_validation_find_what_the_data_put_there(tmp_path):
    torch.manual_seed(0)
    module = small(metrics=["psnr"], num_critics=1)
    found = []
    module.network.coarse_generator.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    fit(tmp_path, module, Filled(batches=1), max_steps=1, limit_val_batches=1)
    assert len(found) >= 2  # a step, a validation
    for x in found:
        hole = x[:, 4:].expand_as(x[:, :3]) > 0
        assert x[:, :3][hole].unique().tolist() == pytest.approx([0.6])
    image, mask = sample((32, 32))
    filled = hole_ns(image, mask)
    batch = {"image": image, "mask": mask, "hole_fill": filled, "index": torch.tensor([0]), "name": ["a"]}
    module.eval()
    with torch.no_grad():
        assert torch.equal(image_row(module, batch)[0], filled)
        assert torch.equal(module.predict_step(batch, 0), module.network(image, mask, hole_fill=filled))


@pytest.mark.parametrize("size", [(40, 48), (43, 57)])
def test_a_network_behind_navier_stokes_is_what_was_trained_so(size):
    """It has the network's weights, takes any size, also in the inference form, and ignores the hole's content."""
    inner = fill_module(iz.create_model("glcic_tiny"))
    net = iz.create_model("hole_ns:glcic_tiny")
    net.load_state_dict(inner.state_dict())
    image, mask = sample(size)
    with torch.no_grad():
        expected = inner(image, mask, hole_fill=hole_ns(image, mask))
        assert torch.equal(net(image, mask), expected)
        assert torch.equal(net(image.masked_fill(mask > 0, float("nan")), mask), expected)
        torch.testing.assert_close(iz.optimize(net)(image, mask), expected, atol=1e-5, rtol=0)
        assert not torch.equal(inner(image, mask), expected)
    assert net.state_dict().keys() == inner.state_dict().keys()
    assert list(net.stages(image, mask)) == ["coarse", "fine"]
    with pytest.raises(ZooError, match="TwoStage ignores the content of the hole: use it without `hole_ns:`"):
        hole_ns_of(two_stage(inner, inner))


# By its configuration


@pytest.mark.slow
@pytest.mark.usefixtures("wandb")
def test_attention_is_drawn_at_each_validation(tmp_path, monkeypatch):
    """Files and W&B have the same samples, drawn like `inpaint --attention`."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = ["fit", "--config", str(REPOSITORY / "configs" / "contextual_attention" / "sample.yaml")]
    words += ["--config", str(REPOSITORY / "configs" / "logger" / "wandb.yaml"), "--out", str(tmp_path / "run")]
    words += [f"--trainer.logger.init_args.save_dir={tmp_path}", *TINY, *CRITICS]
    assert main([*words, "--images.count=2", "--trainer.max_steps=4"]) == 0
    samples, attention = (
        read_image(tmp_path / "run" / "images" / f"{name}_00000004.png").rgb for name in ("step", "attention")
    )
    for name, drawn in (("samples", samples), ("attention", attention)):
        (logged,) = tmp_path.glob(f"wandb/offline-run-*/files/media/images/{name}_*.png")
        assert np.array_equal(read_image(logged).rgb, drawn)
    net = iz.create_model("contextual_attention_tiny", weights=tmp_path / "run" / "checkpoints" / "last.ckpt")
    hole = np.zeros((64, 64), bool)
    hole[16:48, 16:48] = True
    for row, sheet in zip(np.split(samples, 2), np.split(attention, 2), strict=True):
        *_, result, scene = np.split(row, row.shape[1] // 64, axis=1)
        image = torch.from_numpy(scene.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            (offsets,) = net.attention_offsets(image, torch.from_numpy(hole)[None, None].float()).numpy()
        expected = attention_sheet(offsets, scene, hole, result, "", place=8)
        assert np.array_equal(sheet[60:], expected[60:])  # below the title, which names step and sample


@pytest.mark.slow
def test_it_learns(tmp_path):
    """The small network with half its channels; the mean of the known colors has 23.2 dB."""
    words = [f"--model.init_args.{x}_scheduler.init_args.T_max=60" for x in ("generator", "critic")]
    words += ["--model.init_args.network=glcic", '--model.init_args.network_options={"width": 8}']
    words += ["--model.init_args.generator_optimizer.init_args.lr=2e-3", "--model.init_args.discount=none"]
    words += ["--model.init_args.size=64", "--model.init_args.window=32"]
    assert psnr_by_heart("glcic/sample.yaml", tmp_path, *words, steps=60) > 23.8
