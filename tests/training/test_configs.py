"""Every YAML file in configs/ builds what it describes. Files with a base repeat nothing of it."""

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningDataModule

from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.models.isnet.loss import PRESETS
from inpaint_zoo.training import TrainingModule
from tests.helpers.configs import CONFIGS, Built, settings_of
from tests.helpers.parsed import parse, parser

PARTS = ("trainer", "logger", "data", "augment", "masks")  # added to a family's configuration
BASE = CONFIGS / "autoencoder" / "sample.yaml"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
OVERLAYS = [  # without a class: they change arguments of a family's configuration that comes before them
    file for file in FILES if not file.startswith(PARTS) and "class_path" not in settings_of(CONFIGS / file)["model"]
]
pytestmark = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")


COMPLETE = [  # without those that only serve as a base
    file for file in FILES if not file.startswith(PARTS) and file not in OVERLAYS and Path(file).name != "base.yaml"
]
SETTINGS = {file: settings_of(CONFIGS / file) for file in COMPLETE}


def with_different_data():
    """Return the complete configurations in groups that differ only in their data."""
    groups = {}
    for file, settings in SETTINGS.items():
        others = {key: value for key, value in settings.items() if key != "data"}
        groups.setdefault(json.dumps(others, sort_keys=True), []).append(file)
    return list(groups.values())


@pytest.mark.parametrize("files", with_different_data(), ids=lambda files: files[0])
def test_a_familys_configuration_builds(files, tmp_path):
    first, *others = files
    loads_weights = "first_weights" in (CONFIGS / first).read_text()
    settings = parser().parse_object({**SETTINGS[first], "out": str(tmp_path)})
    with torch.device("cpu" if loads_weights else "meta"):  # random initial weights take longer than everything else
        built = parser().instantiate_classes(settings)
    assert isinstance(built.model, TrainingModule)
    assert built.model.network.origin.name == settings.model.init_args.network
    assert isinstance(built.data, LightningDataModule)
    for file in others:
        given = SETTINGS[file].get("data", {})
        assert (
            given.get("class_path", "inpaint_zoo.data.InpaintingDataModule") == "inpaint_zoo.data.InpaintingDataModule"
        )
        InpaintingDataModule(**{"train": {"name": "sample"}, "masks": "center", **given.get("init_args", {})})


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(("trainer", "logger", "data", "augment"))])
def test_a_part_goes_with_a_familys_configuration(file, tmp_path):
    args = ["--config", str(BASE), "--config", str(CONFIGS / file), "--out", str(tmp_path)]
    if "tensorboard" in file:
        pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    built = parser().instantiate_classes(parse("fit", args))
    assert isinstance(built.model, TrainingModule)


@pytest.mark.parametrize("file", OVERLAYS)
def test_an_overlay_builds_by_the_command_of_its_header(file, tmp_path):
    (configs,) = re.findall(r"^# ((?:--config \S+ ?)+)$", (CONFIGS / file).read_text(), re.MULTILINE)
    words = [str(CONFIGS.parent / word) if word.endswith(".yaml") else word for word in configs.split()]
    assert words[-1] == str(CONFIGS / file)
    assert isinstance(Built("fit", [*words, "--out", str(tmp_path)]).built[0], TrainingModule)


ABLATIONS = ("ablation_", "weights_", "steps_", "regular_")  # beginnings of the names of files that change one thing
BASED = [file for file in FILES if "\nbase: " in (CONFIGS / file).read_text()]


def flat(value, path=""):
    """Return the leaves of a configuration by dotted keys without `init_args`, as on the command line."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    leaves = {}
    for key, inner in value.items():
        leaves |= flat(inner, path if key == "init_args" else f"{path}.{key}".lstrip("."))
    return leaves


@pytest.mark.parametrize("file", BASED)
def test_a_file_with_a_base_states_changes_alone(file):
    path = CONFIGS / file
    stated = yaml.safe_load(path.read_text())
    base = path.parent / stated.pop("base")
    missing = object()
    own, other = flat(stated), flat(read_config(base))
    repeated = {key for key, value in own.items() if value == other.get(key, missing)}
    # these are stated whole, so that a part of them may be the same
    whole = ("data.train.", "data.val.", "data.test.", "model.network_options.")
    repeated = {key for key in repeated if not key.startswith(whole)}
    assert not repeated, f"{file} repeats {sorted(repeated)} of {base.name}"


def test_ablations_have_a_base():
    assert [file for file in FILES if Path(file).name.startswith(ABLATIONS) and file not in BASED] == []


@pytest.mark.parametrize("path", sorted((CONFIGS / "isnet").glob("weights_*.yaml")), ids=lambda path: path.stem)
def test_isnets_loss_weights_are_those_of_the_name(path):
    """As in Table 2 of the paper, L1 has weight 1, and loss terms that the name does not list have weight 0."""
    own = read_config(path)["model"]["init_args"]
    weights, gan_loss = PRESETS[own["preset"]]
    found = weights._asdict() | {key: own[key] for key in weights._asdict() if key in own}
    named = {short: float(value) for short, value in re.findall(r"_(adv|style|per|fm)_(\d+)", path.stem)}
    names = {"adv": "adversarial", "style": "style", "per": "perceptual", "fm": "feature_matching"}
    assert found == {"l1": 1.0, **{name: named.get(short, 0.0) for short, name in names.items()}}
    assert gan_loss == "hinge"
