"""Test perceptual, style, LPIPS and feature matching losses on handmade features and against the authors' values."""

import pytest
import torch
from torch import nn

from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import (
    LPIPS_TAPS,
    FeatureMatching,
    LPIPSLoss,
    PerceptualLoss,
    StyleLoss,
    feature_distance,
    gram_matrix,
    lpips_distance,
)
from tests.helpers import authors_losses as authors
from tests.helpers.fill import losses_batch, read_vector

POOLS = ("pool1", "pool2", "pool3")
PERCEPTUAL_19 = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_19 = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")


def maps(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (2, 3, 4, 5), "b": (2, 4, 2, 3)}
    return {tap: torch.randn(shape, generator=generator, dtype=dtype) for tap, shape in shapes.items()}


def slow_gram(x):
    B, C, H, W = x.shape
    out = torch.zeros(B, C, C)
    for b in range(B):
        for c in range(C):
            for d in range(C):
                out[b, c, d] = sum(x[b, c, i, j] * x[b, d, i, j] for i in range(H) for j in range(W)) / (C * H * W)
    return out


def test_perceptual_by_hand():
    pred, target = maps(0), maps(1)
    each = {tap: (pred[tap] - target[tap]).abs().sum().item() / pred[tap].numel() for tap in pred}
    assert PerceptualLoss(("a", "b"))(pred, target).item() == pytest.approx(each["a"] + each["b"], rel=1e-5)
    assert PerceptualLoss(("b",))(pred, target).item() == pytest.approx(each["b"], rel=1e-5)
    squares = sum(((pred[tap] - target[tap]) ** 2).sum().item() / pred[tap].numel() for tap in pred)
    assert PerceptualLoss(("a", "b"), "mse")(pred, target).item() == pytest.approx(squares, rel=1e-5)


def test_style_by_hand():
    pred, target = maps(0), maps(1)
    torch.testing.assert_close(gram_matrix(pred["a"]), slow_gram(pred["a"]))
    each = {tap: (slow_gram(pred[tap]) - slow_gram(target[tap])).abs().mean().item() for tap in pred}
    assert StyleLoss(("a", "b"))(pred, target).item() == pytest.approx(each["a"] + each["b"], rel=1e-5)
    shuffled = {tap: x.flatten(2).flip(2).view_as(x) for tap, x in pred.items()}  # style forgets where things are
    assert StyleLoss(("a", "b"))(pred, shuffled).item() == pytest.approx(0, abs=1e-6)


def test_feature_matching_by_hand():
    pred, target = list(maps(0).values()), list(maps(1).values())
    squares = [((x - y) ** 2).mean().item() for x, y in zip(pred, target, strict=True)]
    assert FeatureMatching("mse", "mean")(pred, target).item() == pytest.approx(sum(squares) / 2, rel=1e-5)
    assert FeatureMatching("mse", "sum")(pred, target).item() == pytest.approx(sum(squares), rel=1e-5)


def test_lpips_by_hand():
    pred = [torch.tensor([[[[3.0]], [[4.0]]]])]  # the unit vector 0.6, 0.8
    target = [torch.tensor([[[[0.0]], [[2.0]]]])]
    heads = [torch.tensor([10.0, 100.0])]
    assert lpips_distance(pred, target, heads).tolist() == pytest.approx([10 * 0.36 + 100 * 0.04])


def test_gradients_reach_the_prediction_only():
    for loss in (PerceptualLoss(("a", "b")), StyleLoss(("a", "b"))):
        pred, target = maps(0, torch.float64), maps(1, torch.float64)
        for x in (*pred.values(), *target.values()):
            x.requires_grad_()
        assert torch.autograd.gradcheck(lambda a, b: loss({"a": a, "b": b}, target), tuple(pred.values()))  # noqa: B023
        loss(pred, target).backward()
        assert all(x.grad is None for x in target.values())
        assert all(x.grad.abs().sum() > 0 for x in pred.values())
    heads = [torch.rand(3).double(), torch.rand(4).double()]
    y = list(maps(1, torch.float64).values())
    x = tuple(x.requires_grad_() for x in maps(0, torch.float64).values())
    assert torch.autograd.gradcheck(lambda a, b: lpips_distance([a, b], y, heads).sum(), x)


def test_lpips_has_finite_gradients_where_nothing_fires():
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    lpips_distance([x], [torch.rand(1, 4, 2, 2)], [torch.ones(4)]).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_gram_matrices(layout):
    x = maps(0, torch.float64)["a"].contiguous(memory_format=layout).requires_grad_()
    weights = maps(1, torch.float64)["a"][:, :, 0, :3]  # not symmetric
    (found,) = torch.autograd.grad((gram_matrix(x) * weights).sum(), x)
    flat = x.flatten(2)
    (expected,) = torch.autograd.grad((flat @ flat.mT / flat[0].numel() * weights).sum(), x)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=layout)
    assert torch.autograd.gradgradcheck(gram_matrix, x)


def test_gram_matrices_do_not_overflow_in_half_precision():
    features = torch.full((1, 4, 64, 64), 60.0)  # 64 * 64 * 60^2 is far beyond float16
    with torch.autocast("cpu", torch.bfloat16):
        gram = gram_matrix(features.half())
        loss = StyleLoss(("x",))({"x": features.half()}, {"x": 0 * features.half()})
    assert gram.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(gram, torch.full((1, 4, 4), 900.0))


def test_wrong_arguments():
    pred, target = maps(0), maps(1)
    with pytest.raises(UnknownNameError, match=r"Unknown tap 'c'\. Known: a, b"):
        PerceptualLoss(("a", "c"))(pred, target)
    with pytest.raises(UnknownNameError, match="Unknown distance 'l2'"):
        FeatureMatching("l2", "mean")
    with pytest.raises(UnknownNameError, match="Unknown reduction over layers 'max'"):
        FeatureMatching("l1", "max")
    with pytest.raises(ZooError, match="must be lists of feature maps of equal length, at least 1, got 2 and 1"):
        feature_distance(list(pred.values()), [target["a"]])
    with pytest.raises(
        ZooError, match=r"Each feature map of the ground truth must be \(2, 3, 4, 5\) to match the prediction"
    ):
        feature_distance([pred["a"]], [target["b"]])
    with pytest.raises(UnknownNameError, match="Unknown reduction over the batch 'none'"):
        LPIPSLoss("none")


def test_lpips_heads_stay_out_of_checkpoints():
    loss = LPIPSLoss("mean")
    assert not loss.state_dict()
    assert not list(loss.parameters())
    assert [loss.get_buffer(f"head{i}").shape[0] for i in range(5)] == [64, 128, 256, 512, 512]
    assert not any(loss.get_buffer(f"head{i}").requires_grad for i in range(5))


def test_lgnet(filled_vgg16):
    named = read_vector("lgnet_losses_64")["values_named"]
    target, pred, mask = losses_batch(64, 64, low=0)
    merged = target * (1 - mask) + losses_batch(64, 64, low=-1)[1].add(1).div(2) * mask
    pred = losses_batch(64, 64, low=-1)[1].add(1).div(2)
    vgg = VGGFeatures("vgg16", POOLS, input_norm="minus_one_one", weights=filled_vgg16)
    perceptual, style = PerceptualLoss(POOLS), StyleLoss(POOLS)
    with torch.no_grad():
        real = vgg(target)
        raw, completed = vgg.each(pred, merged)
    got = {
        "perceptual_pred": perceptual(raw, real).item(),
        "style_pred": style(raw, real).item(),
        "perceptual": (perceptual(raw, real) + perceptual(completed, real)).item(),
        "style": (style(raw, real) + style(completed, real)).item(),
    }
    assert got == pytest.approx({name: named[name] for name in got}, rel=1e-5)


def test_isnet(filled_vgg19):
    named = read_vector("isnet_losses_64")["values_named"]
    target, pred, _ = losses_batch(64, 64, low=0)
    vgg = VGGFeatures("vgg19", PERCEPTUAL_19 + STYLE_19, input_norm="zero_one", weights=filled_vgg19)
    network = authors.isnet_discriminator()
    with torch.no_grad():
        raw, real = vgg.each(pred, target)
        matching = FeatureMatching("l1", "sum")(network(pred)[1], network(target)[1])
    got = {
        "perceptual": PerceptualLoss(PERCEPTUAL_19)(raw, real).item(),
        "style": StyleLoss(STYLE_19)(raw, real).item(),
        "feature_matching": matching.item(),
    }
    assert got == pytest.approx({name: named[name] for name in got}, rel=1e-5)
    # the totals of the paper's two equations, with the hinge term and L1 as recorded
    parts = named["l1_weight1"], named["hinge_G"], got["style"], got["perceptual"], got["feature_matching"]
    for name, weights in (("eq5_total", (1, 3, 3, 1, 0)), ("eq4_total", (1, 0.1, 250, 0.1, 10))):
        assert sum(w * part for w, part in zip(weights, parts, strict=True)) == pytest.approx(named[name], rel=1e-5)


def test_aot_gan(filled_vgg19):  # tests/models/test_aot_gan_training.py has the larger images
    recorded = read_vector("aot_gan_losses")["networks"]["64"]
    target, pred, _ = ((x + 1) / 2 for x in losses_batch(64, 64, low=-1))
    vgg = VGGFeatures("vgg19", PERCEPTUAL_19 + STYLE_19, input_norm="imagenet", weights=filled_vgg19)
    with torch.no_grad():
        raw, real = vgg.each(pred, target)
    perceptual, style = PerceptualLoss(PERCEPTUAL_19)(raw, real).item(), StyleLoss(STYLE_19)(raw, real).item()
    assert perceptual == pytest.approx(recorded["Perceptual (VGG19 filled by the rule)"], rel=1e-5)
    assert style == pytest.approx(recorded["Style (VGG19 filled by the rule)"], rel=1e-5)


@pytest.mark.parametrize("side", [64, 256])
def test_grig_lpips(filled_vgg16, side):
    recorded = read_vector("grig_losses")["lpips_vgg_filled"][str(side)]
    target, pred, mask = losses_batch(side, side, low=-1)
    completed = target * (1 - mask) + pred * mask
    vgg = VGGFeatures("vgg16", LPIPS_TAPS, input_norm="imagenet", weights=filled_vgg16, full_precision=True)
    with torch.no_grad():
        fake, real = vgg.each((completed + 1) / 2, (target + 1) / 2)
        summed, mean = (1.5 * LPIPSLoss(batch)(fake, real).item() for batch in ("sum", "mean"))
    assert summed == pytest.approx(recorded["G LPIPS term: 1.5 * sum over the batch"], rel=1e-4)
    assert mean == pytest.approx(recorded["1.5 * mean over the batch"], rel=1e-4)


def test_real_features_prefer_the_nearer_image(shared):
    """With a pretrained VGG-19, a light blur costs less than a heavy one, and a shift less than another texture."""
    data = pytest.importorskip("skimage.data")
    taps = ("relu1_2", "relu2_2", "relu3_1")
    file = shared / "weights" / "vgg19_caffe_relu3_1.pth"
    vgg = VGGFeatures("vgg19", taps, input_norm="imagenet", weights=file)
    cat, coffee = (
        torch.from_numpy(image[:128, 100:228].copy()).permute(2, 0, 1)[None] / 255
        for image in (data.chelsea(), data.coffee())
    )

    def blur(x, k):
        return nn.functional.avg_pool2d(x, k, 1, k // 2, count_include_pad=False)

    with torch.no_grad():
        real, light, heavy, shifted, other = vgg.each(cat, blur(cat, 3), blur(cat, 9), cat.roll(8, 3), coffee)
    perceptual, style = PerceptualLoss(taps), StyleLoss(taps)
    assert perceptual(real, real) == style(real, real) == 0
    assert 0 < perceptual(light, real) < perceptual(heavy, real)
    assert 0 < style(light, real) < style(heavy, real)
    assert style(shifted, real) < 0.2 * style(other, real)
