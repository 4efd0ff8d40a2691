"""Costs cover every image of a cell: passes against a direct count, MACs, latencies, independent of cell order."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.analysis.cost import IN_THE_RUN, OUTSIDE_THE_RUN, SPREAD, distribution, pool, timed_in_the_run
from inpaint_zoo.analysis.macs import Macs, count_macs
from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.report.costs import pass_costs
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.masks import create_mask
from tests.helpers.suites import make_image, methods_of, results_bytes, small_suite, write_images
from tests.helpers.toy import registered_toy

ONE = Options(workers=1, device="cpu")
PROGRESSIVE = "progressive:isnet_tiny"
SMALL_HOLES = {"name": "center", "size": 20}  # below the threshold: one pass
LARGE_HOLES = "lama_thick_256"  # some are above it


def provenance(out):
    return json.loads((out / "provenance.json").read_text())


def costs_by_mask(out, method):
    records = provenance(out)["cells"].values()
    return {record["mask"]: record["costs"] for record in records if record["method"] == method}


def passes_by_image(out):
    timings = pd.read_parquet(out / "timings.parquet")
    return {(row.mask, row.image): row.passes for row in timings.itertuples()}


def counted_directly(masks):
    """Count the samples that reach the first convolution of the network itself, for each mask set and image."""
    net = iz.create_model(PROGRESSIVE, weights="shipped")
    samples = []
    first = next(module for module in net.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_pre_hook(lambda module, inputs: samples.append(len(inputs[0])))
    found = {}
    for label, spec in masks.items():
        for index, key in enumerate(("more/p3", "p0", "p1", "p2")):
            pixels = torch.from_numpy(make_image(index)).permute(2, 0, 1)[None].float() / 255
            mask = torch.from_numpy(create_mask(spec, size=(64, 64), seed=7, index=index))[None, None].float()
            samples.clear()
            with torch.no_grad():
                net(pixels * (1 - mask), mask)
            found[label, key] = sum(samples)
    return found


def without_times(costs):
    return {key: value for key, value in costs.items() if key.partition("_")[0] not in ("latency", "peak")}


def test_passes_and_macs_are_those_of_every_image_whatever_comes_first(tmp_path):
    write_images(tmp_path / "images", 4)
    expected = counted_directly({"center": SMALL_HOLES, LARGE_HOLES: LARGE_HOLES})
    large = [passes for (label, _), passes in expected.items() if label == LARGE_HOLES]
    assert {passes for (label, _), passes in expected.items() if label == "center"} == {1}
    assert len(set(large)) > 1
    with torch.device("meta"):
        each = count_macs(iz.create_model("isnet_tiny"), 64, 64)
    everything = []
    for name, masks, options in (
        ("a", [SMALL_HOLES, LARGE_HOLES], ONE),
        ("b", [LARGE_HOLES, SMALL_HOLES], Options(workers=1, device="cpu", batch_size=3)),
    ):
        out = tmp_path / name
        run_suite(small_suite(tmp_path, methods=[PROGRESSIVE], masks=masks, metrics=["psnr"]), out, options)
        assert passes_by_image(out) == expected
        costs = costs_by_mask(out, PROGRESSIVE)
        assert costs[LARGE_HOLES]["passes"] == distribution(large)
        assert costs[LARGE_HOLES]["macs"] == distribution(count * each.true for count in large)
        assert costs[LARGE_HOLES]["macs_thop"] == distribution(count * each.thop for count in large)
        assert costs["center"]["macs"]["min"] == costs["center"]["macs"]["max"] == each.true
        assert costs[LARGE_HOLES]["latency_convention"] == IN_THE_RUN  # one by one for any batch size
        seconds = pq.read_table(out / "timings.parquet").to_pandas().query("mask == @LARGE_HOLES")["seconds"]
        assert costs[LARGE_HOLES]["latency_ms"]["mean"] == pytest.approx(1000 * seconds.mean())
        assert costs[LARGE_HOLES]["latency_ms"]["max"] == pytest.approx(1000 * seconds.max())
        (whole,) = provenance(out)["complexity"]
        assert whole["passes"] == np.mean(list(expected.values()))
        assert whole["macs"] == pytest.approx(each.true * np.mean(list(expected.values())), rel=1e-15)
        assert whole["passes_range"] == [1, max(large)]
        assert whole["macs_range"] == [each.true, max(large) * each.true]
        everything.append(({label: without_times(cost) for label, cost in costs.items()}, without_times(whole)))
    assert everything[0] == everything[1]


def test_the_report_shows_how_many_images_took_how_many_passes(tmp_path):
    write_images(tmp_path / "images", 4)
    out = tmp_path / "out"
    suite = small_suite(tmp_path, methods=["telea", PROGRESSIVE], masks=[SMALL_HOLES, LARGE_HOLES], metrics=["psnr"])
    run_suite(suite, out, ONE)
    expected = counted_directly({"center": SMALL_HOLES, LARGE_HOLES: LARGE_HOLES})
    timings = pd.read_parquet(out / "timings.parquet")
    rows = pass_costs(read_run(out))
    assert {row["method"] for row in rows} == {PROGRESSIVE}
    found = {(row["mask"], int(row["passes"].value)): row for row in rows}
    assert set(found) == {(mask, passes) for (mask, _), passes in expected.items()}
    for (mask, passes), row in found.items():
        images = [image for (name, image), count in expected.items() if (name, count) == (mask, passes)]
        assert row["images"].text == f"{len(images)} of 4"
        chosen = (timings["method"] == PROGRESSIVE) & (timings["mask"] == mask) & timings["image"].isin(images)
        milliseconds = 1000 * timings.loc[chosen, "seconds"]
        assert row["latency"][0].value == pytest.approx(milliseconds.mean())
        assert row["latency"][1].value == pytest.approx(milliseconds.median())
        assert row["latency"][4].value == pytest.approx(milliseconds.max())
    assert "Passes of repeating methods" in (out / "report.html").read_text()


def test_a_cost_table_is_measured_on_all_its_images(tmp_path):
    """The masks of ``costs`` need different numbers of passes, and the figures are means over all of them."""
    masks = [SMALL_HOLES, {"name": "center", "size": 60, "label": "large"}]
    costs = {"size": 64, "images": 3, "figures": ["passes", "latency_ms"]}
    suite = {"name": "costs", "seed": 7, "methods": [PROGRESSIVE], "masks": masks, "costs": costs}
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    run_suite(load_suite(tmp_path / "suite.yaml"), tmp_path / "out", ONE)
    record = json.loads((tmp_path / "out" / "costs.json").read_text())["methods"][PROGRESSIVE]
    passes, latency = (record["distribution"][name] for name in ("passes", "latency_ms"))
    assert (passes["n"], passes["min"], latency["n"]) == (6, 1, 6)
    assert passes["max"] > 1
    assert record["figures"] == {"passes": passes["mean"], "latency_ms": latency["mean"]}
    assert passes["mean"] == (1 + passes["max"]) / 2
    assert latency["min"] < latency["median"] < latency["max"]


def test_macs_of_a_network_that_repeats_are_exact_for_any_number_of_passes():
    """The linear rule equals a count of all passes, for a part that runs once and a part that repeats."""
    with torch.device("meta"):
        once = count_macs(iz.create_model("local_global:isnet_tiny", levels=6, width=8, local_width=8), 64, 64)
        inner = count_macs(iz.create_model("isnet_tiny"), 64, 64)
        both = count_macs(
            iz.create_model("local_global:progressive:isnet_tiny", levels=6, width=8, local_width=8), 64, 64
        )
        assert count_macs(iz.create_model("progressive:progressive:isnet_tiny"), 64, 64) is None
    assert both[:2] == once[:2]
    for passes in (1, 2, 7):
        found = both.with_passes(passes)
        assert found[:2] == (once.true + (passes - 1) * inner.true, once.thop + (passes - 1) * inner.thop)
    assert once.with_passes(None) == once
    assert (once.true_of_pass, once.thop_of_pass) == (0, 0)


def combined():
    learned = [name for name in iz.list_models("*_tiny") if iz.model_info(name).learned]
    around = ["hole_ns:contextual_attention_tiny", "local_global:autoencoder_tiny", "progressive:autoencoder_tiny"]
    return [*learned, *around]


@pytest.mark.parametrize("name", combined())
def test_every_network_is_counted_on_shapes_alone(name):
    """A network's operations may depend on values only through its number of passes; otherwise it has no MACs."""
    with torch.device("meta"):
        macs = count_macs(iz.create_model(name), 64, 64)
    assert macs.true > 0
    assert bool(macs.true_of_pass) is name.startswith("progressive:")


def test_methods_in_batches_are_measured_alone_on_images_from_the_whole_cell(tmp_path):
    write_images(tmp_path / "images", SPREAD + 3)
    asked = tmp_path / "asked.txt"
    (tmp_path / "asks_of_the_test.py").write_text(
        f"def fill(image, mask):\n"
        f"    with open({str(asked)!r}, 'a') as file:\n"
        f"        file.write(f'{{int(image.sum())}}\\n')\n"
        f"    image[mask] = 128\n"
        f"    return image\n"
    )
    mine = {"callable": "asks_of_the_test:fill", "label": "Mine"}
    suite = small_suite(tmp_path, methods=[mine], masks=[SMALL_HOLES], metrics=["psnr"])
    run_suite(suite, tmp_path / "one", ONE)
    calls = asked.read_text().split()
    assert len(calls) == 1 + SPREAD + 3  # the first one is not counted
    assert len(set(calls)) == SPREAD + 3
    asked.write_text("")
    run_suite(suite, tmp_path / "batches", Options(workers=1, device="cpu", batch_size=4))
    again = asked.read_text().split()
    spread = again[1 : 1 + SPREAD]
    order = [calls[1:].index(image) for image in spread]
    assert order == sorted(set(order))
    assert (order[0], order[-1]) == (0, SPREAD + 2)
    assert again[1 + SPREAD :] == calls[1:]
    one, batches = (costs_by_mask(tmp_path / name, "Mine")["center"] for name in ("one", "batches"))
    assert (one["latency_convention"], one["latency_ms"]["n"]) == (IN_THE_RUN, SPREAD + 3)
    assert (batches["latency_convention"], batches["latency_ms"]["n"]) == (OUTSIDE_THE_RUN, SPREAD)
    assert results_bytes(tmp_path / "one") == results_bytes(tmp_path / "batches")


def test_a_run_is_a_measurement_only_where_nothing_runs_beside_the_method(tmp_path):
    write_images(tmp_path / "images", 1)
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    fixed, repeating = methods_of(small_suite(tmp_path, methods=["mean_fill", "progressive:mean_fill"]))
    for method in (fixed, repeating):
        method.start(None, cpu, "fp32")
    cases = [(cpu, 1), (cpu, 4), (cuda, 1), (cuda, 4)]
    assert [timed_in_the_run(fixed.repeats, *case) for case in cases] == [True, False, False, False]
    assert [timed_in_the_run(repeating.repeats, *case) for case in cases] == [True] * 4


def test_costs_follow_the_size_of_each_image(tmp_path):
    write_images(tmp_path / "images", 2, (64, 64))
    write_images(tmp_path / "images", 1, (96, 64))  # the one of the subfolder, wider
    datasets = [{"name": "images", "root": "images", "crop": "none"}]
    with registered_toy():
        toy = [{"model": "toy", "weights": "random"}]
        run_suite(small_suite(tmp_path, methods=toy, datasets=datasets, masks=[SMALL_HOLES]), tmp_path / "out", ONE)
        with torch.device("meta"):
            small, large = (count_macs(iz.create_model("toy"), height, 64).true for height in (64, 96))
    costs = costs_by_mask(tmp_path / "out", "toy")["center"]
    heights = pd.read_parquet(tmp_path / "out" / "timings.parquet")["height"]
    assert costs["macs"] == distribution({64: small, 96: large}[height] for height in heights)
    assert large > small
    assert costs["height"] == [64, 96]
    assert costs["width"] == [64, 64]
    assert provenance(tmp_path / "out")["complexity"][0]["height"] == [64, 96]


def test_a_folder_of_results_has_no_cost(tmp_path):
    write_images(tmp_path / "images", 2)
    write_images(tmp_path / "theirs", 2)
    suite = small_suite(tmp_path, methods=[{"folder": "theirs", "label": "Theirs"}], masks=[SMALL_HOLES])
    run_suite(suite, tmp_path / "out", ONE)
    assert provenance(tmp_path / "out")["complexity"] == []
    assert costs_by_mask(tmp_path / "out", "Theirs") == {"center": None}


def test_cells_that_were_stored_without_passes_are_kept(tmp_path):
    write_images(tmp_path / "images", 2)
    out = tmp_path / "out"
    suite = small_suite(tmp_path, methods=["telea"], masks=[SMALL_HOLES])
    run_suite(suite, out, ONE)
    before = results_bytes(out)
    (cell,) = (out / "cells").iterdir()
    table = pq.read_table(cell / "timings.parquet")
    pq.write_table(table.drop_columns(["passes"]), cell / "timings.parquet")
    record = json.loads((cell / "cell.json").read_text())
    del record["costs"]
    (cell / "cell.json").write_text(json.dumps(record))
    assert run_suite(suite, out, ONE).computed == 0
    assert pd.read_parquet(out / "timings.parquet")["passes"].isna().all()
    assert provenance(out)["complexity"] == []
    assert results_bytes(out) == before


def cost(n, mean, latency, device="cpu"):
    each = {"n": n, "mean": mean, "median": mean, "p90": mean + 1, "min": mean - 1, "max": mean + 1}
    texts = {f"{name}_convention": name for name in ("macs", "macs_thop", "memory")}
    return {
        "n_images": n,
        "parameters": 5,
        "passes": each,
        "macs": each,
        "macs_thop": None,
        "latency_ms": {**each, "mean": latency},
        "latency_convention": "alone",
        **texts,
        "peak_memory_mb": None if n == 1 else 3.0 * n,
        "width": [n, 2 * n],
        "height": [4, 4],
        "device": device,
    }


def test_pooled_means_weigh_images_and_not_cells():
    costs = [cost(1, 4.0, 10.0), cost(3, 2.0, 20.0), cost(7, 3.1, 0.1)]
    pooled = pool(costs)
    assert pooled["passes"] == pytest.approx((4 + 6 + 21.7) / 11, rel=1e-15)
    assert pooled["latency_ms"] == pytest.approx((10 + 60 + 0.7) / 11, rel=1e-15)
    assert pooled["passes_range"] == [1.0, 5.0]
    assert pooled["macs_thop"] is pooled["macs_thop_range"] is None
    assert pooled["peak_memory_mb"] == 21.0
    assert (pooled["width"], pooled["height"]) == ([1, 14], [4, 4])
    assert (pooled["n_images"], pooled["n_cells"]) == (11, 3)
    assert all(pool([costs[i] for i in order]) == pooled for order in ((2, 1, 0), (1, 2, 0)))


def test_distribution_by_hand():
    found = distribution([*range(1, 10), 100])
    assert found == {"n": 10, "mean": 14.5, "median": 5.5, "p90": 9, "min": 1, "max": 100}
    assert distribution([7]) == {"n": 1, "mean": 7.0, "median": 7, "p90": 7, "min": 7, "max": 7}
    assert Macs(10, 12, 4, 5).with_passes(1) == Macs(10, 12, 4, 5)
