"""Test the Context Encoder: sizes, its input and predictions, its losses and updates."""

import pytest
import torch
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.models import ContextEncoder
from inpaint_zoo.models.context_encoder.loss import ContextEncoderLoss
from tests.helpers.images import sample
from tests.helpers.overfit import Images64, psnr_by_heart
from tests.helpers.toys import fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
COLOR = torch.tensor([117.0, 104.0, 123.0]).view(3, 1, 1) / 255


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_parameters():
    assert iz.model_info("context_encoder").parameters == 71_196_259
    assert iz.model_info("context_encoder_tiny").parameters <= 1_500_000
    with torch.device("meta"):
        assert count(iz.create_model("context_encoder", region="center")) == 71_130_531
        assert count(iz.create_model("context_encoder", region="center", bottleneck=100)) == 7_221_231
        for size, layers in ((64, 4), (128, 5), (256, 6)):
            critic = iz.create_discriminator("context_encoder", size=size)
            assert sum(isinstance(layer, torch.nn.Conv2d) for layer in critic.modules()) == layers + 1
            assert critic(torch.zeros(2, 3, size, size)).shape == (2, 1, 1, 1)
        assert iz.create_model("context_encoder", size=256).encoder(torch.zeros(2, 3, 256, 256)).shape == (
            2,
            4000,
            1,
            1,
        )


def given(net, image, mask):
    """Return the encoder's input in [0, 1], and the stages."""
    seen = []
    handle = net.encoder.register_forward_hook(lambda _, inputs, __: seen.append((inputs[0] + 1) / 2))
    with torch.no_grad():
        stages = net.stages(image, mask)
    handle.remove()
    return seen[0], stages["prediction"]


def test_holes_are_of_the_mean_color():
    net = iz.create_model("context_encoder_tiny")
    image, mask = sample((64, 64), batch=2)
    torch.testing.assert_close(given(net, image, mask)[0], torch.where(mask > 0, COLOR, image), atol=1e-6, rtol=0)


def test_another_size_keeps_the_hole_out_of_known_colors():
    """An image of one color, four times as large, keeps this color around the hole after resizing."""
    net = iz.create_model("context_encoder_tiny")
    color = torch.tensor([0.9, 0.1, 0.4]).view(1, 3, 1, 1)
    mask = torch.zeros(1, 1, 256, 192)
    mask[..., 64:128, 48:96] = 1
    mask[..., 200:203, 10:14] = 1  # too small to be seen at 64 px
    seen, pred = given(net, color.expand(1, 3, 256, 192), mask)
    expected = color.expand(1, 3, 64, 64).clone()
    expected[..., 16:32, 16:32] = COLOR
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=0)
    assert pred.shape == (1, 3, 256, 192)


def test_the_central_one_gives_back_what_surrounds_its_prediction():
    net = iz.create_model("context_encoder_tiny", region="center")
    image, mask = sample((64, 64))
    seen, pred = given(net, image, mask)
    assert net.predicted(pred).shape == (1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            net.predicted(pred) * 2 - 1, net.decoder(net.encoder(seen * 2 - 1)), atol=1e-5, rtol=0
        )
    outside = torch.ones(1, 1, 64, 64)
    net.predicted(outside).zero_()
    torch.testing.assert_close(pred * outside, seen * outside, atol=1e-6, rtol=0)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="power of two of at least 32, got 96"):
        iz.create_model("context_encoder", size=96)
    with pytest.raises(ValueError, match=r"Unknown region 'centre'\. Did you mean 'center'"):
        iz.create_model("context_encoder", region="centre")
    with pytest.raises(ValueError, match=r"`l2` must be above 0 and at most 1, got 2"):
        ContextEncoder("context_encoder_tiny", l2=2)


def test_losses_written_out():
    generator = torch.Generator().manual_seed(0)
    pred, target = (torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1 for _ in range(2))
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., 1:7, 1:7] = 1
    losses = ContextEncoderLoss(overlap_weight=10.0)

    def critic(region):
        return region.mean((1, 2, 3), keepdim=True)

    terms = losses.generator(critic, pred, target, mask)
    error = (pred - target).square()
    inner = error[..., 1:7, 1:7].sum()
    assert terms["l2"].item() == pytest.approx(((10 * (error.sum() - inner) + inner) / error.numel()).item())
    real, fake = (torch.sigmoid(critic(x)).flatten() for x in (target, pred))
    one = torch.ones(2)
    assert terms["adversarial"].item() == pytest.approx(F.binary_cross_entropy(fake, one).item(), rel=1e-5)
    sides = losses.discriminator(critic, pred, target)
    assert sides["real"].item() == pytest.approx(F.binary_cross_entropy(real, one).item(), rel=1e-5)
    assert sides["fake"].item() == pytest.approx(F.binary_cross_entropy(fake, 0 * one).item(), rel=1e-5)


@pytest.mark.parametrize(("region", "known"), [("image", 1.0), ("center", 10.0)])
def test_a_step_trains_all_but_the_biases(region, known, tmp_path):
    module = ContextEncoder(
        "context_encoder_tiny", network_options={"region": region}, discriminator_width=8, metrics=[]
    )
    assert module.losses.overlap_weight == known
    before = {name: value.clone() for name, value in module.named_parameters()}
    fit(tmp_path, module, Images64(), max_steps=2, limit_val_batches=0)
    for name, value in module.named_parameters():
        layer = module.get_submodule(name.rpartition(".")[0])
        still = name.endswith("bias") and not isinstance(layer, torch.nn.BatchNorm2d)
        assert torch.equal(value, before[name]) == still, name
        assert not (still and value.any())
    value = {name: x.item() for name, x in module.values.items()}
    total = 0.999 * value["generator/l2"] + 0.001 * value["generator/adversarial"]
    assert value["generator/loss"] == pytest.approx(total)
    assert value["discriminator/loss"] == pytest.approx(value["discriminator/real"] + value["discriminator/fake"])
    rates = {name: x.defaults["lr"] for name, x in zip(module.optimizer_names, module.trainer.optimizers, strict=True)}
    assert rates == {"discriminator": 2e-4, "generator": 2e-3}


def test_other_sizes_are_refused_in_training(tmp_path):
    with pytest.raises(ValueError, match=r"set --data\.init_args\.size=64, got images of shape \(2, 3, 32, 32\)"):
        fit(tmp_path, ContextEncoder("context_encoder_tiny", discriminator_width=8, metrics=[]), max_steps=1)


@pytest.mark.slow
def test_it_learns(tmp_path):
    args = ["--model.init_args.network=context_encoder_tiny", "--model.init_args.discriminator_width=8"]
    config = "context_encoder/random_regions_paris_streetview.yaml"
    assert psnr_by_heart(config, tmp_path, *args, "--checkpoints.every=150") > 24


def test_files_of_earlier_versions_load(tmp_path):
    """Earlier versions called the region "image" differently, and weight files and checkpoints store it."""
    net = iz.create_model("context_encoder_tiny", region="image")
    path = iz.save_weights(net, tmp_path / "old.safetensors", licence="Apache-2.0", training={"data": "none"})
    content = path.read_bytes()
    assert content.count(b'{\\"region\\": \\"image\\"}') + content.count(b'\\"region\\":\\"image\\"') == 1
    old = content.replace(b'\\"image\\"', b'\\"picture\\"')
    size = int.from_bytes(content[:8], "little") + len(old) - len(content)
    (tmp_path / "old.safetensors").write_bytes(size.to_bytes(8, "little") + old[8:])
    loaded = iz.create_model("context_encoder_tiny", weights=tmp_path / "old.safetensors")
    assert loaded.region == "image"
    image, mask = sample((64, 64))
    with torch.no_grad():
        assert torch.equal(loaded.eval()(image, mask), net.eval()(image, mask))
