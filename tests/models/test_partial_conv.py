"""Test the U-Net of partial convolutions: sizes, a written-out forward pass, its losses, its two training runs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.layers.features import IMAGENET_MEAN, IMAGENET_STD
from inpaint_zoo.losses import POOL_TAPS
from inpaint_zoo.models import PartialConv
from inpaint_zoo.models.partial_conv import PartialConvGenerator
from inpaint_zoo.models.partial_conv.loss import PartialConvLoss
from tests.helpers.images import sample, shaken
from tests.helpers.overfit import psnr_by_heart
from tests.helpers.toys import fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
MEAN, STD = (torch.tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
NO_VGG = {"perceptual": 0.0, "style": 0.0}


def test_parameters():
    assert iz.model_info("partial_conv").parameters == 25_784_276
    assert iz.model_info("partial_conv_tiny").parameters <= 1_500_000
    with torch.device("meta"):
        assert sum(p.numel() for p in iz.create_model("partial_conv", levels=8).parameters()) == 32_865_236


def nvidia(block, x, mask):
    """Compute a block like NVIDIA's layer, in float64: one mask per channel, counted by a convolution of ones."""
    layer, bias = block.convolution, block.convolution.bias.double().view(-1, 1, 1)
    weight, k = layer.convolution.weight.double(), layer.kernel
    known = F.conv2d(mask, torch.ones_like(weight), stride=layer.stride, padding=k // 2)
    new = known.clamp(0, 1)
    ratio = weight[0].numel() / (known + 1e-8) * new
    raw = F.conv2d(x * mask, weight, bias.flatten(), layer.stride, k // 2)
    out = ((raw - bias) * ratio + bias) * new
    return block.activation(block.norm.double()(out)), new


def test_the_network_is_what_its_article_draws():
    """The reference uses masks with as many channels as the features, upsampled and concatenated like them."""
    torch.manual_seed(0)
    net = shaken(PartialConvGenerator(levels=4, width=4))
    for name, parameter in net.named_parameters():
        if name.endswith("convolution.bias"):
            nn.init.normal_(parameter)
    image, mask = sample((48, 32), batch=2)
    with torch.no_grad():
        got = net.predict(image, mask)["prediction"]
        x, known = ((image - MEAN) / STD).double(), (1 - mask).double().expand(-1, 3, -1, -1)
        maps = [(x, known)]
        for block in net.encoder:
            maps.append(nvidia(block, *maps[-1]))
        x, known = maps.pop()
        for block in net.decoder:
            x, known = (F.interpolate(value, scale_factor=2) for value in (x, known))
            x, known = (torch.cat([a, b], 1) for a, b in zip((x, known), maps.pop(), strict=True))
            x, known = nvidia(block, x, known)
    assert known.all()
    torch.testing.assert_close(got.double(), x * STD + MEAN, atol=1e-4, rtol=1e-4)


def test_odd_sides_need_no_padding():
    net = iz.create_model("partial_conv_tiny")
    image, mask = sample((17, 45))
    seen = []
    for block in net.encoder:
        block.register_forward_hook(lambda _, __, out: seen.append(tuple(out[0].shape[-2:])))
    with torch.no_grad():
        assert net.stages(image, mask)["prediction"].shape == image.shape
    assert seen == [(9, 23), (5, 12), (3, 6), (2, 3), (1, 2)]


def test_without_anything_known_it_is_the_mean():
    net = iz.create_model("partial_conv_tiny")
    with torch.no_grad():
        out = net(torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32))
    torch.testing.assert_close(out, MEAN.expand(1, 3, 32, 32))


def test_no_level_is_refused():
    with pytest.raises(ValueError, match="`levels` must be at least 1, got 0"):
        PartialConvGenerator(levels=0)


def test_losses_written_out():
    generator = torch.Generator().manual_seed(0)
    image, pred = (torch.rand(2, 3, 32, 32, generator=generator) for _ in range(2))
    mask = (torch.rand(2, 1, 32, 32, generator=generator) > 0.5).float()
    vgg = VGGFeatures("vgg16", POOL_TAPS, input_norm="imagenet", weights="random")
    terms = PartialConvLoss(vgg)(pred, {"image": image, "mask": mask})
    x, y = (image - MEAN) / STD, (pred - MEAN) / STD
    merged = mask * y + (1 - mask) * x
    dx, dy = merged[..., 1:] - merged[..., :-1], merged[..., 1:, :] - merged[..., :-1, :]
    expected = {
        "valid": ((1 - mask) * (y - x)).abs().mean(),
        "hole": (mask * (y - x)).abs().mean(),
        "tv": dx.abs().mean() + dy.abs().mean(),
        "perceptual": 0,
        "style": 0,
    }

    def gram(maps):
        return torch.einsum("bchw,bdhw->bcd", maps, maps) / maps[0].numel()

    target = vgg(image)
    for scene in (pred, mask * pred + (1 - mask) * image):
        for tap, maps in vgg(scene).items():
            expected["perceptual"] += (maps - target[tap]).abs().mean()
            expected["style"] += (gram(maps) - gram(target[tap])).abs().mean()
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-4), name


def small(**options):
    return PartialConv("partial_conv_tiny", metrics=[], **options)


def test_the_first_phase(tmp_path):
    module = small(vgg_weights="random")
    layer = module.network.encoder[3].convolution.convolution
    assert layer.weight.std().item() == pytest.approx((2 / layer.weight[0].numel()) ** 0.5, rel=0.05)
    means = [x.running_mean.clone() for x in module.network.modules() if isinstance(x, nn.BatchNorm2d)]
    before = {name: value.clone() for name, value in module.network.named_parameters()}
    fit(tmp_path, module, max_steps=2, limit_val_batches=0)
    assert all(not torch.equal(value, before[name]) for name, value in module.network.named_parameters())
    norms = [x for x in module.network.modules() if isinstance(x, nn.BatchNorm2d)]
    assert all(not torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, means, strict=True))
    value = {name.removeprefix("train/"): x.item() for name, x in module.values.items()}
    weights = {"valid": 1, "hole": 6, "perceptual": 0.05, "style": 120, "tv": 0.1}
    assert value["loss"] == pytest.approx(sum(weight * value[name] for name, weight in weights.items()))
    assert module.trainer.optimizers[0].defaults["lr"] == 2e-4


@pytest.mark.filterwarnings("ignore:Found 4 module")  # in eval mode: that is what the phase is for
def test_the_second_phase_freezes_the_encoders_statistics(tmp_path):
    torch.manual_seed(0)
    first = shaken(iz.create_model("partial_conv_tiny"))
    file = iz.save_weights(first, tmp_path / "first.safetensors", licence="Apache-2.0", training={"data": "none"})
    module = small(freeze_encoder_norms=True, init_weights=str(file), **NO_VGG)
    fit(tmp_path, module, max_steps=2)
    module.train()
    old, new = first.state_dict(), module.network.state_dict()
    for name, value in old.items():
        frozen = name.startswith("encoder") and ("running" in name or "tracked" in name)
        assert torch.equal(value, new[name]) == frozen, name


@pytest.mark.slow
def test_it_learns(tmp_path):
    args = ["--model.init_args.scheduler.init_args.T_max=60"]
    assert psnr_by_heart("partial_conv/sample.yaml", tmp_path, *args, steps=60) > 24
