"""A bad item does not end a benchmark: small images, masks that cannot be made, banks with doubtful masks."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from inpaint_zoo.benchmark import Options, export_inputs, run_suite
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from tests.helpers.suites import Diary, make_image, results_bytes, small_suite, write_images, write_suite
from tests.helpers.toy import registered_toy

ONE = Options(workers=1, device="cpu")
WHOLE = [{"name": "images", "root": "images"}]  # every image keeps its size


def tiny(folder, size=(8, 10), name="a_tiny.png"):
    Image.fromarray(make_image(9, size)).save(folder / name)


def rows(out, metric):
    results = pd.read_parquet(out / "results.parquet")
    return results[results["metric"] == metric].set_index(["method", "mask", "image"])["value"].sort_index()


def test_an_image_without_a_mask_is_left_out_for_every_method_and_named(tmp_path, capsys):
    changes = {"datasets": WHOLE, "masks": ["lama_box", {"name": "center", "size": 4}], "metrics": ["psnr", "ssim"]}
    suite = write_suite(tmp_path, **changes)
    command = ["benchmark", str(suite), "--device", "cpu", "--workers", "1", "--out"]
    tiny(tmp_path / "images")  # the first image is smaller than the 16 px that lama_box needs
    assert main([*command, str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err.count("left out: images, lama_box: a_tiny: ") == 1
    assert "8 x 10" in err
    found = rows(tmp_path / "out", "psnr")
    assert sorted(found["mean_fill", "center"].index) == ["a_tiny", "more/p4", "p0", "p1", "p2", "p3"]
    assert sorted(found["telea", "lama_box"].index) == ["more/p4", "p0", "p1", "p2", "p3"]
    assert np.isfinite(found).all()
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert [entry["image"] for entry in provenance["left_out"]] == ["a_tiny"]
    counts = {(cell["method"], cell["mask"]): cell["n_images"] for cell in provenance["cells"].values()}
    assert counts == {(m, k): 6 - (k == "lama_box") for m in ("mean_fill", "telea") for k in ("lama_box", "center")}
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert r"a\_tiny: lama\_box needs a height and width of at least 16" in report
    assert main([*command, str(tmp_path / "out")]) == 1  # nothing is computed, and the message is repeated
    assert capsys.readouterr().err.count("left out: images, lama_box: a_tiny: ") == 1
    assert main([*command, str(tmp_path / "out"), "--allow-missing"]) == 0


def test_networks_get_small_images_padded_as_inpaint_pads_them(tmp_path):
    import inpaint_zoo as iz
    from inpaint_zoo.masks import create_mask

    masks = [{"name": "center", "size": 4}]
    with registered_toy():
        suite = small_suite(
            tmp_path, methods=["navier_stokes", {"model": "toy", "weights": "random"}], datasets=WHOLE, masks=masks
        )
        tiny(tmp_path / "images", (9, 17))
        outcome = run_suite(suite, tmp_path / "out", ONE)
    assert (outcome.computed, outcome.failed, outcome.left_out) == (2, (), ())
    target = make_image(9, (9, 17))
    hole = create_mask("center", size=(9, 17), seed=7, args={"size": 4})
    filled = iz.inpaint("navier_stokes", target, hole)
    error = ((filled / 255.0 - target / 255.0) ** 2).mean()
    assert rows(tmp_path / "out", "psnr")["navier_stokes", "center", "a_tiny"] == pytest.approx(
        -10 * np.log10(error), abs=1e-4
    )


def test_an_image_too_small_for_a_metric_has_the_others(tmp_path):
    suite = small_suite(tmp_path, methods=["mean_fill"], datasets=WHOLE, masks=[{"name": "center", "size": 2}])
    tiny(tmp_path / "images", (5, 4))
    outcome = run_suite(suite, tmp_path / "out", ONE)
    assert outcome.failed == ()
    (left,) = outcome.left_out
    assert left.image == "a_tiny"
    assert left.reason == "ssim needs a height and width of at least 6 pixels"
    assert len(rows(tmp_path / "out", "psnr")) == 6
    assert len(rows(tmp_path / "out", "ssim")) == 5


def test_a_cell_of_which_nothing_is_left_fails_with_the_first_reason(tmp_path):
    suite = small_suite(tmp_path, methods=["mean_fill"], masks=[{"name": "center", "size": 99}])
    outcome = run_suite(suite, tmp_path / "out", ONE)
    assert outcome.failed[0].error.startswith("None of 5 images can be scored; the first, more/p4: ")


def test_what_is_left_out_changes_no_other_byte(tmp_path):
    changes = {"methods": ["telea"], "datasets": WHOLE, "masks": ["lama_box"]}
    suite = small_suite(tmp_path, **changes)
    tiny(tmp_path / "images", name="z_tiny.png")  # the last one, so that the others keep their masks
    run_suite(suite, tmp_path / "with", ONE)
    (tmp_path / "images" / "z_tiny.png").unlink()
    run_suite(suite, tmp_path / "without", ONE)
    assert results_bytes(tmp_path / "with") == results_bytes(tmp_path / "without")


def test_inputs_without_a_mask_are_not_exported_and_their_results_not_asked_for(tmp_path):
    changes = {"datasets": WHOLE, "masks": ["lama_box"]}
    suite = small_suite(tmp_path, methods=[{"folder": "theirs", "label": "Theirs"}], **changes)
    tiny(tmp_path / "images")
    diary = Diary()
    assert export_inputs(suite, tmp_path / "inputs", ONE, diary) == 5
    assert any("left out: inputs on images, lama_box: a_tiny: " in note for note in diary.notes)
    (tmp_path / "inputs" / "images").rename(tmp_path / "theirs")
    outcome = run_suite(suite, tmp_path / "out", ONE)
    assert outcome.failed == ()
    assert len(rows(tmp_path / "out", "psnr")) == 5


def test_a_method_that_fails_on_one_image_says_on_which(tmp_path):
    module = (
        "def fill(image, mask):\n    if len(image) < 64:\n        raise RuntimeError('too small')\n    return image\n"
    )
    (tmp_path / "fails_on_small_images.py").write_text(module)
    method = {"callable": "fails_on_small_images:fill", "label": "Mine"}
    suite = small_suite(tmp_path, methods=[method, "mean_fill"], datasets=WHOLE, masks=[{"name": "center", "size": 4}])
    tiny(tmp_path / "images", (20, 20), "p2_small.png")
    outcome = run_suite(suite, tmp_path / "out", ONE)
    assert [failure.error for failure in outcome.failed] == ["RuntimeError: too small (image p2_small)"]
    assert outcome.computed == 1


def bank(folder, *masks):
    folder.mkdir(parents=True)
    for number, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / f"{number}.png")


HOLE = np.zeros((64, 64), np.uint8)
HOLE[20:40, 20:40] = 255


def test_banks_that_look_wrong_are_told_before_the_first_number(tmp_path):
    bank(tmp_path / "inverted", 255 - HOLE, 255 - HOLE)
    suite = small_suite(tmp_path, methods=["mean_fill"], masks=[{"bank": "inverted"}])
    for _ in range(2):  # the second time from the cached findings
        diary = Diary()
        assert run_suite(suite, tmp_path / "out", ONE, diary).failed == ()
        (note,) = [note for note in diary.notes if "mask set" in note]
        assert note.startswith("mask set 'inverted': 2 mask files look wrong (more than 60 % hole), e.g. ")
        assert "0.png: 90.2 % of the mask is hole, white taken as hole; is it inverted?" in note


def test_a_bank_without_a_mask_is_refused_with_file_line_and_cause(tmp_path):
    bank(tmp_path / "ones", HOLE // 255)
    suite = small_suite(tmp_path, masks=[{"bank": "ones"}])
    with pytest.raises(ZooError, match=r"suite\.yaml:\d+: .*none of 1 files .*0\.png: the mask holds only 0 and 1"):
        run_suite(suite, tmp_path / "out", ONE)
    assert not (tmp_path / "out").exists()


def test_bad_files_of_a_bank_cost_their_images_alone(tmp_path):
    bank(tmp_path / "bank", HOLE, HOLE * 0, HOLE)
    (tmp_path / "bank" / "2.png").write_bytes(b"no image")
    suite = small_suite(tmp_path, methods=["mean_fill", "telea"], masks=[{"bank": "bank"}])
    diary = Diary()
    outcome = run_suite(suite, tmp_path / "out", ONE, diary)
    assert outcome.failed == ()
    assert any("mask set 'bank': a mask file cannot be read: " in note for note in diary.notes)
    assert [entry.image for entry in outcome.left_out] == ["p0", "p3"]  # the images that are paired with the empty mask
    assert all("1.png: the mask is empty" in entry.reason for entry in outcome.left_out)
    assert len(rows(tmp_path / "out", "psnr")) == 2 * 3


def test_images_are_never_their_own_masks(tmp_path):
    with pytest.raises(ZooError, match=r"p4\.png: is used both as image and as mask"):
        run_suite(small_suite(tmp_path, masks=[{"bank": "images"}]), tmp_path / "out", ONE)
    folder = write_images(tmp_path / "lama", count=3)
    for path in list(folder.rglob("*.png")):
        Image.fromarray(HOLE).save(path.with_name(f"{path.stem}_mask001.png"))
    datasets = [{"name": "lama", "root": "lama"}]
    suite = small_suite(tmp_path, methods=["mean_fill"], datasets=datasets, masks=[{"bank": "lama"}])
    with pytest.warns(UserWarning, match="next to their image") as told:
        outcome = run_suite(suite, tmp_path / "out", ONE)
    assert len(told) == 2
    assert outcome.failed == ()
    assert sorted(rows(tmp_path / "out", "psnr")["mean_fill", "lama"].index) == ["more/p2", "p0", "p1"]
