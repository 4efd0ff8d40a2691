"""Exported files: checked against the network, with metadata, as methods of suites and as models of `inpaint`."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from PIL import Image

import inpaint_zoo as iz
from inpaint_zoo.benchmark.convention import Convention, recorded_convention
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.export import ExportError, layers, writers
from inpaint_zoo.export.check import check_file, sample_pair
from inpaint_zoo.io.model_metadata import read_archive_metadata
from inpaint_zoo.weights import state_sha256
from tests.helpers.suites import methods_of, small_suite


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def pair(size, seed=3):
    image, mask = sample_pair(seed, size)
    return image, mask


@pytest.mark.parametrize("name", iz.list_models("*_tiny"))
def test_every_family_as_torchscript_of_any_size(tmp_path, name):
    """Three sizes are compared; here a fourth one, which the network pads."""
    net = iz.create_model(name, weights="shipped")
    exported = iz.export_model(net, tmp_path / "net.pt")
    assert len({each.size for each in exported.differences}) == 3
    assert max(each.largest for each in exported.differences) < 1e-4
    image, mask = pair((75, 90))
    with torch.no_grad():
        torch.testing.assert_close(
            iz.load_exported(tmp_path / "net.pt")(image, mask), net(image, mask), atol=1e-4, rtol=0
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["glama_tiny", "partial_conv_tiny"])
def test_fourier_transforms_and_partial_convolutions_as_onnx(tmp_path, name):
    pytest.importorskip("onnxscript")
    net = iz.create_model(name)
    exported = iz.export_model(net, tmp_path / "net.onnx", size=(64, 96))
    assert max(each.largest for each in exported.differences) < 1e-4
    assert exported.metadata["opset"] == 18


@pytest.mark.slow
def test_in_a_large_onnx_graph_only_constants_are_folded(tmp_path, monkeypatch):
    """GRIG repeats its network; onnxscript would take many minutes to simplify the graph of the full-size one."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(writers, "MOST_NODES", 0)
    exported = iz.export_model(iz.create_model("grig_tiny", steps=1), tmp_path / "net.onnx", size=(64, 64))
    assert max(each.largest for each in exported.differences) < 1e-5
    # three steps have 6,651 nodes before constants are folded, and 2,015 after it
    assert len(onnx.load(tmp_path / "net.onnx").graph.node) < 1000


@pytest.mark.slow
def test_an_export_that_computes_something_else_fails_and_leaves_no_file(tmp_path, monkeypatch):
    """PyTorch's ONNX exporter ignores `divisor_override`, which the plain layer uses."""
    pytest.importorskip("onnxscript")
    monkeypatch.delitem(layers._FORMS["onnx"], layers.PartialConv2d)
    with pytest.raises(
        ExportError, match=r"'partial_conv_tiny' cannot be exported as onnx, fp32: the file does not compute"
    ):
        iz.export_model(iz.create_model("partial_conv_tiny"), tmp_path / "net.onnx", size=(32, 32))
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_other_weights_is_noticed():
    net, other = iz.create_model("glcic_tiny"), iz.create_model("glcic_tiny")
    with pytest.raises(ExportError, match=r"at 32x40 px, the difference is .*, the limit for fp32 is 0\.001"):
        check_file(net, other, [(32, 40)], "fp32")


@pytest.mark.parametrize(("suffix", "precision"), [(".pt", "bf16"), (".pt", "fp16"), (".pt2", "fp32")])
def test_precisions_and_metadata(tmp_path, suffix, precision):
    net = iz.create_model("autoencoder_tiny", weights="shipped")
    path = tmp_path / f"net{suffix}"
    exported = iz.export_model(net, path, size=(48, 64), precision=precision)
    stored = read_archive_metadata(path)
    assert stored == json.loads(json.dumps(exported.metadata))
    assert (stored["model"], stored["options"]) == ("autoencoder_tiny", {"difference": True})
    assert stored["weights_sha256"] == state_sha256(net.state_dict())
    assert recorded_convention(stored["convention"]) == Convention(hole_value=0.5, size=(48, 64))
    assert iz.load_exported(path).origin == net.origin
    image, mask = pair((48, 64))
    with torch.no_grad():
        difference = (iz.load_exported(path)(image, mask) - net(image, mask)).abs()
    assert float(difference.mean()) < {"fp32": 1e-6, "fp16": 1e-3, "bf16": 1e-2}[precision]
    half = precision != "fp32"
    assert (path.stat().st_size < 3.6e6) == half  # 1.4 million parameters


def test_a_file_is_a_method_of_a_suite_and_a_model_of_the_command(tmp_path, capsys):
    """Both follow the convention in the file, and give the network's bytes."""
    path = tmp_path / "exported.pt"
    assert main(["export", "glama_tiny", "--out", str(path)]) == 0
    assert "exported.pt: glama_tiny, torchscript, fp32" in capsys.readouterr().out
    suite = small_suite(tmp_path, methods=[{"torchscript": "exported.pt"}, {"model": "glama_tiny"}])
    file, model = methods_of(suite)
    from tests.benchmark.test_model_files import CPU, TASK, item

    results = []
    for method in (file, model):
        method.start(TASK, CPU, "fp32")
        results.append(method.fill([item(size=(50, 61))])[0].image.astype(int))
    assert np.abs(results[0] - results[1]).max() <= 1
    assert file.identity(TASK)["convention"] == {}

    rgb = np.random.default_rng(0).integers(0, 256, (50, 61, 3), dtype=np.uint8)
    hole = np.zeros((50, 61), np.uint8)
    hole[20:40, 10:30] = 255
    Image.fromarray(rgb).save(tmp_path / "image.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    words = ["inpaint", str(tmp_path / "image.png"), "--mask", str(tmp_path / "mask.png"), "--device", "cpu"]
    for name, out in ((str(path), "a"), ("glama_tiny", "b")):
        assert main([*words, "--model", name, "--out", str(tmp_path / out)]) == 0
    a, b = (np.asarray(Image.open(tmp_path / out / "image.png")).astype(int) for out in "ab")
    assert np.abs(a - b).max() <= 1
    assert main([*words, "--model", str(path), "--weights", "x", "--out", str(tmp_path / "c")]) == 2
    assert "--weights does not apply to the exported file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["glama_tiny", "--out", "x.pth"], "the suffix must name the format: .onnx (onnx), .pt2 (torch-export)"),
        (["glama_tiny", "--out", "x.pt", "--format", "onnx"], "a file of the format onnx must end in .onnx"),
        (["glama_tiny", "--out", "x.pt", "--format", "tflite"], "Unknown format 'tflite'"),
        (["glama_tiny", "--out", "x.pt", "--size", "64"], "--size must be HEIGHTxWIDTH in pixels"),
        (["glama_tiny", "--out", "x.pt", "--size", "64x63"], "the size must be multiples of 4 px and at least 16 px"),
        (["glama_tiny", "--out", "x.pt", "--precision", "int8"], "has no precision int8, only fp32, fp16, bf16"),
        (["glama_tiny", "--out", "x.pt", "--precision", "int4"], "Unknown precision 'int4'"),
        (["telea", "--out", "x.pt"], "'telea' has no weights: only learned models can be exported"),
        (["lama", "--out", "x.pt"], "the package ships no weights for it"),
        (["glama_tiny", "--out", "there.pt"], "exists; pass --overwrite to replace it"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.pt").touch()
    assert main(["export", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"needs onnx, onnxscript, onnxruntime: pip install 'inpaint-zoo\[export\]'"):
        iz.export_model(iz.create_model("glcic_tiny"), tmp_path / "net.onnx")


def test_files_of_other_programs_are_refused(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights\.pt is no TorchScript archive"):
        iz.load_exported(tmp_path / "weights.pt")
    with pytest.raises(ExportError, match=r"a model file ends in \.onnx, \.pt2, \.pt"):
        iz.load_exported(tmp_path / "net.pth")
    with pytest.raises(ExportError, match=r"No model file .*none\.pt2"):
        iz.load_exported(tmp_path / "none.pt2")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_file_without_or_with_damaged_metadata(tmp_path):
    traced = torch.jit.trace(torch.nn.Identity(), torch.zeros(1))
    torch.jit.save(traced, tmp_path / "plain.pt")
    with pytest.raises(ExportError, match=r"does not state its convention, .*\{torchscript: plain\.pt, convention:"):
        iz.load_exported(tmp_path / "plain.pt")
    torch.jit.save(traced, tmp_path / "bad.pt", _extra_files={"inpaint_zoo.json": "{"})
    with pytest.raises(ValueError, match=r"bad\.pt: its metadata are no valid JSON"):
        iz.load_exported(tmp_path / "bad.pt")
    newer = json.dumps({"convention": {"unheard_of": 3}})
    torch.jit.save(traced, tmp_path / "new.pt", _extra_files={"inpaint_zoo.json": newer})
    with pytest.raises(ExportError, match=r"new\.pt: its metadata state unheard_of = 3, which this version"):
        iz.load_exported(tmp_path / "new.pt")


def test_conventions_are_recorded_as_plain_values():
    convention = Convention(hole_value="neighbor_fill", multiple_of=8, padding="reflect", pads_hole=False, size=(8, 16))
    assert recorded_convention(json.loads(json.dumps(convention.plain()))) == convention


@pytest.mark.parametrize("key", ["multiple_of", "min_size", "size"])
def test_a_recorded_size_that_would_fill_the_memory_is_refused(key):
    with pytest.raises(ZooError, match=f"its metadata state {key} = 1000000000"):
        recorded_convention({key: 10**9})
