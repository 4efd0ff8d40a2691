"""Datasets, weights and backbones that are not there: their cells are left out, the others are computed."""

import json
import re
import shutil

import pandas as pd
import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Options, Places, list_suites, load_suite, run_suite
from inpaint_zoo.benchmark.report.paper import compare
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from tests.helpers.suites import Diary, results_bytes, small_suite, write_images, write_suite, write_table
from tests.helpers.toy import registered_repeating, registered_toy, write_checkpoint

ONE = Options(workers=1, device="cpu")
TWO = [
    {"name": "shells", "size": 32, "paper": "Shells"},
    {"name": "cats", "root": "pets", "label": "Cats", "size": 32, "paper": "Cats"},
]
CENTER = [{"name": "center", "size": 24}]


@pytest.fixture(autouse=True)
def models(monkeypatch):
    for variable in ("INPAINT_ZOO_DATA", "INPAINT_ZOO_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)
    with registered_toy(), registered_repeating():
        yield


def toy_weights(path, seed=1, name="toy"):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network = iz.create_model(name)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    return iz.save_weights(network, path)


def benchmark(*words):
    return main(["benchmark", *map(str, words), "--device", "cpu", "--workers", "1"])


def provenance(out):
    return json.loads((out / "provenance.json").read_text())


def two_datasets(folder):
    """Write a suite of a network that is trained anew for each dataset, and a method without weights."""
    methods = [
        {"model": "mean_fill", "paper": "Mean"},
        {"model": "toy", "weights": "{dataset}/toy.safetensors", "paper": "Toy"},
        {"quoted": "*"},
    ]
    write_images(folder / "pets", 2, (32, 32))
    write_images(folder / "data" / "shells", 3, (32, 32))
    rows = ("Mean", "Toy", "Theirs")
    write_table(folder, [(dataset, "", "", row, "psnr", "20.5") for row in rows for dataset in ("Shells", "Cats")])
    return write_suite(
        folder,
        paper={"table": "table.csv", "number": 1},
        methods=methods,
        datasets=TWO,
        masks=[{"name": "center", "size": 12}],
        metrics=[{"name": "psnr", "paper": "psnr"}],
    )


def compared(out):
    """Return the coverage of the comparison with the paper, and the status of its cells."""
    comparison = compare(read_run(out))
    return comparison.coverage, [cell.status for cell in comparison.cells]


def test_a_run_that_is_completed_later_equals_an_unbroken_one(tmp_path, capsys):
    path = two_datasets(tmp_path)
    data = ("--data", f"shells={tmp_path / 'data' / 'shells'}")
    toy_weights(tmp_path / "weights" / "shells" / "toy.safetensors", 1)
    shutil.move(tmp_path / "pets", tmp_path / "away")
    root = ("--weights-root", tmp_path / "weights")
    assert benchmark(path, "--out", tmp_path / "parts", *data, *root) == 3
    shown = capsys.readouterr()
    assert "cells: 2 computed, 0 done before, 2 missing" in shown.out
    assert shown.err.count("missing: dataset 'cats' (2 cells): the suite's folder pets does not exist") == 1
    assert shown.err.count("missing: weights of 'toy' for 'cats' (1 cell): put cats/toy.safetensors into") == 1
    quoted = ["quoted", "quoted"]
    status = ["computed", "missing", "computed", "missing", *quoted]
    assert compared(tmp_path / "parts") == ("2 of 6 cells computed", status)
    assert "2 of 6 cells computed" in shown.out
    assert benchmark(path, "--out", tmp_path / "parts", *data, *root, "--allow-missing") == 0
    shutil.move(tmp_path / "away", tmp_path / "pets")
    capsys.readouterr()
    assert benchmark(path, "--out", tmp_path / "parts", *data, *root) == 3
    assert "cells: 1 computed, 2 done before, 1 missing" in capsys.readouterr().out
    assert compared(tmp_path / "parts") == ("3 of 6 cells computed", ["computed"] * 3 + ["missing", *quoted])
    toy_weights(tmp_path / "weights" / "cats" / "toy.safetensors", 2)
    assert benchmark(path, "--out", tmp_path / "parts", *data, *root) == 0
    assert "cells: 1 computed, 3 done before" in capsys.readouterr().out
    assert provenance(tmp_path / "parts")["missing"] == []
    assert benchmark(path, "--out", tmp_path / "whole", *data, *root) == 0
    assert results_bytes(tmp_path / "parts") == results_bytes(tmp_path / "whole")
    assert compared(tmp_path / "whole") == ("4 of 6 cells computed", ["computed"] * 4 + quoted)
    tables = [(tmp_path / run / "paper_comparison.csv").read_text() for run in ("parts", "whole")]
    assert tables[0] == tables[1]
    values = pd.read_parquet(tmp_path / "whole" / "results.parquet")
    assert list(values.groupby(["method", "dataset"], sort=False).size()) == [3, 2, 3, 2]
    hashes = {r["dataset"]: r["provenance"]["weights_sha256"] for r in provenance(tmp_path / "whole")["cells"].values()}
    assert len(set(hashes.values())) == 2  # each dataset has its own weights


def test_the_folder_of_results_tells_what_was_missing_and_no_path(tmp_path):
    path = two_datasets(tmp_path / "machine")
    weights = toy_weights(tmp_path / "machine" / "any" / "w.safetensors")
    places = Places({"shells": tmp_path / "machine" / "data" / "shells"}, {"toy": weights})
    shutil.rmtree(tmp_path / "machine" / "pets")
    out = tmp_path / "out"
    outcome = run_suite(load_suite(path, places), out, ONE)
    assert [cell[:3] for cell in outcome.missing] == [("mean_fill", "Cats", "center"), ("toy", "Cats", "center")]
    (entry,) = provenance(out)["missing"]
    assert entry["what"] == "dataset 'cats'"
    assert entry["cells"] == [["mean_fill", "Cats", "center"], ["toy", "Cats", "center"]]
    line = "dataset 'cats', the suite's folder pets does not exist; put it there, or give --data cats=DIR"
    report = (out / "report.md").read_text()
    assert report.count(f"{line} (2 cells)") == 1
    assert f"missing: {line}" in report
    assert f"% Missing: {line} (2 cells)" in (out / "tables.tex").read_text()
    page = (out / "report.html").read_text()
    assert "Missing, and where it goes" in page
    assert "on 3 images (shells), under" in report.splitlines()[2]
    for name in ("provenance.json", "suite.json", "report.md", "tables.tex", "report.html"):
        assert "machine" not in (out / name).read_text()


def test_a_given_folder_and_file_replace_those_of_the_suite(tmp_path):
    suite = {"methods": [{"model": "toy", "weights": "random"}], "masks": CENTER, "metrics": ["psnr"]}
    path = write_suite(tmp_path, **suite)
    run_suite(load_suite(path), tmp_path / "plain", ONE)
    elsewhere = write_images(tmp_path / "other", 2)
    weights = toy_weights(tmp_path / "w.safetensors")
    run_suite(load_suite(path, Places({"images": elsewhere}, {"toy": weights})), tmp_path / "given", ONE)
    stated = small_suite(
        tmp_path,
        methods=[{"model": "toy", "weights": "w.safetensors"}],
        datasets=[{"name": "images", "root": "other", "size": 64}],
        masks=CENTER,
        metrics=["psnr"],
    )
    run_suite(stated, tmp_path / "stated", ONE)
    assert results_bytes(tmp_path / "given") == results_bytes(tmp_path / "stated")
    assert results_bytes(tmp_path / "given") != results_bytes(tmp_path / "plain")
    assert provenance(tmp_path / "given")["cells"].keys() == provenance(tmp_path / "stated")["cells"].keys()
    (method,) = json.loads((tmp_path / "given" / "suite.json").read_text())["methods"]
    assert method["weights"] == "given with --weights"


def test_weights_are_searched_in_a_fixed_order(tmp_path, monkeypatch):
    methods = [{"model": "toy", "weights": "w.safetensors"}]
    path = write_suite(tmp_path / "suite", methods=methods)

    def found(**places):
        (entry,) = load_suite(path, Places(**places)).methods
        chosen = entry.find("images")
        return chosen and chosen.weights

    (tmp_path / "empty").mkdir()
    files = [toy_weights(tmp_path / place / "w.safetensors") for place in ("root", "common", "suite")]
    assert found() == str(files[2])
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "common"))
    assert found() == str(files[1])
    assert found(weights_root=tmp_path / "root") == str(files[0])
    assert found(weights_root=tmp_path / "empty") is None
    assert found(weights_root=tmp_path / "root", weights={"toy": files[2]}) == str(files[2])


def test_nothing_there_is_said_plainly(tmp_path, capsys):
    path = write_suite(tmp_path, datasets=[{"name": "x", "root": "none"}])
    assert benchmark(path, "--out", tmp_path / "out") == 3
    shown = capsys.readouterr()
    assert "cells: 0 computed, 0 done before, 4 missing" in shown.out
    assert "no cell could be computed, so there is no report" in shown.out
    assert not (tmp_path / "out" / "report.html").exists()
    assert benchmark(path, "--out", tmp_path / "out", "--export-inputs", tmp_path / "inputs") == 2
    assert "every dataset or every mask set is missing" in capsys.readouterr().err


def test_a_registered_dataset_can_be_missing_but_its_layout_cannot_be_wrong(tmp_path, capsys):
    shell = {"name": "shell", "split": "test", "size": 64}
    datasets = [{"name": "images", "root": "images", "size": 64}, shell]
    path = write_suite(tmp_path, methods=["mean_fill"], datasets=datasets, masks=CENTER, metrics=["psnr"])
    assert benchmark(path, "--out", tmp_path / "out") == 3
    shown = capsys.readouterr()
    assert "cells: 1 computed, 0 done before, 1 missing" in shown.out
    place = "give --data shell=DIR, or put it into the folder shell in INPAINT_ZOO_DATA; get it from https://"
    assert f"missing: dataset 'shell' (1 cell): {place}" in shown.err
    given = ("--data", f"shell={tmp_path / 'images'}")
    assert benchmark(path, "--out", tmp_path / "other", *given) == 2
    assert "is not laid out as the data set 'shell': it has no folder test" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_failed_cell_outweighs_a_missing_one(tmp_path, capsys):
    (tmp_path / "fails_beside_missing.py").write_text("def fill(image, mask):\n    raise KeyError('no')\n")
    methods = [{"callable": "fails_beside_missing:fill", "label": "Mine"}, {"model": "toy", "weights": "none.ckpt"}]
    path = write_suite(tmp_path, methods=methods, masks=CENTER)
    assert benchmark(path, "--out", tmp_path / "out") == 1
    assert benchmark(path, "--out", tmp_path / "out", "--only", "method=toy") == 3
    assert "cells: 0 computed, 0 done before, 1 missing" in capsys.readouterr().out


def test_a_missing_backbone_and_missing_mask_files_count(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = write_suite(tmp_path, methods=["mean_fill"], masks=CENTER, metrics=["psnr", "lpips_vgg"])
    assert benchmark(path, "--out", tmp_path / "out") == 3
    assert benchmark(path, "--out", tmp_path / "out", "--allow-missing") == 0
    capsys.readouterr()
    path = write_suite(tmp_path, methods=["mean_fill"], masks=[*CENTER, {"bank": "holes"}], metrics=["psnr"])
    assert benchmark(path, "--out", tmp_path / "banks") == 3
    shown = capsys.readouterr()
    assert "cells: 1 computed, 0 done before, 1 missing" in shown.out
    assert "missing: mask files holes (1 cell): put them where the suite's 'bank' says" in shown.err


WRONG = [
    (["--data", "shell=."], r"--data shell: Unknown dataset or set of mask files 'shell'. Did you mean 'shells'"),
    (["--data", "shells"], "--data must be NAME=DIR, got 'shells'"),
    (["--data", "shells=nowhere"], "--data shells=nowhere: no such folder"),
    (["--data", "shells=.", "--data", "shells=.."], "--data shells is given twice"),
    (["--weights", "tpy=FILE"], r"--weights tpy: Unknown method with weights 'tpy'. Did you mean 'toy'"),
    (["--weights", "mean_fill=FILE"], r"--weights mean_fill: Unknown method with weights 'mean_fill'"),
    (["--weights", "toy=none.ckpt"], r"--weights toy=none.ckpt: there is no file none.ckpt"),
    (["--weights", "toy={dataset}.ckpt"], r"there is no file shells.ckpt or cats.ckpt"),
    (["--weights", "toy=random"], r"--weights toy=random: there is no file random"),
    (["--weights-root", "nowhere"], "--weights-root nowhere: no such folder"),
    (["--weights", "toy=FILE"], r"the suite has weights for each dataset, but this is one file for cats and shells"),
    (["--weights", "toy=OTHER"], r"suite\.yaml:\d+: .*other\.ckpt holds weights of 'repeating', not of 'toy'"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_places_are_one_error_and_nothing_is_computed(tmp_path, monkeypatch, capsys, words, message):
    path = two_datasets(tmp_path)
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path / "data"))
    file, other = toy_weights(tmp_path / "w.safetensors"), write_checkpoint(tmp_path / "other.ckpt")
    words = [word.replace("FILE", str(file)).replace("OTHER", str(other)) for word in words]
    assert benchmark(path, "--out", tmp_path / "out", *words) == 2
    shown = capsys.readouterr()
    assert re.search(message, shown.err)
    assert len([line for line in shown.err.splitlines() if line.startswith("error: ")]) == 1
    assert not (tmp_path / "out").exists()


def test_a_weight_file_of_another_model_is_an_error_without_its_dataset(tmp_path, monkeypatch, capsys):
    path = two_datasets(tmp_path)
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path / "data"))
    shutil.rmtree(tmp_path / "pets")
    toy_weights(tmp_path / "cats" / "toy.safetensors", name="repeating")
    message = r"suite\.yaml:\d+: .*toy\.safetensors holds weights of 'repeating', not of 'toy'"
    assert benchmark(path, "--out", tmp_path / "out") == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
    (listed,) = list_suites(tmp_path)
    assert (listed.cells, listed.ready) == (0, 0)
    assert re.search(message, listed.missing[0])


def test_one_file_for_one_of_several_datasets(tmp_path, monkeypatch):
    path = two_datasets(tmp_path)
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path / "data"))
    file = toy_weights(tmp_path / "w.safetensors")
    words = ("--weights", f"toy={file}", "--only", "dataset=shells")
    assert benchmark(path, "--out", tmp_path / "out", *words) == 0


def test_two_labels_for_one_weight_file(tmp_path):
    toy_weights(tmp_path / "w.safetensors")
    (tmp_path / "link.safetensors").symlink_to("w.safetensors")
    methods = [
        {"model": "toy", "weights": "w.safetensors", "label": "5 images"},
        {"model": "toy", "weights": "link.safetensors", "label": "10 images"},
    ]
    with pytest.raises(ZooError, match=r"'5 images' and '10 images' have the same weight file for 'images'"):
        run_suite(small_suite(tmp_path, methods=methods, masks=CENTER), tmp_path / "out", ONE)
    write_checkpoint(tmp_path / "last.ckpt")
    methods = [
        {"model": "repeating", "weights": "last.ckpt", "label": "once"},
        {"model": "repeating", "weights": "last.ckpt", "label": "twice", "options": {"rounds": 2}},
        {"model": "progressive:repeating", "weights": "last.ckpt"},
    ]
    suite = small_suite(tmp_path, methods=methods, masks=CENTER, metrics=["psnr"])
    assert run_suite(suite, tmp_path / "out", ONE, Diary()).computed == 3  # one network, used in three ways
