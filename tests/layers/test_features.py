"""Test VGG taps: correct layers and weights, frozen, not part of the owner's state."""

import copy
import io
import json
import pickle

import pytest
import torch
from torch import nn

from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.weights import WeightsNotFoundError
from tests.helpers.fill import fill, read_vector, vector_image

ISNET_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "relu2_2", "relu3_4", "relu4_4", "relu5_2")


def random_vgg(taps=("relu1_2", "pool2"), backbone="vgg16", input_norm="zero_one", **options):
    return VGGFeatures(backbone, taps, input_norm=input_norm, weights="random", **options)


class Owner(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(3, 3, 1)
        self.vgg = random_vgg()


@pytest.mark.parametrize("backbone", ["vgg16", "vgg19"])
def test_the_layers_are_torchvisions(backbone, tmp_path):
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        theirs = getattr(models, backbone)(weights=None).features
    theirs = theirs.to_empty(device="cpu")
    state = {f"features.{key}": value for key, value in theirs.state_dict().items()}
    state = {key: value / 0.6 for key, value in fill(state).items()}  # undo most of the shrinking by ReLU
    torch.save(state, tmp_path / "file.pth")
    theirs.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    taps = ("pool5", "relu1_1", "relu3_3", "relu5_2", "pool3")
    ours = VGGFeatures(backbone, taps, input_norm="zero_one", weights=tmp_path / "file.pth")
    assert ours.source == "file.pth"
    x = vector_image(32, 48)
    outputs = ours(x)
    assert list(outputs) == list(taps)
    seen = {}
    with torch.no_grad():
        y = x
        for index, layer in enumerate(theirs):
            y = layer(y)
            seen[index] = y.clone()  # theirs work in place
    relu = {"relu1_1": 1, "relu3_3": 15, "pool3": 16 if backbone == "vgg16" else 18}
    relu |= {"relu5_2": 27, "pool5": 30} if backbone == "vgg16" else {"relu5_2": 31, "pool5": 36}
    for tap, index in relu.items():
        torch.testing.assert_close(outputs[tap], seen[index], rtol=1e-4, atol=1e-4)


def test_recorded_vgg19_activations(filled_vgg19):
    recorded = read_vector("isnet_losses_64")["vgg_features"]
    vgg = VGGFeatures("vgg19", ISNET_TAPS, input_norm="zero_one", weights=filled_vgg19)
    outputs = vgg(vector_image(64, 64))
    for tap, entry in recorded.items():
        assert list(outputs[tap].shape) == entry["output_shape"]
        torch.testing.assert_close(
            outputs[tap].flatten()[entry["indices"]], torch.tensor(entry["values"]), atol=1e-5, rtol=0
        )
        assert outputs[tap].mean().item() == pytest.approx(entry["mean"], abs=1e-6)
        assert outputs[tap].std(correction=0).item() == pytest.approx(entry["std"], abs=1e-6)


def test_a_real_vgg19_sees_a_real_cat(shared):
    skimage = pytest.importorskip("skimage.data")
    known = json.loads((shared / "weights" / "known_answers.json").read_text())["vgg19_chelsea_mean"]
    file = shared / "weights" / "vgg19_caffe_relu3_1.pth"
    vgg = VGGFeatures("vgg19", tuple(known), input_norm="imagenet", weights=file)
    cat = torch.from_numpy(skimage.chelsea()).permute(2, 0, 1)[None].float() / 255
    for tap, x in vgg(cat).items():
        assert x.mean().item() == pytest.approx(known[tap], rel=5e-3), tap
    with pytest.raises(ZooError, match=r"before the deepest of the taps: 'features\.12\.weight' is missing"):
        VGGFeatures("vgg19", ("relu3_2",), input_norm="imagenet", weights=file)


def test_what_the_network_is_fed():
    x = torch.rand(1, 3, 16, 16)
    plain, signed, imagenet = (
        random_vgg(("relu1_1",), input_norm=f) for f in ("zero_one", "minus_one_one", "imagenet")
    )
    torch.testing.assert_close(signed(x)["relu1_1"], plain(2 * x - 1)["relu1_1"])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    by_hand = (x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    torch.testing.assert_close(imagenet(x)["relu1_1"], plain(by_hand)["relu1_1"])


def test_features_of_several_batches():
    vgg, (a, b, c) = random_vgg(), torch.rand(3, 2, 3, 16, 16)
    for together, alone in zip(vgg.each(a, b, c), (vgg(a), vgg(b), vgg(c)), strict=True):
        for tap in alone:
            torch.testing.assert_close(together[tap], alone[tap])


def test_nothing_of_it_enters_the_owner():
    owner = Owner()
    assert list(owner.state_dict()) == ["net.weight", "net.bias"]
    assert [name for name, _ in owner.named_parameters()] == ["net.weight", "net.bias"]
    owner.load_state_dict(owner.state_dict())  # strict
    owner.train().requires_grad_(True)
    assert not owner.vgg.trunk.training
    assert not any(value.requires_grad for value in owner.vgg.trunk.parameters())
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    owner.vgg(image)["pool2"].sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(value.grad is None for value in owner.vgg.trunk.parameters())


def test_it_moves_and_copies_with_the_owner():
    owner = Owner()
    x = torch.rand(1, 3, 16, 16)
    before = owner.vgg(x)["pool2"]
    stream = io.BytesIO()
    pickle.dump(owner, stream)  # as a spawned process gets it
    for twin in (copy.deepcopy(owner), pickle.loads(stream.getvalue())):
        assert torch.equal(twin.vgg(x)["pool2"], before)
    doubled = owner.double().vgg(x.double())["pool2"]
    assert doubled.dtype == torch.float64
    torch.testing.assert_close(doubled.float(), before)


def test_full_precision_under_autocast():
    x = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert random_vgg()(x)["pool2"].dtype == torch.bfloat16
        precise = random_vgg(full_precision=True)(x)["pool2"]
    assert torch.equal(precise, random_vgg()(x)["pool2"])


def test_random_weights_leave_the_random_state_alone():
    state = torch.get_rng_state()
    first, second = random_vgg(), random_vgg()
    assert torch.equal(torch.get_rng_state(), state)
    assert first.source == "random"
    assert torch.equal(first.trunk[0].weight, second.trunk[0].weight)


def test_missing_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    with pytest.raises(WeightsNotFoundError, match=r"put vgg16-397923af\.pth from https"):
        VGGFeatures("vgg16", ("pool1",), input_norm="zero_one")


@pytest.mark.parametrize(("backbone", "other"), [("vgg16", "vgg19"), ("vgg19", "vgg16")])
def test_the_other_network_is_told_apart_even_when_its_first_layers_fit(backbone, other, tmp_path):
    deep = random_vgg(("relu4_1",), other)
    torch.save({f"features.{key}": value for key, value in deep.trunk.state_dict().items()}, tmp_path / "x.pth")
    with pytest.raises(ZooError, match=f"holds {other}, not {backbone}"):
        VGGFeatures(backbone, ("pool1",), input_norm="zero_one", weights=tmp_path / "x.pth")


def test_wrong_names():
    with pytest.raises(UnknownNameError, match=r"Unknown tap of vgg16 'relu3_4'. Did you mean 'relu3_"):
        random_vgg(("relu3_4",))
    with pytest.raises(UnknownNameError, match="Unknown VGG 'vgg11'"):
        random_vgg(backbone="vgg11")
    with pytest.raises(UnknownNameError, match="Unknown VGG input 'minus_one'"):
        random_vgg(input_norm="minus_one")
    with pytest.raises(ZooError, match="`taps` is empty"):
        random_vgg(())
