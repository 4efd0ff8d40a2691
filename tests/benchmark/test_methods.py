import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from inpaint_zoo.benchmark import Options, export_inputs, run_suite
from inpaint_zoo.benchmark.methods import MethodInput, NetworkMethod, Task
from inpaint_zoo.errors import ZooError
from inpaint_zoo.registry import create_model
from inpaint_zoo.weights import save_weights
from tests.helpers.suites import Diary, make_image, methods_of, results_bytes, small_suite
from tests.helpers.toy import registered_toy

ONE = Options(workers=1, device="cpu")
TASK = Task("images", "center", ("a", "b"))
CPU = torch.device("cpu")


def item(number=0, size=(64, 64), key="a"):
    mask = np.zeros(size, dtype=bool)
    mask[10:30, 20:40] = True
    return MethodInput(key, np.where(mask[..., None], np.uint8(0), make_image(number, size)), mask)


def network_method(tmp_path, **entry):
    method = methods_of(small_suite(tmp_path, methods=[{"model": "toy", **entry}]))[0]
    method.start(TASK, CPU, "fp32")
    return method


# networks


def test_random_weights_come_from_the_suite_alone(tmp_path):
    def image(seed, global_seed):
        suite = small_suite(tmp_path, methods=[{"model": "autoencoder_tiny", "weights": "random"}], seed=seed)
        method = methods_of(suite)[0]
        torch.manual_seed(global_seed)
        state = torch.random.get_rng_state()
        method.start(TASK, CPU, "fp32")
        assert torch.equal(torch.random.get_rng_state(), state)
        return method.fill([item()])[0].image

    first = image(7, 0)
    np.testing.assert_array_equal(first, image(7, 99))
    assert (first != image(8, 0)).any()


def test_weights_are_known_by_their_content(tmp_path):
    with registered_toy():
        save_weights(create_model("toy"), tmp_path / "a.safetensors")
        (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
        one, two = (network_method(tmp_path, weights=f"{name}.safetensors") for name in "ab")
        assert one.identity(TASK) == two.identity(TASK)
        assert len(one.identity(TASK)["weights_sha256"]) == 64
        other = network_method(tmp_path, weights="random")
        assert other.identity(TASK) != one.identity(TASK)


def test_a_checkpoint_of_training_is_a_method(tmp_path):
    with registered_toy():
        network = create_model("toy")
        state = {f"network.{key}": value for key, value in network.state_dict().items()}
        torch.save({"state_dict": state, "epoch": 1, "pytorch-lightning_version": "2.6.6"}, tmp_path / "last.ckpt")
        method = network_method(tmp_path, checkpoint="last.ckpt")
    image, mask = torch.rand(1, 3, 40, 40), torch.zeros(1, 1, 40, 40)
    mask[..., 9:30, 9:30] = 1
    with torch.no_grad():
        torch.testing.assert_close(method.network(image, mask), network(image, mask), atol=1e-5, rtol=0)


class Drifts(torch.nn.Module):
    """Network whose values differ between a batch and a single image, as with some kernels."""

    calls = 0

    def forward(self, image, mask):
        self.calls += 1
        return torch.full_like(image, 0.5) + 1e-6 * (len(image) - 1)


def test_batches_are_used_only_where_they_change_no_bit(tmp_path):
    items = [item(number) for number in range(4)]
    with registered_toy():
        method = network_method(tmp_path, weights="random")
    assert isinstance(method, NetworkMethod)
    singles = [method.fill([each])[0].image for each in items]
    for image, output in zip(singles, method.fill(items), strict=True):
        np.testing.assert_array_equal(image, output.image)
    method.network = drifts = Drifts()
    method.close()
    method.network = drifts
    assert (method.fill(items)[3].image[items[3].mask] == 128).all()
    assert method.same_in_batches == {(4, 64, 64): False}
    before = drifts.calls
    method.fill(items)
    assert drifts.calls == before + 4  # one by one from now on


def test_sizes_may_differ_in_one_batch(tmp_path):
    with registered_toy():
        method = network_method(tmp_path, weights="random")
    items = [item(0), item(1, (48, 80)), item(2, (48, 80)), item(3)]
    assert [output.image.shape for output in method.fill(items)] == [
        (64, 64, 3),
        (48, 80, 3),
        (48, 80, 3),
        (64, 64, 3),
    ]


def test_a_network_that_gives_nan_is_named(tmp_path):
    with registered_toy():
        method = network_method(tmp_path, weights="random", label="Mine")
    torch.nn.init.constant_(method.network.network.fine.bias, torch.nan)
    with pytest.raises(ZooError, match="Mine returned NaN or infinity for 'a'"):
        method.fill([item()])


# functions

FUNCTIONS = """
import numpy as np

def copy(image, mask):
    assert image.dtype == np.uint8 and mask.dtype == bool and not image[mask].any()
    image[:] = 9  # a copy, ours to spoil
    return image

def floats(image, mask):
    return image / 255

def small(image, mask):
    return image[:5]

def nothing(image, mask):
    return None

number = 3
"""


def function_method(tmp_path, name):
    (tmp_path / "functions_of_the_test.py").write_text(FUNCTIONS)
    return methods_of(small_suite(tmp_path, methods=[{"callable": f"functions_of_the_test:{name}"}]))[0]


def test_functions_see_no_ground_truth_and_may_write_into_their_arguments(tmp_path):
    """What they return for known pixels is not used."""
    method = function_method(tmp_path, "copy")
    asked = item()
    output = method.fill([asked])[0]
    np.testing.assert_array_equal(output.image, np.where(asked.mask[..., None], 9, asked.image))
    assert output.seconds > 0
    np.testing.assert_array_equal(asked.image, item().image)
    assert len(method.identity(TASK)["source_sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "got"),
    [("floats", r"\(64, 64, 3\) float64"), ("small", r"\(5, 64, 3\) uint8"), ("nothing", "NoneType")],
)
def test_functions_that_give_something_else_are_named(tmp_path, name, got):
    method = function_method(tmp_path, name)
    with pytest.raises(ZooError, match=rf"functions_of_the_test:{name} must return .*; for 'a' it returned {got}"):
        method.fill([item()])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:fill", r"suite\.yaml:\d+: 'no_such_module:fill' cannot be imported: ModuleNotFoundError"),
        ("functions_of_the_test:none", r"suite\.yaml:\d+: .*has no attribute 'none'"),
        ("functions_of_the_test:number", r"suite\.yaml:\d+: .*is not a function: 3"),
    ],
)
def test_functions_that_are_not_there_are_errors_before_anything_runs(tmp_path, target, message):
    (tmp_path / "functions_of_the_test.py").write_text(FUNCTIONS)
    with pytest.raises(ZooError, match=message):
        methods_of(small_suite(tmp_path, methods=[{"callable": target}]))


# folders


def theirs(tmp_path, **changes):
    return small_suite(tmp_path, methods=[{"folder": "theirs", "label": "Theirs"}], **changes)


def fill_gray(source, target, ending=".png"):
    """Imitate another program: read exported inputs and masks, fill holes with gray, and change a known pixel."""
    for path in sorted((source / "images").rglob("*.png")):
        relative = path.relative_to(source / "images")
        image = np.asarray(Image.open(path)).copy()
        mask = np.asarray(Image.open(source / "masks" / relative).convert("L")) > 127
        image[mask] = 128
        image[0, 0] = 255
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save((target / relative).with_suffix(ending))


def test_a_folder_made_by_another_program_is_scored(tmp_path):
    suite = theirs(tmp_path)
    diary = Diary()
    assert export_inputs(suite, tmp_path / "inputs", ONE, diary) == diary.images == 10  # 5 images, 2 mask sets
    fill_gray(tmp_path / "inputs", tmp_path / "theirs")
    (tmp_path / "theirs" / "images" / "center" / "notes.txt").write_text("not an image")
    outcome = run_suite(suite, tmp_path / "out", ONE)
    assert outcome.failed == ()
    results = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert len(results) == 2 * 5 * 3
    assert len(pd.read_parquet(tmp_path / "out" / "timings.parquet")) == 0
    (tmp_path / "gray_of_the_test.py").write_text("def fill(image, mask):\n    image[mask] = 128\n    return image\n")
    mine = small_suite(tmp_path, methods=[{"callable": "gray_of_the_test:fill", "label": "Theirs"}])
    run_suite(mine, tmp_path / "mine", ONE)  # known pixels come from the ground truth, so the changed one has no effect
    assert results_bytes(tmp_path / "out") == results_bytes(tmp_path / "mine")


def test_exported_inputs_are_the_suites_own(tmp_path):
    suite = small_suite(tmp_path, masks=["lama_box"])
    export_inputs(suite, tmp_path / "inputs", ONE, Diary())
    run_suite(suite, tmp_path / "out", ONE)
    mask = np.asarray(Image.open(tmp_path / "inputs/masks/images/lama_box/p0.png").convert("L"))
    image = np.asarray(Image.open(tmp_path / "inputs/images/images/lama_box/p0.png"))
    number = sorted(["p0", "p1", "p2", "p3", "more/p4"]).index("p0")
    shown = np.asarray(Image.open(tmp_path / f"out/gallery/images/lama_box/{number}.png").convert("L"))
    np.testing.assert_array_equal(mask, shown)
    assert set(np.unique(mask)) == {0, 255}
    assert not image[mask == 255].any()
    with pytest.raises(ZooError, match="is not empty; --export-inputs needs a new folder"):
        export_inputs(suite, tmp_path / "inputs", ONE, Diary())


@pytest.mark.parametrize("place", ["images/center", "center", ""])
def test_layouts_from_the_most_explicit_to_the_plainest(tmp_path, place):
    suite = theirs(tmp_path, masks=[{"name": "center", "size": 24}])
    export_inputs(suite, tmp_path / "inputs", ONE, Diary())
    fill_gray(tmp_path / "inputs", tmp_path / "raw", ".bmp")
    target = tmp_path / "theirs" / place
    target.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "raw" / "images" / "center").rename(target)
    assert run_suite(suite, tmp_path / "out", ONE).failed == ()


def test_what_is_wrong_with_a_folder_is_said_and_other_cells_finish(tmp_path):
    (tmp_path / "theirs").mkdir()
    suite = small_suite(tmp_path, methods=[{"folder": "theirs", "label": "Theirs"}, "mean_fill"])
    out = tmp_path / "out"

    def errors():
        outcome = run_suite(suite, out, ONE)
        return [failure.error for failure in outcome.failed]

    first, second = errors()
    assert first == "The results of 'Theirs' are wanted in theirs/images/center/ or theirs/center/, which is not there."
    assert "theirs/images/lama_box/ or theirs/lama_box/" in second
    export_inputs(suite, tmp_path / "inputs", ONE, Diary())
    fill_gray(tmp_path / "inputs", tmp_path / "theirs")
    assert errors() == []
    place = tmp_path / "theirs" / "images" / "center"
    (place / "p1.png").unlink()
    (place / "more" / "p4.png").unlink()
    (missing,) = errors()
    assert "5 images and 3 results do not match" in missing
    assert "2 without a partner among the results" in missing
    assert "p1" in missing
    assert "more/p4" in missing
    fill_gray(tmp_path / "inputs", tmp_path / "theirs")
    Image.fromarray(make_image(1, (32, 48))).save(place / "p1.png")
    (size,) = errors()
    assert size.endswith("p1.png is 48x32 px, but the image 'p1' is 64x64 px.")
    fill_gray(tmp_path / "inputs", tmp_path / "theirs")
    (place / "p1.jpg").write_bytes(b"")
    (twins,) = errors()
    assert "p1.jpg" in twins
    assert "p1.png" in twins
    (place / "p1.jpg").unlink()
    (place / "p1.png").write_bytes(b"no image")
    (damaged,) = errors()
    assert "p1.png" in damaged
    methods = pd.read_parquet(out / "results.parquet")["method"]
    assert set(methods) == {"Theirs", "mean_fill"}


def test_several_datasets_need_the_whole_layout(tmp_path):
    (tmp_path / "theirs" / "center").mkdir(parents=True)
    datasets = [
        {"name": "images", "root": "images", "size": 64},
        {"name": "images", "root": "images", "size": 48, "label": "small"},
    ]
    outcome = run_suite(theirs(tmp_path, datasets=datasets), tmp_path / "out", ONE)
    assert "wanted in theirs/images/center/, which" in outcome.failed[0].error


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ZooError, match=r"suite\.yaml:\d+: no folder .*theirs"):
        run_suite(theirs(tmp_path), tmp_path / "out", ONE)
