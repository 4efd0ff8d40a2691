"""Configurations that build on others: the same result as by several --config, and clear errors."""

import pytest
import yaml

from inpaint_zoo.cli.config_files import expand_configs, read_config
from inpaint_zoo.errors import ZooError
from tests.helpers.configs import CONFIGS
from tests.helpers.parsed import parse, parser

pytestmark = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
BASED = sorted(path for path in CONFIGS.glob("*/*.yaml") if "\nbase: " in path.read_text())
FIRST_OF_FAMILY = list({path.parent: path for path in reversed(BASED)}.values())


def parsed(*words):
    return yaml.safe_load(parser().dump(parse("fit", list(words)), skip_none=False))


def leaves(value, path=""):
    if isinstance(value, dict) and value:
        return {key: leaf for name, inner in value.items() for key, leaf in leaves(inner, f"{path}/{name}").items()}
    return {path: value}


@pytest.mark.parametrize("path", FIRST_OF_FAMILY, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reading_and_parsing_merge_alike(path, tmp_path):
    """What `read_config` merges is what the parser makes of the same file, and of base and rest one after the other."""
    whole = parsed("--config", str(path))
    merged, rest = tmp_path / "merged.yaml", tmp_path / "rest.yaml"
    merged.write_text(yaml.safe_dump(read_config(path)))
    assert leaves(parsed("--config", str(merged))) == leaves(whole)
    own = yaml.safe_load(path.read_text())
    base = path.parent / own.pop("base")
    rest.write_text(yaml.safe_dump(own))
    assert leaves(parsed("--config", str(base), "--config", str(rest))) == leaves(whole)


def test_bases_of_bases_and_words_after_them(tmp_path):
    (tmp_path / "more").mkdir()
    sample = CONFIGS / "autoencoder" / "sample.yaml"
    changes = "trainer: {max_steps: 7}\ndata: {init_args: {workers: 0}}\n"
    (tmp_path / "one.yaml").write_text(f"base: {sample}\n{changes}")
    (tmp_path / "more" / "two.yaml").write_text("base: ../one.yaml\ntrainer: {max_steps: 8}\n")
    found = parsed("--config", str(tmp_path / "more" / "two.yaml"), "--data.init_args.batch_size=3")
    assert found["trainer"]["max_steps"] == 8
    assert (found["data"]["init_args"]["workers"], found["data"]["init_args"]["batch_size"]) == (0, 3)
    assert found["model"]["init_args"]["network"] == "autoencoder_tiny"
    assert "base" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: none.yaml\n", r"own\.yaml: the file of `base: none\.yaml` is missing"),
        ("base: [a.yaml]\n", r"own\.yaml: `base` must be the path of a configuration"),
        ("base: own.yaml\n", r"own\.yaml: `base: own\.yaml` leads back to a file that builds on it"),
        ("base: other.yaml\n", r"other\.yaml: `base: own\.yaml` leads back to a file that builds on it"),
        ("base: list.yaml\n", r"list\.yaml: must be a mapping"),
    ],
)
def test_wrong_bases_are_named(text, message, tmp_path):
    (tmp_path / "own.yaml").write_text(text)
    (tmp_path / "other.yaml").write_text("base: own.yaml\n")
    (tmp_path / "list.yaml").write_text("[1]\n")
    for function in (read_config, lambda path: expand_configs(["--config", str(path)])):
        with pytest.raises(ZooError, match=message):
            function(tmp_path / "own.yaml")
