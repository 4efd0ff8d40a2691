"""The suites of `benchmarks/` that reproduce printed tables and figures, with nothing on the machine that they need."""

import pytest
import yaml

from inpaint_zoo.benchmark import list_suites, load_suite
from inpaint_zoo.benchmark.images import MaskSet
from inpaint_zoo.benchmark.paper import read_paper_tables
from inpaint_zoo.cli.main import main
from inpaint_zoo.data import dataset_info
from inpaint_zoo.metrics import list_metrics
from inpaint_zoo.registry import model_info
from tests.conftest import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
FILES = sorted(
    path.relative_to(BENCHMARKS).as_posix() for name in ("table", "fig") for path in BENCHMARKS.glob(f"*/{name}_*.yaml")
)


@pytest.fixture(autouse=True)
def _nothing_there(tmp_path, monkeypatch):
    for variable in ("INPAINT_ZOO_DATA", "INPAINT_ZOO_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def test_every_table_has_a_suite():
    tables = {
        (path.stem, number)
        for path in (BENCHMARKS / "paper_tables").glob("*.csv")
        for _, number in read_paper_tables(path)
    }
    named = [keys for file in FILES if (keys := yaml.safe_load((BENCHMARKS / file).read_text()).get("paper"))]
    found = [(keys["table"].split("/")[-1].removesuffix(".csv"), str(keys["number"])) for keys in named]
    assert sorted(found) == sorted(tables)


@pytest.mark.parametrize("file", FILES)
def test_a_suite_names_what_exists_and_compares_or_quotes_every_cell(file):
    suite = load_suite(BENCHMARKS / file)
    for entry in suite.datasets:
        assert entry.spec["split"] in dataset_info(entry.spec["name"]).splits
    for entry in suite.masks:
        MaskSet(entry, suite)
    assert set(suite.metrics) <= set(list_metrics())
    for entry in suite.methods:
        assert model_info(entry.model).name == entry.model
    if suite.paper is None:
        return
    found, table = suite.paper, suite.paper.table
    assert {*found.rows, *found.quoted} == set(table.rows)
    if found.rows:
        assert {match.paper for match in found.metrics} == set(table.metrics)
    if suite.metrics:
        assert (set(found.datasets), set(found.masks)) == (set(table.datasets), set(table.masks))


def test_stand_ins_belong_to_the_columns_of_the_files():
    masks = load_suite(BENCHMARKS / "lgnet" / "table_1.yaml").paper.masks
    assert masks["10-20%"] == ["synthetic_10_20 (stand-in)"]
    assert len(masks) == 6


def test_a_table_of_which_everything_is_missing(tmp_path, capsys):
    words = ["benchmark", str(BENCHMARKS / "lgnet" / "table_1.yaml"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(words) == 3
    shown = capsys.readouterr()
    assert "missing: dataset 'celeba_hq' (16 cells): give --data celeba_hq=DIR, or put it into the folder" in shown.err
    assert "; get it from https://github.com/tkarras/progressive_growing_of_gans" in shown.err
    for label in ("lgnet", "gated_conv"):
        line = f"weights of '{label}' for 'celeba_hq' (8 cells): put celeba_hq/{label}.safetensors into --weights-root"
        assert f"missing: {line}" in shown.err
    for names in ("metrics fid, kid", "metric lpips_alex"):  # one line for each missing file
        assert shown.err.count(f"{names} skipped: The weights of") == 1
    assert "cells: 0 computed, 0 done before, 16 missing" in shown.out
    assert "no cell could be computed, so the report has no scores of ours" in shown.out
    assert "0 of 180 cells computed" in (tmp_path / "out" / "report.html").read_text()
    assert "40.04" in (tmp_path / "out" / "report.md").read_text()  # the paper's PSNR of LGNet for 1 to 10 %
    assert main([*words, "--allow-missing"]) == 0


def test_the_list_says_what_runs_here():
    listed = {each.path.as_posix(): each for each in list_suites(BENCHMARKS)}
    assert set(FILES) < set(listed)
    assert [file for file, each in listed.items() if each.missing and not each.cells] == []  # none is invalid
    assert listed["lgnet/table_4.yaml"].missing == ()
    first = listed["lgnet/table_1.yaml"]
    assert (first.paper, first.cells, first.ready) == ("LGNet, Table I", 16, 0)
    assert [line.split(":")[0] for line in first.missing] == [
        "dataset 'celeba_hq' (16 cells)",
        "weights of 'lgnet' for 'celeba_hq' (8 cells)",
        "weights of 'gated_conv' for 'celeba_hq' (8 cells)",
        "backbone 'inception_fid'",
        "backbone 'alexnet'",
    ]
    assert "give --data nvidia_irregular=DIR" in first.stand_ins[0]
    many = listed["grig/table_5.yaml"].missing
    assert "weights of 'A' for '{dataset}' (36 cells): put {dataset}/grig_ablation_a.safetensors" in "; ".join(many)
    assert listed["grig/fig_23.yaml"].title.startswith("GRIG, Fig. 23: FID of models")
