"""No code of a weight file ever runs: pickles that name functions, and TorchScript archives that carry methods."""

import pickle
import tarfile
import zipfile

import pytest
import torch
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo import registry
from inpaint_zoo.cli.main import main
from inpaint_zoo.weights import WeightsError, find_backbone, load_foreign, load_state, load_weights, match_state
from inpaint_zoo.weights import backbones as backbone_table
from tests.helpers.fill import vector_image, vector_mask
from tests.helpers.toy import registered_toy

# TorchScript is deprecated, but its files will be around for long
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def toy_is_registered():
    """The toy, with a converter of files in its own names."""
    with registered_toy():
        registry.register_converter("toy", files="toy.pth")(
            lambda state, net: match_state(state, net.state_dict(), "'toy'")
        )
        yield
        del registry.CONVERTERS["toy"]


class Plain(nn.Module):
    """The toy's parts, whose forward writes a file."""

    def __init__(self, toy: nn.Module, marker: str) -> None:
        super().__init__()
        self.encode, self.decode, self.coarse, self.fine = toy.encode, toy.decode, toy.coarse, toy.fine
        self.marker = marker
        self.sizes = [8, 32]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.marker)
        return self.fine(self.coarse(self.decode(self.encode(x))))


class Restoring(nn.Module):
    """Its method `__setstate__`, which torch.jit.load runs, writes a file."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.marker = marker

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.marker, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]) -> None:
        torch.save(state[0], state[1])
        self.weight, self.marker, self.training = state[0], state[1], state[2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Hostile(nn.Module):
    """Harmless but for one part."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.body, self.restoring = nn.Conv2d(3, 3, 1), Restoring(marker)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.restoring(self.body(x))


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "code_ran.pt"


@pytest.fixture
def scripted(tmp_path, marker):
    """A network and a TorchScript archive of it."""
    net = iz.create_model("toy", width=4)
    path = tmp_path / "scripted.pt"
    torch.jit.script(Plain(net, str(marker))).save(path)
    assert not marker.exists()
    return net, path


@pytest.fixture
def hostile(tmp_path, marker):
    """An archive whose code runs where torch.jit.load loads it."""
    path = tmp_path / "hostile.pt"
    torch.jit.script(Hostile(str(marker))).save(path)
    torch.jit.load(path)
    assert marker.exists()
    marker.unlink()
    return path


def test_torchscript_is_read_as_the_state_dict_of_its_module(scripted, tmp_path, marker, capsys):
    net, path = scripted
    wanted = net.state_dict()
    for state in (load_state(path), load_foreign(path), load_weights(path).state):
        assert state.keys() == wanted.keys()
        assert all(torch.equal(value, wanted[key]) for key, value in state.items())
        assert not any(value.requires_grad for value in state.values())
    assert (load_weights(path).name, load_weights(path).options) == (None, {})
    image, mask = vector_image(40, 40), vector_mask(40, 40)
    assert torch.equal(iz.create_model("toy", weights=path, width=4)(image, mask), net(image, mask))
    out = tmp_path / "toy.safetensors"
    assert main(["convert", str(path), "--model", "toy", "--option", "width=4", "--out", str(out)]) == 0
    assert torch.equal(iz.create_model("toy", weights=out)(image, mask), net(image, mask))
    assert not marker.exists()


def test_torchscript_that_restores_itself_by_code_is_refused(hostile, tmp_path, marker, capsys):
    refusal = r"hostile\.pt restores its module 'restoring' by a method of its own \(__setstate__\).*Save a state dict"
    for read in (load_state, load_foreign, load_weights):
        with pytest.raises(WeightsError, match=refusal):
            read(hostile)
    with pytest.raises(WeightsError, match=refusal):
        iz.create_model("toy", weights=hostile)
    assert main(["convert", str(hostile), "--model", "toy", "--out", str(tmp_path / "out.safetensors")]) == 2
    assert "restores its module 'restoring' by a method of its own" in capsys.readouterr().err
    assert not marker.exists()


def test_a_backbone_may_be_torchscript_and_its_code_never_runs(tmp_path, monkeypatch, hostile, marker):
    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.features(x)

    trunk = Trunk()
    monkeypatch.setitem(backbone_table.BACKBONES, "small", backbone_table.Backbone(("small.pt",), "https://", "tests"))
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "given"))
    (tmp_path / "given").mkdir()
    torch.jit.script(trunk).save(tmp_path / "given" / "small.pt")
    state = load_state(find_backbone("small"))
    assert all(torch.equal(value, state[key]) for key, value in trunk.state_dict().items())
    (tmp_path / "given" / "small.pt").write_bytes(hostile.read_bytes())
    with pytest.raises(WeightsError, match="__setstate__"):
        load_state(find_backbone("small"))
    assert not marker.exists()


def test_what_looks_through_a_backbone_runs_no_code_of_its_file(hostile, marker):
    from inpaint_zoo.layers import ADE20KFeatures, VGGFeatures
    from inpaint_zoo.metrics.inception import InceptionFeatures
    from inpaint_zoo.metrics.lpips import load_lpips

    for build in (
        lambda: load_lpips("squeeze", weights=hostile),
        lambda: InceptionFeatures(weights=hostile),
        lambda: VGGFeatures("vgg16", ("relu1_1",), weights=hostile, input_norm="imagenet"),
        lambda: ADE20KFeatures(hostile),
        lambda: iz.create_discriminator("projected", width=8, backbone_weights=str(hostile)),
    ):
        with pytest.raises(WeightsError, match="__setstate__"):
            build()
    assert not marker.exists()


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def write_tar(path, marker):
    """PyTorch's format of 2016, whose pickles open a file."""
    data = pickle.dumps(Bomb(marker), protocol=2)
    (path.parent / "pickle").write_bytes(data)
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as tar:
        for name in ("storages", "tensors", "pickle"):
            tar.add(path.parent / "pickle", arcname=name)


def write_disguised(path, marker):
    """An archive with a TorchScript archive's mark, whose pickle opens a file."""
    torch.save({"weight": torch.ones(3), "bomb": Bomb(marker)}, path)
    with zipfile.ZipFile(path) as archive:
        top = archive.namelist()[0].split("/")[0]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{top}/constants.pkl", pickle.dumps(Bomb(marker), protocol=2))


def write_module(path, marker):
    """A whole network, with the source code of its class."""
    torch.save(Hostile(str(marker)), path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("write", "strict", "lenient"),
    [
        (write_tar, "needs code to load", "is damaged or is not a checkpoint"),
        (write_disguised, None, None),
        (write_module, "needs code to load", "contains no tensors by name"),
    ],
)
def test_other_ways_to_code_are_closed(write, strict, lenient, tmp_path, marker, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.pt"
    write(path, marker)
    files = set(tmp_path.iterdir())
    for read, refusal in ((load_state, strict), (load_foreign, lenient)):
        if refusal is None:
            assert read(path).keys() == {"weight"}
        else:
            with pytest.raises(WeightsError, match=refusal):
                read(path)
    assert set(tmp_path.iterdir()) == files
    assert not marker.exists()


def test_a_content_without_end_is_damaged(tmp_path):
    content = {}
    content["again"] = content
    torch.save(content, tmp_path / "endless.pt")
    with pytest.raises(WeightsError, match="nested infinitely"):
        load_foreign(tmp_path / "endless.pt")


@pytest.mark.parametrize("records", ["pickle", "tensor"])
def test_an_archive_that_unpacks_to_more_than_its_size_is_not_read(records, tmp_path, monkeypatch, capsys):
    name = "bomb/data.pkl" if records == "pickle" else "bomb/data/0"
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/version", "3")
        archive.writestr(name, bytes(1 << 20))
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "kept"))
    path = str(tmp_path / "bomb.pt")
    out = str(tmp_path / "out.safetensors")
    for words in (
        ["weights", "import", "aot_gan:places2", path],
        ["convert", path, "--model", "toy", "--out", out],
        ["models", "show", path],
    ):
        assert main(words) == 2
        assert "but unpacks to" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()
