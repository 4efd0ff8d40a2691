"""Model files as methods: TorchScript, ONNX, torch.export."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Options, Places, load_suite, run_suite
from inpaint_zoo.benchmark.convention import PRESETS, Convention
from inpaint_zoo.benchmark.methods import MethodInput, Task
from inpaint_zoo.benchmark.methods.loaders import Argument, check_arguments
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from tests.helpers.outside import Outside, TwoArguments, write_exported, write_onnx, write_torchscript
from tests.helpers.suites import Diary, make_image, methods_of, results_bytes, small_suite, write_suite

ONE = Options(workers=1, device="cpu")
TASK = Task("images", "center", ("a",))
CPU = torch.device("cpu")
WRITERS = {"torchscript": write_torchscript, "exported": write_exported, "onnx": write_onnx}


def needs(kind):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")


def item(number=0, size=(64, 64)):
    mask = np.zeros(size, dtype=bool)
    mask[20:40, 16:44] = True
    return MethodInput("a", np.where(mask[..., None], np.uint8(0), make_image(number, size)), mask)


def started(tmp_path, **entry):
    method = methods_of(small_suite(tmp_path, methods=[entry]))[0]
    method.start(TASK, CPU, "fp32")
    return method


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_of_a_shipped_network_gives_the_networks_results(tmp_path, kind):
    needs(kind)
    net = iz.create_model("autoencoder_tiny", weights="shipped")
    WRITERS[kind](tmp_path / "net.file", net)
    own = started(tmp_path, model="autoencoder_tiny").fill([item()])[0]
    method = started(tmp_path, **{kind: "net.file", "convention": {"size": 64}})
    result = method.fill([item()])[0]
    assert float(np.abs(result.unrounded - own.unrounded).max()) < 1 / 255
    assert result.seconds > 0
    assert np.array_equal(result.image[~item().mask], item().image[~item().mask])
    method.close()


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    "convention", [Convention(range=(-1.0, 1.0), output_range=(-1.0, 1.0), mask_hole=0, mask_known=1)]
)
def test_a_file_in_another_convention_gives_the_same_results(tmp_path, kind, convention):
    needs(kind)
    WRITERS[kind](tmp_path / "plain.file", TwoArguments(Outside()))
    WRITERS[kind](tmp_path / "other.file", TwoArguments(Outside(convention)))
    stated = {"range": [-1, 1], "mask_hole": 0, "size": 64}
    plain = started(tmp_path, **{kind: "plain.file", "convention": {"size": 64}}).fill([item()])[0]
    other = started(tmp_path, **{kind: "other.file", "convention": stated}).fill([item()])[0]
    np.testing.assert_allclose(plain.unrounded, other.unrounded, atol=1e-5)


@pytest.mark.parametrize(
    ("stated", "convention", "tolerance"),
    [
        ({"preset": "lama_onnx", "size": 72}, Convention(output_range=(0.0, 255.0), size=(72, 72)), 0.15),
        ("lama_torchscript", Convention(), 1e-5),
    ],
)
def test_a_file_in_the_convention_of_lama(tmp_path, stated, convention, tolerance):
    """Stand-ins for LaMa's public files: one size and 0..255, or multiples of 8 and 0..1."""
    write_torchscript(tmp_path / "lama.pt", TwoArguments(Outside(convention)), convention.size or (64, 64))
    write_torchscript(tmp_path / "plain.pt", TwoArguments(Outside()))
    asked = item(size=(60, 70))
    plain = started(tmp_path, torchscript="plain.pt").fill([asked])[0]
    result = started(tmp_path, torchscript="lama.pt", convention=stated).fill([asked])[0]
    np.testing.assert_allclose(result.unrounded, plain.unrounded, atol=tolerance)


def test_a_suite_with_a_file_runs_is_resumed_and_names_what_is_missing(tmp_path, capsys):
    """The same file under another name is the same cell; other content is not."""
    path = write_suite(tmp_path, methods=[{"torchscript": "theirs.pt", "label": "Theirs"}, "mean_fill"])
    command = ["benchmark", str(path), "--out", str(tmp_path / "out"), "--device", "cpu", "--workers", "1"]
    assert main(command) == 3
    error = " ".join(capsys.readouterr().err.split())
    assert "file of 'Theirs' (2 cells): put theirs.pt into --weights-root" in error
    write_torchscript(tmp_path / "theirs.pt", TwoArguments(Outside()))
    assert main(command) == 0
    results = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert set(results["method"]) == {"Theirs", "mean_fill"}
    (tmp_path / "theirs.pt").rename(tmp_path / "again.pt")
    again = write_suite(tmp_path, methods=[{"torchscript": "again.pt", "label": "Theirs"}, "mean_fill"])
    diary = Diary()
    run_suite(load_suite(again), tmp_path / "out", ONE, diary)
    assert diary.cells == []
    given = load_suite(path, Places(weights={"Theirs": str(tmp_path / "again.pt")}))
    run_suite(given, tmp_path / "given", ONE)
    assert results_bytes(tmp_path / "given") == results_bytes(tmp_path / "out")
    write_torchscript(tmp_path / "again.pt", TwoArguments(Outside(Convention(output_range=(0.0, 0.9)))))
    run_suite(load_suite(again), tmp_path / "out", ONE, diary)
    assert len(diary.cells) == 2


def test_a_wrong_convention_fails_the_cell_and_a_doubtful_one_is_in_the_report(tmp_path):
    write_torchscript(tmp_path / "theirs.pt", TwoArguments(Outside(Convention(output_range=(0.0, 255.0)))))
    write_torchscript(tmp_path / "copies.pt", TwoArguments(Copies()))
    methods = [{"torchscript": "theirs.pt", "label": "Theirs"}, {"torchscript": "copies.pt", "label": "Copies"}]
    diary = Diary()
    outcome = run_suite(
        small_suite(tmp_path, methods=methods, masks=[{"name": "center", "size": 24}]), tmp_path / "out", ONE, diary
    )
    (failure,) = outcome.failed
    assert "'Theirs', image 'more/p4': it returned values from" in failure.error
    assert "set `output_range: [0, 255]`" in failure.error
    note = "the result equals the input, also in the hole; check `mask_hole: 1`"
    assert any(note in line for line in diary.notes)
    assert "Copies: the result equals the input" in (tmp_path / "out" / "report.md").read_text()


class Copies(torch.nn.Module):
    """Returns its image."""

    def forward(self, image, mask):
        return image + 0 * mask


class Several(torch.nn.Module):
    """Returns a mask and an image."""

    def forward(self, image, mask):
        return mask, image * (1 - mask) + mask / 2


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_one_of_several_outputs_is_named(tmp_path, kind):
    needs(kind)
    WRITERS[kind](tmp_path / "two.file", Several())
    entry = {kind: "two.file", "convention": {"size": 64}}
    with pytest.raises(
        ZooError, match=r"it returned 2 outputs \(\S+: \(1, 1, 64, 64\) float32, .*choose one with `output`"
    ):
        started(tmp_path, **entry).fill([item()])
    result = started(tmp_path, **entry, output=1).fill([item()])[0].image
    assert (result[item().mask] == 128).all()
    with pytest.raises(ZooError, match=r"it has no output 'rgb' \(`output`\); it returned"):
        started(tmp_path, **entry, output="rgb").fill([item()])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torchscript", r"'net': net\.file is no TorchScript archive"),
        ("exported", r"'net': net\.file cannot be loaded as a program of torch\.export"),
        ("onnx", r"'net': net\.file cannot be loaded by onnxruntime"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, kind, message):
    needs(kind)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "net.file")
    with pytest.raises(ZooError, match=message):
        started(tmp_path, **{kind: "net.file"})


@pytest.mark.parametrize("kind", ["exported", "onnx"])
def test_the_only_size_of_a_file_is_named(tmp_path, kind):
    needs(kind)
    WRITERS[kind](tmp_path / "net.file", TwoArguments(Outside()))
    with pytest.raises(ZooError, match=r"'net': its argument 'image' is 1x3x64x64: set `size: \[64, 64\]`"):
        started(tmp_path, **{kind: "net.file"})


@pytest.mark.parametrize(
    ("arguments", "convention", "message"),
    [
        ([Argument("x")], Convention(), r"it takes 1 arguments \(x\), not 2: set `inputs: image\+mask`"),
        ([Argument("a"), Argument("b")], Convention(inputs=("image+mask",)), r"set `inputs: \[image, mask\]`"),
        ([Argument(name) for name in "abc"], Convention(), "it must take an image and a mask"),
        ([Argument("mask"), Argument("img")], Convention(), r"called mask, img: set `inputs: \[mask, image\]`"),
        (
            [Argument("image", (1, 3, None, None)), Argument("mask", (1, 3, None, None))],
            Convention(),
            r"'mask' is 1x3x\?x\?, not of 1 channels: set `mask_channels: 3`",
        ),
        (
            [Argument("image", (None, 256, 256, 3)), Argument("mask", (None, 256, 256, 1))],
            Convention(size=(256, 256)),
            r"'image' is \?x256x256x3, not of 3 channels: set `layout: channels_last`",
        ),
        ([Argument("x", (1, 5, None, None))], Convention(inputs=("image+mask",)), "set `inputs` or `mask_channels`"),
    ],
)
def test_arguments_that_do_not_fit_the_convention_are_named(arguments, convention, message):
    with pytest.raises(ZooError, match=message):
        check_arguments(arguments, convention)


def test_arguments_that_fit():
    lama = [Argument("image", (1, 3, 512, 512)), Argument("mask", (1, 1, 512, 512))]
    check_arguments(lama, PRESETS["lama_onnx"])
    check_arguments([Argument("x", (None, None, None, 4))], Convention(inputs=("image+mask",), layout="channels_last"))


def test_types_of_an_onnx_file(tmp_path):
    """Images of integers are rounded to bytes, and need the range of bytes."""
    onnx = pytest.importorskip("onnx")
    needs("onnx")
    sizes = [1, 3, 64, 64]
    uint8, boolean = onnx.TensorProto.UINT8, onnx.TensorProto.BOOL
    inputs = [
        onnx.helper.make_tensor_value_info("image", uint8, sizes),
        onnx.helper.make_tensor_value_info("mask", boolean, [1, 1, 64, 64]),
    ]
    gray = onnx.helper.make_tensor("gray", uint8, [1], [100])
    node = onnx.helper.make_node("Where", ["mask", "gray", "image"], ["out"])
    output = onnx.helper.make_tensor_value_info("out", uint8, sizes)
    graph = onnx.helper.make_graph([node], "fill", inputs, [output], [gray])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "bytes.onnx")
    with pytest.raises(ZooError, match=r"the input 'image' is tensor\(uint8\): set `range: \[0, 255\]`"):
        started(tmp_path, onnx="bytes.onnx", convention={"size": 64})
    method = started(tmp_path, onnx="bytes.onnx", convention={"size": 64, "range": [0, 255]})
    asked = item()
    np.testing.assert_array_equal(method.fill([asked])[0].image, np.where(asked.mask[..., None], 100, asked.image))


def test_external_data_is_part_of_an_onnx_files_identity(tmp_path):
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.arange(300, dtype=np.float32), "weight")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [300])
    node = onnx.helper.make_node("Add", ["x", "weight"], ["y"])
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [300])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [output], [weight]))
    onnx.save(model, tmp_path / "big.onnx", save_as_external_data=True, location="tensors.bin", size_threshold=0)
    method = methods_of(small_suite(tmp_path, methods=[{"onnx": "big.onnx"}]))[0]
    before = method.identity(TASK)
    (tmp_path / "tensors.bin").write_bytes(bytes(len((tmp_path / "tensors.bin").read_bytes())))
    assert method.identity(TASK) != before


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    outcome = run_suite(
        small_suite(tmp_path, methods=[{"onnx": "net.onnx", "label": "Net"}, "mean_fill"]), tmp_path / "out", ONE
    )
    assert {cell.parts for cell in outcome.missing} == {
        (("package 'onnxruntime' for 'Net'", "pip install 'inpaint-zoo[onnx]'"),)
    }
    assert outcome.failed == ()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"onnx": "a.onnx", "outputs": 1}, r"Unknown key of a method: 'outputs'. Did you mean 'output'"),
        ({"onnx": "a.onnx", "weights": "b"}, "It belongs to a method with 'model'"),
        ({"onnx": "a.onnx", "output": -1}, "must be the name or the position of an output, counted from 0, got -1"),
        ({"onnx": "{mask}.onnx"}, r"'onnx' may contain \{dataset\}, the name of the dataset, but not \{mask\}"),
        ({"onnx": "a.onnx", "torchscript": "b.pt"}, "exactly one of its keys torchscript and onnx"),
    ],
)
def test_wrong_keys_are_named(tmp_path, entry, message):
    with pytest.raises(ZooError, match=message):
        small_suite(tmp_path, methods=[entry])


def test_a_file_for_each_dataset(tmp_path):
    for name in ("images", "more"):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "images" / "net.pt").write_bytes(b"1")
    suite = small_suite(tmp_path / "suite", methods=[{"torchscript": "../{dataset}/net.pt", "label": "Net"}])
    assert suite.methods[0].find("images").path.read_bytes() == b"1"
    assert suite.methods[0].find("more") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("kind", WRITERS)
def test_files_on_a_gpu(tmp_path, kind):
    needs(kind)
    WRITERS[kind](tmp_path / "net.file", iz.create_model("autoencoder_tiny", weights="shipped"))
    method = methods_of(small_suite(tmp_path, methods=[{kind: "net.file", "convention": {"size": 64}}]))[0]
    expected = started(tmp_path, **{kind: "net.file", "convention": {"size": 64}}).fill([item()])[0]
    method.start(TASK, torch.device("cuda"), "fp32")
    np.testing.assert_allclose(method.fill([item()])[0].unrounded, expected.unrounded, atol=1e-2)
