import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.images import ImageSet
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks import create_generator, create_mask
from tests.helpers.suites import METRICS, Diary, make_image, results_bytes, small_suite, write_suite
from tests.helpers.toy import registered_toy

ONE = Options(workers=1, device="cpu")


def cells_of(out):
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}


def provenance(out):
    return json.loads((out / "provenance.json").read_text())


def test_results_hold_every_cell_in_suite_order(tmp_path):
    out = tmp_path / "out"
    diary = Diary()
    outcome = run_suite(small_suite(tmp_path), out, ONE, diary)
    assert (outcome.computed, outcome.skipped, outcome.failed) == (4, 0, ())
    assert diary.images == 4 * 5
    results = pd.read_parquet(out / "results.parquet")
    assert list(results.columns) == ["method", "dataset", "mask", "image", "metric", "value", "group", "hole_ratio"]
    keys = ["p0", "p1", "p2", "p3", "more/p4"]
    wanted = [
        (method, "images", mask, key, metric)
        for method in ("mean_fill", "telea")
        for mask in ("center", "lama_box")
        for key in sorted(keys)
        for metric in METRICS
    ]
    found = list(results[["method", "dataset", "mask", "image", "metric"]].itertuples(index=False, name=None))
    assert found == wanted
    assert (results["group"] == results["image"]).all()
    assert (results.loc[results["mask"] == "center", "hole_ratio"] == (24 / 64) ** 2).all()
    timings = pd.read_parquet(out / "timings.parquet")
    assert len(timings) == 20
    assert (timings["seconds"] > 0).all()
    assert outcome.report == out / "report.html"
    assert outcome.report.is_file()


def test_a_cell_loads_each_image_once(tmp_path, monkeypatch):
    """Including the image that warms the method up, and those of the gallery."""
    loaded = []
    load = ImageSet.load
    monkeypatch.setattr(ImageSet, "load", lambda self, index: loaded.append(index) or load(self, index))
    outcome = run_suite(small_suite(tmp_path), tmp_path / "out", Options(workers=1, device="cpu", gallery=5))
    assert sorted(loaded) == sorted(outcome.computed * [*range(5)])


def test_values_are_those_of_the_images_and_masks_of_the_public_api(tmp_path):
    out = tmp_path / "out"
    run_suite(small_suite(tmp_path), out, Options(workers=1, device="cpu", gallery=5))
    record = next(r for r in provenance(out)["cells"].values() if (r["method"], r["mask"]) == ("telea", "lama_box"))
    results = pd.read_parquet(out / "results.parquet")
    rows = results[(results["method"] == "telea") & (results["mask"] == "lama_box") & (results["metric"] == "psnr")]
    for index, row in enumerate(rows.itertuples()):
        target = np.asarray(Image.open(out / "gallery" / "images" / f"{index}.png").convert("RGB"))
        image = np.asarray(Image.open(out / "cells" / record["id"] / "images" / f"{index}.png").convert("RGB"))
        mask = np.asarray(Image.open(out / "gallery" / "images" / "lama_box" / f"{index}.png").convert("L")) > 127
        np.testing.assert_array_equal(mask, create_mask("lama_box", size=(64, 64), seed=7, index=index))
        np.testing.assert_array_equal(image[~mask], target[~mask])
        assert row.hole_ratio == mask.mean()
        mse = np.mean((image / 255.0 - target / 255.0) ** 2)
        assert row.value == pytest.approx(10 * np.log10(1 / mse), abs=1e-4)


def test_workers_and_batch_size_change_no_byte(tmp_path):
    with registered_toy():
        suite = small_suite(tmp_path, methods=["mean_fill", "telea", {"model": "toy", "weights": "random"}])
        run_suite(suite, tmp_path / "a", ONE)
        for name, workers, batch in (("b", 3, 1), ("c", 1, 4), ("d", 2, 16)):
            run_suite(suite, tmp_path / name, Options(workers=workers, batch_size=batch, device="cpu"))
            assert results_bytes(tmp_path / name) == results_bytes(tmp_path / "a")


def test_a_second_run_computes_nothing(tmp_path):
    out = tmp_path / "out"
    suite = small_suite(tmp_path)
    run_suite(suite, out, ONE)
    before, cells = results_bytes(out), cells_of(out)
    outcome = run_suite(suite, out, ONE)
    assert (outcome.computed, outcome.skipped) == (0, 4)
    assert cells_of(out) == cells
    assert results_bytes(out) == before


def test_fresh_computes_again_and_gives_the_same(tmp_path):
    out = tmp_path / "out"
    suite = small_suite(tmp_path)
    run_suite(suite, out, ONE)
    before, cells = results_bytes(out), cells_of(out)
    outcome = run_suite(suite, out, Options(workers=1, device="cpu", fresh=True, only=("telea",)))
    assert (outcome.computed, outcome.skipped) == (2, 0)
    after = cells_of(out)
    assert after.keys() == cells.keys()
    assert sum(after[name] != cells[name] for name in cells) == 2
    assert results_bytes(out) == before


def test_only_restricts_and_results_keep_what_is_done(tmp_path):
    out = tmp_path / "out"
    suite = small_suite(tmp_path)
    diary = Diary()
    run_suite(suite, out, Options(workers=1, device="cpu", only=("method=tel*", "mask=cent*")), diary)
    assert diary.cells == ["telea on images, center"]
    diary = Diary()
    run_suite(suite, out, Options(workers=1, device="cpu", only=("mean_fill",)), diary)
    assert diary.cells == ["mean_fill on images, center", "mean_fill on images, lama_box"]
    results = pd.read_parquet(out / "results.parquet")
    assert set(zip(results["method"], results["mask"], strict=True)) == {
        ("telea", "center"),
        ("mean_fill", "center"),
        ("mean_fill", "lama_box"),
    }
    with pytest.raises(ZooError, match="--only mask=centre: no mask matches; available: center, lama_box"):
        run_suite(suite, out, Options(only=("mask=centre",)))
    with pytest.raises(ZooError, match="--only must be method=GLOB"):
        run_suite(suite, out, Options(only=("mask=",)))


def test_adding_and_renaming_methods_recomputes_only_what_is_new(tmp_path):
    out = tmp_path / "out"
    run_suite(small_suite(tmp_path, methods=["telea"]), out, ONE)
    diary = Diary()
    suite = small_suite(tmp_path, methods=["mean_fill", {"model": "telea", "label": "Telea (2004)"}])
    run_suite(suite, out, ONE, diary)
    assert diary.cells == ["mean_fill on images, center", "mean_fill on images, lama_box"]
    assert list(pd.read_parquet(out / "results.parquet")["method"].unique()) == ["mean_fill", "Telea (2004)"]


def test_changed_images_options_and_metrics_are_new_cells(tmp_path):
    out = tmp_path / "out"
    run_suite(small_suite(tmp_path, methods=["telea"]), out, ONE)
    for change in ({"methods": [{"model": "telea", "options": {"radius": 3}}]}, {"metrics": ["psnr"]}):
        assert run_suite(small_suite(tmp_path, **{"methods": ["telea"], **change}), out, ONE).computed == 2
    Image.fromarray(make_image(77)).save(tmp_path / "images" / "p1.png")
    assert run_suite(small_suite(tmp_path, methods=["telea"]), out, ONE).computed == 2


def test_the_same_method_twice_is_refused(tmp_path):
    suite = small_suite(tmp_path, methods=["telea", {"model": "telea", "label": "again"}])
    with pytest.raises(ZooError, match="'telea on images, center' and 'again on images, center' have the same content"):
        run_suite(suite, tmp_path / "out", ONE)
    assert not (tmp_path / "out").exists()


def test_a_failed_cell_is_recorded_and_redone(tmp_path):
    module = tmp_path / "sometimes_fails.py"
    module.write_text(
        "from pathlib import Path\n"
        "def fill(image, mask):\n"
        "    if Path(__file__).with_name('broken').exists():\n"
        "        raise RuntimeError('the device\\nis on fire')\n"
        "    return image\n"
    )
    (tmp_path / "broken").touch()
    out = tmp_path / "out"
    suite = small_suite(tmp_path, methods=[{"callable": "sometimes_fails:fill", "label": "Mine"}, "telea"])
    diary = Diary()
    outcome = run_suite(suite, out, ONE, diary)
    assert [failure.error for failure in outcome.failed] == ["RuntimeError: the device is on fire (image more/p4)"] * 2
    assert outcome.computed == 2
    assert list(pd.read_parquet(out / "results.parquet")["method"].unique()) == ["telea"]
    failed = provenance(out)["failed"]
    assert [(entry["method"], entry["mask"]) for entry in failed] == [("Mine", "center"), ("Mine", "lama_box")]
    assert "RuntimeError" in next((out / "cells").rglob("traceback.txt")).read_text()
    (tmp_path / "broken").unlink()
    outcome = run_suite(suite, out, ONE, Diary())
    assert (outcome.computed, outcome.skipped, outcome.failed) == (2, 2, ())
    assert list(pd.read_parquet(out / "results.parquet")["method"].unique()) == ["Mine", "telea"]
    assert provenance(out)["failed"] == []
    assert list((out / "cells").rglob("traceback.txt")) == []


def test_when_every_cell_fails_there_is_no_report(tmp_path):
    suite = small_suite(tmp_path, masks=[{"name": "center", "size": 99}])
    outcome = run_suite(suite, tmp_path / "out", ONE)
    assert outcome.report is None
    assert len(outcome.failed) == 2
    assert "99 does not fit" in outcome.failed[0].error


def test_unreadable_images_are_listed_and_the_others_keep_their_masks(tmp_path):
    out = tmp_path / "out"
    suite = small_suite(tmp_path, methods=["mean_fill"], masks=["lama_box"])
    run_suite(suite, tmp_path / "whole", ONE)
    broken = tmp_path / "images" / "p1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    (tmp_path / "images" / "p3.png").write_bytes(b"")
    diary = Diary()
    with pytest.raises(ZooError, match=r"2 of the suite's images cannot be read, the first is .*p1\.png"):
        run_suite(suite, out, ONE, diary)
    assert [note.split(":")[0].rsplit("/")[-1] for note in diary.notes] == ["p1.png", "p3.png"]
    assert not out.exists()
    outcome = run_suite(suite, out, Options(workers=1, device="cpu", allow_missing=True))
    assert [problem.dataset for problem in outcome.unreadable] == ["images", "images"]
    whole = pd.read_parquet(tmp_path / "whole" / "results.parquet")
    rest = pd.read_parquet(out / "results.parquet")
    assert set(rest["image"]) == {"p0", "p2", "more/p4"}
    kept = whole[whole["image"].isin(rest["image"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, kept)  # the same masks, hence the same values
    assert len(provenance(out)["unreadable"]) == 2


def test_nothing_readable_is_an_error_even_when_missing_is_allowed(tmp_path):
    suite = small_suite(tmp_path)
    for path in (tmp_path / "images").rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(ZooError, match="No image of the dataset 'images' can be read"):
        run_suite(suite, tmp_path / "out", Options(allow_missing=True))


def test_metrics_without_weights_are_skipped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    diary = Diary()
    suite = small_suite(tmp_path, metrics=["lpips_vgg", "psnr"], methods=["mean_fill"])
    outcome = run_suite(suite, tmp_path / "out", ONE, diary)
    assert list(outcome.skipped_metrics) == ["lpips_vgg"]
    assert len(diary.notes) == 1
    assert "vgg16" in diary.notes[0]
    assert [entry["metric"] for entry in provenance(tmp_path / "out")["skipped_metrics"]] == ["lpips_vgg"]
    nothing = run_suite(small_suite(tmp_path, metrics=["lpips_vgg"]), tmp_path / "other", ONE)
    assert (nothing.computed, len(nothing.missing), nothing.report) == (0, 4, None)
    assert nothing.missing[0].parts[0].what == "metric 'lpips_vgg'"
    assert "vgg16" in nothing.missing[0].parts[0].where


def test_metrics_of_sets_use_features_of_the_ground_truth_once(tmp_path, monkeypatch):
    import inpaint_zoo.metrics
    from inpaint_zoo.metrics import FID, KID

    calls = []

    class Colours(torch.nn.Module):
        def forward(self, images):
            calls.append(len(images))
            return images.mean(dim=(2, 3))

    original = inpaint_zoo.metrics.create_metric

    def create(name):
        sets = {"fid": FID, "kid": KID}
        metric = sets[name](extractor=Colours()) if name in sets else original(name)
        metric.feature_key = "colours"  # like that of a named network: equal in every process
        return metric

    monkeypatch.setattr(inpaint_zoo.metrics, "create_metric", create)
    (tmp_path / "backbone").touch()
    monkeypatch.setattr("inpaint_zoo.weights.find_backbone", lambda name: tmp_path / "backbone")
    suite = small_suite(tmp_path, metrics=["fid", "psnr"], methods=["mean_fill", "telea"], masks=["lama_box"])
    out = tmp_path / "out"
    run_suite(suite, out, ONE)
    assert len(calls) == 5 + 5 + 5  # each method's results and the ground truth, once
    results = pd.read_parquet(out / "results.parquet")
    rows = results[results["metric"] == "fid"]
    assert list(rows["method"]) == ["mean_fill", "telea"]
    assert rows["image"].isna().all()
    assert rows["group"].isna().all()
    assert (rows["value"] > 0).all()
    assert results.groupby("method", sort=False)["metric"].last().tolist() == ["kid", "kid"]  # after the images
    cells = json.loads((out / "provenance.json").read_text())["cells"].values()
    for record in cells:
        low, high = record["set_metric_intervals"]["fid"]
        value = rows.loc[rows["method"] == record["method"], "value"].item()
        assert 0 <= low < value < high
    run_suite(suite, out, Options(workers=2, device="cpu", fresh=True))
    assert len(calls) == 15 + 10  # those of the ground truth came from the cache
    more = small_suite(tmp_path, metrics=["fid", "l1", "psnr"], methods=["mean_fill"], masks=["lama_box"])
    run_suite(more, out, ONE)
    assert len(calls) == 25 + 5  # new cells, but the same features of the ground truth


def test_complexity_and_provenance_name_their_conventions(tmp_path):
    with registered_toy():
        out = tmp_path / "out"
        run_suite(small_suite(tmp_path, methods=[{"model": "toy", "weights": "random"}, "telea"]), out, ONE)
    content = provenance(out)
    toy, telea = content["complexity"]
    assert toy["parameters"] > 0
    assert toy["macs"] > 0
    assert toy["macs_thop"] > 0
    assert "flop_counter" in toy["macs_convention"]
    assert (telea["parameters"], telea["macs"]) == (0, None)
    assert toy["latency_ms"] > 0
    record = next(iter(content["cells"].values()))["provenance"]
    for key in ("suite_seed", "code_version", "mask_identity", "dataset_identity", "precision", "device", "metrics"):
        assert record[key] is not None
    assert content["environment"]["torch"]


def test_bf16_is_another_cell(tmp_path):
    with registered_toy():
        out = tmp_path / "out"
        suite = small_suite(tmp_path, methods=[{"model": "toy", "weights": "random"}], masks=["lama_box"])
        run_suite(suite, out, ONE)
        assert run_suite(suite, out, Options(workers=1, device="cpu", precision="bf16")).computed == 1


def test_options_are_checked(tmp_path):
    with pytest.raises(ZooError, match="--batch-size must be at least 1, got 0"):
        Options(batch_size=0)
    with pytest.raises(ZooError, match="--device mps: not available on this machine"):
        run_suite(small_suite(tmp_path), tmp_path / "out", Options(device="mps"))


def test_gallery_shows_each_image_before_any_second_crop(tmp_path):
    suite = small_suite(
        tmp_path,
        datasets=[{"name": "images", "root": "images", "size": 32, "crop": "grid"}],
        masks=[{"name": "center", "size": 10}],
    )
    out = tmp_path / "out"
    run_suite(suite, out, Options(workers=1, device="cpu", gallery=6))
    results = pd.read_parquet(out / "results.parquet")
    keys = list(results["image"].unique())
    shown = sorted(int(path.stem) for path in (out / "gallery" / "images").glob("*.png"))
    assert len(shown) == 6
    assert len({keys[number].rsplit("_", 1)[0] for number in shown}) == 5
    for record in provenance(out)["cells"].values():
        images = (out / "cells" / record["id"] / "images").glob("*.png")
        assert sorted(int(path.stem) for path in images) == shown


def test_mask_sets_are_spelled_out_beside_the_results(tmp_path):
    suite = small_suite(tmp_path, methods=["mean_fill"], masks=[{"name": "center", "size": 24}, "lama_thin_256"])
    run_suite(suite, tmp_path / "out", ONE)
    for label in ("center", "lama_thin_256"):
        generator = create_generator(tmp_path / "out" / "masks" / f"{label}.yaml")
        assert generator.seed == suite.seed
        spec = {"name": "center", "size": 24} if label == "center" else label
        assert np.array_equal(generator(3, (64, 64)), create_generator(spec, seed=suite.seed)(3, (64, 64)))


def test_suite_file_is_kept_as_run(tmp_path):
    path = write_suite(tmp_path)
    run_suite(load_suite(path), tmp_path / "out", ONE)
    assert (tmp_path / "out" / "suite.yaml").read_bytes() == path.read_bytes()
    assert json.loads((tmp_path / "out" / "suite.json").read_text())["metrics"] == METRICS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_workers_and_batch_size_change_no_byte(tmp_path):
    suite = small_suite(tmp_path, methods=["telea", {"model": "autoencoder_tiny", "weights": "random"}])
    for name, workers, batch in (("a", 1, 1), ("b", 4, 4), ("c", 2, 16)):
        outcome = run_suite(suite, tmp_path / name, Options(workers=workers, batch_size=batch, device="cuda"))
        assert outcome.failed == ()
        assert results_bytes(tmp_path / name) == results_bytes(tmp_path / "a")
    toy = provenance(tmp_path / "a")["complexity"][1]
    assert toy["peak_memory_mb"] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_results_of_the_cpu(tmp_path):
    """A rounding difference of one level in the hole moves the PSNR of these images by less than 0.05 dB."""
    suite = small_suite(tmp_path, methods=["telea", {"shipped": "*_tiny"}])
    tables = {}
    for device in ("cpu", "cuda"):
        assert run_suite(suite, tmp_path / device, Options(workers=2, batch_size=4, device=device)).failed == ()
        tables[device] = pd.read_parquet(tmp_path / device / "results.parquet")
    keys = [column for column in tables["cpu"].columns if column not in ("value",)]
    both = tables["cpu"].merge(tables["cuda"], on=keys, suffixes=("_cpu", "_cuda"), validate="one_to_one")
    assert len(both) == len(tables["cpu"]) == len(tables["cuda"])
    for metric, tolerance in (("psnr", 0.05), ("ssim", 1e-3), ("l1_percent", 0.02)):
        rows = both[both.metric == metric]
        assert len(rows)
        np.testing.assert_allclose(rows.value_cuda, rows.value_cpu, atol=tolerance)
