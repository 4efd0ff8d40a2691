"""Released weights: files in the published layouts are checked, converted, stored, and found by every command."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo.benchmark.missing import missing_weights
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import MissingError, ZooError
from inpaint_zoo.registry import list_converters, official_files
from inpaint_zoo.weights import RELEASES, official_weights, read_header, released, weights_origin
from tests.conftest import REPOSITORY
from tests.helpers.suites import small_suite


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder for weights."""
    torch.manual_seed(0)
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "home"))
    return tmp_path / "home"


def port_of_gated_conv(net):
    """Return the state of `net` under the names of the port's files."""
    from inpaint_zoo.models.gated_conv.convert import _names

    theirs = _names()
    state = {}
    for key, value in net.state_dict().items():
        layer, _, kind = key.rpartition(".")
        state[f"{theirs[layer]}.conv.{kind}"] = value
    return state


def test_every_release_has_a_converter_and_valid_options():
    for name, release in RELEASES.items():
        assert name == f"{release.model}:{release.variant}"
        assert release.model in list_converters()
        assert iz.model_info(release.model, **release.options).learned
        parts = official_files(release.model)
        assert release.parts == (not isinstance(parts, str))
        for file in release.files:
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)


def test_a_file_is_imported_and_found(tmp_path, home, capsys):
    net = iz.create_model("gated_conv")
    file = tmp_path / "states_pt_places2.pth"
    torch.save({"G": port_of_gated_conv(net), "D": {"x": torch.zeros(1)}, "n_iter": 3}, file)
    words = ["export", "gated_conv", "--weights", "official", "--out", str(tmp_path / "net.pt")]
    assert main(words) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert (
        "The released weights of 'gated_conv' are not on this machine. Fetch states_pt_places2.pth from https://"
        in error
    )
    assert "then run `inpaint-zoo weights import gated_conv:places2 FILE`" in error

    assert main(["weights", "import", "gated_conv:places2", str(file)]) == 0
    stored = home / "official" / "gated_conv_places2.safetensors"
    assert str(stored) in capsys.readouterr().out.replace("\n", "")
    loaded = iz.create_model("gated_conv", weights="official")
    for key, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    assert weights_origin("gated_conv", stored).kind == "released"
    assert read_header(stored).training["release"] == "gated_conv:places2"
    assert main(["models", "show", "gated_conv", "--weights", "official"]) == 0
    assert "fine-tuned from the authors' TensorFlow checkpoint" in " ".join(capsys.readouterr().out.split())
    entry = small_suite(tmp_path, methods=[{"model": "gated_conv", "weights": "official"}]).methods[0]
    assert entry.find("images").weights == str(stored)


def test_several_imported_releases_of_a_model_must_be_named(tmp_path):
    net = iz.create_model("gated_conv")
    torch.save({"G": port_of_gated_conv(net)}, tmp_path / "file.pth")
    for variant in ("places2", "celebahq"):
        assert main(["weights", "import", f"gated_conv:{variant}", str(tmp_path / "file.pth")]) == 0
    with pytest.raises(ZooError, match="Choose one: official:places2, official:celebahq"):
        official_weights("gated_conv", "official")
    assert official_weights("gated_conv", "official:celebahq").name == "gated_conv_celebahq.safetensors"
    with pytest.raises(ZooError, match=r"Unknown release of 'gated_conv': 'mars'"):
        official_weights("gated_conv", "official:mars")
    with pytest.raises(ZooError, match="Released weights are known of aot_gan, big_lama"):
        official_weights("autoencoder", "official")


def test_a_suite_without_imported_weights_says_how_to_import_them(tmp_path):
    entry = small_suite(tmp_path, methods=[{"model": "aot_gan", "weights": "official"}]).methods[0]
    assert entry.find("images") is None
    assert "inpaint-zoo weights list 'aot_gan*'" in missing_weights(entry, "images").where
    with pytest.raises(MissingError, match=r"Fetch G0000000\.pt from https://drive"):
        iz.create_model("aot_gan", weights="official")


def test_an_incomplete_or_other_file_is_refused(tmp_path, capsys, monkeypatch):
    net = iz.create_model("gated_conv")
    file = tmp_path / "states_pt_places2.pth"
    torch.save({"G": port_of_gated_conv(net)}, file)
    renamed = Path(shutil.copy(file, tmp_path / "states_pt_places2 (1).pth"))  # as browsers name a second download
    release = RELEASES["gated_conv:places2"]
    for size, message in ((7, "the download is incomplete"), (file.stat().st_size, "has the SHA-256")):
        known = release.files[0]._replace(size=size, sha256="0" * 64)
        monkeypatch.setitem(released.RELEASES, "gated_conv:places2", release._replace(files=(known,)))
        for path in (file, renamed):
            assert main(["weights", "import", "gated_conv:places2", str(path)]) == 2
            assert message in " ".join(capsys.readouterr().err.split())
    assert main(["weights", "import", "gated_conv:places2", str(file), "--other-file"]) == 0


def test_weights_that_are_not_finite_are_refused(tmp_path, home, capsys):
    state = port_of_gated_conv(iz.create_model("gated_conv"))
    name = next(iter(state))
    state[name].view(-1)[5] = torch.nan
    torch.save({"G": state}, tmp_path / "states_pt_places2.pth")
    words = [str(tmp_path / "states_pt_places2.pth")]
    for command in (
        ["weights", "import", "gated_conv:places2", *words],
        ["convert", *words, "--model", "gated_conv", "--out", str(tmp_path / "out.safetensors")],
    ):
        assert main(command) == 2
        assert "the file is damaged, or its training diverged" in " ".join(capsys.readouterr().err.split())
    assert not home.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_the_layout_of_tensorflow_weights_is_named(tmp_path, capsys):
    torch.save({"G": {"stage1.conv1.conv.conv.weight": torch.zeros(2)}}, tmp_path / "states_tf_places2.pth")
    assert main(["weights", "import", "gated_conv:places2", str(tmp_path / "states_tf_places2.pth")]) == 2
    assert "need TensorFlow's padding" in " ".join(capsys.readouterr().err.split())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_torchscript_file_of_lama(tmp_path, monkeypatch):
    """The file holds `model.generator.model...`; here with a small generator and the converter's own names."""
    from inpaint_zoo.models.glama.convert import _convert
    from inpaint_zoo.weights import load_foreign

    class Trainer(nn.Module):
        def __init__(self, generator):
            super().__init__()
            self.generator = generator

        def forward(self, x):
            return x + next(self.generator.parameters()).sum()

    class Wrapper(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x)

    net = iz.create_model("glama_tiny")
    torch.jit.trace(Wrapper(Trainer(net)), torch.zeros(1, 4, 16, 16), check_trace=False).save(tmp_path / "big-lama.pt")
    state = load_foreign(tmp_path / "big-lama.pt")
    assert all(key.startswith("model.generator.model.") for key in state)
    converted = _convert(state, "generator", "glama_tiny", net)
    assert all(torch.equal(converted[key], value) for key, value in net.state_dict().items())


class PortOfPartialConv(nn.Module):
    """naoto0804's network, from its description: W (x m) / sum(m) + b, nearest upsampling, one mask per channel."""

    def __init__(self, net, levels):
        super().__init__()
        self.levels = levels
        for level in range(levels):
            for side, block in (("enc", net.encoder[level]), ("dec", net.decoder[levels - 1 - level])):
                source = block.convolution.convolution
                conv = nn.Module()
                conv.input_conv = nn.Conv2d(
                    source.in_channels, source.out_channels, source.kernel_size, source.stride, source.padding
                )
                conv.mask_conv = nn.Conv2d(
                    source.in_channels,
                    source.out_channels,
                    source.kernel_size,
                    source.stride,
                    source.padding,
                    bias=False,
                )
                nn.init.constant_(conv.mask_conv.weight, 1.0)
                part = nn.Module()
                part.conv = conv
                if level:
                    part.bn = nn.BatchNorm2d(source.out_channels)
                    nn.init.normal_(part.bn.running_mean, std=0.1)
                setattr(self, f"{side}_{level + 1}", part)

    def block(self, name, x, mask):
        part = getattr(self, name)
        bias = part.conv.input_conv.bias.view(-1, 1, 1)
        total = part.conv.mask_conv(mask)
        empty = total == 0
        y = ((part.conv.input_conv(x * mask) - bias) / total.masked_fill(empty, 1) + bias).masked_fill(empty, 0)
        y = part.bn(y) if hasattr(part, "bn") else y
        if name.startswith("enc"):
            y = y.relu()
        elif name != "dec_1":
            y = nn.functional.leaky_relu(y, 0.2)
        return y, (~empty).float()

    def forward(self, x, mask):
        kept = []
        for level in range(1, self.levels + 1):
            kept.append((x, mask))
            x, mask = self.block(f"enc_{level}", x, mask)
        for level in range(self.levels, 0, -1):
            skip, skip_mask = kept.pop()
            x, mask = (nn.functional.interpolate(part, scale_factor=2) for part in (x, mask))
            x, mask = self.block(f"dec_{level}", torch.cat([x, skip], 1), torch.cat([mask, skip_mask], 1))
        return x


@torch.no_grad()
def test_a_converted_partial_convolution_computes_what_the_port_computes():
    from inpaint_zoo.models.partial_conv.convert import convert_partial_conv

    net = iz.create_model("partial_conv_tiny")
    port = PortOfPartialConv(net, 5).eval()
    state = {f"model.{key}": value for key, value in port.state_dict().items()} | {"optimizer.0": torch.zeros(1)}
    net.load_state_dict(convert_partial_conv(state, net))
    image, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 10:50, 12:60] = 1
    known = (1 - mask).expand(1, 3, -1, -1)
    expected = port((image - net.mean) / net.deviation * known, known) * net.deviation + net.mean
    torch.testing.assert_close(net.predict(image, mask)["prediction"], expected)
    with pytest.raises(ZooError, match=r"'enc_1\.convolution' is no entry of its layout"):
        convert_partial_conv({"enc_1.convolution": torch.zeros(1)}, net)


@pytest.mark.parametrize("split", [False, True])
def test_the_layout_of_the_context_encoder(split):
    """Convolutions without bias, numbered in one sequence or in two."""
    from inpaint_zoo.models.context_encoder.convert import convert_context_encoder

    net = iz.create_model("context_encoder_tiny", region="center")
    count = len(net.encoder)
    state = {}
    for key, value in net.state_dict().items():
        part, number, kind = key.split(".")
        if kind == "bias" and f"{part}.{number}.running_mean" not in net.state_dict():
            value.zero_()  # the tensor of the network itself
            continue
        name = f"main_{'encode' if part == 'encoder' else 'decode'}.{number}"
        one = f"main.{int(number) + (0 if part == 'encoder' else count)}"
        state[f"{name if split else one}.{kind}"] = value
    converted = convert_context_encoder(state, net)
    assert all(torch.equal(converted[key], value) for key, value in net.state_dict().items())
    del state[next(key for key in state if key.endswith("running_mean"))]
    with pytest.raises(ZooError, match="1 missing"):
        convert_context_encoder(state, net)


def test_list_and_info(capsys):
    assert main(["weights"]) == 0
    assert "big_lama:places" in capsys.readouterr().out
    assert main(["weights", "list", "lgnet*", "--markdown"]) == 0
    assert capsys.readouterr().out.count("\n| `") == 1
    assert main(["weights", "list", "--markdown"]) == 0
    table = capsys.readouterr().out
    assert table in (REPOSITORY / "docs" / "export.md").read_text(), "docs/export.md: print this table into it"
    assert main(["weights", "info", "big_lama"]) == 0
    shown = capsys.readouterr().out
    assert "205,669,692 bytes" in shown
    assert "344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9" in shown.replace("\n", "").replace(
        " ", ""
    )
    assert main(["weights", "info", "isnet"]) == 0
    assert "size unknown, SHA-256 unknown, address unknown" in " ".join(capsys.readouterr().out.split())
    assert main(["weights", "info", "gated_conv"]) == 2
    assert "Choose one of: gated_conv:places2, gated_conv:celebahq" in " ".join(capsys.readouterr().err.split())
