"""Several masks for each image: which masks, what the statistics resample, what existing results keep."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.breakdown import Clock
from inpaint_zoo.benchmark.compute import Watch, compute_part, load_sample, worker_threads
from inpaint_zoo.benchmark.export import export_inputs
from inpaint_zoo.benchmark.options import Listener
from inpaint_zoo.benchmark.parts import Part, merge_parts
from inpaint_zoo.benchmark.plan import make_plan, open_sources
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks import create_mask
from inpaint_zoo.metrics import FID
from tests.helpers.suites import results_bytes, small_suite, write_images, write_suite

ONE = Options(workers=1, device="cpu")
IMAGES = 3
KEYS = ("more/p2", "p0", "p1")  # in the order of the dataset


def thick(**more):
    return {"name": "lama_thick_256", **more}


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", IMAGES)
    return tmp_path


def results(out):
    return pd.read_parquet(out / "results.parquet")


def test_each_draw_has_its_own_masks_and_the_first_ones_are_those_without_draws(folder):
    methods = ["mean_fill", "telea"]
    run_suite(small_suite(folder, methods=methods, masks=[thick()]), folder / "one", ONE)
    suite = small_suite(folder, methods=methods, masks=[thick(draws=4)])
    assert run_suite(suite, folder / "four", ONE).computed == 2
    rows = results(folder / "four")
    keys = [f"{key}#{draw}" if draw else key for draw in range(4) for key in KEYS]
    assert list(rows["image"].unique()) == keys
    for row in rows.itertuples():
        key, _, draw = row.image.partition("#")
        mask = create_mask("lama_thick_256", size=(64, 64), seed=7, index=KEYS.index(key) + IMAGES * int(draw or 0))
        assert row.hole_ratio == mask.mean()
        assert row.group == key
    pd.testing.assert_frame_equal(
        rows[~rows["image"].str.contains("#")].reset_index(drop=True), results(folder / "one").reset_index(drop=True)
    )
    timings = pd.read_parquet(folder / "four" / "timings.parquet")
    assert list(timings.loc[timings["method"] == "telea", "image"]) == keys
    before = results_bytes(folder / "four")
    assert run_suite(suite, folder / "four", ONE).computed == 0
    assert results_bytes(folder / "four") == before


def test_one_draw_is_the_suite_without_draws(folder):
    run_suite(small_suite(folder, masks=[thick()]), folder / "out", ONE)
    suite = json.loads((folder / "out" / "suite.json").read_text())
    assert run_suite(small_suite(folder, masks=[thick(draws=1)]), folder / "out", ONE).computed == 0
    assert json.loads((folder / "out" / "suite.json").read_text()) == suite
    run_suite(small_suite(folder, masks=[thick(draws=2)]), folder / "out", ONE)
    assert json.loads((folder / "out" / "suite.json").read_text())["identity"] != suite["identity"]


def test_intervals_and_tests_resample_source_images(folder):
    out = folder / "out"
    run_suite(small_suite(folder, masks=[thick(draws=5)], metrics=["psnr"]), out, ONE)
    summary = pd.read_csv(out / "summary.csv")
    assert set(summary["n_images"]) == {5 * IMAGES}
    assert set(summary["n_groups"]) == {IMAGES}
    rows = results(out).pivot_table(index="image", columns="method", values="value")
    for row in summary.itertuples():
        assert row.mean == pytest.approx(rows[row.method].mean(), rel=1e-12)
    assert summary["p_value"].min() >= 2 ** (1 - IMAGES)  # with 15 independent samples it could be 2^-14
    report = (out / "report.md").read_text()
    assert "3 images, each with 5 masks." in report
    assert "2 methods on 3 images (images), under 1 mask set" in report


def scored(folder, masks, extractor):
    """Compute a cell of telea with a FID of 48 features; return its rows and the plan."""
    suite = small_suite(folder, methods=["telea"], masks=[masks], metrics=["psnr"])
    plan = make_plan(suite, open_sources(suite, 1, folder / "cache"), torch.device("cpu"), "fp32")
    plan.scorer.set_metrics["fid"] = fid = FID(extractor=extractor)
    (cell,) = plan.cells
    cell.method.start(cell.task, torch.device("cpu"), "fp32")

    def target_features(images):
        features = plan.scorer.features([images.load(index) for index in images.indices])
        return {fid.feature_key: np.stack([each[fid.feature_key] for each in features])}

    with worker_threads(1) as pool:
        part = Part(alone=True)
        compute_part(
            cell,
            plan.scorer,
            pool,
            part,
            positions=range(len(cell.samples)),
            first=None,
            workers=1,
            batch_size=2,
            gallery=0,
            clock=Clock(),
            watch=Watch(),
        )
    result = merge_parts(cell, plan.scorer, [part], target_features, Clock())
    return result.values.to_pandas(), cell


def test_a_set_metric_is_the_mean_of_the_draws(folder):
    pool = torch.nn.AdaptiveAvgPool2d(4)
    values, cell = scored(folder, thick(draws=3), pool)
    one, _ = scored(folder, thick(), pool)
    fids = []
    for draw in range(3):
        each = [load_sample(cell.image_set, cell.masks, index, draw) for index in range(IMAGES)]
        fid = FID(extractor=pool)
        for sample, output in zip(each, cell.method.fill([sample.item for sample in each]), strict=True):
            fid.update(*(torch.tensor(x).permute(2, 0, 1)[None] / 255 for x in (output.image, sample.target)))
        fids.append(float(fid.compute()))
    (found,) = values.loc[values["metric"] == "fid", "value"]
    assert found == pytest.approx(np.mean(fids), rel=1e-6)
    assert len(set(fids)) == 3
    assert one.loc[one["metric"] == "fid", "value"].item() == pytest.approx(fids[0], rel=1e-6)


def test_the_gallery_shows_the_first_draw(folder):
    out = folder / "out"
    masks = [thick(draws=2), "lama_box"]
    run_suite(small_suite(folder, methods=["telea"], masks=masks), out, ONE)
    for number, key in enumerate(KEYS):
        shown = np.asarray(Image.open(out / "gallery" / "images" / "lama_thick_256" / f"{number}.png")) > 0
        wanted = create_mask("lama_thick_256", size=(64, 64), seed=7, index=KEYS.index(key)) > 0
        np.testing.assert_array_equal(shown, wanted)
    assert [file.name for file in sorted((out / "gallery" / "images").glob("*.png"))] == ["0.png", "1.png", "2.png"]


def test_results_of_another_program_are_named_as_the_exported_inputs(folder):
    suite = small_suite(folder, methods=["telea"], masks=[thick(draws=2)])
    assert export_inputs(suite, folder / "inputs", ONE, Listener()) == 2 * IMAGES
    (folder / "inputs" / "images").rename(folder / "theirs")
    suite = small_suite(folder, methods=[{"folder": "theirs", "label": "Theirs"}], masks=[thick(draws=2)])
    assert run_suite(suite, folder / "out", ONE).computed == 1
    assert results(folder / "out")["image"].nunique() == 2 * IMAGES
    (folder / "theirs" / "images" / "lama_thick_256" / "p0#1.png").unlink()
    (failure,) = run_suite(suite, folder / "out", ONE).failed
    assert "p0#1" in failure.error


def refusal(folder, *masks):
    with pytest.raises(ZooError) as raised:
        open_sources(load_suite(write_suite(folder, masks=list(masks))), 1, folder / "cache")
    return str(raised.value)


def test_draws_that_cannot_differ_are_refused(folder):
    message = refusal(folder, {"name": "center", "size": 24, "draws": 3})
    assert "suite.yaml:" in message
    assert "'center' has one mask for an image of 'images', not 3; remove 'draws'" in message
    bank = folder / "bank"
    for number in range(IMAGES + 1):
        mask = np.zeros((64, 64), np.uint8)
        mask[: 8 * (number + 1)] = 255
        bank.mkdir(exist_ok=True)
        Image.fromarray(mask).save(bank / f"{number}.png")
    open_sources(small_suite(folder, masks=[{"bank": "bank", "draws": 4}]), 1, folder / "cache")
    message = refusal(folder, {"bank": "bank", "draws": 5})
    assert "4 files give only 4 different masks for an image of 'images', which has 3 images" in message
    (bank / "3.png").unlink()
    assert "has one mask for an image" in refusal(folder, {"bank": "bank", "draws": 2})


def test_a_name_that_looks_like_a_second_mask_is_refused(folder):
    (folder / "images" / "p1.png").rename(folder / "images" / "p0#1.png")
    assert "the image 'p0#1' of 'images' has the name of an image's second mask" in refusal(folder, thick(draws=2))
    open_sources(small_suite(folder, masks=[thick()]), 1, folder / "cache")


def test_wrong_values_name_the_place(folder, capsys):
    path = write_suite(folder, masks=[thick(draws=0)])
    assert main(["benchmark", str(path), "--out", str(folder / "out")]) == 2
    assert "'draws'" in capsys.readouterr().err
    write_suite(folder, datasets=[{"name": "images", "root": "images", "draws": 2}])
    assert main(["benchmark", str(path), "--out", str(folder / "out")]) == 2
    assert "draws" in capsys.readouterr().err


def test_a_list_takes_draws(folder):
    suite = load_suite(write_suite(folder, masks=[{"masks": "lgnet_eval", "draws": 2}]))
    assert {entry.draws for entry in suite.masks} == {2}
    assert {entry["draws"] for entry in suite.plain()["masks"]} == {2}
