"""Mask lists in suites: files where they are there, labeled stand-ins where they are not."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from inpaint_zoo.benchmark import Options, Places, load_suite, run_suite
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks import MASK_SUITES, mask_suite
from tests.helpers.suites import results_bytes, small_suite, write_suite

ONE = Options(workers=1, device="cpu")


@pytest.fixture(autouse=True)
def no_common_folder(monkeypatch):
    monkeypatch.delenv("INPAINT_ZOO_DATA", raising=False)


def nvidia(folder, per_bin=5):
    """Write small files of every ratio bin in the layout of the published set."""
    for number in range(6):
        for index in range(per_bin):
            mask = np.zeros((64, 64), np.uint8)
            mask.flat[: round((0.05 + 0.1 * number) * mask.size) + index] = 255
            path = folder / f"mask{10 * number}-{10 * number + 10}" / f"{index:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)
    return folder


def lists(**entry):
    return {"methods": ["mean_fill"], "masks": [entry], "metrics": ["psnr"]}


@pytest.mark.parametrize("name", MASK_SUITES)
def test_every_list_is_one_entry(tmp_path, name):
    suite = small_suite(tmp_path, **lists(masks=name))
    assert [entry.label for entry in suite.masks] == [mask.label for mask in mask_suite(name)]
    assert [entry.resolved for entry in suite.masks] == [mask.spec for mask in mask_suite(name)]


def test_files_are_found_in_the_suite_by_the_command_or_in_the_common_folder(tmp_path, monkeypatch):
    path = write_suite(tmp_path / "suite", **lists(masks="isnet_eval", root="masks"))

    def root(**places):
        return {entry.resolved.get("root") for entry in load_suite(path, Places(**places)).masks}

    assert root() == {None}
    nvidia(tmp_path / "common" / "nvidia_irregular", 1)
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path / "common"))
    assert root() == {str(tmp_path / "common" / "nvidia_irregular")}
    nvidia(tmp_path / "suite" / "masks", 1)
    assert root() == {str(tmp_path / "suite" / "masks")}
    given = nvidia(tmp_path / "given", 1)
    assert root(data={"nvidia_irregular": given}) == {str(given)}


def test_stand_ins_are_named_in_every_table_until_the_files_are_there(tmp_path, capsys):
    path = write_suite(tmp_path, **lists(masks="isnet_eval"))
    words = ["benchmark", str(path), "--out", str(tmp_path / "out"), "--device", "cpu", "--workers", "1"]
    assert main(words) == 0
    labels = [f"synthetic_{k}0_{k + 1}0 (stand-in)" for k in range(1, 5)]
    assert list(pd.read_parquet(tmp_path / "out" / "results.parquet")["mask"].unique()) == labels
    for name in ("report.md", "tables.tex", "report.html"):
        text = (tmp_path / "out" / name).read_text().replace("\\", "")
        assert "generated masks stand in for the mask files" in text
        assert "--data nvidia_irregular=DIR" in text
        assert all(f"images, {label}" in text or name == "report.html" for label in labels)
    files = nvidia(tmp_path / "files")
    assert main([*words, "--data", f"nvidia_irregular={files}"]) == 0
    found = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert list(found["mask"].unique()) == [f"nvidia_{k}0_{k + 1}0" for k in range(1, 5)]
    assert "stand in" not in (tmp_path / "out" / "report.md").read_text()
    masks = json.loads((tmp_path / "out" / "suite.json").read_text())["masks"]
    assert [mask["column"] for mask in masks] == [f"{k}0-{k + 1}0%" for k in range(1, 5)]
    assert "files" not in str(masks)  # no folder of this machine
    single = {"name": "nvidia_20_30", "root": "files"}
    run_suite(small_suite(tmp_path, **lists(**single)), tmp_path / "single", ONE)
    alone = pd.read_parquet(tmp_path / "single" / "results.parquet")
    pd.testing.assert_frame_equal(alone, found[found["mask"] == "nvidia_20_30"].reset_index(drop=True))
    ratios = list(dict.fromkeys(alone["hole_ratio"]))
    assert ratios == [(round(0.25 * 4096) + index) / 4096 for index in range(5)]  # image i with mask i


def test_an_incomplete_copy_of_the_files_is_an_error_only_if_there_are_more_images(tmp_path):
    nvidia(tmp_path / "files", 3)
    suite = small_suite(tmp_path, **lists(masks="isnet_eval", root="files"))
    with pytest.raises(ZooError, match=r"suite\.yaml:\d+: the mask set 'nvidia_10_20' has 3 files for 5 images of"):
        run_suite(suite, tmp_path / "out", ONE)
    assert not (tmp_path / "out").exists()
    single = small_suite(tmp_path, **lists(name="nvidia_10_20", root="files"))
    assert run_suite(single, tmp_path / "single", ONE).computed == 1
    ratios = pd.read_parquet(tmp_path / "single" / "results.parquet")["hole_ratio"]
    assert list(ratios) == [(round(0.15 * 4096) + index) / 4096 for index in (0, 1, 2, 0, 1)]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"masks": "isnet"}, r"suite\.yaml:\d+: Unknown list of masks 'isnet'. Did you mean 'isnet_eval'"),
        ({"masks": "glama_eval", "root": "files"}, r"the masks of 'glama_eval' are generated, so it takes no 'root'"),
        ({"masks": "isnet_eval", "size": 3}, r"Unknown key of a mask set: 'size'"),
        ({"name": "isnet_eval"}, r"isnet_eval is a list of 4 masks, not one mask.* write \{masks: isnet_eval\}"),
    ],
)
def test_wrong_entries(tmp_path, entry, message):
    with pytest.raises(ZooError, match=message):
        run_suite(small_suite(tmp_path, **lists(**entry)), tmp_path / "out", ONE)


def test_a_list_can_show_a_mosaic(tmp_path):
    suite = small_suite(tmp_path, **lists(masks="glcic_eval", input_mode="mosaic"))
    assert [(entry.label, entry.mosaic.unit) for entry in suite.masks] == [("center_128, mosaic (deblurring)", 12)]


def test_masks_list_shows_the_lists(capsys):
    assert main(["masks", "list", "isnet*"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "isnet_eval 4 ISNet: four bins" in shown
    assert "nvidia_irregular" in shown


def test_the_same_files_give_the_same_bytes_from_any_folder(tmp_path):
    for name in ("a", "b"):
        nvidia(tmp_path / name / "masks")
        suite = small_suite(tmp_path / name, **lists(masks="isnet_eval", root="masks"))
        run_suite(suite, tmp_path / f"out_{name}", ONE)
    assert results_bytes(tmp_path / "out_a") == results_bytes(tmp_path / "out_b")
