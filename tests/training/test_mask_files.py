"""Mask files in configs/masks set the masks of training and evaluation in the configurations that they are for."""

import re
import shutil

import pytest
import yaml

from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.masks import create_generator
from inpaint_zoo.masks.bank import encode_png
from tests.conftest import REPOSITORY
from tests.helpers.configs import settings_of
from tests.helpers.parsed import parse

CONFIGS = REPOSITORY / "configs"
MASKS = sorted((CONFIGS / "masks").glob("*.yaml"))
USE = re.compile(r"^# Use: add --config (\S+) to (.+)\.$", re.MULTILINE)
NAMED = re.compile(r"configs/masks/[a-z]\w+\.yaml")
CONTENTS = {path: settings_of(path) for path in CONFIGS.glob("*/*.yaml")}
FAMILIES = sorted(
    path
    for path, content in CONTENTS.items()
    if "model" in content and "masks" in content.get("data", {}).get("init_args", {})
)
SAMPLE = ['--data.train={"name": "sample"}', '--data.val={"name": "sample"}', '--data.test={"name": "sample"}']
pytestmark = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")


def masks_of(*words):
    """Return the mask generators of training, validation and testing that a command sets, for the sample images."""
    settings = parse("fit", [*words, *SAMPLE, "--data.init_args.size=256"]).data
    assert settings.class_path == "inpaint_zoo.data.InpaintingDataModule"
    data = InpaintingDataModule(**{**settings.init_args.as_dict(), "augment": ["random_crop"], "eval_crop": "center"})
    return data.train_samples().masks, data.eval_samples("val").masks, data.eval_samples("test").masks


def used_on(path):
    """Return the configurations that a mask file says it is for."""
    ((itself, places),) = USE.findall(path.read_text())
    assert REPOSITORY / itself == path
    patterns = re.findall(r"configs/\S+\.yaml", places)
    found = [config for pattern in patterns for config in sorted(REPOSITORY.glob(pattern))]
    assert all(list(REPOSITORY.glob(pattern)) for pattern in patterns)
    return [config for config in found if "class_path" in CONTENTS[config]["model"]]  # without overlays


def with_files(path, folder):
    """Return a copy of a mask file that uses small folders created here."""
    for root in set(re.findall(r"root: ([\w/]+)", path.read_text())):
        for k in range(12):  # two for each of NVIDIA's six bins: white is hole in the test files
            ratio = (k // 2) / 10 + 0.05
            hole = create_generator("half")(0, 64)
            hole[:] = 0
            hole[:, : round(64 * ratio)] = 1
            place = folder / root / (f"mask{10 * (k // 2)}-{10 * (k // 2) + 10}" if root.endswith("test") else "")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{k:05d}.png").write_bytes(encode_png(hole if root.endswith("test") else 1 - hole))
    return shutil.copy(path, folder)


@pytest.mark.parametrize("path", MASKS, ids=lambda path: path.stem)
def test_a_mask_file_sets_training_and_evaluation(path, tmp_path):
    first, *others = used_on(path)
    file = with_files(path, tmp_path)
    train, *evaluated = masks_of("--config", str(first), "--config", str(file))
    assert train.identity() == create_generator(file).identity()
    assert (train.stream, *(masks.stream for masks in evaluated)) == ("train", "val", "test")
    stated = read_config(first)["data"]["init_args"]
    content = yaml.safe_load(path.read_text())
    for masks in evaluated:
        if content.get("eval_mask", "as training") is None:  # the paper evaluates all trainings on the same masks
            assert masks.identity() == create_generator(stated["eval_masks"]).identity()
            continue
        assert masks.identity() == create_generator(file, evaluation=True).identity()
        if "root" in path.read_text():
            # the papers' own files: those of the test set, however training reads its own
            files = [masks.meta(index, 64)["file"] for index in range(60)]
            assert all(f"{tmp_path}/nvidia_irregular/test/" in name for name in files)
            assert len({name.split("/")[-2] for name in files}) == (4 if path.stem.startswith("isnet") else 6)
            assert f"{tmp_path}/nvidia_irregular/test/" not in train.meta(0, 64)["file"]
        else:  # the file and the configuration describe one protocol
            assert masks.identity() == create_generator(stated["masks"]).identity()
    assert all(config in FAMILIES for config in others)


def test_its_options_stand_where_it_stands():
    """Options are applied from left to right, also if they are mask files."""
    base, file = str(CONFIGS / "grig" / "steps_1.yaml"), str(CONFIGS / "masks" / "lgnet_train.yaml")
    strokes, half, cmod = (create_generator(name).identity() for name in ("lgnet_train", "half", "cmod"))
    center = create_generator({"name": "center", "size": 128}).identity()
    for words in (["--config", base, "--config", file], ["-c", base, f"--config={file}"]):
        assert [masks.identity() for masks in masks_of(*words)] == [strokes] * 3
    words = ["--config", base, "--config", file, "--data.init_args.eval_masks=half"]
    assert [masks.identity() for masks in masks_of(*words)] == [strokes, half, half]
    assert [masks.identity() for masks in masks_of("--config", file, "--config", base)] == [cmod, center, center]


STAND_INS = sorted({config for path in MASKS if "root" in path.read_text() for config in used_on(path)})


@pytest.mark.parametrize("path", STAND_INS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_evaluation_follows_an_override_of_masks(path):
    """If masks replace mask files, `eval_masks` does not repeat `masks`, so both change together."""
    settings = read_config(path)["data"]["init_args"]
    if path.stem != "sample":  # whose SHA-256 is in the cards of the weights that ship
        assert settings["masks"] != settings.get("eval_masks")


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_header_names_files_that_are_for_it(path):
    for name in NAMED.findall(path.read_text()):
        assert path in used_on(REPOSITORY / name), f"{path} names {name}"


def test_one_option_changes_both():
    words = ("--config", str(CONFIGS / "isnet" / "isnet_celeba.yaml"))
    stand_in, half = (create_generator(name).identity() for name in ("lgnet_train", "half"))
    assert [masks.identity() for masks in masks_of(*words)] == [stand_in] * 3
    assert [masks.identity() for masks in masks_of(*words, "--data.init_args.masks=half")] == [half] * 3


def test_every_text_names_masks_in_this_way():
    texts = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("inpaint_zoo/models/*/*.md")]
    for path in [*texts, *CONFIGS.glob("*/*.yaml")]:
        assert not re.search(r"masks=configs/masks", path.read_text()), path
        for name in NAMED.findall(path.read_text()):
            assert (REPOSITORY / name).is_file(), f"{path} names {name}"
