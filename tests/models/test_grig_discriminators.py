"""Test GRIG's discriminators: sizes, recorded outputs, label maps, frozen parts, source of the backbone."""

import copy
import logging
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.losses import AdversarialLoss
from inpaint_zoo.models.grig import ProjectedDiscriminator, projected_discriminator
from inpaint_zoo.models.grig.patch_discriminator import label_map
from inpaint_zoo.ops import composite
from inpaint_zoo.training import AdversarialModule, Phase, Recipe
from inpaint_zoo.weights import WeightsNotFoundError, load_weights, save_weights, state_sha256
from tests.helpers.authors_losses import gradient_norm
from tests.helpers.fill import fill, losses_batch, read_keys, read_vector, vector_image, vector_mask
from tests.helpers.recorded import close

NAMES = {"projected": "grig_projected_disc", "patchgan70": "grig_patch_disc"}
SMALL = {"backbone_weights": "random", "width": 4, "resize_below": 128, "resize_to": 128}


def official(name):
    """Return a state dict with the authors' keys, filled by these keys."""
    keys = read_keys(NAMES[name])
    integer = {"dtype": torch.int64}
    return fill(
        {key: torch.zeros(shape, **(integer if key.endswith("tracked") else {})) for key, shape in keys.items()}
    )


def recorded_net(name):
    net = ProjectedDiscriminator() if name == "projected" else iz.create_discriminator(name)
    net.load_state_dict(iz.convert_official(f"{name}_discriminator", official(name)))
    return net.eval()


def small(**options):
    torch.manual_seed(0)
    return iz.create_discriminator("projected", **SMALL | options)


def learned(net):
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


# Sizes, names, values


@pytest.mark.parametrize(
    ("backbone", "frozen"), [("tf_efficientnet_lite0", 2_958_848), ("tf_efficientnet_lite1", 3_723_520)]
)
def test_parameters_of_the_projected_discriminator(backbone, frozen):
    with torch.device("meta"):
        net = iz.create_discriminator("projected", backbone=backbone)
    assert sum(parameter.numel() for parameter in learned(net)) == 2_829_120
    pretrained, scratch = (
        sum(parameter.numel() for parameter in part.parameters())
        for part in (net.feature_network.pretrained, net.feature_network.scratch)
    )
    assert (pretrained, scratch) == (frozen, 376_768)
    assert not [key for key, value in net.named_parameters() if value.requires_grad != key.startswith("discriminator.")]


def test_parameters_of_the_patch_discriminator():
    net = iz.create_discriminator("patchgan70")
    assert sum(parameter.numel() for parameter in learned(net)) == 2_764_737
    assert len(net.state_dict()) == 20
    assert net(torch.zeros(1, 3, 24, 24)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_state_dicts_have_the_released_names(name):
    keys = read_keys(NAMES[name])
    with torch.device("meta"):
        state = iz.create_discriminator(name).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == keys
    assert list(state) == list(keys)


@pytest.mark.parametrize("side", [64, 128, 256])
@pytest.mark.parametrize("name", NAMES)
def test_recorded_outputs(name, side):
    file = f"{NAMES[name]}_{side}"
    vector, net, seen = read_vector(file), recorded_net(name), {}

    def watch(module, name):
        module.register_forward_hook(lambda _, __, out: seen.update({name: out.clone()}))

    if name == "projected":
        for number in range(4):
            watch(net.feature_network.pretrained[f"layer{number}"], f"backbone_{number}")
            watch(net.feature_network.scratch[f"layer{number}_csm"], f"map_{number}")
    else:
        for number in (0, 2, 4, 6):
            watch(net.model[number + 1], f"model.{number}")
    with torch.no_grad():
        logits = net(vector_image(side, side) * 2 - 1)
    close(logits, vector, 1e-5)
    if "logits" in vector:
        torch.testing.assert_close(logits.flatten(), torch.tensor(vector["logits"]).flatten(), atol=1e-5, rtol=0)
    assert set(vector["intermediates"]) <= set(seen)
    for part, recorded in vector["intermediates"].items():
        # behind the activation, which works in place; the recording applied it once more
        got = nn.functional.leaky_relu(seen[part], 0.2) if name == "patchgan70" else seen[part]
        close(got, recorded, 1e-5)


@pytest.mark.parametrize("case", ["64", "64_corner", "256", "256_corner"])
def test_recorded_losses(case):
    recorded = read_vector("grig_losses")["networks"][case]
    side = int(case.split("_")[0])
    target, pred, mask = losses_batch(side, side, low=-1)
    if case.endswith("corner"):
        corner = hole(side, slice(16), slice(16))
        mask = torch.cat([corner, corner.roll(11, 3)])
    pred.requires_grad_()
    fake = composite(pred, target, mask)
    on_whole, on_patches = (recorded_net(name) for name in NAMES)
    label, hinge = on_patches.label_map(mask), AdversarialLoss("hinge")
    with torch.no_grad():
        e_real, d_real = on_whole(target), on_patches(target)
    e_fake, d_fake = on_whole(fake), on_patches(fake)
    hoped = hinge.generator(e_fake) + hinge.generator(d_fake, label)
    got = {
        "label sum": label.sum(),
        "mean E(real)": e_real.mean(),
        "mean E(fake)": e_fake.mean(),
        "mean D(real)": d_real.mean(),
        "mean D(fake)": d_fake.mean(),
        "E real": hinge.real(e_real),
        "E fake": hinge.fake(e_fake),
        "E total": hinge.discriminator(e_real, e_fake),
        "D real": hinge.real(d_real),
        "D forged-patch (known + forged)": hinge.fake(d_fake, label),
        "D known part": ((1 - d_fake).relu() * (1 - label)).mean(),
        "D forged part": ((1 + d_fake).relu() * label).mean(),
        "D total": hinge.discriminator(d_real, d_fake, label),
        "G adv": hinge.generator(e_fake),
        "G patch, paper Eq.5": hinge.generator(d_fake, label),
        "G patch, authors code (logged)": hinge.generator(d_fake),
    }
    assert {name: value.item() for name, value in got.items()} == pytest.approx(
        {name: recorded[name] for name in got}, abs=1e-5
    )
    norm = gradient_norm(hoped, pred)
    assert norm == pytest.approx(recorded["L2 norm of d(G adv + G patch)/d(pred)"], rel=1e-3)


# Which patches are forged


def hole(side, rows, columns):
    mask = torch.zeros(1, 1, side, side)
    mask[..., rows, columns] = 1
    return mask


def recorded_masks(side):
    half, quarter = side // 2, slice(side // 4, side // 4 + side // 2)
    return {
        "standard": vector_mask(side, side),
        "standard rolled +11 columns": vector_mask(side, side).roll(11, 3),
        "centre square side/2": hole(side, quarter, quarter),
        "one pixel (0,0)": hole(side, 0, 0),
        "one pixel (s//2-1,s//2-1)": hole(side, half - 1, half - 1),
        "one pixel (s-1,s-1)": hole(side, -1, -1),
        "no hole": torch.zeros(1, 1, side, side),
        "all hole": torch.ones(1, 1, side, side),
    }


@pytest.mark.parametrize("side", [64, 256])
def test_recorded_label_maps(side):
    recorded = read_vector("grig_losses")["label_maps"][str(side)]
    net, masks = iz.create_discriminator("patchgan70", width=1), recorded_masks(side)
    assert set(masks) == set(recorded)
    for name, mask in masks.items():
        labels = net.label_map(mask)
        assert list(labels.shape) == recorded[name]["shape"]
        assert ["".join(str(int(label)) for label in row) for row in labels[0, 0]] == recorded[name]["rows"]
        assert labels.sum() == recorded[name]["sum"]


def test_labels_by_hand():
    labels = iz.create_discriminator("patchgan70", width=1).label_map
    centre = labels(hole(256, slice(64, 192), slice(64, 192)))[0, 0]
    assert centre.sum() == 576
    assert centre[3:27, 3:27].all()
    assert [labels(hole(256, at, at)).sum() for at in (0, 127, -1)] == [9, 64, 9]
    assert labels(torch.ones(2, 1, 24, 40)).tolist() == [[[[1.0] * 3]]] * 2


def test_a_patch_has_70_pixels():
    """A logit's gradient reaches rows 8 i - 23 to 8 i + 46, and the labels agree at every position."""
    net = recorded_net("patchgan70")
    image = torch.zeros(1, 3, 128, 128, requires_grad=True)
    unit = (6, 7)
    net(image)[0, 0, unit[0], unit[1]].backward()
    rows, columns = image.grad.abs().sum((0, 1)).nonzero().T
    assert (rows.min(), rows.max()) == (8 * 6 - 23, 8 * 6 + 46)
    assert (columns.min(), columns.max()) == (8 * 7 - 23, 8 * 7 + 46)
    mask = (torch.rand(4, 1, 128, 128, generator=torch.Generator().manual_seed(0)) > 0.9995).float()
    for number, labels in enumerate(net.label_map(mask)):
        for i in range(14):
            for j in range(14):
                field = mask[number, 0, max(8 * i - 23, 0) : 8 * i + 47, max(8 * j - 23, 0) : 8 * j + 47]
                assert labels[0, i, j] == field.max()


def dependence(length, layers):
    """Return which outputs (rows) depend on which inputs (columns), computed layer by layer along one axis."""
    matrix = torch.eye(length)
    for kernel, stride, padding, dilation in layers:
        places = range(-padding, len(matrix) + padding - dilation * (kernel - 1), stride)
        assume(len(matrix) and len(places))  # larger than the kernel
        windows = ([start + dilation * k for k in range(kernel)] for start in places)
        matrix = torch.stack([matrix[[at for at in window if 0 <= at < len(matrix)]].sum(0) for window in windows])
    return matrix


AXIS = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 2))


@given(layers=st.lists(st.tuples(AXIS, AXIS), min_size=1, max_size=3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_labels_are_receptive_fields(layers, seed):
    H, W = 19, 23
    convolutions = [nn.Conv2d(1, 1, *zip(*layer, strict=True), device="meta") for layer in layers]
    rows, columns = (dependence(length, [layer[axis] for layer in layers]) for axis, length in enumerate((H, W)))
    mask = (torch.rand(1, 1, H, W, generator=torch.Generator().manual_seed(seed)) > 0.97).float()
    expected = (rows @ mask[0, 0] @ columns.T > 0).float()
    assert torch.equal(label_map(mask, convolutions)[0, 0], expected)


# What is frozen


def test_a_step_changes_the_head_alone():
    net = small().train()
    frozen, head = state_sha256(net.feature_network.state_dict()), state_sha256(net.discriminator.state_dict())
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).mul(2).sub(1).requires_grad_()
    optimizer = torch.optim.Adam(learned(net), 1e-3)
    AdversarialLoss("hinge").fake(net(image)).backward()
    assert image.grad.abs().sum((1, 2, 3)).gt(0).all()  # through all that is frozen
    optimizer.step()
    assert state_sha256(net.feature_network.state_dict()) == frozen
    assert state_sha256(net.discriminator.state_dict()) != head
    assert not [module for module in net.feature_network.modules() if module.training]
    assert net.discriminator.training
    assert all(parameter.grad is None for parameter in net.feature_network.parameters())


class Against(AdversarialModule):
    """Training module with a generator and both discriminators."""

    def __init__(self, network):
        super().__init__(network)
        self.projected, self.patch = small(), iz.create_discriminator("patchgan70", width=4)

    def recipe(self):
        return Recipe(
            tuple(
                Phase(name, (name,), lambda batch, stages: {}, partial(torch.optim.Adam, lr=1e-3))
                for name in ("projected", "patch", "network")
            ),
            forward="shared",
        )


def test_phases_train_the_head_alone():
    module = Against("isnet_tiny")
    frozen = {id(parameter) for parameter in module.projected.feature_network.parameters()}
    for phase in module.plan.phases:
        with module.only(phase):
            assert all(p.requires_grad for p in module.parameters_of[phase.name])
            assert any(p.requires_grad for p in module.projected.parameters()) == (phase.name == "projected")
        assert not [p for p in module.parameters() if p.requires_grad == (id(p) in frozen)]
    assert learned(module.projected) == module.parameters_of["projected"]


def test_gradients_reach_the_image_through_the_patch_discriminator():
    net = iz.create_discriminator("patchgan70", width=4)
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    net(image).mean().backward()
    assert (image.grad != 0).all()
    assert all(parameter.grad is not None for parameter in net.parameters())


# Where the backbone comes from


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "given"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path


def timm_file(folder, name="tf_efficientnet_lite0", calls="tf_efficientnet_lite0-0aa007d2.pth"):
    """Return a file as timm publishes it: the whole network with its classifier."""
    import timm

    torch.manual_seed(5)
    net = timm.create_model(name)
    folder.mkdir(exist_ok=True)
    torch.save(net.state_dict(), folder / calls)
    return net.eval()


def test_missing_weights_name_the_file_and_the_option(nowhere):
    for backbone, file in (
        ("tf_efficientnet_lite0", r"tf_efficientnet_lite0-0aa007d2\.pth"),
        ("tf_efficientnet_lite1", r"tf_efficientnet_lite1-bde8b488\.pth"),
    ):
        with pytest.raises(WeightsNotFoundError, match=rf"put {file} from https.*`backbone_weights`.*'random'"):
            iz.create_discriminator("projected", backbone=backbone)
    with pytest.raises(WeightsNotFoundError, match=r"No file .*none\.pth"):
        ProjectedDiscriminator().load_backbone(nowhere / "none.pth")


def test_pretrained_weights_are_found_and_kept(nowhere):
    theirs = timm_file(nowhere / "given")
    net = iz.create_discriminator("projected")
    assert net.backbone_source == "tf_efficientnet_lite0-0aa007d2.pth"
    x = vector_image(224, 224) * 2 - 1
    with torch.no_grad():
        expected = theirs.forward_intermediates(x, indices=(1, 2, 3, 4), intermediates_only=True)
        for number, wanted in enumerate(expected):
            x = net.feature_network.pretrained[f"layer{number}"](x)
            assert torch.equal(x, wanted)
    elsewhere = iz.create_discriminator("projected", backbone_weights=str(nowhere / "given" / net.backbone_source))
    pretrained = [n.feature_network.pretrained.state_dict() for n in (net, elsewhere)]
    assert state_sha256(pretrained[0]) == state_sha256(pretrained[1])


def test_the_released_code_draws_over_what_it_loaded(nowhere):
    theirs = timm_file(nowhere / "given")
    features = iz.create_discriminator("projected", bug_compatible_reinit=True).feature_network
    norm, conv = features.pretrained["layer3"][1][0].bn3, features.pretrained["layer3"][1][0].conv_pwl
    assert torch.equal(norm.running_var, theirs.blocks[6][0].bn3.running_var)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not norm.bias.any()
    assert conv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    mixing = features.scratch["layer3_ccm"]
    assert mixing.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert mixing.bias.any()
    kept = iz.create_discriminator("projected").feature_network.scratch["layer3_ccm"].weight
    assert kept.std().item() == pytest.approx(320**-0.5 / 3**0.5, rel=0.05)  # as torch draws them


def test_a_file_of_another_network_is_refused(nowhere):
    timm_file(nowhere / "given", name="tf_efficientnet_lite1")
    with pytest.raises(ValueError, match=r"does not fit the backbone 'tf_efficientnet_lite0': .*left over: blocks"):
        iz.create_discriminator("projected")


def test_random_features_are_said_once(caplog):
    projected_discriminator.warn_of_random_features.cache_clear()
    with caplog.at_level(logging.WARNING):
        first, second = small(), small()
    assert [record.getMessage() for record in caplog.records] == [
        "The projected discriminator uses a backbone with random weights: results are not GRIG's."
    ]
    assert first.backbone_source == "random"
    assert state_sha256(first.state_dict()) == state_sha256(second.state_dict())  # of one seed


def test_no_look_through_a_backbone_without_weights():
    net = ProjectedDiscriminator(width=4)
    with pytest.raises(ValueError, match=r"no weights of 'tf_efficientnet_lite0' yet: call load_backbone\(\)"):
        net(torch.zeros(1, 3, 64, 64))
    with torch.device("meta"):
        iz.create_discriminator("projected")  # shapes need none


def test_a_checkpoint_needs_no_backbone(nowhere):
    trained = small(width=2).eval()
    resumed = nn.ModuleDict({"projected": ProjectedDiscriminator(width=2, resize_below=128, resize_to=128)})
    resumed.load_state_dict({f"projected.{key}": value for key, value in trained.state_dict().items()})
    resumed = copy.deepcopy(resumed).eval()["projected"]
    assert resumed.backbone_source == "state dict"
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(resumed(x), trained(x))


# Drawing, sizes, files


def test_heads_are_drawn_as_released():
    torch.manual_seed(0)
    nets = (iz.create_discriminator("patchgan70"), small(width=32).discriminator)
    for net in nets:
        convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
        for layer in convolutions:
            assert layer.weight_orig.std().item() == pytest.approx(0.02, rel=0.1)
            norm = torch.linalg.matrix_norm(layer.normalized_weight.flatten(1), 2)
            assert norm.item() == pytest.approx(1, abs=0.06)  # eval mode makes sense from the start
        assert all(layer.bias.any() for layer in convolutions if layer.bias is not None)
    norms = [layer for layer in nets[1].modules() if isinstance(layer, nn.BatchNorm2d)]
    assert torch.cat([layer.weight for layer in norms]).std().item() == pytest.approx(0.02, rel=0.15)
    assert not any(layer.bias.any() for layer in norms)


def test_sizes():
    net = small(resize_to=224).eval()
    counts = {(64, 64): 16, (127, 127): 16, (128, 128): 1, (192, 192): 9, (130, 200): 3, (60, 90): 28}
    with torch.no_grad():
        for size, count in counts.items():
            assert net(torch.zeros(1, 3, *size)).shape == (1, count)
    with pytest.raises(ValueError, match=r"images of at least 128 px.*got 64 and 224"):
        ProjectedDiscriminator(resize_below=64)
    with pytest.raises(ValueError, match=r"Unknown backbone 'efficientnet'"):
        ProjectedDiscriminator("efficientnet")


@pytest.mark.parametrize("name", NAMES)
def test_released_files_are_converted(tmp_path, name, nowhere):
    state = official(name)
    part, other = ("d", "patch_d") if name == "projected" else ("patch_d", "d")
    file = {"g": {"x": torch.zeros(1)}, part: state, other: {"y": torch.zeros(1)}, "g_ema": [torch.zeros(1)], "iter": 7}
    torch.save(file, tmp_path / "a_recent_model.pth")
    out = tmp_path / "disc.safetensors"
    arguments = ["convert", "--model", f"{name}_discriminator", str(tmp_path), "--out", str(out)]
    assert main(arguments) == 0
    converted = load_weights(out).state
    for got in (converted, iz.convert_official(f"{name}_discriminator", file)):
        assert got.keys() == state.keys()
        assert all(torch.equal(got[key], value) for key, value in state.items())
    with pytest.raises(ValueError, match=rf"'{name}_discriminator': 1 left over: what"):
        iz.convert_official(f"{name}_discriminator", state | {"what": torch.zeros(1)})


def test_the_choice_of_weights_is_saved_with_them(tmp_path):
    net = iz.create_discriminator("projected", **SMALL)
    assert load_weights(save_weights(net, tmp_path / "x.safetensors")).options == SMALL
