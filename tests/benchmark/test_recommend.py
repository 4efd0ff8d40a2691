"""`inpaint-zoo recommend` names the models that fit, with numbers that follow from results.parquet."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.recommend import ALIKE, SHIPPED, HoleShape, write_shipped
from inpaint_zoo.benchmark.statistics import sign_flip_test
from inpaint_zoo.cli.main import main
from inpaint_zoo.io.atomic import sha256_file
from inpaint_zoo.masks.overview import measure
from inpaint_zoo.registry import list_models, ready_weights, weights_path
from tests.conftest import REPOSITORY
from tests.helpers.suites import small_suite

METHODS = ["telea", "mean_fill", "navier_stokes", {"callable": "numpy:add", "label": "Mine"}]
MASKS = [{"name": "center", "size": 24}, {"name": "center", "size": 28}, {"name": "half"}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a finished benchmark; one of its methods fails, and its masks are of two sizes."""
    folder = tmp_path_factory.mktemp("recommend")
    masks = [{**mask, "label": f"m{at}"} for at, mask in enumerate(MASKS)]
    suite = small_suite(folder, methods=METHODS, masks=masks)
    run_suite(suite, folder / "run", Options(workers=1, device="cpu"))
    return folder / "run"


@pytest.fixture
def centered(tmp_path):
    """Return a mask file with a hole like those of the first two mask sets of the run."""
    return save_mask(tmp_path / "mask.png", slice(20, 46))


def save_mask(path, hole):
    values = np.zeros((64, 64), np.uint8)
    values[hole, hole] = 255
    Image.fromarray(values).save(path)
    return path


def chosen(capsys, *words):
    """Return what the command prints as JSON."""
    assert main(["recommend", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def error_of(capsys, *words):
    assert main(["recommend", *map(str, words)]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("hole", "ratio", "width"),
    [
        ((slice(16, 48), slice(16, 48)), 0.25, 0.25),  # a square: half its side
        ((slice(None), slice(30, 34)), 4 / 64, 4 / 64),  # a line: its width
    ],
)
def test_ratio_and_width_of_simple_holes(hole, ratio, width):
    masks = np.zeros((1, 64, 64), np.uint8)
    masks[0][hole] = 1
    assert HoleShape.of(measure([masks])) == pytest.approx((ratio, width))
    larger = np.kron(masks, np.ones((1, 4, 4), np.uint8))
    assert HoleShape.of(measure([larger])) == pytest.approx((ratio, width))  # at each resolution


def test_the_factor_between_two_shapes_is_that_of_ratio_or_width():
    assert HoleShape(0.2, 0.1).factor(HoleShape(0.3, 0.4)) == pytest.approx(4)
    assert HoleShape(0.3, 0.4).factor(HoleShape(0.2, 0.1)) == pytest.approx(4)
    assert HoleShape(0.2, 0.1).factor(HoleShape(0.3, None)) == pytest.approx(1.5)


def test_scores_and_tests_follow_from_the_results(run, centered, capsys):
    found = chosen(capsys, "--mask", centered, "--from", run, "--metric", "ssim")
    assert [each["mask"] for each in found["mask_sets"]] == ["m1", "m0"]  # 28 px is nearer to 26 px than 24 px
    assert found["masks_alike"] is True
    rows = pd.read_parquet(run / "results.parquet")
    rows = rows[rows["mask"].isin(["m0", "m1"]) & (rows["metric"] == "ssim")]
    wide = rows.pivot_table(index=["image", "mask"], columns="method", values="value")
    expected = wide.mean().sort_values(ascending=False)
    models = found["models"]
    assert [each["model"] for each in models] == list(expected.index)
    assert [each["means"]["ssim"] for each in models] == pytest.approx(expected.to_list())
    assert {(each["n_images"], each["n_groups"]) for each in models} == {(10, 5)}
    best = models[0]["model"]
    images = wide.index.get_level_values("image")
    raw = {each: float(sign_flip_test((wide[each] - wide[best]).to_numpy()[:, None], images)[0]) for each in wide}
    (low, one), (high, two) = sorted((raw[each["model"]], each["model"]) for each in models[1:])
    adjusted = {one: min(1, 2 * low), two: max(min(1, 2 * low), high)}  # Holm
    assert {each["model"]: each["p_value"] for each in models[1:]} == pytest.approx(adjusted)
    assert models[0]["difference"] == pytest.approx(expected.iloc[0] - expected.iloc[1])
    assert models[-1]["difference"] is None
    second, third = expected.index[1:]
    last = float(sign_flip_test((wide[second] - wide[third]).to_numpy()[:, None], images)[0])
    assert [each["difference_p"] for each in models] == [models[1]["p_value"], pytest.approx(last), None]
    low, high = models[0]["interval"]
    assert low < expected.iloc[0] < high


def test_a_method_that_is_no_ready_model_is_left_out_with_the_reason(run, centered, capsys):
    found = chosen(capsys, "--mask", centered, "--from", run)
    assert found["left_out"] == [{"method": "Mine", "reason": "is no registered model (callable)"}]


def test_a_weight_file_that_is_gone_is_named(run, centered, tmp_path, capsys):
    copied = shutil.copytree(run, tmp_path / "copy")
    suite = json.loads((copied / "suite.json").read_text())
    suite["methods"][0] |= {"model": "glama_tiny", "weights": str(tmp_path / "gone.safetensors")}
    (copied / "suite.json").write_text(json.dumps(suite))
    found = chosen(capsys, "--mask", centered, "--from", copied)
    assert any("gone.safetensors are not here" in each["reason"] for each in found["left_out"])


def test_a_model_that_exceeds_a_limit_is_left_out_with_the_factor(run, centered, capsys):
    free = chosen(capsys, "--mask", centered, "--from", run)["models"]
    latencies = sorted((each["latency_ms"], each["model"]) for each in free)
    middle = (latencies[0][0] + latencies[1][0]) / 2
    limited = chosen(capsys, "--mask", centered, "--from", run, "--device", "cpu", "--max-latency", f"{middle}ms")
    assert [each["model"] for each in limited["models"]] == [latencies[0][1]]
    reasons = {each["method"]: each["reason"] for each in limited["left_out"]}
    for value, name in latencies[1:]:
        assert f"{value / middle:.3g} times the maximum" in reasons[name]


def test_if_nothing_fits_the_error_names_each_model_and_its_excess(run, centered, capsys):
    text = error_of(capsys, "--mask", centered, "--from", run, "--max-latency", "0.0001ms")
    *costly, last = text.strip().removeprefix("error: No model fits. The smallest excess is first: ").split("; ")
    assert last == "Mine: is no registered model (callable)."
    assert {reason.partition(": latency")[0] for reason in costly} == {"telea", "mean_fill", "navier_stokes"}
    factors = [float(reason.partition(" ms, ")[2].partition(" times the maximum")[0]) for reason in costly]
    assert factors == sorted(factors)


def test_memory_that_was_not_measured_fits_no_limit(run, centered, tmp_path, capsys):
    copied = shutil.copytree(run, tmp_path / "copy")
    content = json.loads((copied / "provenance.json").read_text())
    for record in content["cells"].values():
        if record.get("costs"):
            known = record["method"] != "telea"
            record["costs"] |= {"peak_memory_mb": 30.0 if known else None, "parameters": 2**19}  # weights of 2 MiB
    (copied / "provenance.json").write_text(json.dumps(content))
    found = chosen(capsys, "--mask", centered, "--from", copied, "--max-memory", "33MiB")
    assert {each["memory_mb"] for each in found["models"]} == {32.0}
    assert {"method": "telea", "reason": "memory was not measured"} in found["left_out"]
    text = error_of(capsys, "--mask", centered, "--from", copied, "--max-memory", "16MiB")
    assert "memory 32 MiB, 2 times the maximum of 16 MiB" in text


def test_masks_unlike_all_others_give_a_warning_and_the_nearest_set(run, tmp_path, capsys):
    mask = save_mask(tmp_path / "mask.png", slice(30, 33))
    assert main(["recommend", "--mask", str(mask), "--from", str(run)]) == 0
    printed = capsys.readouterr()
    assert "no masks of this benchmark resemble yours" in printed.err
    assert "masks like yours: m0 (" in printed.out


@pytest.mark.parametrize("mask", ["half", "glcic_eval"])
def test_masks_may_be_a_generator_or_a_list(run, mask, capsys):
    found = chosen(capsys, "--mask", mask, "--from", run)
    assert found["mask"]["count"] > 1
    assert all(each["factor"] <= ALIKE for each in found["mask_sets"])


def test_masks_may_be_a_folder_whose_unreadable_files_are_named(run, tmp_path, capsys):
    for number in range(3):
        save_mask(tmp_path / f"{number}.png", slice(20, 40 + number))
    (tmp_path / "3.png").write_bytes(b"no image")
    assert main(["recommend", "--mask", str(tmp_path), "--from", str(run)]) == 0
    printed = capsys.readouterr()
    assert "3 masks, hole ratio" in printed.out
    assert "3.png" in printed.err


def test_the_table_names_evidence_and_the_command_to_use(run, centered, capsys):
    assert main(["recommend", "--mask", str(centered), "--from", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("evidence: ") and "10 results of 5 images for each model, of images" in line for line in lines
    )
    assert any("on cpu" in line and "64 x 64 px" in line for line in lines)
    row = next(line for line in lines if line.strip().startswith("telea"))
    assert " to " in row
    assert " ms" in row
    best = chosen(capsys, "--mask", centered, "--from", run)["models"][0]["model"]
    assert lines[-1] == f"inpaint-zoo inpaint IMAGES --mask MASKS --model {best} --out OUT"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mask", "lama_thik_256"), "Unknown mask 'lama_thik_256'. Did you mean 'lama_thick_256'"),
        (("--mask", "gone.png"), "there is no such file or folder"),
        (("--mask", "half", "--metric", "psnrr"), "Did you mean 'psnr'"),
        (("--mask", "half", "--max-latency", "200"), "--max-latency must be a positive time such as 200ms"),
        (("--mask", "half", "--max-latency", "0s"), "--max-latency must be a positive time such as 200ms"),
        (("--mask", "half", "--max-memory", "lots"), "Memory must be a positive size"),
        (("--mask", "half", "--device", "cuda"), "measured on cpu, not on cuda. Run `inpaint-zoo benchmark recommend"),
    ],
)
def test_wrong_input_is_named(run, words, message, capsys):
    assert message in error_of(capsys, *words, "--from", run)


def test_masks_without_a_hole_and_folders_without_masks_are_named(run, tmp_path, capsys):
    empty = save_mask(tmp_path / "mask.png", slice(0, 0))
    assert "no mask has a hole (white = hole)" in error_of(capsys, "--mask", empty, "--from", run)
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in error_of(capsys, "--mask", tmp_path / "empty", "--from", run)


def test_a_folder_that_is_no_run_is_named(tmp_path, capsys):
    assert "is not a benchmark folder" in error_of(capsys, "--mask", "half", "--from", tmp_path)


def test_a_run_that_is_written_for_the_package_gives_the_same_answer(run, centered, tmp_path, capsys):
    whole = chosen(capsys, "--mask", centered, "--from", run)
    trimmed = tmp_path / "run"
    shutil.copytree(run, trimmed)
    content = json.loads((trimmed / "provenance.json").read_text())
    content["cells"] = {name: each for name, each in content["cells"].items() if each["method"] != "Mine"}
    content["failed"] = []
    (trimmed / "provenance.json").write_text(json.dumps(content))
    suite = json.loads((trimmed / "suite.json").read_text())
    suite["methods"] = suite["methods"][:3]
    (trimmed / "suite.json").write_text(json.dumps(suite))
    write_shipped(trimmed, tmp_path / "table")
    written = chosen(capsys, "--mask", centered, "--from", tmp_path / "table")
    for key in ("mask_sets", "models"):
        for one, two in zip(whole[key], written[key], strict=True):
            assert {**one, "latency_ms": 0} == {**two, "latency_ms": 0}
            assert one.get("latency_ms", 0) == pytest.approx(two.get("latency_ms", 0), abs=0.01)


def test_the_results_in_the_package_are_those_of_the_suite_and_of_the_shipped_weights():
    """Remade by the two commands in `inpaint_zoo/benchmark/recommend/shipped.py`."""
    suite = json.loads((SHIPPED / "suite.json").read_text())
    assert suite["identity"] == load_suite(REPOSITORY / "benchmarks" / "recommend.yaml").plain()["identity"]
    cells = json.loads((SHIPPED / "provenance.json").read_text())["cells"].values()
    of_package = {name for name in list_models(ready=True) if ":" not in name}
    assert {cell["method"] for cell in cells} == of_package
    for cell in cells:
        assert cell["status"] == "done"
        weights = ready_weights(cell["method"])
        expected = weights and sha256_file(weights_path(cell["method"], weights))
        assert cell["provenance"]["weights_sha256"] == expected, cell["method"]


def test_the_results_in_the_package_can_be_computed_again(tmp_path):
    words = ["--only", "method=telea", "--only", "mask=center", "--out", str(tmp_path / "run"), "--allow-missing"]
    assert main(["-q", "benchmark", str(REPOSITORY / "benchmarks" / "recommend.yaml"), *words, "--device", "cpu"]) == 0
    again = pd.read_parquet(tmp_path / "run" / "results.parquet")
    keys = ["method", "dataset", "mask", "image", "metric"]
    both = again.merge(pd.read_parquet(SHIPPED / "results.parquet"), on=keys, suffixes=("", "_shipped"))
    assert len(both) == len(again) == 14 * again["metric"].nunique()
    assert both["value"].to_numpy() == pytest.approx(both["value_shipped"].to_numpy(), rel=1e-3)


def test_the_results_in_the_package_recommend_something_for_each_kind_of_hole(capsys):
    for mask in ("lama_thin_256", "lama_thick_256", "half"):
        found = chosen(capsys, "--mask", mask)
        assert found["masks_alike"] is True
        assert len(found["models"]) == len(found["left_out"]) + len(found["models"]) > 10
        assert mask in {each["mask"] for each in found["mask_sets"]}


def test_the_fastest_model_is_named_with_its_distance_from_the_best(capsys):
    answer = chosen(capsys, "--mask", "center")
    tied = [each for each in answer["models"] if each["tied_with_best"]]
    fastest = min(tied, key=lambda each: each["latency_ms"])
    far = answer["models"][0]["means"]["psnr"] - fastest["means"]["psnr"]
    assert far > 0
    assert main(["recommend", "--mask", "center"]) == 0
    line = f"{fastest['model']}, {fastest['latency_ms']:.0f} ms, PSNR {far:.2f} dB from the best."
    assert line in capsys.readouterr().out
