import re
from pathlib import Path

import numpy as np
import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.benchmark import load_suite
from inpaint_zoo.benchmark.methods.base import MethodInput
from inpaint_zoo.benchmark.methods.network import NetworkMethod
from inpaint_zoo.benchmark.plan import open_sources
from inpaint_zoo.benchmark.statistics import fewest_groups
from inpaint_zoo.cli.main import main
from inpaint_zoo.data import create_dataset
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image
from inpaint_zoo.registry import list_models, model_info
from tests.helpers.suites import small_suite, write_suite
from tests.helpers.toy import registered_toy

GOOD = """\
name: mine
seed: 1
methods:
  - telea
  - {model: telea, options: {radius: 9}, label: Telea 9}
  - {folder: results/theirs}
  - {callable: "mine:fill", label: Mine}
datasets:
  - {name: sample, size: 64}
masks:
  - {name: center, size: 32}
  - lama_box
metrics: [psnr]
"""


def suite_file(tmp_path, text):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return path


def test_labels_kinds_and_order(tmp_path):
    suite = load_suite(suite_file(tmp_path, GOOD))
    assert [(entry.kind, entry.label) for entry in suite.methods] == [
        ("model", "telea"),
        ("model", "Telea 9"),
        ("folder", "theirs"),
        ("callable", "Mine"),
    ]
    assert suite.methods[2].folder == tmp_path / "results/theirs"
    assert [entry.label for entry in suite.masks] == ["center", "lama_box"]
    assert suite.masks[1].spec == {"name": "lama_box"}


def test_paths_of_datasets_are_relative_to_the_suite(tmp_path, monkeypatch):
    folder = tmp_path / "suites"
    for part, count in (("one", 2), ("two", 3)):
        for number in range(count):
            write_image(folder / part / f"{part}{number}.png", np.full((64, 64, 3), 9 * number, np.uint8))
    assert main(["data", "shard", str(folder / "one"), "--out", str(folder / "tars")]) == 0
    named = "{name: mine, root: one, select: {every: 1}, labels: [classes.txt, names.txt], label: C}"
    sources = [
        "{name: mine, parts: [{name: a, root: one}, {name: b, root: two}], size: 64, label: A}",
        "{name: mine, shards: tars, size: 64, label: B}",
        "{name: mine, shards: 'https://example.org/{00..09}.tar', label: D}",
        named,
    ]
    text = GOOD.replace("  - {name: sample, size: 64}", "\n".join(f"  - {source}" for source in sources))
    monkeypatch.chdir(tmp_path)
    path = suite_file(folder, text)
    suite = load_suite(path.relative_to(tmp_path))
    parts, shards, remote, labeled = (entry.spec for entry in suite.datasets)
    assert [len(create_dataset(spec)) for spec in (parts, shards)] == [5, 2]
    assert remote["shards"] == "https://example.org/{00..09}.tar"
    assert [Path(file).parent.name for file in labeled["labels"]] == ["suites", "suites"]
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert load_suite(moved / "s.yaml").plain() == suite.plain()


def test_plain_holds_no_machine_path(tmp_path):
    suite = small_suite(tmp_path / "secret")
    assert "secret" not in str(suite.plain())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "metrics: [psnr]",
            "metrcs: [psnr]",
            r"s\.yaml:13: Unknown key .* 'metrcs'. Did you mean 'metrics'",
        ),
        ("metrics: [psnr]", "metrics: [psnr]\nsize: 3", r"s\.yaml:14: .*'size'.*an entry of `datasets` or `masks`"),
        ("label: Telea 9", "lable: Telea 9", r"s\.yaml:5: Unknown key of a method: 'lable'. Did you mean 'label'"),
        ("size: 64", "sze: 64", r"s\.yaml:9: Unknown dataset key 'sze'. Did you mean 'size'"),
        ("size: 64", "size: big", r"s\.yaml:9: .*`size` must be an integer of at least 1, got 'big'"),
        ("seed: 1", "seed: one", r"s\.yaml:2: 'seed' of the suite must be an integer of at least 0, got 'one'"),
        ("seed: 1", "seed: true", r"s\.yaml:2: 'seed' of the suite must be an integer of at least 0, got True"),
        ("seed: 1", "seed: -1", r"s\.yaml:2: 'seed' of the suite must be at least 0, got -1"),
        ("name: mine\n", "", r"s\.yaml:1: the suite has no 'name'"),
        ("metrics: [psnr]", "metrics: []", r"s\.yaml:13: 'metrics' of the suite must be a list, got nothing"),
        ("metrics: [psnr]", "metrics: psnr", r"s\.yaml:13: 'metrics' of the suite must be a list, got 'psnr'"),
        ("metrics: [psnr]", "metrics: [psnr, 3]", r"s\.yaml:13: a metric must be a name"),
        ("metrics: [psnr]", "metrics: [pnsr]", r"s\.yaml:13: Unknown metric 'pnsr'. Did you mean 'psnr'"),
        ("metrics: [psnr]", "metrics: [psnr, psnr]", r"s\.yaml:13: the metric 'psnr' is listed twice"),
        ("- telea\n", "- talea\n", r"s\.yaml:4: Unknown model 'talea'. Did you mean 'telea'"),
        ("- lama_box", "- lama_bix", r"s\.yaml:12: Unknown mask 'lama_bix'. Did you mean 'lama_box'"),
        ("size: 32", "sise: 32", r"s\.yaml:11: .*'sise'"),
        ("label: Telea 9", "label: telea", r"s\.yaml:5: two methods are called 'telea' \(see line 4\)"),
        ("- lama_box", "- center", r"s\.yaml:12: two mask sets are called 'center' \(see line 11\)"),
        ("label: Mine", "model: telea", r"s\.yaml:7: a method must have exactly one of its keys model and callable"),
        ("{folder: results/theirs}", "{label: x}", r"s\.yaml:6: a method needs one of the keys model, folder"),
        ("{folder: results/theirs}", "{folder: x, weights: y}", r"s\.yaml:6: .*'weights'.*a method with 'model'"),
        ("mine:fill", "mine.fill", r"s\.yaml:7: 'callable' must be \"package.module:function\""),
        ("{model: telea,", "{model: telea, weights: w.pth,", r"s\.yaml:5: 'telea' is not learned"),
        ("- lama_box", "- {name: lama_box, label: a/b}", r"s\.yaml:12: the label 'a/b' must be a valid folder name"),
        (
            "- lama_box",
            "- {bank: b, bins: [0.3, 0.1]}",
            r"s\.yaml:12: 'bins' of a mask set must be a list of at least two increasing numbers from 0 to 1, got",
        ),
        ("seed: 1", "seed: 1\nseed: 2", r"s\.yaml:3: the key 'seed' is already set in line 2"),
        ("seed: 1", "seed: [1", r"s\.yaml:\d+: invalid YAML"),
        ("{folder: results/theirs}", "{shipped: big_*}", r"s\.yaml:6: no registered model .* matches 'big_\*'"),
    ],
)
def test_wrong_suites_name_line_and_key(tmp_path, old, new, message):
    assert old in GOOD
    path = suite_file(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ZooError, match=message):
        open_sources(load_suite(path), 1, tmp_path / "cache")


def test_no_file_and_no_table(tmp_path):
    with pytest.raises(ZooError, match=re.escape(f"{tmp_path / 'no.yaml'}: cannot be read: No such file")):
        load_suite(tmp_path / "no.yaml")
    with pytest.raises(ZooError, match=r"s\.yaml:1: the suite must be a mapping"):
        load_suite(suite_file(tmp_path, "- telea\n"))
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ZooError, match="is not a text file"):
        load_suite(tmp_path / "b.yaml")


def test_shipped_expands_to_all_that_is_ready_and_keeps_its_place(tmp_path):
    path = write_suite(tmp_path, methods=[{"model": "telea", "label": "Telea"}, {"shipped": "*"}])
    labels = [entry.label for entry in load_suite(path).methods]
    ready = [name for name in list_models() if model_info(name).ready]
    assert labels == ["Telea", *(name for name in ready if name != "telea")]


def test_a_learned_model_wants_weights(tmp_path):
    with registered_toy():
        with pytest.raises(ZooError, match=r"suite\.yaml:\d+: the package ships no weights of 'toy'"):
            small_suite(tmp_path, methods=["toy"])
        with pytest.raises(ZooError, match=r"suite\.yaml:\d+: 'checkpoint' may contain \{dataset\}.* not \{data\}"):
            small_suite(tmp_path, methods=[{"model": "toy", "checkpoint": "{data}/none.ckpt"}])
        assert small_suite(tmp_path, methods=[{"model": "toy", "weights": "random"}]).methods[0].weights == "random"


def test_bins_become_mask_sets(tmp_path):
    suite = small_suite(tmp_path, masks=[{"bank": "holes", "bins": [0.1, 0.2, 0.5]}])
    assert [entry.label for entry in suite.masks] == ["holes_0.1-0.2", "holes_0.2-0.5"]
    assert suite.masks[1].spec == {"bank": str(tmp_path / "holes"), "bins": [0.2, 0.5]}


def test_the_quickstart_suite_reads():
    suite = load_suite(Path(__file__).parents[2] / "benchmarks" / "quickstart.yaml")
    assert suite.name == "quickstart"
    assert len(suite.masks) == 2
    data = create_dataset(suite.datasets[0].resolved)
    assert len(data.keys) == len(set(data.groups)) == 14  # enough for a test of 15 methods
    assert fewest_groups(14) <= 14


def test_kid_is_added_behind_each_fid_that_has_none(tmp_path):
    suite = small_suite(tmp_path, metrics=["fid", "psnr", "kid_clean", "fid_clean", "fid_pytorch"])
    assert suite.metrics == ("fid", "kid", "psnr", "kid_clean", "fid_clean", "fid_pytorch", "kid_pytorch")


def test_methods_take_a_strategy_that_is_part_of_their_identity(tmp_path):
    entries = "[{model: glama_tiny, label: whole}, {model: glama_tiny, strategy: crop, max_memory: 2GiB}]"
    text = re.sub(r"methods:\n(  - .*\n)+", f"methods: {entries}\n", GOOD)
    whole, cropped = load_suite(suite_file(tmp_path, text)).methods
    assert (whole.strategy, cropped.strategy, cropped.max_memory) == ("full", "crop", "2GiB")
    assert "strategy" not in whole.plain()
    assert cropped.plain()["strategy"] == "crop"
    identities = [NetworkMethod(entry, seed=1).identity(None) for entry in (whole, cropped)]
    assert identities[1] == identities[0] | {"strategy": "crop", "max_memory": "2GiB"}
    for old, new, message in (("crop,", "crops,", "Did you mean 'crop'"), ("2GiB", "two", "such as 4GiB")):
        with pytest.raises(ZooError, match=rf"s\.yaml:3: .*{message}"):
            load_suite(suite_file(tmp_path, text.replace(old, new)))


def test_a_strategy_divides_the_images_of_a_method(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[8:20, 8:20] = 1
    text = re.sub(r"methods:\n(  - .*\n)+", "methods: [{model: glama_tiny, strategy: crop}]\n", GOOD)
    (entry,) = load_suite(suite_file(tmp_path, text)).methods
    method = NetworkMethod(entry, seed=1)
    method.start(None, torch.device("cpu"), "fp32")
    (output,) = method.fill([MethodInput("a", image, mask.astype(bool), None)])
    assert method.filler.choices[0].strategy == "crop"
    wanted = iz.inpaint(iz.create_model("glama_tiny", weights="shipped"), image, mask, strategy="crop")
    np.testing.assert_array_equal(output.image, wanted)
