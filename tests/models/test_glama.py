"""Test LaMa, Big-LaMa, GLaMa: sizes, the authors' recorded outputs, their checkpoints, a training step by hand."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.cli.main import main
from inpaint_zoo.combinators import TwoStage
from inpaint_zoo.errors import UnknownNameError
from inpaint_zoo.layers.ffc import FFCResnetBlock, FourierUnit, SpectralTransform
from inpaint_zoo.losses import FocalFrequencyLoss, mask_to_logits
from inpaint_zoo.models import GLaMa, LaMa
from inpaint_zoo.models.glama import LaMaGenerator
from inpaint_zoo.weights import load_weights
from tests.helpers.configs import CONFIGS as ALL_CONFIGS
from tests.helpers.fill import fill, fill_module, read_keys, read_vector, vector_image, vector_mask
from tests.helpers.parsed import parse, parser
from tests.helpers.recorded import close
from tests.helpers.toy import toy

CONFIGS = ALL_CONFIGS / "glama"

CALMED = re.compile(r"\.conv2\.bn_.\.(weight|bias)$")  # so that eighteen blocks don't saturate the sigmoid


def filled(name):
    net = iz.create_model(name)
    state = fill(net.state_dict())
    if name == "big_lama":
        state = {key: value * 0.4 if CALMED.search(key) else value for key, value in state.items()}
    net.load_state_dict(state)
    return net


def feature_map(channels, H, W):
    c, i, j = (
        torch.arange(n, dtype=torch.float64).view(shape)
        for n, shape in ((channels, (-1, 1, 1)), (H, (1, -1, 1)), (W, (1, 1, -1)))
    )
    waves = torch.sin(0.05 * (i + 1) * (c % 5 + 1) + 0.03 * (j + 1) * (c % 3 + 1) + 0.1 * c)
    return waves.float()[None]


def test_parameters_and_macs():
    for name, parameters, true, thop in (
        ("lama", 27_048_835, 31.874, 42.873),
        ("big_lama", 50_975_875, 55.061, 66.127),
    ):
        with torch.device("meta"):
            net = iz.create_model(name)
        macs = count_macs(net, 256, 256)
        assert iz.model_info(name).parameters == parameters
        assert (round(macs.true / 1e9, 3), round(macs.thop / 1e9, 3)) == (true, thop)
        assert sum(buffer.numel() for buffer in net.buffers()) == {"lama": 42_064, "big_lama": 81_304}[name]
    with torch.device("meta"):
        both = count_macs(iz.create_model("glama_2stage"), 512, 512)
        alone = count_macs(iz.create_model("glama"), 256, 256)
        large = count_macs(iz.create_model("glama"), 512, 512)
    assert both.true == alone.true + large.true
    assert iz.model_info("glama_tiny").parameters <= 1_500_000
    assert sum(parameter.numel() for parameter in iz.create_discriminator("lama").parameters()) == 6_962_369


@pytest.mark.parametrize(("name", "keys"), [("lama", "lama"), ("big_lama", "big_lama")])
def test_names_are_the_authors(name, keys):
    theirs = read_keys(keys)
    ours = {key: list(value.shape) for key, value in iz.create_model(name).state_dict().items()}
    assert ours == theirs
    disc = read_keys("lama_disc")
    assert {key: list(value.shape) for key, value in iz.create_discriminator("lama").state_dict().items()} == disc


def test_recorded_generator():
    recorded = read_vector("lama_64")
    net = filled("lama")
    means = {}

    def note(index, out):  # at once: activations are overwritten in place
        whole = torch.cat([branch for branch in out if branch is not None], 1) if isinstance(out, tuple) else out
        means[index] = (list(whole.shape), whole.double().mean().item())

    for index, layer in enumerate(net.model):
        layer.register_forward_hook(lambda _, __, out, index=index: note(index, out))
    image, mask = vector_image(64, 64), vector_mask(64, 64)
    with torch.no_grad():
        raw = net.stages(image, mask)["prediction"]
        completed = net(image, mask)
    close(raw, recorded, atol=1e-4)
    assert completed.mean().item() == pytest.approx(recorded["inpainted_mean"], abs=1e-5)
    for index, expected in recorded["stages"].items():
        assert means[int(index)] == (expected["shape"], pytest.approx(expected["mean"], rel=1e-5, abs=1e-5)), index


def test_recorded_training_pass():
    recorded = read_vector("lama_train_64")
    net = filled("lama").train()
    image, mask = vector_image(64, 64), vector_mask(64, 64)
    out = net.stages(torch.cat([image, image.flip(3)]), mask.repeat(2, 1, 1, 1))["prediction"]
    close(out.detach(), recorded, atol=1e-4)
    buffers = dict(net.named_buffers())
    for key, values in recorded["running_after_one_forward"].items():
        torch.testing.assert_close(buffers[key][: len(values)], torch.tensor(values), atol=1e-5, rtol=1e-4)
    loss = (out.flatten() * torch.linspace(0, 1, out.numel())).sum()
    assert loss.item() == pytest.approx(recorded["loss"], rel=1e-5)
    loss.backward()
    parameters = dict(net.named_parameters())
    for key, norm in recorded["grad_norms"].items():
        assert parameters[key].grad.double().norm().item() == pytest.approx(norm, rel=2e-3), key


@pytest.mark.parametrize("size", ["32x32", "17x23"])
def test_recorded_block(size):
    recorded = read_vector(f"lama_ffc_block_{size}")
    block = fill_module(FFCResnetBlock(512, 0.75))
    x = feature_map(512, *map(int, size.split("x")))
    with torch.no_grad():
        local, context = block((x[:, :128], x[:, 128:]))
    close(local, recorded["local"], atol=1e-5)
    close(context, recorded["global"], atol=1e-5)


def test_recorded_fourier_units():
    cases = read_vector("lama_fourier_units")["cases"]
    built = {
        "SpectralTransform(384->384, no LFU)": (SpectralTransform(384, 384), 384),
        "SpectralTransform(64->64, LFU)": (SpectralTransform(64, 64, local_fourier=True), 64),
        "SpectralTransform(64->64, stride 2 = AvgPool2d(2), no LFU)": (SpectralTransform(64, 64, stride=2), 64),
        "FourierUnit(192->192)": (FourierUnit(192), 192),
    }
    for case, recorded in cases.items():
        title, size = case.rsplit(" ", 1)
        module, channels = built[title]
        with torch.no_grad():
            close(fill_module(module)(feature_map(channels, *map(int, size.split("x")))), recorded, atol=2e-5)


def test_recorded_discriminator():
    recorded = read_vector("lama_disc_64")
    with torch.no_grad():
        logits, features = fill_module(iz.create_discriminator("lama")).forward_features(vector_image(64, 64))
    close(logits, recorded, atol=1e-5)
    for got, expected in zip(features, recorded["features"], strict=True):
        assert list(got.shape) == expected["shape"]
        assert got.double().mean().item() == pytest.approx(expected["mean"], abs=1e-5)
        assert got.double().std(correction=0).item() == pytest.approx(expected["std"], abs=1e-5)


@pytest.mark.parametrize(("precision", "largest", "mean"), [("fp32", 1e-4, 1e-5), ("bf16", 1e-1, 1e-2)])
def test_optimised_form_on_lively_weights(precision, largest, mean):
    """Random weights give a gray image; these weights give one that uses the whole value range."""
    net = filled("lama")
    image, mask = vector_image(72, 96), vector_mask(72, 96)
    with torch.no_grad():
        plain = net.stages(image, mask)["prediction"]
        difference = (iz.optimize(net, precision).stages(image, mask)["prediction"] - plain).abs()
    assert plain.std() > 0.25
    assert difference.max() < largest
    assert difference.mean() < mean


def test_fourier_unit_is_a_convolution_with_an_image_wide_kernel():
    """With identity weights and no norm, it is ReLU of the spectrum's parts, computed by an explicit DFT."""
    unit = FourierUnit(1).eval()
    with torch.no_grad():
        unit.conv_layer.weight.copy_(torch.eye(2)[..., None, None])
        x = torch.randn(1, 1, 5, 7, dtype=torch.float64).float()
        got = unit(x)[0, 0] * math.sqrt(1 + unit.bn.eps)
    H, W = 5, 7
    rows = torch.exp(-2j * math.pi * torch.outer(torch.arange(H), torch.arange(H)).double() / H) / math.sqrt(H)
    columns = torch.exp(-2j * math.pi * torch.outer(torch.arange(W), torch.arange(W)).double() / W) / math.sqrt(W)
    half = (rows @ x[0, 0].to(torch.complex128) @ columns)[:, : W // 2 + 1]
    half = torch.complex(half.real.relu(), half.imag.relu())
    # a real signal's spectrum from its half: the missing columns are conjugates, the first one counts as real
    whole = torch.zeros(H, W, dtype=torch.complex128)
    whole[:, : W // 2 + 1] = half
    for v in range(W // 2 + 1, W):
        for u in range(H):
            whole[u, v] = half[-u % H, W - v].conj()
    inner = rows.conj().T @ whole @ columns.conj().T
    along = rows.conj().T @ half  # irfft drops the imaginary part of column 0 after the transform along H
    correction = torch.outer(along[:, 0] - along[:, 0].real, torch.ones(W)) / math.sqrt(W)
    torch.testing.assert_close(got.double(), (inner - correction).real, atol=1e-5, rtol=0)


# Checkpoints


def released(name, prefix="generator."):
    state = {f"{prefix}{key}": value for key, value in fill(iz.create_model(name).state_dict()).items()}
    if prefix:
        state["loss_resnet_pl.impl.conv1.weight"] = torch.zeros(1)
        state["val_evaluator.scores.fid.model.weight"] = torch.zeros(1)
        discriminator = fill(iz.create_discriminator("lama").state_dict())
        state |= {f"discriminator.{key}": value for key, value in discriminator.items()}
    return state


@pytest.mark.parametrize("prefix", ["generator.", ""])
def test_convert(prefix):
    state = released("lama", prefix)
    ours = iz.convert_official("lama", state)
    net = iz.create_model("glama")
    net.load_state_dict(ours, strict=True)
    key = "model.5.conv1.ffc.convg2g.fu.conv_layer.weight"
    assert torch.equal(ours[key], state[prefix + key])
    assert iz.convert_official("glama", {"epoch": 40, "state_dict": state}).keys() == ours.keys()
    if prefix:
        disc = iz.convert_official("lama_discriminator", state)
        iz.create_discriminator("lama").load_state_dict(disc, strict=True)


def test_convert_is_strict():
    state = released("lama")
    key = "generator.model.25.bias"
    with pytest.raises(iz.ZooError, match=r"does not fit 'lama': 1 missing: model\.25\.bias\."):
        iz.convert_official("lama", {name: value for name, value in state.items() if name != key})
    with pytest.raises(iz.ZooError, match=r"1 left over: model\.99\.bias"):
        iz.convert_official("lama", state | {"generator.model.99.bias": torch.zeros(3)})
    with pytest.raises(iz.ZooError, match=r"1 of another shape: model\.25\.bias is \(4,\), expected \(3,\)"):
        iz.convert_official("lama", state | {key: torch.zeros(4)})
    with pytest.raises(iz.ZooError, match=r"does not fit 'big_lama': .* missing"):
        iz.convert_official("big_lama", state)


class Bookkeeping:
    """Object of the authors' code in a checkpoint, whose pickle names a class and calls a function."""

    def __init__(self, trap):
        self.trap = trap

    def __reduce__(self):
        return (Path.touch, (self.trap,))


def test_convert_reads_the_released_folder_without_running_code(tmp_path, capsys):
    folder, out, trap = tmp_path / "lama-fourier", tmp_path / "lama.safetensors", tmp_path / "ran"
    (folder / "models").mkdir(parents=True)
    (folder / "config.yaml").write_text("run_title: x\ngenerator: {kind: ffc_resnet, n_blocks: 9}\nother: ${a.b}\n")
    state = released("lama")
    content = {"state_dict": state, "epoch": 40, "callbacks": {"monitor": Bookkeeping(trap)}}
    torch.save(content, folder / "models" / "best.ckpt")
    assert main(["convert", "--model", "lama", str(folder), "--out", str(out), "--licence", "Apache-2.0"]) == 0
    assert not trap.exists()
    assert "27,048,835 parameters" in capsys.readouterr().out
    file = load_weights(out)
    assert (file.name, file.licence) == ("lama", "Apache-2.0")
    assert file.training["config"]["generator"]["n_blocks"] == 9
    assert file.training["converted_from"]["best.ckpt"]["sha256"]
    net = iz.create_model("lama", weights=out)
    assert torch.equal(net.model[25].bias, state["generator.model.25.bias"])
    disc = tmp_path / "disc.safetensors"
    assert main(["convert", "--model", "lama_discriminator", str(folder), "--out", str(disc)]) == 0
    assert load_weights(disc).name == "lama_discriminator"
    for words, message in (
        (["convert", "--model", "big_lama", str(folder), "--out", str(tmp_path / "b.safetensors")], "does not fit"),
        (["convert", "--model", "lama", str(folder), "--out", str(out)], "pass --overwrite to replace it"),
        (["convert", "--model", "lama", str(tmp_path), "--out", str(tmp_path / "c.safetensors")], "No checkpoint"),
        (["convert", "--model", "lamma", str(folder), "--out", str(tmp_path / "d.safetensors")], "Did you mean 'lama'"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err


# Two stages


def test_two_stage_works_at_the_coarse_size_and_takes_any_network():
    class Looks(LaMaGenerator):
        def predict(self, image, mask):
            self.seen = image, mask
            return super().predict(image, mask)

    first = Looks(blocks=1, width=4)
    net = TwoStage(first, toy(), coarse_size=64).eval()
    image, mask = vector_image(128, 192), vector_mask(128, 192)
    with torch.no_grad():
        stages = net.stages(image, mask)
        assert list(stages) == ["coarse", "fine"]
        small, small_mask = first.seen
        assert small.shape == (1, 3, 64, 96)
        touched = nn.functional.max_pool2d(mask, 2)
        assert torch.equal(small_mask, touched)
        # known colors are means over known pixels alone, so what is far from the hole is the plain average
        average = nn.functional.avg_pool2d(image, 2)
        torch.testing.assert_close(small * (1 - touched), average * (1 - touched))
        assert torch.equal(net(image, mask)[(mask == 0).expand_as(image)], image[(mask == 0).expand_as(image)])


def test_a_frozen_first_stage_stays_as_it_is():
    net = iz.create_model("glama_2stage", freeze_first=True).train()
    assert not net.first.training
    assert net.second.training
    assert not any(parameter.requires_grad for parameter in net.first.parameters())
    assert all(parameter.requires_grad for parameter in net.second.parameters())


# Training


def test_one_step_by_hand():
    """The weighted sum and its terms equal a slow implementation, in the order of the released code."""
    torch.manual_seed(0)
    module = GLaMa("glama_tiny", perceptual_weights="random", metrics=[])
    module.build_losses()
    image, mask = vector_image(64, 64), vector_mask(64, 64)
    batch = {"image": image.repeat(2, 1, 1, 1), "mask": mask.repeat(2, 1, 1, 1)}
    stages = module.network.stages(batch["image"], batch["mask"])
    pred = stages["prediction"]
    with torch.no_grad():
        terms = module.generator_loss(batch, stages)
        real, fake = batch["image"], pred
        _, real_maps = module.discriminator.forward_features(real)
        logits, maps = module.discriminator.forward_features(fake)
        by_hand = {
            "l1": ((fake - real).abs() * (1 - batch["mask"])).mean(),
            "l1_hole": ((fake - real).abs() * batch["mask"]).mean(),
            "adversarial": -torch.sigmoid(logits).log().mean(),
            "feature_matching": sum(((a - b) ** 2).mean() for a, b in zip(maps, real_maps, strict=True)) / 5,
            "perceptual": sum(
                ((a - b) ** 2).mean()
                for a, b in zip(
                    module.losses.features(fake).values(), module.losses.features(real).values(), strict=True
                )
            ),
            "total_variation": (
                (fake[..., :-1, 1:] - fake[..., :-1, :-1]) ** 2 + (fake[..., 1:, :-1] - fake[..., :-1, :-1]) ** 2
            ).mean(),
        }
        spectrum = torch.fft.fft2(fake - real).abs() / 64
        by_hand["focal_frequency"] = (spectrum**3 / spectrum.amax((2, 3), keepdim=True)).mean()
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {name: value.item() for name, value in by_hand.items()}, rel=1e-3
    )
    assert module.weights == {
        "l1": 10,
        "l1_hole": 0,
        "adversarial": 10,
        "feature_matching": 100,
        "perceptual": 30,
        "total_variation": 10,
        "focal_frequency": 100,
    }
    swapped = GLaMa("glama_tiny", paper_weights=True, metrics=[]).weights
    assert (swapped["feature_matching"], swapped["perceptual"]) == (30, 100)
    # the discriminator's side: fake as far as the cell of a logit is hole, real as far as it is known
    terms = module.discriminator_loss(batch, {"prediction": pred.detach()})
    with torch.no_grad():
        logits, real_logits = module.discriminator(pred), module.discriminator(batch["image"])
        finer = batch["mask"].repeat_interleave(7, 2).repeat_interleave(7, 3)  # 7 x 7 logits: cells of 64 x 64 of these
        hole = nn.functional.avg_pool2d(finer, 64)
        probability = torch.sigmoid(logits)
        fake = -(hole * (1 - probability).log() + (1 - hole) * probability.log()).mean()
    assert terms["fake"].item() == pytest.approx(fake.item(), rel=1e-4)
    assert terms["real"].item() == pytest.approx(-torch.sigmoid(real_logits).log().mean().item(), rel=1e-4)
    assert terms["r1"] > 0


def test_the_label_map_is_released_for_lama_and_an_area_for_glama():
    """Each mode reaches the discriminator's loss; the defaults are those of the models."""
    pred, image, mask = vector_image(64, 64, 0.7), vector_image(64, 64), vector_mask(64, 64)
    assert [family().mask_mode for family in (LaMa, GLaMa)] == ["nearest", "area"]
    nearest = nn.functional.interpolate(mask, (7, 7), mode="nearest")
    for mode in ("nearest", "max", "area", "coverage"):
        module = LaMa("glama_tiny", perceptual=0, discriminator_width=8, mask_mode=mode)
        module.build_losses()
        module.discriminator.eval()
        batch = {"image": image, "mask": mask}
        paid = module.discriminator_loss(batch, {"prediction": pred})["fake"].item()
        label = mask_to_logits(mask, nearest, mode, module.discriminator)
        logits = module.discriminator(pred)
        by_hand = nn.functional.binary_cross_entropy_with_logits(logits, 1 - label)
        assert paid == pytest.approx(by_hand.item(), rel=1e-5)
        assert torch.equal(label, nearest) == (mode == "nearest")


def added_terms(pred, image, **options):
    """Return the two terms that GLaMa adds, unweighted."""
    module = GLaMa("glama_tiny", discriminator_width=8, perceptual=0, metrics=[], **options)
    module.build_losses()
    terms = module.losses.generator(module.discriminator, pred, image, vector_mask(64, 64))
    return [terms["total_variation"].item(), terms["focal_frequency"].item()]


def about(*values):
    return pytest.approx([value.item() for value in values], rel=1e-4)


def test_reductions_of_the_added_losses_are_arguments():
    pred, image = vector_image(64, 64, 0.7), vector_image(64, 64)
    right, down = pred.diff(dim=3)[..., :-1, :], pred.diff(dim=2)[..., :-1]
    squares = right**2 + down**2
    errors = torch.fft.fft2(pred - image, norm="ortho").abs()
    largest = errors.amax((2, 3), keepdim=True)
    assert added_terms(pred, image) == about(squares.mean(), (errors**3 / largest).mean())
    options = {"tv_reduction": "sum", "focal_options": {"reduction": "sum"}}
    assert added_terms(pred, image, **options) == about(squares.sum(), (errors**3 / largest).sum())
    options = {"tv_beta": 1.0, "focal_options": {"normalize": False, "alpha": 2.0}}
    assert added_terms(pred, image, **options) == about(squares.sqrt().mean(), (errors**4).mean())
    with pytest.raises(UnknownNameError, match="Unknown reduction 'none'"):
        GLaMa("glama_tiny", metrics=[], tv_reduction="none")


def test_the_added_losses_act():
    """Their fraction of the gradient is at least 0.3 % by default, and below 0.1 % with weight 1."""
    torch.manual_seed(0)
    module = GLaMa("glama_tiny", discriminator_width=8, perceptual=0, metrics=[])
    module.build_losses()
    image, mask = vector_image(64, 64), vector_mask(64, 64)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    pred = (vector_image(64, 64, 0.2) + 0.03 * noise).clamp(0, 1).requires_grad_()
    terms = module.generator_loss({"image": image, "mask": mask}, {"prediction": pred})
    norms = {name: torch.autograd.grad(term, pred, retain_graph=True)[0].norm().item() for name, term in terms.items()}
    total = sum(module.weights[name] * norm for name, norm in norms.items())
    for name in ("total_variation", "focal_frequency"):
        assert 0.003 < module.weights[name] * norms[name] / total < 0.25
        assert norms[name] / total < 0.001


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
@pytest.mark.parametrize(
    "files", [["sample"], ["glama_ffhq", "losses_as_mean"], ["glama_2stage_ffhq", "losses_as_mean"]], ids="+".join
)
def test_the_weights_of_the_paper_stay_available(files, tmp_path):
    """Both losses as means with weight 1, in the sample configuration and in an overlay."""
    configs = [word for file in files for word in ("--config", str(CONFIGS / f"{file}.yaml"))]
    with torch.device("meta"):  # without random initial weights, which take long
        model = parser().instantiate_classes(parse("fit", [*configs, "--out", str(tmp_path)])).model
    assert (model.weights["total_variation"], model.weights["focal_frequency"]) == (1, 1)
    assert (model.variation.reduction, model.variation.beta, model.variation.joint) == ("mean", 2, True)
    assert repr(model.frequency) == repr(FocalFrequencyLoss())
    assert model.network.origin.name == model.hparams["network"]
