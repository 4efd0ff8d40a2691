"""What is published about a run, and TensorBoard files, which are read with TensorBoard."""

import json
import re

import pandas as pd
import pytest

from inpaint_zoo.benchmark.publish import read_content
from inpaint_zoo.benchmark.report.plots import hole_plots
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.cli.main import main
from tests.helpers.suites import means_of, write_suite
from tests.helpers.synthetic_run import SCRIPT, write_run

LEGAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z0-9_]+)*")


@pytest.fixture
def synthetic(tmp_path):
    return write_run(tmp_path / "run", methods=6, datasets=(("a b", 3), ("curves", 2)), masks=("center", "lama_thick"))


# The content


def test_numbers_are_the_means_of_the_results(synthetic):
    content = read_content(read_run(synthetic))
    datasets = {"a b": "a_b", "curves": "data_curves"}
    found = {record.label: record.numbers for record in content.records}
    means = means_of(synthetic)
    for (method, dataset, mask, metric), mean in means.items():
        assert found[method][f"{datasets[dataset]}/{mask}/{metric}"] == pytest.approx(mean, rel=1e-12)
    cells = [name for numbers in found.values() for name in numbers if name.count("/") == 2]
    assert len(cells) == len(means)


def test_all_names_are_legal_and_different(synthetic):
    content = read_content(read_run(synthetic))
    assert any(record.label == SCRIPT for record in content.records)
    for record in content.records:
        names = [*record.numbers, *(curve.name for curve in record.curves)]
        assert all(LEGAL.fullmatch(name) for name in names)
        assert len(set(names)) == len(names)
    assert len({record.name for record in content.records}) == len(content.records)
    assert all(re.fullmatch(r"\w+", record.name) for record in content.records)


def test_a_record_does_not_depend_on_other_methods(tmp_path):
    few, more = (read_content(read_run(write_run(tmp_path / str(n), methods=n))) for n in (4, 6))
    digests = {record.label: record.digest for record in more.records}
    assert {record.label: record.digest for record in few.records}.items() < digests.items()


def test_a_record_depends_on_its_numbers(tmp_path):
    before = read_content(read_run(write_run(tmp_path, methods=3)))
    results = pd.read_parquet(tmp_path / "results.parquet")
    changed = (results["method"] == "mean_fill") & (results["metric"] == "ssim")
    results.loc[changed, "value"] += 1e-9
    results.to_parquet(tmp_path / "results.parquet", index=False)
    after = read_content(read_run(tmp_path))
    assert [a.label for a, b in zip(after.records, before.records, strict=True) if a.digest != b.digest] == [
        "mean_fill"
    ]


def test_cells_without_numbers_have_no_number_and_are_named(synthetic):
    records = {record.label: record for record in read_content(read_run(synthetic)).records}
    failed, missing = records["telea"], records["navier_stokes"]
    assert failed.config["cells_without_numbers"] == ["a_b/lama_thick: failed: RuntimeError: out of memory <b>here</b>"]
    assert missing.config["cells_without_numbers"] == ["a_b/lama_thick: not run"]
    for record in (failed, missing):
        assert not any(name.startswith("a_b/lama_thick/") for name in record.numbers)
        assert "incomplete" in record.tags
        assert any("No numbers on a b, lama_thick: " in note for note in record.notes)
    assert records["mean_fill"].tags == ("benchmark",)


def test_a_method_without_cells_is_left_out(tmp_path):
    write_run(tmp_path, methods=3, masks=("center",), missing=(("telea", 0),), failed=(("navier_stokes", 0),))
    content = read_content(read_run(tmp_path))
    assert content.left_out == ("telea",)
    assert [record.label for record in content.records] == ["mean_fill", "navier_stokes"]
    assert not [name for name in content.records[1].numbers if name.startswith("sample/")]


def test_curves_are_those_of_the_report(synthetic):
    run = read_run(synthetic)
    printed = {(plot.dataset, plot.info.name, row[0]): row[1:] for plot in hole_plots(run) for row in plot.numbers}
    names = {"a b": "a_b", "curves": "data_curves"}
    records = {record.label: record for record in read_content(run).records}
    for (dataset, metric, method), texts in printed.items():
        (curve,) = (curve for curve in records[method].curves if curve.name == f"curves/{names[dataset]}/{metric}")
        digits = run.infos[metric].digits
        numbers = [text for text in texts if text != "–"]  # noqa: RUF001 - how the report prints a missing number
        assert [f"{y:.{digits}f}" for _, y in curve.points] == numbers
        assert [x for x, _ in curve.points] == sorted(x for x, _ in curve.points)


def test_a_rehearsal_says_so(synthetic):
    suite = json.loads((synthetic / "suite.json").read_text())
    suite["rehearsal"] = {"stamp": "REHEARSAL: the numbers mean nothing", "replaced": []}
    (synthetic / "suite.json").write_text(json.dumps(suite))
    content = read_content(read_run(synthetic))
    assert content.suite == "synthetic (rehearsal)"
    for record in content.records:
        assert "rehearsal" in record.tags
        assert record.config["rehearsal"] == record.notes[0] == "REHEARSAL: the numbers mean nothing"


# TensorBoard


def test_tensorboard_files(synthetic, capsys):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # the second call replaces the files
        assert main(["report", str(synthetic), "--tensorboard"]) == 0
        assert f"tensorboard --logdir {synthetic / 'tensorboard'}" in capsys.readouterr().out
    content = read_content(read_run(synthetic))
    assert {path.name for path in (synthetic / "tensorboard").iterdir()} == {record.name for record in content.records}
    for record in content.records[:3]:
        events = EventAccumulator(str(synthetic / "tensorboard" / record.name), size_guidance={"images": 0})
        events.Reload()
        found = {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}
        for name, number in record.numbers.items():
            assert found[name] == {0: pytest.approx(number, rel=1e-6)}
        for curve in record.curves:
            assert found[curve.name] == {round(1000 * x): pytest.approx(y, rel=1e-6) for x, y in curve.points}
        assert len(events.Tags()["images"]) == len(record.images)


def test_tensorboard_that_is_not_installed_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("inpaint_zoo.benchmark.publish.tensorboard_files.find_spec", lambda _: None)
    words = ["benchmark", str(write_suite(tmp_path)), "--out", str(tmp_path / "out"), "--tensorboard"]
    assert main(words) == 2
    assert "pip install 'inpaint-zoo[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# Options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["benchmark", "suite.yaml", "--out", "x", "--wandb-group", "g"], "--wandb-group needs --wandb PROJECT"),
        (["benchmark", "--list", "--tensorboard"], "cannot be combined with --list"),
        (["report", "a", "b", "--wandb", "p"], "cannot be combined with the comparison of two folders"),
    ],
)
def test_options_that_do_not_fit(tmp_path, monkeypatch, capsys, words, message):
    write_suite(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert message in " ".join(capsys.readouterr().err.split())
