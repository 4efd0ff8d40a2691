"""Entries with several networks: draws with their standard deviation, and curves over checkpoints."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.report.paper import compare
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.tables import tables
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from tests.helpers.suites import results_bytes, small_suite, write_images, write_suite, write_table
from tests.helpers.toy import registered_toy

ONE = Options(workers=1, device="cpu")
CENTER = [{"name": "center", "size": 24}]
DRAWS = {"model": "toy", "weights": "toy_{draw}.safetensors", "draws": 3, "label": "Toy"}
CURVE = {"model": "toy", "checkpoints": "run/step_*.safetensors", "label": "Curve"}


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.delenv("INPAINT_ZOO_WEIGHTS", raising=False)
    with registered_toy():
        yield


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", 3)
    return tmp_path


def weights(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    network = iz.create_model("toy")
    torch.manual_seed(seed)  # after the network, which seeds the generator itself
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    iz.save_weights(network, path)


def benchmark(*words):
    return main(["benchmark", *map(str, words), "--device", "cpu", "--workers", "1"])


def means(out):
    rows = pd.read_parquet(out / "results.parquet")
    return rows.groupby(["method", "metric"])["value"].mean()


def test_draws_are_one_row_with_their_standard_deviation(folder):
    for number in (1, 2, 3):
        weights(folder / f"toy_{number}.safetensors", number)
    write_table(folder, [("", "", "", "Toy", "psnr", "20.50"), ("", "", "", "Mean", "psnr", "19")])
    path = write_suite(
        folder,
        paper={"table": "table.csv", "number": 1},
        methods=[{"model": "mean_fill", "paper": "Mean"}, {**DRAWS, "paper": "Toy"}],
        masks=CENTER,
        metrics=[{"name": "psnr", "paper": "psnr"}, "l1_percent"],
    )
    out = folder / "out"
    assert run_suite(load_suite(path), out, ONE).computed == 4
    each = means(out)
    psnr = [each[f"Toy, draw {number}", "psnr"] for number in (1, 2, 3)]
    assert len({round(value, 6) for value in psnr}) == 3
    run = read_run(out)
    assert run.methods == ("mean_fill", "Toy")
    (table,) = tables(run)
    entry = next(row for row in table.rows if row.method == "Toy").entries[0]
    assert entry.mean == pytest.approx(np.mean(psnr), rel=1e-12)
    assert entry.spread == pytest.approx(np.std(psnr, ddof=1), rel=1e-9)
    assert entry.text == f"{np.mean(psnr):.2f} ± {np.std(psnr, ddof=1):.2f}"
    assert (entry.n_images, entry.n_groups) == (3, 3)  # images, and not images times draws
    assert "Toy: mean ± standard deviation of 3 draws." in table.notes
    ours = next(cell for cell in compare(run).cells if cell.cell.method == "Toy")
    assert ours.ours_text == f"{np.mean(psnr):.2f} ± {np.std(psnr, ddof=1):.2f} (3 draws)"
    assert ours.ours == pytest.approx(np.mean(psnr))
    rows = pd.read_csv(out / "networks.csv")
    assert list(rows.loc[rows["metric"] == "psnr", "number"]) == [1, 2, 3]
    np.testing.assert_allclose(rows.loc[rows["metric"] == "psnr", "mean"], psnr)
    page = (out / "report.html").read_text()
    assert entry.text in page
    assert page.count("Toy, <wbr>draw") == 0
    assert "<bdi>Toy, draw 2</bdi>" in page  # its provenance
    assert entry.text.replace("±", r"$\pm$") in (out / "tables.tex").read_text()
    assert [row["method"] for row in run.provenance["complexity"]] == ["mean_fill", "Toy"]
    before = results_bytes(out)
    assert run_suite(load_suite(path), out, ONE).computed == 0
    assert results_bytes(out) == before


def test_a_missing_draw_is_named_and_the_mean_is_marked(folder, capsys):
    for number in (1, 3):
        weights(folder / f"toy_{number}.safetensors", number)
    write_table(folder, [("", "", "", "Toy", "psnr", "20.50")])
    path = write_suite(
        folder,
        paper={"table": "table.csv", "number": 1},
        methods=[{**DRAWS, "paper": "Toy"}],
        masks=CENTER,
        metrics=[{"name": "psnr", "paper": "psnr"}],
    )
    out = folder / "out"
    assert benchmark(path, "--out", out) == 3
    assert "weights of 'Toy, draw 2' (1 cell): put toy_2.safetensors into" in capsys.readouterr().err
    run = read_run(out)
    (table,) = tables(run)
    (row,) = table.rows
    two = [means(out)[f"Toy, draw {number}", "psnr"] for number in (1, 3)]
    assert row.entries[0].mean == pytest.approx(np.mean(two))
    assert row.missing is None
    (note,) = table.notes
    assert note.startswith("Toy: mean of 2 of 3 draws (draw 2: missing: weights of 'Toy, draw 2'")
    (cell,) = compare(run).cells
    assert cell.status == "computed"
    assert cell.ours_text.endswith("(2 of 3 draws)")
    assert "mean of 2 of 3 draws" in (out / "paper_comparison.csv").read_text()
    for number in (1, 3):
        (folder / f"toy_{number}.safetensors").unlink()
    shutil.rmtree(out)
    assert benchmark(path, "--out", out) == 3
    (cell,) = compare(read_run(out)).cells
    assert cell.status == "missing"


def test_a_draw_that_is_one_file_is_that_file(folder):
    """The cell of a draw is the cell of an entry with its file."""
    for number in (1, 2, 3):
        weights(folder / f"toy_{number}.safetensors", number)
    single = {"model": "toy", "weights": "toy_2.safetensors", "label": "Two"}
    out = folder / "out"
    assert run_suite(small_suite(folder, methods=[single], masks=CENTER), out, ONE).computed == 1
    outcome = run_suite(small_suite(folder, methods=[DRAWS], masks=CENTER), out, ONE)
    assert (outcome.computed, outcome.skipped) == (2, 1)


def test_given_weights_state_the_draw(folder, capsys):
    path = write_suite(folder, methods=[DRAWS], masks=CENTER, metrics=["psnr"])
    for number in (1, 2, 3):
        weights(folder / "elsewhere" / f"w{number}.safetensors", number)
    out = folder / "out"
    assert benchmark(path, "--out", out, "--weights", f"Toy={folder / 'elsewhere' / 'w{draw}.safetensors'}") == 0
    assert benchmark(path, "--out", folder / "b", "--weights", f"Toy={folder / 'elsewhere' / 'w1.safetensors'}") == 2
    assert "'Toy, draw 1' and 'Toy, draw 2' have the same weight file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "toy.safetensors"}, r"'draws' needs \{draw\}, the number of the draw"),
        ({"draws": 1}, r"'draws'"),
        ({"draws": None}, r"'draws'"),
        ({"weights": "{darw}.safetensors"}, r"may contain \{dataset\}.*, and \{draw\}.* but not \{darw\}"),
    ],
)
def test_wrong_draws(folder, change, message):
    with pytest.raises(ZooError, match=message):
        small_suite(folder, methods=[{**DRAWS, **change}])


def test_wrong_combinations(folder):
    with pytest.raises(ZooError, match=r"not \{draw\}; add 'draws', the number of draws"):
        small_suite(folder, methods=[{"model": "toy", "weights": "toy_{draw}.safetensors"}])
    for other in ({"weights": "a.safetensors"}, {"draws": 2}):
        with pytest.raises(ZooError, match=f"give 'checkpoints' or '{next(iter(other))}', not both"):
            small_suite(folder, methods=[{**CURVE, **other}])
    with pytest.raises(ZooError, match="two methods are called 'Toy, draw 2'"):
        small_suite(folder, methods=[DRAWS, {"model": "telea", "label": "Toy, draw 2"}])
    with pytest.raises(ZooError, match="two methods are called 'Toy'"):
        small_suite(folder, methods=[DRAWS, {"model": "telea", "label": "Toy"}])


def test_checkpoints_are_a_curve_and_the_table_shows_the_last(folder):
    for step in (500, 1000, 2000):
        weights(folder / "run" / f"step_{step}.safetensors", step)
    weights(folder / "run" / "last.safetensors", 9)
    out = folder / "out"
    methods = ["mean_fill", CURVE, {**CURVE, "checkpoints": "other", "label": "Other"}]
    weights(folder / "other" / "checkpoints" / "epoch=1-step=1000.safetensors", 7)
    suite = small_suite(folder, methods=methods, masks=CENTER, metrics=["psnr"])
    assert run_suite(suite, out, ONE).computed == 5
    each = means(out)
    by_step = {step: each[f"Curve, step {step}", "psnr"] for step in (500, 1000, 2000)}
    run = read_run(out)
    assert run.methods == ("mean_fill", "Curve", "Other")
    assert run.values["Curve", "images", "center", "psnr"] == by_step
    (table,) = tables(run)
    entry = next(row for row in table.rows if row.method == "Curve").entries[0]
    assert entry.mean == by_step[2000]
    assert entry.spread is None
    assert any(re.fullmatch("Curve: checkpoint of step 2.000, the last of 3.", note) for note in table.notes)
    page = (out / "report.html").read_text()
    training = page[page.index('id="training"') : page.index('id="cost"')]
    assert "against training step" in training
    assert training.count("<svg class=") - training.count('class="swatch') == 2  # for a wide and a narrow screen
    for value in by_step.values():
        assert f"<td>{value:.2f}</td>" in training
    rows = pd.read_csv(out / "networks.csv")
    assert set(rows["kind"]) == {"checkpoints"}
    assert list(rows.loc[rows["method"] == "Curve", "number"]) == [500, 1000, 2000]
    weights(folder / "run" / "step_3000.safetensors", 3000)
    suite = small_suite(folder, methods=methods, masks=CENTER, metrics=["psnr"])
    outcome = run_suite(suite, out, ONE)
    assert (outcome.computed, outcome.skipped) == (1, 5)


def test_missing_checkpoints_are_one_missing_cell_for_each_dataset(folder, capsys):
    datasets = [{"name": name, "root": "images", "label": name, "size": size} for name, size in (("a", 48), ("b", 64))]
    methods = ["mean_fill", {**CURVE, "checkpoints": "{dataset}/step_*.safetensors"}]
    path = write_suite(folder, methods=methods, datasets=datasets, masks=CENTER, metrics=["psnr"])
    assert benchmark(path, "--out", folder / "out") == 3
    shown = capsys.readouterr()
    assert "2 missing" in shown.out
    assert "checkpoints of 'Curve' for 'a' (1 cell): put a/step_*.safetensors into" in shown.err
    for step in (1, 2):
        weights(folder / "a" / f"step_{step}.safetensors", step)
    assert benchmark(path, "--out", folder / "out") == 3
    shown = capsys.readouterr()
    assert "1 missing" in shown.out
    assert shown.err.count("checkpoints of 'Curve' for 'b' (1 cell)") == 1
    weights(folder / "b" / "step_1.safetensors", 5)
    assert benchmark(path, "--out", folder / "out") == 0
    run = read_run(folder / "out")
    assert {key[1]: sorted(values) for key, values in run.values.items()} == {"a": [1, 2], "b": [1]}
    assert run.missing == {}
    assert "not applicable" not in (folder / "out" / "report.md").read_text()


def test_two_checkpoints_of_one_step_are_refused(folder):
    for name in ("a_step_5", "b_step_5"):
        weights(folder / "run" / f"{name}.safetensors", 1)
    with pytest.raises(ZooError, match=r"a_step_5\.safetensors and b_step_5\.safetensors are both checkpoints of step"):
        small_suite(folder, methods=[{**CURVE, "checkpoints": "run/*.safetensors"}])


def test_suites_without_families_keep_their_content(folder):
    out = folder / "out"
    run_suite(small_suite(folder, methods=["mean_fill", "telea"], masks=CENTER), out, ONE)
    assert not (out / "networks.csv").exists()
    assert all(
        set(entry) == {"label", "kind", "model", "weights", "options"}
        for entry in json.loads((out / "suite.json").read_text())["methods"]
    )
    assert 'id="training"' not in (out / "report.html").read_text()
    assert not list(Path(out).glob("**/*draw*"))
