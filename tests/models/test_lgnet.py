"""Test LGNet: sizes, the authors' recorded outputs, their checkpoints, its attention and its variants."""

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.cli.main import main
from inpaint_zoo.layers.attention import SelfPatchAttention
from inpaint_zoo.models.lgnet import LGNetGenerator
from inpaint_zoo.models.lgnet.convert import flat_name
from inpaint_zoo.ops import composite
from inpaint_zoo.weights import load_weights
from tests.helpers.fill import fill_module, has_vector, read_keys, read_vector, vector_image, vector_mask
from tests.helpers.recorded import close, numbered, official_lgnet, released_lgnet

PARAMETERS = {
    "lgnet": 115_002_185,
    "lgnet_light": 67_095_337,
    "lgnet_share": 60_587_206,
    "lgnet_coarse": 54_414_979,
    "lgnet_cl": 59_898_182,
    "lgnet_cg_att": 109_518_982,
    "lgnet_cgg_att": 163_933_961,
    "lgnet_clg": 114_313_161,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    assert iz.model_info(name).parameters == PARAMETERS[name]


def test_macs_by_both_conventions():
    for name, true, thop in (("lgnet", 43.03, 69.674), ("lgnet_light", 36.38, 53.781)):
        with torch.device("meta"):
            macs = count_macs(iz.create_model(name), 256, 256)
        assert macs.true / 1e9 == pytest.approx(true, abs=0.01)
        assert macs.thop / 1e9 == pytest.approx(thop, abs=0.01)
    with torch.device("meta"):
        # Table IV of the paper: an older thop, which counted 2 for each element of a norm instead of 4
        net = iz.create_model("lgnet")
    norms = []
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda _, inputs, __: norms.append(inputs[0].numel()))
    with torch.no_grad():
        net.predict(*(torch.zeros(1, channels, 256, 256, device="meta") for channels in (3, 1)))
    thop = count_macs(iz.create_model("lgnet"), 256, 256).thop
    assert (thop - 2 * sum(norms)) / 1e9 == pytest.approx(69.62, abs=0.005)


def test_recorded_outputs_at_256():
    net = iz.create_model("lgnet")
    net.load_state_dict(iz.convert_official("lgnet", released_lgnet()))
    image, mask = vector_image(256, 256), vector_mask(256, 256)
    native = torch.where(mask > 0, 1.0, image * 2 - 1)
    with torch.no_grad():
        stages = net.predict(native, mask)
    assert list(stages) == ["coarse", "local", "global"]
    recorded = {name: f"lgnet_{name}_256" for name in stages}
    for name, file in recorded.items():
        if has_vector(file):
            close(stages[name], read_vector(file), 1e-4)
    if has_vector("lgnet_256"):
        close(composite(stages["global"], native, mask), read_vector("lgnet_256"), 1e-4)


def test_recorded_output_of_the_local_network():
    net = fill_module(LGNetGenerator({"local": "local"}).parts()["local"])
    mask = vector_mask(64, 64)
    x = torch.where(mask > 0, 1.0, vector_image(64, 64) * 2 - 1)
    with torch.no_grad():
        close(net(torch.cat([x, mask], 1)), read_vector("lgnet_local_64"), 1e-4)


def test_recorded_logits():
    net = iz.create_discriminator("lgnet")
    net.load_state_dict(iz.convert_official("lgnet_discriminator", official_lgnet("disc")))
    net.eval()
    with torch.no_grad():
        close(net(vector_image(64, 64) * 2 - 1), read_vector("lgnet_disc_64"), 1e-4)
        assert net(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 27, 27)
    assert sum(parameter.numel() for parameter in net.parameters()) == 4_318_401


def waves():
    b, c, i, j = (
        torch.arange(float(n)).view([-1 if axis == k else 1 for k in range(4)]) + 1
        for axis, n in enumerate((2, 8, 12, 10))
    )
    return torch.sin(0.37 * c * b + 0.21 * i + 0.13 * j * ((c - 1) % 3 + 1))


def test_recorded_attention():
    vector = read_vector("lgnet_attention")
    attention = fill_module(SelfPatchAttention(8))
    with torch.no_grad():
        close(attention.attended(waves()), vector["attended"], 1e-5)
        close(attention(waves()), vector, 1e-5)


@pytest.mark.parametrize("variant", ["code", "paper"])
def test_attention_is_the_plain_formula(variant):
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    H, W = x.shape[-2:]
    unit = (x + 1e-7) / (x + 1e-7).norm(dim=1, keepdim=True)
    query, value = (x, unit) if variant == "code" else (unit, x)
    scores = torch.einsum("bchw,bcn->bhwn", query, unit.flatten(2))
    if variant == "code":
        padded = torch.nn.functional.pad(scores, (0, 0, 1, 1, 1, 1))
        scores = sum(padded[:, i : i + H, j : j + W] for i in range(3) for j in range(3))
    expected = torch.einsum("bhwn,bcn->bchw", scores.softmax(-1), value.flatten(2))
    got = SelfPatchAttention(8, variant).double().attended(x)
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)


def test_a_shared_first_stage_is_the_last_without_attention():
    with torch.device("meta"):
        assert not [key for key in iz.create_model("lgnet_share").state_dict() if "coarse" in key]
    kinds = {"coarse": "unet", "local": "local", "global": "unet_att"}
    net = LGNetGenerator(kinds, width=4, local_width=4, share=True).eval()
    last = net.parts()["global"]
    x = torch.rand(1, 4, 256, 256)
    with torch.no_grad():
        stages = net.predict(x[:, :3], x[:, 3:])
        torch.testing.assert_close(stages["coarse"], last(x, attend=False))
        assert not torch.equal(stages["coarse"], last(x))


def constant_parts():
    """Return the state dicts of the authors' files, in which each tensor has its own value and takes no memory."""
    return {part: numbered(f"lgnet_{part}", 1000 * n) for n, part in enumerate(("coarse", "local", "global"))}


def test_released_files_are_converted_by_the_command_line(tmp_path, capsys):
    for part, state in constant_parts().items():
        number = {"coarse": 1, "local": 2, "global": 3}[part]
        torch.save(state, tmp_path / f"latest_net_G{number}.pth")
    assert main(["convert", "--model", "lgnet", str(tmp_path), "--out", str(tmp_path / "lgnet.safetensors")]) == 0
    state = load_weights(tmp_path / "lgnet.safetensors").state
    expected = iz.convert_official("lgnet", constant_parts())
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, state[key]) for key, value in expected.items())
    with torch.device("meta"):  # the file fits: its shapes are those of the network
        iz.create_model("lgnet").load_state_dict(state, assign=True)


def test_conversion_is_strict():
    parts = constant_parts()
    del parts["local"]["model.1.weight"]
    with pytest.raises(ValueError, match=r"part 'local': 1 missing: model\.1\.weight"):
        iz.convert_official("lgnet", parts)
    with pytest.raises(ValueError, match="needs the parts coarse, local, global, got coarse"):
        iz.convert_official("lgnet", {"coarse": {}})


def test_every_nested_name_has_a_flat_one():
    flat = {flat_name(key): shape for key, shape in read_keys("lgnet_coarse").items()}
    with torch.device("meta"):
        ours = LGNetGenerator({"coarse": "unet"}).parts()["coarse"].state_dict()
    assert flat == {key: list(value.shape) for key, value in ours.items()}


def test_wrong_stages_are_refused():
    with pytest.raises(ValueError, match=r"Unknown kind of stage 'unett'\. Did you mean 'unet'"):
        LGNetGenerator({"coarse": "unett"})
    with pytest.raises(ValueError, match="`share` needs"):
        LGNetGenerator({"coarse": "unet", "global": "unet"}, share=True)
    with pytest.raises(ValueError, match="`levels` must be at least 6, got 5"):
        LGNetGenerator({"global": "unet_att"}, levels=5)
