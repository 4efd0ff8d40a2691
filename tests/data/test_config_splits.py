"""The datasets of every configuration, found by glob, are computed on folders with each dataset's layout and disjoint.

The folders contain empty files, a hundredth of the large datasets; the numbers in the rules are scaled accordingly.
`test_module_configs` checks the rules of configs/data at full size.
"""

import inspect
import itertools
import json
import re
from pathlib import Path

import pytest
import yaml

from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.data import InpaintingDataModule, dataset_info, list_datasets, select
from inpaint_zoo.training import Checkpoints
from tests.helpers.configs import settings_of

CONFIGS = Path(__file__).parent.parent.parent / "configs"
SPLITS = ("train", "val", "test")
# too few images to hold some out: the validation set may be the test set if nothing is selected on it
SMALL = {"folders", "anime", "art", "cat", "dog", "fauvism", "moongate", "pokemon", "shell", "skull"}
FEW = {"sample", "chase", *SMALL}

# the categories of LGNet's configuration, by their official numbers
CATEGORIES = dict(
    zip(
        range(0, 343, 18),
        (
            *("a/airfield", "a/army_base", "b/bamboo_forest", "b/beer_hall", "b/butchers_shop", "c/church/indoor"),
            *("c/courthouse", "d/dressing_room", "f/fire_station", "g/gift_shop", "h/hot_spring", "j/jewelry_shop"),
            *("l/loading_dock", "m/mountain_snowy", "p/palace", "p/plaza", "r/river", "s/sky", "s/swimming_hole"),
            "u/underwater/ocean_deep",
        ),
        strict=True,
    )
)
ALL_CATEGORIES = [CATEGORIES.get(number, f"z/other_{number}") for number in range(365)]


def numbered(folder, count, form="{:05d}.jpg"):
    return [f"{folder}{form.format(number)}" for number in range(1, count + 1)]


LAYOUTS = {
    "animals90": [f"animal_{k}/{n}" for k in range(90) for n in numbered("", 6)],
    "celeba": numbered("img_align_celeba/", 2026, "{:06d}.jpg"),
    "celeba_hq": numbered("", 300),
    "chase_db1": [*numbered("images/", 28), *numbered("labels/", 28)],
    "ffhq": [f"{n // 10 * 10:05d}/{n:05d}.png" for n in range(700)],
    "imagenet": [f"train/n{k}/{n}" for k in range(30) for n in numbered("", 20)] + numbered("val/", 500),
    "imagenet in class folders": [
        f"{part}/n{k}/{n}"
        for part, count in (("train", 20), ("val", 15))
        for k in range(30)
        for n in numbered("", count)
    ],
    # the same names in both folders, but different images
    "paris_streetview": [*numbered("paris_train_original/", 149), *numbered("paris_eval_gt/", 10)],
    "places2": [
        *(
            f"data_large/{name}/{n}"
            for name in ALL_CATEGORIES[:19] + ALL_CATEGORIES[36:343:18]
            for n in numbered("", 26)
        ),
        *numbered("val_large/", 365, "Places365_val_{:08d}.jpg"),
        *numbered("test_large/", 400, "Places365_test_{:08d}.jpg"),
    ],
    "wikiart": [f"style_{k}/{n}" for k in range(27) for n in numbered("", 10)],
    "small": [*numbered("train/", 40), *numbered("test/", 12)],
    "tiny": [
        *numbered("bsds500/train/", 40),
        *numbered("bsds500/val/", 30),
        *numbered("sfhq_faces256/", 110),
        *numbered("chase_db1/images/", 28),
    ],
}
WHOLE = ("animals90", "chase_db1", "small", "tiny")  # not scaled
SCALED = ("holdout", "after", "first", "val", "per_class", "few_shot")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for name, files in LAYOUTS.items():
        for folder in {Path(file).parent for file in files}:
            (root / name / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            (root / name / file).touch()
    lines = {
        "places365_val.txt": [f"Places365_val_{n + 1:08d}.jpg {n}" for n in range(365)],
        "categories_places365.txt": [f"/{name} {n}" for n, name in enumerate(ALL_CATEGORIES)],
    }
    for name, content in lines.items():
        (root / "places2" / name).write_text("\n".join(content) + "\n")
    return root


def states_a_model(content):
    """Return whether a configuration is complete; an overlay only changes arguments of another one's model."""
    return "class_path" in (content.get("model") or {})


def arguments(path):
    """Return the data module's arguments and the monitor of a configuration, with the data file named in its header."""
    text = path.read_text()
    content = settings_of(path)
    given = dict((content.get("data") or {}).get("init_args") or {})
    monitor = inspect.signature(Checkpoints).parameters["monitor"].default
    parts = [content]
    if states_a_model(content) and "train" not in given:
        (name,) = set(re.findall(r"--config (configs/data/\S+\.yaml)", text))
        part = yaml.safe_load((CONFIGS.parent / name).read_text())
        given |= part["data"]["init_args"]
        parts.append(part)
    for part in parts:
        monitor = (part.get("checkpoints") or {}).get("monitor", monitor)
    return given, monitor


def with_sets():
    """Return one configuration for each combination of datasets and monitor, which a family's configurations share."""
    found = {}
    for path in sorted(CONFIGS.rglob("*.yaml")):
        given, monitor = arguments(path)
        sets = {split: given[split] for split in SPLITS if split in given}
        if sets:
            assert set(sets) == set(SPLITS), f"{path} states some of its sets only"
            found.setdefault(json.dumps([sets, monitor], sort_keys=True), path.relative_to(CONFIGS).as_posix())
        else:
            assert not states_a_model(settings_of(path)), f"{path}: no sets"
    return sorted(found.values())


def stated(spec):
    """Return a dataset with the rules of its registered split in place of the split."""
    if "split" not in spec or spec["name"] == "sample":
        return spec
    rule = dataset_info(spec["name"]).splits[spec["split"]]
    assert set(spec) <= {"name", "split"}
    place = {"root": rule.folder} if rule.folder else {}
    labels = {"labels": list(rule.labels)} if rule.labels else {}
    return {"name": spec["name"], **place, **labels, **({"select": dict(rule.select)} if rule.select else {})}


def scaled(spec, layout):
    spec = stated(spec)
    if layout in WHOLE or "select" not in spec:
        return spec
    rules = dict(spec["select"])
    for key in SCALED:
        if isinstance(rules.get(key), list):
            rules[key] = [max(1, round(rules[key][0] / 100)), *rules[key][1:]]
        elif key in rules:
            rules[key] = max(1, round(rules[key] / 100))
    return {**spec, "select": rules}


def cases():
    found = []
    for file in with_sets():
        name = arguments(CONFIGS / file)[0]["train"]["name"]
        layout = "small" if name in SMALL else dataset_info(name).folder if name in list_datasets() else name
        found.append((file, layout))
        if name == "imagenet":
            found.append((file, "imagenet in class folders"))
    return found


CASES = cases()


@pytest.mark.parametrize(("file", "layout"), CASES)
def test_no_image_is_in_two_sets(file, layout, root):
    given, monitor = arguments(CONFIGS / file)
    sets = {split: scaled(given[split], layout) for split in SPLITS}
    data = InpaintingDataModule(**{**given, **sets, "root": str(root / layout)})
    paths = {split: {path.resolve() for path in data.files(split).values()} for split in SPLITS}
    for split in SPLITS:
        assert paths[split], split
    assert not paths["train"] & paths["val"]
    assert not paths["train"] & paths["test"]
    if sets["val"] == sets["test"]:
        assert given["train"]["name"] in FEW
        assert monitor is None, "test images would select checkpoints"
        (overlap,) = data.overlaps()
        assert (overlap.smaller, overlap.larger, overlap.count) == ("validation", "test", len(paths["test"]))
    else:
        assert not paths["val"] & paths["test"]
        assert data.overlaps() == []


def test_every_layout_is_used():
    assert {layout for _, layout in CASES} == {*LAYOUTS, "sample"}


def test_lgnet_takes_twenty_categories_of_places2(root):
    """LGNet, section IV-A: 2,000 training images of each of 20 categories, and the 2,000 test images of these."""
    given, _ = arguments(CONFIGS / "lgnet" / "lgnet_places2.yaml")
    rules = {split: stated(given[split])["select"] for split in SPLITS}
    assert list(CATEGORIES.values()) == list(rules["train"]["classes"])
    train = {f"{name}/{n}": n for name in [*CATEGORIES.values(), "a/alley"] for n in range(2060)}
    labels = {f"Places365_val_{n:08d}": ALL_CATEGORIES[n % 365] for n in range(36_500)}
    chosen = {
        "train": select(train, rules["train"]),
        "val": select(train, rules["val"]),
        "test": select(labels, rules["test"], labels),
    }
    assert {split: len(stems) for split, stems in chosen.items()} == {"train": 40_000, "val": 500, "test": 2000}
    assert not chosen["train"].keys() & chosen["val"].keys()
    for split, share in (("train", 2000), ("test", 100)):
        classes = [labels[stem] if split == "test" else stem.rpartition("/")[0] for stem in chosen[split]]
        assert {name: len(list(same)) for name, same in itertools.groupby(sorted(classes))} == dict.fromkeys(
            sorted(CATEGORIES.values()), share
        )
    # 200 epochs of 40,000 images with batch size 4
    settings = read_config(CONFIGS / "lgnet" / "lgnet_places2.yaml")
    assert settings["trainer"]["max_epochs"] * 40_000 // given["batch_size"] == 2_000_000
