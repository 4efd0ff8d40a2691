"""Configurations and suites of the package are found by name, in the repository and in a wheel."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from inpaint_zoo.cli import bundled
from inpaint_zoo.cli.bundled import bundled_file, bundled_names
from inpaint_zoo.cli.config_files import expand_configs
from inpaint_zoo.cli.main import main
from tests.helpers.small_runs import REPOSITORY


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The bundled files as the build arranges them in an installed package, without the repository around it."""
    spec = importlib.util.spec_from_file_location("setup_of_the_package", REPOSITORY / "setup.py")
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    package = tmp_path / "site" / "inpaint_zoo"
    setup.copy_bundled_files(package / "bundled")
    monkeypatch.setattr(bundled, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    return package / "bundled"


def test_names_are_paths_without_suffix(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = bundled_names("configuration")
    assert "isnet/sample" in names
    for name in ("isnet/sample", "isnet/sample.yaml", "configs/isnet/sample.yaml"):
        assert bundled_file("configuration", name) == REPOSITORY / "configs" / "isnet" / "sample.yaml"
    assert bundled_file("suite", "benchmarks/quickstart.yaml") == REPOSITORY / "benchmarks" / "quickstart.yaml"


def test_a_file_comes_before_a_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("quickstart").write_text("name: mine\n")
    assert bundled_file("suite", "quickstart") == Path("quickstart")


@pytest.mark.parametrize(
    "words", [["benchmark", "quickstrat", "--out", "x"], ["data", "check", "--config", "isnet/sampel"]]
)
def test_an_unknown_name_suggests_similar_ones(words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert re.search(r"Did you mean '(quickstart|isnet/sample)'", error), error
    assert "does not exist" in error


def test_the_wheel_has_every_file(wheel):
    for kind, folder in (("configuration", "configs"), ("suite", "benchmarks")):
        assert bundled_file(kind, bundled_names(kind)[0]).is_relative_to(wheel)
        assert bundled_names(kind) == sorted(
            path.relative_to(REPOSITORY / folder).with_suffix("").as_posix()
            for path in (REPOSITORY / folder).rglob("*.yaml")
        )
    for path in (wheel / "benchmarks").rglob("*.yaml"):  # suites name tables and configurations by relative paths
        for other in re.findall(r"(?:table|train|config): (\.\.[^,} \n]+)", path.read_text("utf-8")):
            assert (path.parent / other).is_file() or "{dataset}" in other, f"{path}: {other}"


def test_the_source_distribution_has_every_file():
    """MANIFEST.in names everything at the top of the repository that setuptools does not include by itself."""
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the files of the repository are listed by git")
    lines = [line.split() for line in (REPOSITORY / "MANIFEST.in").read_text("utf-8").splitlines()]
    stated = {name for command, *names in lines if command in ("include", "graft") for name in names}
    by_itself = {"LICENSE", "MANIFEST.in", "README.md", "inpaint_zoo", "pyproject.toml", "setup.py"}
    of_the_host = {".gitignore", ".github"}
    assert {name.split("/")[0] for name in listed.splitlines()} == stated | by_itself | of_the_host


def test_configurations_of_the_wheel_build_on_others(wheel):
    first, second, masks = expand_configs(["--config", "isnet/isnet_celeba", "--config=masks/lama_train"])[:3]
    assert first == f"--config={wheel / 'configs' / 'isnet' / 'base.yaml'}"
    assert "class_path" in second or "data" in second
    assert masks == f"--data.init_args.masks={wheel / 'configs' / 'masks' / 'lama_train.yaml'}"


@pytest.mark.parametrize("name", ["masks/lama_train", "configs/masks/lama_train.yaml"])
def test_masks_of_the_wheel_are_found_by_name(wheel, name, capsys):
    assert main(["masks", "resolve", name]) == 0
    assert "lama_irregular" in capsys.readouterr().out
    Path("masks").mkdir()
    Path("masks/lama_train").mkdir()
    assert main(["masks", "resolve", "masks/lama_train"]) == 2  # the folder of this name, which has no masks
    assert "masks/lama_train" in capsys.readouterr().err


def test_a_configuration_may_be_text():
    assert expand_configs(["--config", "{trainer: {max_steps: 1}}"]) == ["--config", "{trainer: {max_steps: 1}}"]


def test_models_show_names_the_configurations(capsys):
    assert main(["models", "show", "aot_gan_tiny"]) == 0
    assert "aot_gan/sample" in capsys.readouterr().out
