"""Two runs compared, and several runs merged: `inpaint-zoo report A B` and `inpaint-zoo leaderboard`."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from inpaint_zoo.benchmark.across_runs import compare_runs, merge_runs
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.statistics import holm, sign_flip_test
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from tests.helpers.suites import write_images, write_suite
from tests.helpers.synthetic_run import write_run

GRAY = "import numpy as np\ndef fill(image, mask):\n    return np.full_like(image, {gray})\n"
IMAGES = 8  # the fewest with which one of up to 6 tests can be significant


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Return a function that benchmarks, once, a constant filling labeled "mine" beside telea."""
    base = tmp_path_factory.mktemp("runs")

    def run(name, gray=0, label="mine", **changes):
        folder = base / name
        if not folder.exists():
            write_images(folder / "images", IMAGES)
            module = f"across_{name}"
            (folder / f"{module}.py").write_text(GRAY.format(gray=gray))
            changes.setdefault("methods", ["telea", {"callable": f"{module}:fill", "label": label}])
            suite = write_suite(folder, **changes)
            assert main(["benchmark", str(suite), "--out", str(folder / "out"), "--device=cpu", "--workers=1"]) == 0
        return folder / "out"

    return run


@pytest.fixture
def old(make):
    return make("old", gray=250)


@pytest.fixture
def new(make):
    return make("new", gray=128)


def values(folder, method, metric):
    rows = pd.read_parquet(folder / "results.parquet").query("method == @method and metric == @metric")
    return rows.set_index(["mask", "image"])["value"]


# --- two runs ---


def test_differences_and_tests_are_those_of_the_paired_images(old, new):
    found = compare_runs(read_run(old), read_run(new))
    assert len(found.differences) == 2 * 2 * 3
    assert not found.not_compared
    mine = [each for each in found.of_metric("psnr") if each.method == "mine"]
    change = values(new, "mine", "psnr") - values(old, "mine", "psnr")
    p_values = []
    for each in mine:
        assert each.change == pytest.approx(change[each.mask].mean())
        assert each.low < each.change < each.high
        assert each.verdict == "better"
        assert (each.n_images, each.n_groups) == (IMAGES, IMAGES)
        p_values.append(sign_flip_test(change[each.mask].to_numpy()[:, None], np.arange(IMAGES))[0])
    assert [each.p_value for each in mine] == pytest.approx(holm(p_values))  # telea's identical cells do not count
    assert {each.verdict for each in found.differences if each.method == "telea"} == {"identical"}
    lower = next(each for each in found.of_metric("l1_percent") if each.method == "mine")
    assert lower.change < 0
    assert lower.verdict == "better"


def test_the_order_of_the_runs_turns_the_signs(old, new):
    there, back = (compare_runs(read_run(a), read_run(b)) for a, b in ((old, new), (new, old)))
    for one, other in zip(there.differences, back.differences, strict=True):
        assert one.change == pytest.approx(-other.change)
        assert one.p_value == pytest.approx(other.p_value, nan_ok=True)
        assert {one.verdict, other.verdict} in ({"better", "worse"}, {"identical"}, {"not significant"})


def test_command_prints_what_changed_and_what_is_significant(old, new, tmp_path, capsys):
    assert main(["report", str(old), str(new), "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "mine: function" in text or "mine: source" in text
    assert "PSNR ↑: 2 better, 2 identical" in text
    assert "SSIM ↑: 2 not significant, 2 identical" in text
    table = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert list(table["result"]).count("better") == 4  # not by SSIM
    assert (table["difference"] == table["new"] - table["old"]).all()
    markdown, page = ((tmp_path / "out" / name).read_text() for name in ("comparison.md", "comparison.html"))
    assert "**better**" in markdown
    assert page.count('class="text better"') == 4


def test_exit_codes_for_one_s_own_model(old, new, capsys):
    words = ["--fail-if-worse", "psnr", "--fail-if-worse", "l1_percent"]
    assert main(["report", str(old), str(new), *words]) == 0
    assert main(["report", str(new), str(old), *words]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("worse:")]
    assert len(lines) == 4
    assert lines[0].startswith("worse: mine on images, center: PSNR")
    assert main(["report", str(new), str(old), *words, "--tolerance", "psnr=90", "--tolerance=l1_percent=90"]) == 0


def test_methods_with_other_labels(make, old, new, capsys):
    renamed = make("renamed", gray=128, label="mine v2")
    with_pair = compare_runs(read_run(old), read_run(renamed), {"mine": "mine v2"})
    assert [each.change for each in with_pair.differences] == [
        each.change for each in compare_runs(read_run(old), read_run(new)).differences
    ]
    assert with_pair.differences[-1].method == "mine → mine v2"
    one_run = compare_runs(read_run(old), read_run(old), {"mine": "telea"})
    assert one_run.pairs == (("mine", "telea"),)  # telea is taken by the pair
    assert main(["report", str(old), str(renamed), "--method", "mine=mine v3"]) == 2
    assert "Did you mean 'mine v2'" in capsys.readouterr().err
    text = [each.what for each in compare_runs(read_run(old), read_run(renamed)).changes]
    assert "methods of only one run" in text


def test_cells_with_other_masks_or_seeds_are_not_compared(make, old, capsys):
    masks = make("masks", gray=250, masks=[{"name": "center", "size": 20}, "lama_box"])
    found = compare_runs(read_run(old), read_run(masks))
    assert {each.mask for each in found.differences} == {"lama_box"}
    assert set(found.not_compared.values()) == {"the masks differ"}
    assert main(["report", str(old), str(masks), "--fail-if-worse", "psnr"]) == 3
    assert "not compared: mine on images, center: the masks differ" in capsys.readouterr().err
    seed = make("seed", gray=250, seed=8)
    assert main(["report", str(old), str(seed)]) == 2
    assert "nothing to compare" in capsys.readouterr().err


def test_too_few_images_are_named(tmp_path, capsys):
    runs = [write_run(tmp_path / name, methods=3, size=32, failed=(), missing=()) for name in "ab"]
    table = pd.read_parquet(runs[1] / "results.parquet")
    table["value"] -= (table["metric"] == "psnr") * 1.0
    table.to_parquet(runs[1] / "results.parquet", index=False)
    assert main(["report", *map(str, runs), "--fail-if-worse", "psnr"]) == 0
    error = capsys.readouterr().err
    assert "PSNR: 4 source images are too few for 6 tests, at least 8 are needed" in error


def test_values_of_whole_sets_need_a_tolerance(tmp_path, capsys):
    runs = [write_run(tmp_path / name, methods=2, size=32, failed=(), missing=()) for name in "ab"]
    for run in runs:
        content = json.loads((run / "provenance.json").read_text())
        for record in content["cells"].values():
            record["provenance"]["metrics"]["fid"] = "inpaint-zoo"
        (run / "provenance.json").write_text(json.dumps(content))
    table = pd.read_parquet(runs[1] / "results.parquet")
    table["value"] += (table["metric"] == "fid") * 2.0
    table.to_parquet(runs[1] / "results.parquet", index=False)
    words = ["report", *map(str, runs), "--fail-if-worse", "fid"]
    assert main(words) == 2
    assert "there is no paired test" in capsys.readouterr().err
    assert main([*words, "--tolerance", "fid=2.5"]) == 0
    assert main([*words, "--tolerance", "fid=1.5"]) == 1
    assert "not tested" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fail-if-worse", "psnrr"], "Unknown metric 'psnrr'. Did you mean 'psnr'"),
        (["--fail-if-worse", "fid"], "no compared cell has this metric"),
        (["--tolerance", "psnr=1"], "give --fail-if-worse psnr, too"),
        (["--fail-if-worse", "psnr", "--tolerance", "psnr=-1"], "must be a number of at least 0"),
        (["--fail-if-worse", "psnr", "--tolerance", "psnr=x"], "must be a number"),
        (["--method", "mine"], "--method must be OLD=NEW"),
    ],
)
def test_wrong_options_are_explained(old, new, capsys, words, message):
    assert main(["report", str(old), str(new), *words]) == 2
    assert message in capsys.readouterr().err


def test_one_folder_takes_no_options_of_two(old, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(old), "--fail-if-worse", "psnr"])
    assert stopped.value.code == 2
    assert "--fail-if-worse needs two folders" in capsys.readouterr().err


# --- leaderboards ---


def rows(folder):
    return pd.read_parquet(folder / "results.parquet").sort_values(["method", "mask", "image", "metric"], kind="stable")


def test_a_leaderboard_has_the_rows_of_all_runs(make, old, tmp_path, capsys):
    renamed = make("renamed", gray=128, label="mine v2")
    assert main(["leaderboard", str(old), str(renamed), "--out", str(tmp_path / "board")]) == 0
    assert "3 methods of 2 runs, 6 cells" in capsys.readouterr().out
    merged, parts = rows(tmp_path / "board"), pd.concat([rows(old), rows(renamed).query("method == 'mine v2'")])
    order = ["method", "mask", "image", "metric"]
    expected = parts.sort_values(order, kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(merged.reset_index(drop=True), expected)
    run = read_run(tmp_path / "board")
    assert run.methods == ("telea", "mine", "mine v2")
    assert run.missing == {}
    assert all(run.result_file((method, "images", "center"), 0) for method in run.methods)
    assert (tmp_path / "board" / "report.html").is_file()
    assert main(["report", str(tmp_path / "board")]) == 0
    assert main(["leaderboard", str(old), str(renamed), "--out", str(tmp_path / "board")]) == 0  # replaced


def test_one_label_for_two_methods_is_refused_until_it_is_renamed(old, new, tmp_path, capsys):
    words = ["leaderboard", str(old), str(new), "--out", str(tmp_path / "board")]
    assert main(words) == 2
    assert f"'mine' is another method in {new} than in {old}; give --label {new}=NAME" in capsys.readouterr().err
    assert not (tmp_path / "board").exists()
    assert main([*words, "--label", f"{new}=gray"]) == 0
    assert read_run(tmp_path / "board").methods == ("telea", "mine", "mine (gray)")
    assert main([*words, "--label", "elsewhere=gray"]) == 2
    assert "this folder is not merged" in capsys.readouterr().err


def test_the_same_cells_with_another_label_are_merged(make, old, tmp_path):
    other = make("other", methods=[{"model": "telea", "label": "Telea 2004"}])
    merged = merge_runs([old, other], tmp_path / "board")
    assert merged.notes == ("other/out: Telea 2004 has the same cells as telea and is merged with it.",)
    assert merged.methods == 2


def test_runs_of_other_suites_are_refused_by_name(make, old, tmp_path):
    masks = make("masks", gray=250, masks=[{"name": "center", "size": 20}, "lama_box"])
    metrics = make("metrics", gray=250, metrics=["psnr"])
    with pytest.raises(ZooError) as caught:
        merge_runs([old, masks, metrics], tmp_path / "board")
    message = str(caught.value)
    assert f"{masks}: the content of the mask set 'center' differs" in message
    assert f"{metrics}: it lacks the metrics ssim, l1_percent" in message
    with pytest.raises(ZooError, match="given twice"):
        merge_runs([old, old], tmp_path / "board")
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "mine.txt").touch()
    with pytest.raises(ZooError, match="something other than a leaderboard"):
        merge_runs([old, masks], tmp_path / "board")


def test_a_leaderboard_is_extended_by_another_run(make, old, tmp_path):
    renamed, other = make("renamed", gray=128, label="mine v2"), make("third", gray=60, label="mine v3")
    merge_runs([old, renamed], tmp_path / "two")
    assert merge_runs([tmp_path / "two", other], tmp_path / "three").methods == 4
    suite = json.loads((tmp_path / "three" / "suite.json").read_text())
    assert suite["name"] == "small, leaderboard of 2 runs"
    assert suite["merged"]["suite"] == "small"


def test_a_run_of_another_kind_is_refused(make, old, tmp_path):
    stamped = tmp_path / "stamped"
    shutil.copytree(old, stamped)
    suite = json.loads((stamped / "suite.json").read_text())
    (stamped / "suite.json").write_text(json.dumps({**suite, "stamp": "stand-ins"}))
    with pytest.raises(ZooError, match=r"`stamp` of suite\.json differs"):
        merge_runs([old, stamped], tmp_path / "board")


def test_unfinished_cells_are_named_and_completed_by_other_runs(make, old, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(old.parent, part)
    shutil.rmtree(part / "out")
    suite = str(part / "suite.yaml")
    words = ["benchmark", suite, "--out", str(part / "out"), "--device=cpu", "--workers=1", "--only=mask=center"]
    assert main(words) == 0
    renamed = make("renamed", gray=128, label="mine v2")
    merged = merge_runs([part / "out", renamed], tmp_path / "board")
    assert merged.cells == 5  # telea's lama_box is in the other run
    assert merged.notes[-1] == "mine is not finished in part/out: images, lama_box."
    run = read_run(tmp_path / "board")
    assert run.missing == {("mine", "images", "lama_box"): "not run"}
    assert merged.notes[-1] in (tmp_path / "board" / "report.md").read_text().replace("\\_", "_")
