"""Printed tables: the shipped files, the keys of suites, the comparison in a report, and the cost tables."""

import html
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.cost_keys import FIGURES, read_costs
from inpaint_zoo.benchmark.costs import count
from inpaint_zoo.benchmark.entries import ModelEntry
from inpaint_zoo.benchmark.paper import COLUMNS, METRICS, metric_title, read_paper_table, read_paper_tables
from inpaint_zoo.benchmark.report import write_report
from inpaint_zoo.benchmark.report.latex import escape
from inpaint_zoo.benchmark.report.paper import compare
from inpaint_zoo.benchmark.report.paper_cells import KINDS, signed
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.typography import DASH
from inpaint_zoo.cli.main import main
from inpaint_zoo.config import Table, read_document
from inpaint_zoo.data import DatasetWarning
from inpaint_zoo.errors import ZooError
from tests.helpers.suites import write_images, write_suite, write_table

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CELLS = [
    ("Kodak", "", "center", "Ours", "psnr", "20.00"),
    ("Kodak", "", "center", "Ours", "l1_percent", "3.1"),
    ("Kodak", "", "center", "Theirs", "psnr", "30.25"),
    ("Kodak", "", "center", "Theirs", "l1_percent", "1.5"),
    ("Kodak", "", "box", "Ours", "psnr", "21.00"),
    ("Kodak", "", "box", "Theirs", "psnr", "31.50"),
    ("Kodak", "a=1", "box", "Ours too", "psnr", "22.00"),
    ("Kodak", "a=2", "box", "Ours too", "psnr", "23.00"),
]
KEYS = {
    "paper": {"table": "table.csv", "number": 1},
    "methods": [
        {"model": "mean_fill", "paper": "Ours"},
        {"model": "telea", "paper": {"method": "Ours too", "setting": "a=2"}},
        {"quoted": "*"},
    ],
    "datasets": [{"name": "images", "root": "images", "size": 64}],
    "masks": [{"name": "center", "size": 24, "paper": "center"}, {"name": "lama_box", "paper": "box"}],
    "metrics": [{"name": "psnr", "paper": "psnr"}, {"name": "l1", "paper": {"metric": "l1_percent", "times": 100}}],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run whose suite and table are gone."""
    folder = tmp_path_factory.mktemp("paper")
    write_table(folder, CELLS)
    path = write_suite(folder, **KEYS)
    run_suite(load_suite(path), folder / "out", Options(workers=1, device="cpu", gallery=0))
    path.unlink()
    (folder / "table.csv").unlink()
    return folder / "out"


def test_shipped_tables():
    tables = [
        table for path in (BENCHMARKS / "paper_tables").glob("*.csv") for table in read_paper_tables(path).items()
    ]
    assert sum(len(table.cells) for _, table in tables) == 1922
    assert len({key for key, _ in tables}) == len(tables) == 26
    table = read_paper_table(BENCHMARKS / "paper_tables" / "lgnet.csv", "I")
    assert (table.paper, len(table.rows), len(table.masks)) == ("lgnet", 6, 6)
    assert next(cell.value for cell in table.cells if cell.method == "LGNet" and cell.metric == "psnr") == 40.04


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.csv:1: the columns must be paper,table,.*got nothing"),
        ("paper,table\n", r"t\.csv:1: the columns must be .*got paper,table"),
        (f"{','.join(COLUMNS)}\na,1,,,,M,psnr\n", r"t\.csv:2: expected 8 fields, got 7"),
        (f"{','.join(COLUMNS)}\na,1,,,,M,psnr,high\n", r"t\.csv:2: 'value' must be a number, got 'high'"),
        (f"{','.join(COLUMNS)}\na,1,,,,M,psnr,nan\n", r"t\.csv:2: 'value' must be a number, got 'nan'"),
        (f"{','.join(COLUMNS)}\na,1,,,,,psnr,1\n", r"t\.csv:2: 'method' is empty"),
        (f"{','.join(COLUMNS)}\na,1,,,,M,psnr,1\na,1,,,,M,psnr,2\n", r"t\.csv:3: .* already has a value for M, psnr"),
    ],
)
def test_wrong_tables_name_line_and_column(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ZooError, match=message):
        read_paper_tables(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("number: 1", "number: 2", r"suite\.yaml:\d+: Unknown table of .*table\.csv: '2'. Known: 1"),
        ("table: table.csv", "table: tabel.csv", r"tabel\.csv: cannot be read"),
        ("number: 1", "nummer: 1", r"Unknown key of `paper`: 'nummer'. Did you mean 'number'"),
        (
            "paper: Ours",
            "paper: Our",
            r"suite\.yaml:\d+: Unknown method of the paper's table: 'Our'. Did you mean 'Ours'",
        ),
        ("setting: a=2", "setting: a=3", r"Unknown setting of the paper's table: 'a=3'. Did you mean"),
        ("    setting: a=2\n", "", r"several rows of 'Ours too'; name one .*: a=1, a=2"),
        ("paper: center", "paper: centre", r"Unknown mask set of the paper's table: 'centre'. Did you mean 'center'"),
        ("paper: box", "paper: center", r"'lama_box' and 'center' are both compared with the paper's 'center'"),
        ("paper: box", "paper: {mask: box}", r"suite\.yaml:\d+: .*'methods'"),
        (
            "paper: box",
            "paper: {mask: boxes, methods: [Ours]}",
            r"mask set of the paper's table: 'boxes'. Did you mean",
        ),
        (
            "paper: box",
            "paper: {mask: box, methods: [Our]}",
            r"method of the paper's table: 'Our'. Did you mean 'Ours'",
        ),
        ("paper: psnr", "paper: pnsr", r"Unknown metric of the paper's table: 'pnsr'. Did you mean 'psnr'"),
        ("times: 100", "time: 100", r"Unknown key of `paper`: 'time'. Did you mean 'times'"),
        ("quoted: '*'", "quoted: Thiers", r"Unknown method of the paper's table: 'Thiers'. Did you mean 'Theirs'"),
        ("quoted: '*'", "quoted: Ours", r"'Ours' is quoted, but another method of the suite is compared with it"),
        ("paper:\n  table: table.csv\n  number: 1\n", "", r"'paper' refers to a table of a paper: add `paper: {table"),
        ("  number: 1\n", "  number: 1\n  average: [mask]\n", r"axis in `average`: 'mask'. Did you mean 'masks'"),
    ],
)
def test_wrong_keys_name_line_and_name(tmp_path, old, new, message):
    write_table(tmp_path, CELLS)
    path = write_suite(tmp_path, **KEYS)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ZooError, match=message):
        load_suite(path)


def test_differences_are_those_of_the_summary(finished):
    found = pd.read_csv(finished / "paper_comparison.csv", keep_default_na=False)
    assert len(found) == len(CELLS)
    summary = pd.read_csv(finished / "summary.csv").set_index(["method", "mask", "metric"])["mean"]
    computed = found[found["status"] == "computed"].set_index(["method", "mask", "metric"])
    ours = computed["ours"].astype(float)
    assert ours["Ours", "center", "psnr"] == pytest.approx(summary["mean_fill", "center", "psnr"], rel=1e-12)
    assert ours["Ours", "center", "l1_percent"] == pytest.approx(100 * summary["mean_fill", "center", "l1"], rel=1e-12)
    assert ours["Ours too", "box", "psnr"] == pytest.approx(summary["telea", "lama_box", "psnr"], rel=1e-12)
    for _, row in computed.iterrows():
        assert float(row["difference"]) == pytest.approx(float(row["ours"]) - row["paper_value"], rel=1e-9)
    assert set(computed["kind"]) == {"none"}
    assert list(found[found["status"] == "quoted"]["method"]) == ["Theirs", "Theirs", "Theirs", "Ours too"]


def test_quoted_numbers_are_never_ranked_or_bold(finished):
    assert set(pd.read_csv(finished / "summary.csv")["method"]) == {"mean_fill", "telea"}
    page = (finished / "report.html").read_text()
    section = re.search(r'<section id="paper".*?</section>', page, re.S)[0]
    assert "4 of 8 cells computed" in section
    assert "<b>" not in section
    assert 'class="rank"' not in section
    assert len(re.findall(r'<tr class="quoted">', section)) == 2 * 2  # two quoted rows in each of two panels
    markdown = (finished / "report.md").read_text()
    assert f"| Theirs (quoted) | 30.25 | {DASH} | {DASH} |" in markdown
    part = markdown.partition("of the paper")[2].partition("\n## ")[0]
    assert "**" not in part
    assert r"\emph{Theirs} & \emph{30.25} & -- & --" in (finished / "tables.tex").read_text()


def test_the_report_needs_neither_suite_nor_table(finished):
    names = ("report.html", "report.md", "tables.tex", "paper_comparison.csv")
    before = {name: (finished / name).read_bytes() for name in names}
    assert main(["report", str(finished)]) == 0
    assert {name: (finished / name).read_bytes() for name in names} == before


def test_a_mean_over_mask_sets_needs_every_part(tmp_path, finished):
    out = shutil.copytree(finished, tmp_path / "out")
    suite = json.loads((out / "suite.json").read_text())
    suite["paper"]["masks"] = {"center": ["center", "lama_box"]}
    suite["paper"]["average"] = ["masks"]
    (out / "suite.json").write_text(json.dumps(suite))
    first = compare(read_run(out)).cells[0]
    summary = pd.read_csv(out / "summary.csv").set_index(["method", "mask", "metric"])["mean"]
    parts = [summary["mean_fill", mask, "psnr"] for mask in ("center", "lama_box")]
    assert first.ours == pytest.approx(sum(parts) / 2, rel=1e-12)
    results = pd.read_parquet(out / "results.parquet")
    results[(results["method"] != "mean_fill") | (results["mask"] != "center")].to_parquet(out / "results.parquet")
    first = compare(read_run(out)).cells[0]
    assert (first.status, first.ours) == ("missing", None)
    assert first.reason.startswith("1 of 2 parts of the mean; ")


def test_a_mask_set_of_some_rows_replaces_the_others_in_them(tmp_path, finished):
    (tmp_path / "images").symlink_to(finished.parent / "images")
    cells = [(data, "", "center", method, metric, value) for data, _, _, method, metric, value in CELLS[:4]]
    write_table(tmp_path, cells)
    masks = [
        {"name": "center", "size": 24, "paper": "center"},
        {"name": "lama_box", "paper": {"mask": "center", "methods": ["Theirs"]}},
    ]
    methods = [{"model": "mean_fill", "paper": "Ours"}, {"model": "telea", "paper": "Theirs"}]
    path = write_suite(tmp_path, **{**KEYS, "masks": masks, "methods": methods})
    run_suite(load_suite(path), tmp_path / "out", Options(workers=1, device="cpu", gallery=0))
    found = {(cell.cell.method, cell.metric): cell.ours for cell in compare(read_run(tmp_path / "out")).cells}
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index(["method", "mask", "metric"])["mean"]
    assert found == {
        ("Ours", "psnr"): summary["mean_fill", "center", "psnr"],
        ("Ours", "l1"): 100 * summary["mean_fill", "center", "l1"],
        ("Theirs", "psnr"): summary["telea", "lama_box", "psnr"],
        ("Theirs", "l1"): 100 * summary["telea", "lama_box", "l1"],
    }


@pytest.mark.parametrize(
    ("kind", "detail", "dataset", "expected"),
    [
        ("released", "converted from g.pt", "images", "released"),
        ("trained", "400,000 steps", "images", "trained"),
        ("trained", "400,000 steps", "sample", "stand-in"),
        ("reduced", "200 of 400,000 steps; changed: model.l1=2", "images", "reduced"),
        ("reduced", "200 of 400,000 steps", "sample", "stand-in"),
        ("stand-in", "small model", "images", "stand-in"),
        (None, "", "images", "unknown"),
    ],
)
def test_kinds_of_ours(tmp_path, finished, kind, detail, dataset, expected):
    out = shutil.copytree(finished, tmp_path / "out")
    provenance = json.loads((out / "provenance.json").read_text())
    for record in provenance["cells"].values():
        record["provenance"]["weights_origin"] = {"kind": kind, "detail": detail} if kind else None
    (out / "provenance.json").write_text(json.dumps(provenance))
    suite = json.loads((out / "suite.json").read_text())
    suite["datasets"][0]["name"] = dataset
    (out / "suite.json").write_text(json.dumps(suite))
    comparison = compare(read_run(out))
    assert {cell.kind for cell in comparison.cells if cell.status == "computed"} == {expected}
    write_report(out)
    page = html.unescape((out / "report.html").read_text())
    assert f"<dt>{comparison.kinds[0][0]}</dt>" in page
    if kind == "reduced":
        assert detail in page
        assert ("(trained here, 200 of 400,000 steps, changed)" in (out / "report.md").read_text()) == (
            expected == "reduced"
        )


def test_latex_knows_every_letter_of_the_titles():
    titles = [*map(metric_title, METRICS), *(figure.definition for figure in FIGURES.values())]
    titles += [text for kind in KINDS.values() for text in kind]
    assert all(ord(letter) < 256 for title in titles for letter in escape(title))


def test_ours_on_a_part_of_the_papers_images_is_a_stand_in(tmp_path):
    write_table(tmp_path, CELLS)
    write_images(tmp_path / "shell" / "test", 3)
    path = write_suite(tmp_path, **KEYS | {"datasets": [{"name": "shell", "split": "test", "size": 64}]})
    words = ["benchmark", str(path), "--out", str(tmp_path / "out"), "--data", f"shell={tmp_path / 'shell'}"]
    with pytest.warns(DatasetWarning, match="test has 3 images, but 'shell' has 16"):
        assert main([*words, "--device", "cpu", "--workers", "1", "--gallery", "0"]) == 0
    run = read_run(tmp_path / "out")
    found = {(cell.kind, cell.reason) for cell in compare(run).cells if cell.status == "computed"}
    assert found == {("stand-in", "shell: 3 of 16 images in test")}
    assert "shell: 3 of 16 images in test. The numbers are not comparable" in (run.folder / "report.md").read_text()


def test_a_suite_of_quoted_rows_only_is_a_report(tmp_path):
    write_table(tmp_path, CELLS)
    suite = {"name": "study", "seed": 1, "paper": KEYS["paper"], "methods": [{"quoted": "*"}]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(suite))
    assert main(["benchmark", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert "0 of 8 cells computed" in (tmp_path / "out" / "report.html").read_text()


def test_costs_run_without_images_and_are_kept(tmp_path):
    cells = [("", "", "", "Small", "params_m", "1.4"), ("", "", "", "Small", "latency_ms", "2.0")]
    write_table(tmp_path, cells)
    figures = [{"name": "params_m", "paper": "params_m"}, {"name": "latency_ms", "paper": "latency_ms"}, "macs_g"]
    suite = {
        "name": "costs",
        "seed": 1,
        "paper": KEYS["paper"],
        "methods": [{"model": "isnet_tiny", "weights": "random", "paper": "Small"}, "telea"],
        "costs": {"size": 64, "images": 2, "figures": figures},
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(suite))
    words = ["benchmark", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(words) == 0
    costs = json.loads((tmp_path / "out" / "costs.json").read_text())["methods"]
    assert set(costs["isnet_tiny"]["figures"]) == {"params_m", "latency_ms", "macs_g"}
    assert set(costs["telea"]["figures"]) == {"params_m", "latency_ms"}  # no network, so no MACs
    first, second = compare(read_run(tmp_path / "out")).cells
    assert (first.kind, second.kind) == ("counted", "measured")
    assert second.ours == costs["isnet_tiny"]["figures"]["latency_ms"] > 0
    assert main(words) == 0
    assert json.loads((tmp_path / "out" / "costs.json").read_text())["methods"] == costs


@pytest.mark.parametrize("number", ["lgnet/table_4", "grig/table_4", "isnet/table_7", "isnet/table_8"])
def test_cost_tables_within_half_a_percent_or_explained(number):
    """Every parameter and MAC count of these tables, by the convention that its suite states."""
    path = BENCHMARKS / f"{number}.yaml"
    content = yaml.safe_load(path.read_text())
    document = read_document(path, "the suite", "name: mine")
    costs = Table(document, "`costs`", document.values["costs"], ("costs",))
    figures = costs.items("figures", "a figure", "name")
    keys = read_costs(costs, [Table(document, "", {"name": each.values["name"]}) for each in figures])
    table = read_paper_table(path.parent / content["paper"]["table"], str(content["paper"]["number"]))
    explained = {
        (note.get("method"), note.get("metric")) for note in content["paper"].get("notes", []) if "text" in note
    }
    checked = 0
    for method in (each for each in content["methods"] if "model" in each):
        row = method["paper"] if isinstance(method["paper"], dict) else {"method": method["paper"]}
        found = count(ModelEntry("", costs, method["model"], "random", method.get("options", {})), keys)
        for figure in (each.values for each in figures if "paper" in each.values):
            match = figure["paper"] if isinstance(figure["paper"], dict) else {"metric": figure["paper"]}
            own = [
                each.values["paper"]["metric"]
                for each in figures
                if isinstance(each.values.get("paper"), dict)
                and row["method"] in each.values["paper"].get("methods", ())
            ]
            if figure["name"] not in found or ("methods" not in match and match["metric"] in own):
                continue
            if row["method"] not in match.get("methods", [row["method"]]):
                continue
            (cell,) = [
                cell
                for cell in table.cells
                if (cell.method, cell.metric) == (row["method"], match["metric"])
                and cell.setting == row.get("setting", cell.setting)
            ]
            close = abs(found[figure["name"]] / cell.value - 1) <= 0.005
            assert close or (row["method"], match["metric"]) in explained, (row, match, found[figure["name"]])
            checked += 1
    assert checked == {"lgnet/table_4": 8, "grig/table_4": 8, "isnet/table_7": 4, "isnet/table_8": 4}[number]


def test_signs():
    assert [signed(value, 2) for value in (0.004, -0.004, 0.006, -0.006)] == ["0.00", "0.00", "+0.01", "\u22120.01"]


def test_the_list_names_tables_and_what_is_missing(tmp_path, capsys):
    write_table(tmp_path, CELLS)
    write_suite(tmp_path, **KEYS)
    broken = tmp_path / "more" / "b.yaml"
    broken.parent.mkdir()
    text = (
        (tmp_path / "suite.yaml")
        .read_text()
        .replace("root: images", "root: nowhere")
        .replace("table.csv", "../table.csv")
    )
    broken.write_text(f"# Mine, Table 1: one sentence. And another.\n{text}")
    (tmp_path / "other.yaml").write_text("name: no suite\n")
    assert main(["benchmark", "--list", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "more/b.yaml 0 of 4 cells can run"
    assert lines[1].endswith("Table 1: one sentence")
    assert lines[2].startswith("  missing: dataset 'images' (4 cells): the suite's folder nowhere does not exist")
    assert lines[3] == "suite.yaml ready"
    assert len(lines) == 5
    for words in (["benchmark"], ["benchmark", "s.yaml"], ["benchmark", "s.yaml", "--list"]):
        with pytest.raises(SystemExit, match="2"):
            main(words)


def test_masks_that_stand_in_for_files_are_stand_ins(tmp_path, finished):
    out = shutil.copytree(finished, tmp_path / "out")
    suite = json.loads((out / "suite.json").read_text())
    suite["masks"][0]["stands_in_for"] = "nvidia_irregular"
    (out / "suite.json").write_text(json.dumps(suite))
    for cell in compare(read_run(out)).cells:
        if cell.status == "computed":
            assert (cell.kind == "stand-in") == (cell.cell.mask == "center")
            assert ("generated masks in place of nvidia_irregular" in cell.reason) == (cell.cell.mask == "center")


def test_costs_count_passes_and_need_no_weights_or_images(tmp_path, monkeypatch):
    monkeypatch.delenv("INPAINT_ZOO_DATA", raising=False)
    methods = [{"model": "progressive:isnet_tiny", "weights": "{dataset}/w.safetensors"}]
    suite = {"name": "costs", "seed": 1, "methods": methods}
    suite["costs"] = {"size": 64, "images": 1, "figures": ["passes", "latency_ms", "params_m"]}
    masks = {"masks": [{"name": "center", "size": 48}]}
    scores = {"datasets": [{"name": "shell", "split": "test", "size": 64}], "metrics": ["psnr"]}
    for name, more, code, passes in (("alone", {}, 0, 2), ("masks", masks, 0, 3), ("scores", masks | scores, 3, 2)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(suite | more))
        words = ["benchmark", str(tmp_path / f"{name}.yaml"), "--out", str(tmp_path / name), "--device", "cpu"]
        assert main(words) == code
        (record,) = json.loads((tmp_path / name / "costs.json").read_text())["methods"].values()
        assert record["error"] is None
        # without datasets, the suite's masks; otherwise a centered square of 32 px: 25 %, then 18^2 / 64^2 = 8 %
        assert record["figures"]["passes"] == passes
        assert record["figures"]["params_m"] > 1
