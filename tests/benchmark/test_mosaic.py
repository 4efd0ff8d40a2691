"""Mask sets whose holes show a mosaic of the ground truth: only for methods that see it, in a separate column."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Options, export_inputs
from inpaint_zoo.benchmark.report.markdown import markdown
from inpaint_zoo.benchmark.report.plots import hole_plots, time_plots
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.tables import matrices, tables
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import read_image
from inpaint_zoo.ops import mosaic, to_uint8
from tests.helpers.suites import Diary, small_suite, write_images, write_suite

NET = "autoencoder_tiny"
CENTER = {"name": "center", "size": 24}
MOSAIC = {**CENTER, "input_mode": "mosaic", "mosaic_unit": 6, "mosaic_interpolation": "nearest"}
LABEL = "center, mosaic (deblurring)"
METHODS = ["mean_fill", NET, f"hole_ns:{NET}", {"folder": "theirs"}]
REFUSING = {"mean_fill", f"hole_ns:{NET}", "theirs"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run a suite with the mosaic and one without; the `folder` method has results for the mask set that both share."""
    folder = tmp_path_factory.mktemp("mosaic")
    write_images(folder / "theirs")
    for name, masks in (("both", [CENTER, MOSAIC]), ("alone", [CENTER])):
        suite = write_suite(folder, methods=METHODS, masks=masks)
        assert main(["benchmark", str(suite), "--out", str(folder / name)]) == 0
    return read_run(folder / "both"), read_run(folder / "alone")


def test_networks_find_the_mosaic_and_others_are_not_asked(runs):
    run, _ = runs
    net = iz.create_model(NET, weights="shipped")
    for number in run.gallery_numbers("images"):
        target = read_image(run.target_file("images", number)).rgb
        hole = read_image(run.mask_file("images", LABEL, number)).rgb[..., 0] > 127
        image = torch.from_numpy(target.copy()).permute(2, 0, 1)[None].float() / 255
        mask = torch.from_numpy(hole)[None, None].float()
        with torch.no_grad():
            filled = net(image, mask, hole_fill=mosaic(image, mask, 6, "nearest"))
        expected = to_uint8(filled)[0].permute(1, 2, 0).numpy()
        found = read_image(run.result_file((NET, "images", LABEL), number)).rgb
        assert np.abs(found.astype(int) - expected).max() <= 1  # the suite uses the network's fast form
    assert run.missing.keys() == {(method, "images", LABEL) for method in REFUSING}
    assert run.missing["mean_fill", "images", LABEL] == (
        "not applicable: 'mean_fill' ignores the values in the hole, so a mosaic would not change its result"
    )
    assert run.missing["theirs", "images", LABEL] == (
        "not applicable: only networks of the registry are shown a mosaic"
    )
    assert run.not_applicable == 3
    assert json.loads((run.folder / "provenance.json").read_text())["failed"] == []


def test_the_other_mask_set_keeps_its_numbers_and_its_cells(runs):
    both, alone = runs
    kept = both.results[both.results["mask"] == "center"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, alone.results, check_exact=True)
    names = [{cell: name for cell, (name, _) in run.cells.items() if cell[2] == "center"} for run in runs]
    assert names[0] == names[1]
    assert len(names[0]) == 4
    assert len(both.cells) == 5


def test_neither_ranks_nor_plots_count_it(runs):
    ranks, by_hole, by_time = [], [], []
    for run in runs:
        overview = matrices(run, tables(run))
        assert {matrix.counted for matrix in overview} == {1}
        ranks.append([{row.method: (row.mean_rank, row.n_ranks) for row in matrix.rows} for matrix in overview])
        by_hole.append([(plot.numbers, plot.drawings) for plot in hole_plots(run)])
        by_time.append([{(method, mean) for method, _, mean in plot.numbers} for plot in time_plots(run)])
    assert ranks[0] == ranks[1]
    assert by_hole[0] == by_hole[1]
    assert by_time[0] == by_time[1]


def test_the_report_says_what_it_is(runs):
    run, _ = runs
    scores = tables(run)
    assert [(table.mask, table.deblurring) for table in scores] == [("center", False), (LABEL, True)]
    first = scores[1].rows[0]
    assert (first.method, first.missing, first.entries[0].rank) == (NET, None, 1)
    text = markdown(run, scores, matrices(run, scores), None)
    assert f"## images, {LABEL}" in text
    assert f"{LABEL}: the hole shows a mosaic of the ground truth. This is deblurring, not inpainting" in text
    page = (run.folder / "report.html").read_text()
    assert LABEL in page
    assert "<dd>5/5</dd>" in page  # only cells that apply are counted


def test_what_others_get_has_no_mosaic(tmp_path):
    suite = small_suite(tmp_path, masks=[CENTER, MOSAIC])
    assert export_inputs(suite, tmp_path / "inputs", Options(), Diary()) == 5
    assert [path.name for path in (tmp_path / "inputs" / "images" / "images").iterdir()] == ["center"]


def test_labels_and_what_is_written_of_a_suite(tmp_path):
    bins = {"name": "lama_box", "label": "boxes", "bins": [0, 0.3, 1], "input_mode": "mosaic"}
    suite = small_suite(tmp_path, masks=[CENTER, {**CENTER, "label": "c", "input_mode": "hole"}, MOSAIC, bins])
    labels = [entry.label for entry in suite.masks]
    assert labels == ["center", "c", LABEL, *(f"boxes_{b}, mosaic (deblurring)" for b in ("0-0.3", "0.3-1"))]
    plain = suite.plain()["masks"]
    assert plain[0] == {"label": "center", **CENTER}
    assert plain[2] == {"label": LABEL, **MOSAIC}
    assert [mask.get("mosaic_unit") for mask in plain] == [None, None, 6, 12, 12]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_mode": "mosaik"}, r"suite\.yaml:\d+: Unknown `input_mode`: 'mosaik'. Did you mean 'mosaic'"),
        ({"input_mode": "hole_ns"}, "set the method to `hole_ns:NAME`"),
        ({"mosaic_unit": 0}, "'mosaic_unit' of a mask set must be at least 1, got 0"),
        ({"mosaic_interpolation": "linear"}, "Unknown `mosaic_interpolation`: 'linear'"),
        ({"input_mode": "hole"}, "'mosaic_unit' needs 'input_mode: mosaic'"),
    ],
)
def test_wrong_keys_name_their_line(tmp_path, change, message):
    with pytest.raises(ZooError, match=message):
        small_suite(tmp_path, masks=[{**MOSAIC, **change}])


def test_an_image_smaller_than_a_block_fails_by_name(tmp_path, capsys):
    suite = write_suite(tmp_path, methods=[NET], masks=[{**MOSAIC, "mosaic_unit": 65}])
    assert main(["benchmark", str(suite), "--out", str(tmp_path / "out")]) == 1
    assert "must be at least the mosaic's `unit` of 65 px, got 64 x 64 px" in capsys.readouterr().err
