"""The report of small synthetic runs: its content, and the behavior of the page in a browser."""

import base64
import html
import io
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from rich.console import Console

from inpaint_zoo.benchmark.report import write_report
from inpaint_zoo.benchmark.report.charts import SIZES, Mark, marker, scatter, style_class
from inpaint_zoo.benchmark.report.findings import SHOWN_FINDINGS, findings
from inpaint_zoo.benchmark.report.gallery import DIFFERENCE_COLORS, DIFFERENCE_STEPS, LONGEST_SIDE, build_gallery
from inpaint_zoo.benchmark.report.latex import escape as escape_latex
from inpaint_zoo.benchmark.report.markdown import escape as escape_markdown
from inpaint_zoo.benchmark.report.page import breakable
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.tables import matrices, tables
from inpaint_zoo.benchmark.report.wins import win_matrices
from inpaint_zoo.benchmark.summary import RESULT_COLUMNS
from inpaint_zoo.cli.main import main
from inpaint_zoo.cli.ranking import print_findings, ranking
from inpaint_zoo.errors import ZooError
from tests.helpers.browser import launched, watched
from tests.helpers.synthetic_run import LATEX, SCRIPT, write_run

OUTPUTS = ("report.html", "report.md", "tables.tex", "summary.csv", "pairs.csv", "gallery.png")
VOID = {"meta", "link", "img", "br", "wbr", "input"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Seven methods on 9 images (some differ significantly) and on 4 (too few); one cell failed, one not run."""
    out = write_run(
        tmp_path_factory.mktemp("run"),
        methods=7,
        size=48,
        datasets=(("images", 9), ("sample", 4)),
        metrics=("psnr", "ssim", "l1_hole", "fid"),
    )
    write_report(out)
    return out


@pytest.fixture
def small(tmp_path):
    """Three methods on four images; every cell done."""
    return write_run(tmp_path / "run", methods=3, size=32, failed=(), missing=(), gallery=1)


def rewrite(folder, change):
    """Change results.parquet in place."""
    change(pd.read_parquet(folder / "results.parquet")).to_parquet(folder / "results.parquet", index=False)


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def gallery_data(folder):
    text = (folder / "report.html").read_text()
    return json.loads(re.search(r'<script type="application/json" id="gallery-data">(.*?)</script>', text, re.S)[1])


def image(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


# --- the page as a file ---


def test_writes_all_files_and_the_same_bytes_again(folder):
    before = {name: (folder / name).read_bytes() for name in OUTPUTS}
    assert write_report(folder) == folder / "report.html"
    assert {name: (folder / name).read_bytes() for name in OUTPUTS} == before


def test_page_needs_no_other_file(folder):
    text = (folder / "report.html").read_text()
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", text)
    assert not re.search(r"url\((?!data:)|@import|https?://", text)
    assert "default-src 'none'; img-src data:" in text
    assert len(text) < 1_000_000


def test_page_is_well_nested_and_labelled(folder):
    class Checker(HTMLParser):
        stack: list[str]

        def __init__(self):
            super().__init__()
            self.stack, self.ids, self.targets = [], [], []

        def handle_starttag(self, tag, attrs):
            attrs = dict(attrs)
            if "id" in attrs:
                self.ids.append(attrs["id"])
            if attrs.get("href", "").startswith("#"):
                self.targets.append(attrs["href"][1:])
            if tag == "svg":
                assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")
            if tag not in VOID:
                self.stack.append(tag)

        def handle_startendtag(self, tag, attrs):
            assert tag in {"path", "circle", "polyline"}  # only in SVG

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

    checker = Checker()
    checker.feed((folder / "report.html").read_text())
    assert checker.stack == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert set(checker.targets) <= set(checker.ids)


def test_user_text_cannot_become_markup(folder):
    text = (folder / "report.html").read_text()
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<b>here</b>" not in text
    assert "broken<1>" not in text
    assert SCRIPT in gallery_data(folder)["methods"]
    assert "<script>" not in (folder / "report.md").read_text()


def test_markdown_shows_labels_as_they_are():
    render = MarkdownIt("commonmark").enable("table").render
    for label in (SCRIPT, LATEX, "a|b", "*x* _y_ `z` [l](http://a.b)", "# head", "~~s~~"):
        page = render(f"| a | b |\n| --- | --- |\n| {escape_markdown(label)} | 1 |")
        assert html.unescape(re.search(r"<td>(.*?)</td>", page)[1]) == label


def test_markdown_tables_are_rectangular(folder):
    lines = (folder / "report.md").read_text().splitlines()
    blocks = "\n".join(lines).split("\n\n")
    counted = [
        {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()} for block in blocks if block[:1] == "|"
    ]
    assert len(counted) == 4 + 4  # a matrix per metric, a table per (dataset, mask set)
    assert all(len(columns) == 1 for columns in counted)


def test_latex_is_escaped_and_balanced(folder):
    text = (folder / "tables.tex").read_text()
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert escape_latex(LATEX) == (
        r"50\%\_fill \$x\$ \{a\} \textbackslash{}b \textasciicircum{}\textasciitilde{} \#1 \textbar{}"
    )
    assert escape_latex(LATEX) in body
    assert escape_latex("parameters, 2²⁰") == r"parameters, 2\textsuperscript{2}\textsuperscript{0}"
    bare = re.sub(r"\\[{}%&#$_\\]", "", body)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[%#_]", bare)
    assert bare.count("$") % 2 == 0
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == text.count(r"\bottomrule") == 4
    rows = re.findall(r"^(?!\\).* & .*$", body, re.M)
    columns = [len(re.findall(r"(?<!\\)&", row)) for row in rows if "multicolumn" not in row]
    assert set(columns) == {4}


def test_a_label_that_latex_would_eat_is_guarded(small):
    edit_json(small / "suite.json", lambda suite: suite["methods"][0].update(label="[x] fill"))
    rewrite(small, lambda results: results.replace({"method": {"mean_fill": "[x] fill"}}))
    write_report(small)
    assert re.search(r"^\{\}\[x\] fill & ", (small / "tables.tex").read_text(), re.M)


# --- content ---


def test_every_method_stands_in_every_table(folder):
    run = read_run(folder)
    for table in tables(run):
        assert sorted(row.method for row in table.rows) == sorted(run.methods)
    text = (folder / "report.html").read_text()
    assert text.count("failed: RuntimeError: out of memory &lt;b&gt;here&lt;/b&gt;") >= 3  # headline, table, cells
    assert text.count("not run") >= 3
    assert "26/28" in text
    for name in ("report.md", "tables.tex"):
        assert "failed: RuntimeError" in (folder / name).read_text()
        assert "not run" in (folder / name).read_text()


def test_what_was_skipped_or_unreadable_is_named(folder):
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text().replace("\\_", "_")
        assert "lpips_squeeze: no weights: put squeezenet1_1.pth into WEIGHTS" in text
        assert "broken&lt;1&gt;.jpg: truncated after 512 bytes" in text
        assert "biased, small N: 4 images for 2048 features" in text
        assert "PSNR: 2 values at the cap of 100" in text


def test_provenance_stands_once_where_cells_share_it(small):
    def change(provenance):
        for number, cell in enumerate(provenance["cells"].values()):
            cell["provenance"] = cell["provenance"] | {"mask_identity": f"{number % 2}" * 64}

    edit_json(small / "provenance.json", change)
    write_report(small)
    text = (small / "report.html").read_text()
    weights = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    assert text.count(weights) == 1
    assert text.count("1" * 64) == 3
    assert "git_commit" in text
    assert "abc1234" in text


def test_a_metric_that_is_nowhere_is_named_without_a_reason(small):
    edit_json(small / "suite.json", lambda suite: suite["metrics"].append("kid"))
    assert ("kid", "no finished cell contains it") in read_run(small).skipped_metrics


def test_four_images_are_too_few_and_nothing_is_bold(folder):
    few = [table for table in tables(read_run(folder)) if table.dataset == "sample"]
    for table in few:
        assert table.images == "4 images"
        titles, verdict = table.verdicts[0]
        assert titles == "PSNR, SSIM, L1 in the hole"
        assert re.fullmatch(r"4 images are too few to distinguish 7 methods \(at least 8 are needed\)\.", verdict)
        assert not any(entry.bold for column in table.columns for entry in column.entries)


def test_bold_is_the_best_and_what_is_not_told_from_it(folder):
    run = read_run(folder)
    table = next(table for table in tables(run) if (table.dataset, table.mask) == ("images", "center"))
    column = next(column for column in table.columns if column.info.name == "psnr")
    bold = {entry.method for entry in column.entries if entry.bold}
    rows = run.summary.query("dataset == 'images' and mask == 'center' and metric == 'psnr'")
    assert bold == set(rows.loc[rows["tied_with_best"].astype(bool), "method"])
    assert 0 < len(bold) < 7
    for method in bold:
        assert re.search(rf"^{re.escape(escape_markdown(method))} .*\*\*", _markdown_rows(folder), re.M)


def _markdown_rows(folder):
    return "\n".join(line.strip("| ") for line in (folder / "report.md").read_text().splitlines())


def test_values_of_whole_sets_are_never_bold(folder):
    for table in tables(read_run(folder)):
        column = next(column for column in table.columns if column.info.name == "fid")
        assert not any(entry.bold or entry.has_interval for entry in column.entries)
        assert ("FID", "one number for a whole set: ranked, but without a test, so nothing is bold.") in table.verdicts
        assert any("FID: biased, small N" in note for note in table.notes)


def test_the_bias_of_fid_is_stated_wherever_fid_is(folder, capsys):
    warning = "biased, small N: 4 images for 2048 features; KID, the metric kid, is unbiased"
    for name in ("report.html", "report.md"):
        assert f"FID: {warning}" in (folder / name).read_text()
    for number, table in enumerate(tables(read_run(folder)), start=1):
        assert f"FID: {warning}" in " ".join(table.notes)
        caption = (
            (folder / "tables.tex").read_text().split(rf"\label{{tab:benchmark-{number}}}")[0].split(r"\caption")[-1]
        )
        assert f"FID: {warning}" in caption
    summary = pd.read_csv(folder / "summary.csv")
    assert (summary["warning"] == warning).equals(summary["metric"] == "fid")
    Console(width=200).print(ranking(folder))
    assert f"FID: {warning}" in capsys.readouterr().out


def test_kid_stands_beside_fid(small):
    add = pd.DataFrame(
        [(method, "sample", "center", None, "kid", 0.1, None, None) for method in ("mean_fill", "telea")],
        columns=list(RESULT_COLUMNS),
    )
    rewrite(small, lambda results: pd.concat([results, add.astype(results.dtypes)], ignore_index=True))
    run = read_run(small)
    assert run.set_warnings("fid", "sample", "center") == [
        "biased, small N: 4 images for 2048 features; KID, beside it, is unbiased"
    ]
    assert run.set_warnings("kid", "sample", "center") == []


def test_intervals_of_set_metrics_come_from_the_cells(small):
    def change(provenance):
        for record in provenance["cells"].values():
            record["set_metric_intervals"] = {"fid": [30.0, 55.5]}

    edit_json(small / "provenance.json", change)
    write_report(small)
    assert "[30.00, 55.50]" in (small / "report.md").read_text()


def test_findings_are_the_same_lines_everywhere(folder, capsys):
    run = read_run(folder)
    found = findings(tables(run))
    assert any(re.search(r"is better than .* \(p ≤ 0\.0\d+, Holm\)", each.text) for each in found)
    assert any("images are too few" in each.text or "no significant" in each.text for each in found)
    page, text = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    print_findings(run)
    shown = capsys.readouterr().out
    assert shown.strip().startswith("Findings\n- ")
    for each in found[:SHOWN_FINDINGS]:
        assert f"<b>{html.escape(each.titles)}</b>: {html.escape(each.text, quote=False)}" in page
        assert f"- {escape_markdown(each.line)}" in text
        assert f"- {each.line}" in shown
    assert text.index("**Findings**") < text.index("**Caveats and limits**")


def test_win_matrices(folder):
    run = read_run(folder)
    table = next(table for table in tables(run) if (table.dataset, table.mask) == ("images", "center"))
    matrices = {matrix.info.name: matrix for matrix in win_matrices(run, table)}
    assert list(matrices) == ["psnr", "ssim", "l1_hole"]  # no matrix of FID, which has no value per image
    matrix = matrices["psnr"]
    assert matrix.pairs == len(matrix.methods) * (len(matrix.methods) - 1) / 2
    rows = run.results.query("dataset == 'images' and mask == 'center' and metric == 'psnr'")
    values = rows.pivot_table(index="image", columns="method", values="value")
    for i, first in enumerate(matrix.methods):
        assert matrix.rows[i].cells[i] is None
        for j, second in enumerate(matrix.methods[:i]):
            share = ((values[first] > values[second]) + 0.5 * (values[first] == values[second])).mean()
            assert matrix.rows[i].cells[j][0] == f"{100 * share:.0f}"
            assert matrix.rows[i].cells[j][1] == matrix.rows[j].cells[i][1]
    assert matrix.rows[0].shared_rank == 1
    assert matrix.significant == 0  # 21 tests of 9 images cannot reject: 21 x 2^-8 > 0.05
    assert len(pd.read_csv(folder / "pairs.csv")) == len(run.pairs) > 0
    assert (folder / "report.html").read_text().count("<summary>Win matrices</summary>") == len(tables(run))


def test_a_run_of_values_of_whole_sets_counts_its_images(tmp_path):
    out = write_run(tmp_path / "run", methods=2, size=32, failed=(), missing=(), gallery=1)
    names = ["astronaut", "chelsea", "rocket", "retina"]
    assert list(read_run(out).scored_images("sample", "center")) == names
    rewrite(out, lambda results: results[results["metric"] == "fid"])
    run = read_run(out)
    assert list(run.scored_images("sample", "center")) == list(run.image_groups("sample")) == names
    write_report(out)
    (sentence,) = (line for line in (out / "report.md").read_text().splitlines() if line.startswith("2 methods on "))
    assert sentence == "2 methods on 4 images (sample), under 2 mask sets, by 1 metric."
    assert "sample, center: 4 images; " in (out / "tables.tex").read_text()
    assert run.gallery_keys("sample") == {0: "astronaut"}
    edit_json(out / "suite.json", lambda suite: suite["datasets"][0].update(crop="grid"))
    edit_json(out / "suite.json", lambda suite: suite["masks"][0].update(draws=2))
    parquet = out / "timings.parquet"
    timings = pd.read_parquet(parquet)
    renamed = ["a_crop0", "a_crop0#1", "a_crop1", "a_crop1#1"]
    timings["image"] = timings["image"].map(dict(zip(names, renamed, strict=True)))
    timings.to_parquet(parquet, index=False)
    assert read_run(out).image_groups("sample") == {"a_crop0": "a", "a_crop1": "a"}
    timings[:0].to_parquet(parquet, index=False)  # as for folders of results
    assert len(read_run(out).scored_images("sample", "center")) == 4


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (
            (10.0, 20.0, 20.0),
            "telea is better than mean_fill (p ≤ 0.00098, Holm); no significant difference from navier_stokes.",
        ),
        ((10.0, 20.0, 30.0), "navier_stokes is better than mean_fill, telea (p ≤ 0.00098, Holm)."),
        (
            (10.0, 10.0, 10.0),
            "12 images show no significant difference between mean_fill, which has the best mean, and the other 2 "
            "methods.",
        ),
        ((np.nan, np.nan, np.nan), "no method has a value."),
    ],
)
def test_verdicts_in_words(small, values, verdict):
    rows = [
        (method, "sample", mask, f"image {n}", "psnr", value + n % 5, f"image {n}", 0.2)
        for method, value in zip(("mean_fill", "telea", "navier_stokes"), values, strict=True)
        for mask in ("center", "lama_thick")
        for n in range(12)
    ]
    rewrite(small, lambda results: pd.DataFrame(rows, columns=results.columns))
    write_report(small)
    run, page = read_run(small), (small / "report.html").read_text()
    table = tables(run)[0]
    assert table.verdicts == (("PSNR", verdict),)
    assert verdict in page
    for matrix in win_matrices(run, table):
        different = len(set(values)) * (len(set(values)) - 1) / 2 + (len(set(values)) == 2)
        assert matrix.significant == different
        assert f"{matrix.significant} of 3 pairs differ significantly" in page
        assert ("<td><b>100</b></td>" in page) == (different > 0)


def test_one_method_alone_is_compared_with_nothing(tmp_path):
    out = write_run(tmp_path / "run", methods=1, size=32, failed=(), missing=())
    write_report(out)
    table = tables(read_run(out))[0]
    assert table.verdicts[0] == ("PSNR, SSIM, FID", "only mean_fill has a value, so there is nothing to compare.")
    assert not any(entry.bold for column in table.columns for entry in column.entries)


def test_crops_are_called_crops(tmp_path):
    out = write_run(tmp_path / "run", methods=2, size=32, crops=2, failed=(), missing=())
    write_report(out)
    assert tables(read_run(out))[0].images == "8 crops of 4 images"
    assert "8 crops of 4 images" in (out / "report.html").read_text()


def test_values_left_out_and_images_missing_are_noted(small):
    def change(results):
        results = results.copy()
        first = results.index[(results["method"] == "telea") & (results["metric"] == "psnr")]
        results.loc[first[0], "value"] = np.nan
        other = results.index[(results["method"] == "mean_fill") & (results["metric"] == "ssim")]
        return results.drop(index=other[0])

    rewrite(small, change)
    notes = tables(read_run(small))[0].notes
    assert "PSNR, telea: 1 value(s) were not finite and left out." in notes
    assert "SSIM, mean_fill: only 3 of 4 images." in notes


def test_overview_ranks_and_incomplete_methods(folder):
    run = read_run(folder)
    overview = matrices(run, tables(run))
    assert [matrix.info.name for matrix in overview] == ["psnr", "ssim", "l1_hole", "fid"]
    psnr = overview[0]
    assert [row.n_ranks for row in psnr.rows] == [4] * 5 + [3] * 2
    assert {row.method for row in psnr.rows[5:]} == {"telea", "navier_stokes"}
    complete = [row.mean_rank for row in psnr.rows[:5]]
    assert complete == sorted(complete)
    ranks = [entry.rank for entry in psnr.rows[0].entries]
    assert psnr.rows[0].mean_rank == np.mean(ranks)


def test_a_run_without_any_finished_cell_still_has_a_report(small):
    rewrite(small, lambda results: results.iloc[:0])
    timings = pd.read_parquet(small / "timings.parquet").iloc[:0]
    timings.to_parquet(small / "timings.parquet", index=False)
    write_report(small)
    text = (small / "report.html").read_text()
    assert "No cell of this benchmark has finished yet." in text
    assert "0/6" in text


def test_summary_csv_is_the_summary(folder):
    table = pd.read_csv(folder / "summary.csv")
    np.testing.assert_array_equal(table["mean"], read_run(folder).summary["mean"].astype(float))


# --- images ---


def test_difference_maps_are_computed_from_the_pngs(folder):
    run, data = read_run(folder), gallery_data(folder)
    assert len(data["scenes"]) == 2 * 2 * 2  # two images, two mask sets, two datasets
    scene = next(s for s in data["scenes"] if (s["dataset"], s["mask"]) == ("images", "lama_thick"))
    root = folder / "gallery" / "images"
    target = np.asarray(Image.open(root / "0.png").convert("RGB")).astype(int)
    hole = np.asarray(Image.open(root / "lama_thick" / "0.png").convert("L")) > 127
    colors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in DIFFERENCE_COLORS])
    for entry in scene["methods"]:
        method = run.methods[entry["method"]]
        if "missing" in entry:
            assert method in ("telea", "navier_stokes")
            continue
        cell = run.cells[(method, "images", "lama_thick")][0]
        result = np.asarray(Image.open(folder / "cells" / cell / "images" / "0.png").convert("RGB")).astype(int)
        difference = np.abs(result - target).mean(axis=2)
        shown = np.asarray(image(data["images"][entry["difference"]]).convert("RGBA"))
        np.testing.assert_array_equal(shown[..., 3] > 0, hole | (difference > 0))
        classes = np.searchsorted(DIFFERENCE_STEPS, difference, side="right") - 1
        np.testing.assert_array_equal(shown[hole][:, :3], colors[classes[hole]])
        assert entry["mean_difference"] == pytest.approx(difference[hole].mean(), abs=0.006)
        assert [title for title, _ in entry["scores"]] == ["PSNR", "SSIM", "L1 in the hole"]


def test_copies_lie_over_the_ground_truth_and_show_the_result(folder):
    run, data = read_run(folder), gallery_data(folder)
    scene = data["scenes"][0]
    target = image(data["images"][scene["truth"]]).convert("RGBA")
    for entry in scene["methods"]:
        part = image(data["images"][entry["image"]]).convert("RGBA")
        cell = run.cells[(run.methods[entry["method"]], scene["dataset"], scene["mask"])][0]
        result = Image.open(folder / "cells" / cell / "images" / "0.png").convert("RGB")
        shown = Image.alpha_composite(target, part).convert("RGB")
        error = np.asarray(shown).astype(float) - np.asarray(result)
        assert 10 * np.log10(255**2 / (error**2).mean()) > 28
        assert np.asarray(part)[0, 0, 3] == 0  # known pixels are not stored again


def test_a_known_pixel_that_a_method_changed_is_shown(small):
    run = read_run(small)
    cell = run.cells[("telea", "sample", "center")][0]
    path = small / "cells" / cell / "images" / "0.png"
    pixels = np.array(Image.open(path))
    pixels[0, 0] = 255 - pixels[0, 0]
    Image.fromarray(pixels).save(path)
    gallery = build_gallery(run)
    entry = gallery.scenes[0]["methods"][run.methods.index("telea")]
    assert image(gallery.images[entry["image"]]).convert("RGBA").getpixel((0, 0))[3] == 255
    assert image(gallery.images[entry["difference"]]).convert("RGBA").getpixel((0, 0))[3] == 255


def test_gallery_keeps_to_its_budget_and_says_so(folder, tmp_path):
    run = read_run(folder)
    whole, bounded = build_gallery(run), build_gallery(run, budget=1)
    assert (whole.shown, whole.available) == (4, 4)
    assert (bounded.shown, bounded.available) == (1, 4)
    assert {scene["image"] for scene in bounded.scenes} == {"astronaut"}


def test_large_images_are_shown_smaller(tmp_path):
    out = write_run(tmp_path / "run", methods=1, size=LONGEST_SIDE + 100, gallery=1, failed=(), missing=())
    gallery = build_gallery(read_run(out))
    assert gallery.reduced
    assert image(gallery.images[gallery.scenes[0]["truth"]]).size == (LONGEST_SIDE, LONGEST_SIDE)


def test_an_image_that_is_gone_is_said_to_be(small):
    cell = read_run(small).cells[("telea", "sample", "center")][0]
    (small / "cells" / cell / "images" / "0.png").unlink()
    write_report(small)
    entry = gallery_data(small)["scenes"][0]["methods"][1]
    assert entry == {"method": 1, "missing": "no image was kept"}


# --- costs ---


def cost_rows(folder, label):
    """Return the cells of each row of a cost table as text, by method name and other text cells."""
    text = (folder / "report.html").read_text()
    table = re.search(rf'aria-label="{label}">.*?<tbody>(.*?)</tbody>', text, re.S)[1]
    rows = []
    for row in re.findall(r"<tr>(.*?)</tr>", table, re.S):
        cells = re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.S)
        rows.append([re.sub(r"<.*?>", " ", cell).replace("\u2013", "-").split() for cell in cells])
    return {" ".join(word for cell in row[: 3 if "each" in label else 1] for word in cell): row for row in rows}


def test_costs_are_means_with_their_range_by_method_and_by_cell(tmp_path):
    folder = write_run(tmp_path / "run", methods=11, size=32, failed=(), missing=(), metrics=("psnr",))
    write_report(folder)
    methods = cost_rows(folder, "Cost")
    row = methods["progressive: isnet_ tiny"]
    # 4 images: 1, 2, 3, 1 passes under the first mask set and one more each under the second; 3 * (7 * 10 % 11 + 1) ms
    assert row[2:4] == [["2.25", "1-4"], ["15.8", "G", "7", "G-28", "G"]]
    assert row[5] == [f"{15 * 2.25:.3g}", "15-60"]
    assert row[6] == ["-"]
    assert methods["GLaMa tiny"][2:4] == [["-"], ["2.1", "G"]]  # always one pass, so there is no range
    cells = cost_rows(folder, "Cost of each cell")
    assert len(cells) == 22
    assert [cells[f"progressive: isnet_ tiny {mask}"][4] for mask in ("sample center", "sample lama_thick")] == [
        ["1.75", "1-3"],
        ["2.75", "2-4"],
    ]
    latency = cells["progressive: isnet_ tiny sample lama_thick"][7:12]
    assert latency == [[f"{15 * 2.75:.3g}"], ["37.5"], ["60"], ["30"], ["60"]]
    text = (folder / "report.html").read_text()
    assert "Latency: images of 32 × 32 px on cpu; each image alone." in text  # noqa: RUF001 - times
    assert "Passes: number of times that a repeating network ran on an image; it depends on the mask." in text


def test_costs_of_several_devices_do_not_mix(small):
    def change(provenance):
        entry = {**provenance["complexity"][0], "device": "cuda: Large GPU", "latency_ms": 0.5}
        provenance["complexity"].append(entry)

    edit_json(small / "provenance.json", change)
    write_report(small)
    text = (small / "report.html").read_text()
    assert len(cost_rows(small, "Cost")) == 4  # three methods, one of them on two devices
    assert "cuda: Large GPU" in text


# --- plots ---


def test_markers_and_colors_tell_36_methods_apart():
    looks = {(style_class(index), marker(index, 4.0)) for index in range(36)}
    assert len(looks) == 36


def test_labels_of_the_time_plot_do_not_overlap():
    marks = [Mark(f"method {n}", n, 10.0 + n, 30.0 + 0.01 * n) for n in range(12)]
    for size in SIZES:
        svg = scatter(marks, size, x_label="ms", y_label="PSNR", title="t", higher_is_better=True)
        places = [(float(x), float(y)) for x, y in re.findall(r'class="who" x="([\d.]+)" y="([\d.]+)"', svg)]
        assert len(places) == 12
        assert all(abs(a[1] - b[1]) >= 13.9 or abs(a[0] - b[0]) > 60 for a, b in combinations(places, 2))


def test_time_plot_says_who_is_not_in_it(folder):
    text = (folder / "report.html").read_text()
    assert "Not shown, because a mask set is missing: telea, navier_stokes." in text


def test_a_method_without_times_is_named(small):
    timings = pd.read_parquet(small / "timings.parquet")
    timings.loc[timings["method"] == "telea", "seconds"] = np.nan
    timings.to_parquet(small / "timings.parquet", index=False)
    write_report(small)
    text = (small / "report.html").read_text()
    assert "latency of one image, ms" in text  # measured alone, so the run's own times are not needed
    assert "no time was measured" not in text
    edit_json(small / "provenance.json", lambda provenance: [r.pop("costs") for r in provenance["cells"].values()])
    write_report(small)
    text = (small / "report.html").read_text()
    assert "median time per image in this run, ms" in text
    assert "Not shown, because no time was measured: telea." in text


@pytest.mark.parametrize(("value", "ratio"), [(np.inf, 0.2), (0.0, 0.0), (1e-9, 1.0), (-40.0, 0.5), (1e12, 0.5)])
def test_plots_of_odd_numbers(small, value, ratio):
    rewrite(small, lambda results: results.assign(value=value, hole_ratio=ratio))
    write_report(small)
    drawn = re.findall(r'<svg class="chart.*?</svg>', (small / "report.html").read_text(), re.S)
    assert (len(drawn) == 0) == np.isinf(value)
    assert not any("nan" in svg or "inf" in svg for svg in drawn)


def test_labels_may_wrap_after_signs():
    assert str(breakable("a:<b>_c")) == "a:<wbr>&lt;b&gt;_<wbr>c"


@pytest.mark.parametrize(("theme", "position"), [("light", 0), ("dark", 1)])
def test_colors_have_contrast(theme, position):
    style = files("inpaint_zoo.benchmark.report").joinpath("templates", "style.css").read_text()

    def luminance(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def ratio(first, second):
        high, low = sorted((luminance(first), luminance(second)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)
    colors = {name: pair[position] for name, *pair in found if name != "c"}
    series = re.findall(r"\.c\d \{ --c: light-dark\((#\w{6}), (#\w{6})\)", style)
    assert len(series) == 6
    for name in ("ink", "muted", "accent", "warn"):
        assert ratio(colors[name], colors["paper"]) >= 4.5, name
    assert ratio(colors["warn"], colors["warn-paper"]) >= 4.5
    assert ratio(colors["ink"], colors["tint"]) >= 4.5
    assert all(ratio(pair[position], colors["paper"]) >= 4.5 for pair in series)


# --- bad folders and the command ---


def test_a_folder_that_is_none_of_ours(tmp_path):
    with pytest.raises(ZooError, match=r"is not a benchmark folder: it has no suite\.json"):
        write_report(tmp_path)


def test_damaged_files_are_named(small):
    good = (small / "provenance.json").read_text()
    (small / "provenance.json").write_text(good[:50])
    with pytest.raises(ZooError, match=r"provenance\.json is damaged"):
        write_report(small)
    (small / "provenance.json").write_text("[]")
    with pytest.raises(ZooError, match=r"provenance\.json must contain an object, got list"):
        write_report(small)
    (small / "provenance.json").write_text(good)
    rewrite(small, lambda results: results.drop(columns="group"))
    with pytest.raises(ZooError, match=r"results\.parquet lacks the column\(s\) group"):
        write_report(small)
    (small / "results.parquet").write_bytes(b"PAR1")
    with pytest.raises(ZooError, match=r"results\.parquet is damaged"):
        write_report(small)
    (small / "results.parquet").unlink()
    with pytest.raises(ZooError, match=r"results\.parquet is missing"):
        write_report(small)


def test_an_unknown_metric_is_an_error(small):
    rewrite(small, lambda results: results.replace({"metric": {"psnr": "psnrr"}}))
    with pytest.raises(ZooError, match=r"Unknown metric 'psnrr'\. Did you mean 'psnr'"):
        write_report(small)


def test_command_rebuilds_the_report(small, capsys):
    assert main(["report", str(small)]) == 0
    assert capsys.readouterr().out.strip() == str(small / "report.html")
    assert all((small / name).is_file() for name in OUTPUTS)
    assert main(["report", str(small / "gallery")]) == 2
    assert "is not a benchmark folder" in capsys.readouterr().err


# --- in a browser ---


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture
def open_page(browser, folder):
    """Open the report; afterwards, check that there were no console messages and no network requests."""
    contexts, complaints = [], []

    def start(width=1280, scheme="light", path=folder / "report.html", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=False, **options
        )
        contexts.append(context)
        page = watched(context, complaints)
        page.goto(path.as_uri())
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (375, "dark"), (768, "light"), (1280, "dark")])
def test_page_fits_the_screen(open_page, width, scheme):
    page = open_page(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for metric in ("fid", "ssim"):
        page.check(f"input[name=plots-metric][value={metric}]", force=True)
        page.check(f"input[name=overview-metric][value={metric}]", force=True)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == ("rgb(251, 250, 247)" if scheme == "light" else "rgb(21, 23, 27)")


@pytest.mark.slow
def test_lines_between_rows_continue_in_the_column_that_does_not_scroll(open_page):
    page = open_page(390)
    page.evaluate("for (const each of document.querySelectorAll('.scroll')) each.scrollLeft = 90")
    rows = page.locator(".scroll table.scores").first.locator("tbody tr + tr").all()
    assert len(rows) == 6
    for row in rows:
        row.scroll_into_view_if_needed()
        box = row.locator("th").bounding_box()
        clip = {"x": box["x"] + 2, "y": box["y"] - 2, "width": 1, "height": 4}
        pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("L"))
        assert pixels.min() < 240 < pixels.max()  # the line on the color of the page


@pytest.mark.slow
def test_divider_follows_pointer_and_keys(open_page):
    page = open_page(375)
    page.locator("#compare").scroll_into_view_if_needed()
    box = page.locator("#compare").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 30)
    page.mouse.up()
    now = page.locator("#handle")
    assert now.get_attribute("aria-valuenow") == "80"
    assert page.evaluate("document.activeElement.id") == "handle"
    for key, value in (
        ("ArrowLeft", "78"),
        ("PageDown", "68"),
        ("Shift+ArrowRight", "78"),
        ("End", "100"),
        ("Home", "0"),
    ):
        page.keyboard.press(key)
        assert now.get_attribute("aria-valuenow") == value
    assert now.get_attribute("aria-valuetext") == "0 % Masked, the rest GLaMa tiny"
    handle = page.locator("#handle").bounding_box()
    assert handle["x"] + handle["width"] / 2 == pytest.approx(box["x"], abs=1)


@pytest.mark.slow
def test_any_two_versions_of_any_image(open_page):
    page = open_page()
    assert page.locator("#strip li").count() == 2 + 7
    page.check("input[name=gallery-mask][value=lama_thick]", force=True)
    assert page.locator("#strip .card").count() == 2  # the failed and the missing cell are shown as such
    assert "failed: RuntimeError: out of memory <b>here</b>" in page.locator("#strip").inner_text()
    page.locator("#gallery-controls .images button").nth(1).click()
    assert "chelsea" in page.locator("#about").inner_text()
    assert "images · lama_thick" in page.locator("#about").inner_text()
    page.select_option("#pick-left", label="Ground truth")
    page.select_option("#pick-right", label=f"Difference: {SCRIPT}")
    assert page.locator("#tag-right").inner_text() == f"Difference: {SCRIPT}"
    assert page.locator("#difference-legend").is_visible()
    assert page.locator("#pane-right img").count() == 2
    page.locator("#swap").click()
    assert page.input_value("#pick-right") == "truth"
    page.check("input[name=gallery-dataset][value=sample]", force=True)
    assert page.locator("#pick-left option[disabled]").count() == 0
    loaded = "[...document.querySelectorAll('#gallery img')].every((image) => image.complete && image.naturalWidth > 0)"
    page.wait_for_function(loaded)


@pytest.mark.slow
def test_tables_sort_with_missing_rows_last(open_page):
    page = open_page()
    table = page.locator("#table-2 table.scores")

    def column(index):
        rows = table.locator("tbody tr")
        cells = [rows.nth(n).locator("td").nth(index) for n in range(rows.count())]
        return [cell.get_attribute("data-value") for cell in cells if cell.count()]

    heading = table.locator("thead th").nth(2)
    heading.locator("button").press("Enter")
    values = [float(value) for value in column(1) if value]
    assert values == sorted(values, reverse=True)  # SSIM: best first
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    values = [float(value) for value in column(1) if value]
    assert values == sorted(values)
    assert table.locator("tbody tr").last.locator("td").first.get_attribute("class") == "missing"
    table.locator("thead th").first.locator("button").click()
    names = [name for name in table.locator("tbody th").all_inner_texts() if name[0].isalpha()]
    assert names == ["GLaMa tiny", "ISNet tiny", "mean_fill", "navier_stokes", "telea"]


@pytest.mark.slow
def test_theme_and_plots_answer(open_page):
    page = open_page(scheme="light")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    page.check("input[name=plots-metric][value=ssim]", force=True)
    page.check("input[name=plots-dataset][value=sample]", force=True)
    assert page.locator("[data-panel=plots]:visible").count() == 1
    button = page.locator("#chart-methods button").nth(3)
    button.click()
    page.mouse.move(0, 0)
    assert button.get_attribute("aria-pressed") == "true"
    visible = page.locator("[data-panel=plots]:visible svg.wide .series")
    dimmed = [name for name in range(visible.count()) if "dim" in visible.nth(name).get_attribute("class")]
    assert len(dimmed) == visible.count() - 2  # one method in each of the two plots is not dimmed


@pytest.mark.slow
def test_page_is_readable_without_javascript(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("[data-panel=overview]:visible").count() == 4
    assert page.locator("#gallery").is_hidden()
    assert "The images need JavaScript" in page.locator("#images").inner_text()
