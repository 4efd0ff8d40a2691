"""A combinator's name before a model's name: in a suite, and on the command line."""

import pandas as pd

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from tests.helpers.suites import write_suite

SMALL = {"width": 4, "levels": 6, "local_width": 4, "blocks": 1}
NAME = "local_global:autoencoder_tiny"


def weights(folder):
    net = iz.create_model(NAME, **SMALL)
    return iz.save_weights(net, folder / "behind.safetensors", licence="Apache-2.0", training={"data": "none"})


def test_in_a_suite(tmp_path):
    methods = [{"model": NAME, "weights": str(weights(tmp_path))}, "mean_fill"]
    suite = write_suite(tmp_path, methods=methods)
    assert main(["benchmark", str(suite), "--out", str(tmp_path / "run")]) == 0
    results = pd.read_parquet(tmp_path / "run" / "results.parquet")
    assert set(results["method"]) == {NAME, "mean_fill"}
    assert (tmp_path / "run" / "report.html").read_text().count(NAME) > 0


def test_one_that_learns_nothing_is_ready_where_its_network_is(tmp_path):
    methods = ["progressive:mean_fill", "mean_fill", {"model": "progressive:autoencoder_tiny", "label": "mine"}]
    suite = write_suite(tmp_path, methods=methods)
    assert main(["benchmark", str(suite), "--out", str(tmp_path / "run")]) == 0
    results = pd.read_parquet(tmp_path / "run" / "results.parquet")
    assert set(results["method"]) == {"progressive:mean_fill", "mean_fill", "mine"}


def test_on_the_command_line(tmp_path, capsys):
    assert main(["models", "show", NAME]) == 0
    assert "freeze_first=False" in capsys.readouterr().out
    assert main(["models", "show", "local_globl:lama"]) == 2
    assert "Did you mean 'local_global'" in capsys.readouterr().err
