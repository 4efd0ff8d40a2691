"""The registry of data sets: complete records, splits with the stated numbers, and agreement with configs and docs."""

import csv
import re

import pytest
import yaml

from inpaint_zoo.config import PLAIN_LOADER
from inpaint_zoo.data import dataset_info, datasets_markdown, list_datasets, sample_files, select
from inpaint_zoo.errors import UnknownNameError
from tests.conftest import REPOSITORY

RECORDS = [dataset_info(name) for name in list_datasets()]
IDS = [record.name for record in RECORDS]
GRIG = {"anime", "art", "cat", "chase", "dog", "fauvism", "moongate", "pokemon", "shell", "skull"}
SHRUNK = {"data_large": 46_000, "train": 60_000}  # numbers of images that replace 1,000,000 and more
# test_module_configs checks the others
UNCHECKED = [
    record
    for record in RECORDS
    if not (REPOSITORY / "configs" / "data" / f"{record.name}.yaml").exists()
    or record.name in ("places2", "paris_streetview")
]


def stems(record, folder):
    """Return stem -> number of the images of a folder, of which the largest are shrunk, and how many are left out."""
    count = record.folders[folder].images
    kept = SHRUNK[folder] if count > 1_000_000 else count
    names = [f"{n:06d}" for n in range(kept)]
    if record.name == "places2_20" and folder == "data_large":
        of = [*record.splits["train"].select["classes"], "a/alley", "z/zen_garden"]
        return {f"{of[n % len(of)]}/{name}": n for n, name in enumerate(names)}, count - kept
    return {name: n for n, name in enumerate(names)}, count - kept


def selected(record, split):
    rule = record.splits[split]
    files, left_out = stems(record, rule.folder)
    labels = None
    if rule.labels:
        classes = rule.select["classes"]
        labels = {stem: classes[n % 365] if n % 365 < len(classes) else "other" for stem, n in files.items()}
    return select(files, rule.select, labels), left_out


def test_the_data_sets_of_the_papers_are_registered():
    wanted = {"celeba_hq", "celeba_hq_grig", "celeba", "ffhq", "ffhq_grig", "places2", "places2_20", "imagenet"}
    wanted |= {"paris_streetview", "wikiart", "animals90", "text_removal", "openlogo", "kodak18", "sample"}
    assert wanted | GRIG <= set(list_datasets())
    assert list_datasets("*_20") == ["places2_20"]
    with pytest.raises(UnknownNameError, match="Did you mean 'celeba_hq'"):
        dataset_info("celebahq")


@pytest.mark.parametrize("record", RECORDS, ids=IDS)
def test_a_record_is_complete(record):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", record.name)
    assert record.folder in {"chase_db1", *list_datasets()}
    assert all((record.title, record.layout, record.license, record.source))
    assert record.layout.endswith(".")
    assert record.url.startswith("http")
    splits = {"sample": {"train", "test"}, "kodak18": {"test"}}.get(record.name, {"train", "val", "test"})
    assert set(record.splits) == splits
    assert {rule.folder for rule in record.splits.values()} == set(record.folders)
    assert record.val_is_test == (record.name in GRIG)
    assert all(re.fullmatch(r"(GRIG|LGNet|ISNet|GLaMa|GLCIC/CA) (Fig\. )?\w+", table) for table in record.tables)
    drawn_here = any("holdout" in rule.select or "by_class" in rule.select for rule in record.splits.values())
    assert not drawn_here or "unpublished" in record.note


@pytest.mark.parametrize("record", UNCHECKED, ids=lambda record: record.name)
def test_rules_select_the_stated_numbers(record):
    parts = {}
    for split, rule in record.splits.items():
        chosen, left_out = selected(record, split)
        fixed = {"few_shot", "per_class"} & set(rule.select) or rule.select.get("part") == "val"
        assert len(chosen) == rule.images - (0 if fixed else left_out)
        parts[split] = {(rule.folder, stem) for stem in chosen}
    if "train" in parts:
        assert not parts["train"] & parts["test"]
        assert not parts["train"] & parts["val"]
        assert record.val_is_test or not parts["val"] & parts["test"]


def test_the_sample_has_its_stated_numbers():
    for split, rule in dataset_info("sample").splits.items():
        assert len(sample_files(split)) == rule.images


def test_records_that_share_a_folder_expect_the_same_content():
    for record in RECORDS:
        base = dataset_info("chase" if record.folder == "chase_db1" else record.folder)
        for folder in set(record.folders) & set(base.folders):
            assert record.folders[folder] == base.folders[folder]


# LaMa and AOT-GAN hold out 500 images of CelebA-HQ for validation, not 200; no paper's table is on these sets
OTHER_RULES = {"lama_celeba_hq", "aot_gan_celeba_hq"}


def explicit():
    """Return the datasets of configurations that state the rules of a registered data set themselves."""
    found = []
    for path in sorted((REPOSITORY / "configs").rglob("*.yaml")):
        given = (yaml.load(path.read_text(), PLAIN_LOADER).get("data") or {}).get("init_args") or {}
        for split in ("train", "val", "test"):
            spec = given.get(split) or {}
            if spec.get("name") in list_datasets() and "split" not in spec and path.stem not in OTHER_RULES:
                found.append(pytest.param(split, spec, id=f"{path.stem}-{split}"))
    return found


@pytest.mark.parametrize(("split", "spec"), explicit())
def test_rules_in_configurations_are_those_of_a_record(split, spec):
    rules = [
        (record.splits[split].folder, record.splits[split].select)
        for record in RECORDS
        if record.folder == dataset_info(spec["name"]).folder and split in record.splits
    ]
    assert (spec.get("root", ""), spec.get("select", {})) in rules


def test_the_documentation_has_the_table():
    assert datasets_markdown() in (REPOSITORY / "docs" / "data.md").read_text(), (
        "docs/data.md: replace the table by the output of `inpaint-zoo data list --markdown`"
    )


PAPERS = {"grig": "GRIG", "lgnet": "LGNet", "isnet": "ISNet", "glama": "GLaMa", "glcic_ca": "GLCIC/CA"}
FOLDERS = {"Animals-90": "animals90", "CelebA-HQ": "celeba_hq", "PSV": "paris_streetview", "CHASE": "chase_db1"}
FOLDERS |= {"Paris StreetView": "paris_streetview"}


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_of_a_paper_has_its_data_sets(paper):
    with (REPOSITORY / "benchmarks" / "paper_tables" / f"{paper}.csv").open() as file:
        cells = {(row["table"], row["dataset"]) for row in csv.DictReader(file) if row["dataset"]}
    for table, dataset in cells:
        folder = FOLDERS.get(dataset, dataset.lower())
        named = [r.name for r in RECORDS if r.folder == folder and f"{PAPERS[paper]} {table}" in r.tables]
        assert len(named) == 1, f"{paper}, table {table}: {dataset}"
    stated = {t for r in RECORDS for t in r.tables if t.startswith(f"{PAPERS[paper]} ") and "Fig." not in t}
    assert stated == {f"{PAPERS[paper]} {table}" for table, _ in cells}
