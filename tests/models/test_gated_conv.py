"""Test DeepFillv2: sizes, the second stage's input, attention, discriminator, losses and updates."""

import pytest
import torch
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.models import GatedConv
from inpaint_zoo.models.gated_conv import GatedConvGenerator
from inpaint_zoo.models.gated_conv.loss import GatedConvLoss
from tests.helpers.images import sample
from tests.helpers.overfit import Images64, psnr_by_heart
from tests.helpers.toys import fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]


def test_parameters_and_macs():
    assert iz.model_info("gated_conv").parameters == 4_052_478
    assert iz.model_info("gated_conv_tiny").parameters <= 1_500_000
    with torch.device("meta"):
        net = iz.create_model("gated_conv")
        discriminator = iz.create_discriminator("gated_conv")
        image, mask = torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
        assert discriminator(image, mask).shape == (1, 256, 4, 4)
    assert sum(p.numel() for p in net.coarse.parameters()) == 1_631_151
    assert sum(p.numel() for p in discriminator.parameters()) == 5_946_816
    convolutions = 0

    def count(layer, _, out):
        nonlocal convolutions
        convolutions += out[0, 0].numel() * layer.weight.numel()

    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    # beside the convolutions: scores and paste of the attention, 1,024 places, patches of 3x3 and 4x4, 96 channels
    true = count_macs(net, 256, 256).true
    assert convolutions / 1e9 == pytest.approx(25.20, abs=0.005)
    assert (true - convolutions) / 1e9 == pytest.approx(1024**2 * 96 * (9 + 16) / 1e9, rel=0.01)


def test_the_second_stage_sees_the_filled_image_alone():
    net = iz.create_model("gated_conv_tiny")
    image, mask = sample((32, 40))
    x = torch.where(mask > 0, 0.0, image * 2 - 1)
    seen = []
    net.hallucinating.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    net.attending.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        stages = net.predict(x, mask)
        expected = torch.where(mask > 0, net.coarse(torch.cat([x, torch.ones_like(mask), mask], 1)), x)
    assert list(stages) == ["coarse", "fine"]
    assert all(torch.equal(value, expected) for value in seen)
    assert len(seen) == 2


def test_attention_points_to_patches_without_hole():
    net = iz.create_model("gated_conv_tiny")
    image, mask = sample((60, 76))
    mask.zero_()[..., 20:38, 24:42] = 1
    with torch.no_grad():
        offsets = net.attention_offsets(image, mask)
    assert offsets.shape == (1, 2, 8, 10)
    hole = F.max_pool2d(F.pad(mask, (0, 4, 0, 4))[..., ::8, ::8], 3, 1, 1)[0, 0]
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(10), indexing="ij")
    assert not hole[rows + offsets[0, 0], columns + offsets[0, 1]].any()
    assert offsets.any()


def test_odd_widths_are_refused():
    with pytest.raises(ValueError, match="`width` must be even and positive, got 7"):
        GatedConvGenerator(7)


def test_spectral_norm_of_the_discriminator():
    torch.manual_seed(0)
    layers = [x for x in iz.create_discriminator("gated_conv", width=8).modules() if hasattr(x, "normalized_weight")]
    assert len(layers) == 6
    for layer in layers:
        layer.iterate(50)
        assert torch.linalg.matrix_norm(layer.normalized_weight.flatten(1), 2).item() == pytest.approx(1, rel=1e-2)


def test_losses_written_out():
    """A linear discriminator of image and mask shows which composites and masks it gets."""
    generator = torch.Generator().manual_seed(0)
    image, coarse, fine = (torch.rand(2, 3, 16, 16, generator=generator) for _ in range(3))
    mask = (torch.rand(2, 1, 16, 16, generator=generator) > 0.5).float()
    batch = {"image": image, "mask": mask}

    def critic(scene, hole):
        return 2 * scene.sum(1, keepdim=True) + 0.7 * hole

    losses = GatedConvLoss()
    terms = losses.reconstruction({"coarse": coarse, "fine": fine}, batch)
    assert terms["coarse_l1"].item() == pytest.approx((coarse - image).abs().mean().item())
    assert terms["fine_l1"].item() == pytest.approx((fine - image).abs().mean().item())
    real = critic(image, mask)
    fake = critic(mask * fine + (1 - mask) * image, mask)
    sides = losses.discriminator(critic, fine, batch)
    assert sides["real"].item() == pytest.approx((1 - real).clamp(min=0).mean().item())
    assert sides["fake"].item() == pytest.approx((1 + fake).clamp(min=0).mean().item())
    assert losses.generator(critic, fine, batch).item() == pytest.approx(-fake.mean().item())


def test_discriminator_and_generator_take_turns(tmp_path):
    module = GatedConv("gated_conv_tiny", discriminator_width=8, metrics=[])
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fit(tmp_path, module, Images64(), max_steps=2, limit_val_batches=0)
    assert module.batches == 4
    assert all(not torch.equal(value, before[name]) for name, value in module.named_parameters())
    value = {name: x.item() for name, x in module.values.items()}
    # of images in [-1, 1], and of tanh outputs of an untrained network, which lie near 0
    assert all(0.1 < value[f"generator/{stage}_l1"] < 1 for stage in ("coarse", "fine"))
    sides = value["discriminator/real"] + value["discriminator/fake"]
    assert value["discriminator/loss"] == pytest.approx(sides / 2)
    terms = value["generator/coarse_l1"] + value["generator/fine_l1"] + value["generator/adversarial"]
    assert value["generator/loss"] == pytest.approx(terms)
    rates = {(x.defaults["lr"], x.defaults["betas"]) for x in module.trainer.optimizers}
    assert rates == {(1e-4, (0.5, 0.999))}


@pytest.mark.slow
def test_it_learns(tmp_path):
    words = [f"--model.init_args.{x}_scheduler.init_args.T_max=30" for x in ("generator", "discriminator")]
    words.append("--model.init_args.init_gain=2.0")
    assert psnr_by_heart("gated_conv/sample.yaml", tmp_path, *words, steps=30) > 23.6
