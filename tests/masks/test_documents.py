"""Mask configurations in YAML: the shipped ones, the schema, and errors that give file, line and key."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from inpaint_zoo.masks import MaskConfigError, MaskWarning, create_generator, mask_suite
from inpaint_zoo.masks.bank import encode_png

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "masks").glob("*.yaml"))
EQUAL = re.compile(r"Same masks: preset (\w+)")


def folders(config):
    """Yield the folders that a configuration reads."""
    if isinstance(config, dict):
        return (
            [config["root"], *folders({**config, "root": None})] if config.get("root") else folders([*config.values()])
        )
    return [name for item in config for name in folders(item)] if isinstance(config, list) else []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_make_masks(path, tmp_path):
    assert len(CONFIGS) >= 12
    copy = shutil.copy(path, tmp_path)
    config = yaml.safe_load(path.read_text())["mask"]
    for name in folders(config):  # typical content: thick strokes, black on white
        (tmp_path / name).mkdir(parents=True)
        strokes = create_generator("dfv2_brush", seed=3, max_strokes=2)
        for index, mask in enumerate(strokes.batch(range(12), 512)):
            (tmp_path / name / f"{index}.png").write_bytes(encode_png(1 - mask))
    generator = create_generator(copy)
    assert generator.name == path.stem == config["name"]
    assert generator.stream == "train"
    masks = generator.batch(range(8), 256)
    assert masks.shape == (8, 256, 256)
    assert set(np.unique(masks)) == {0, 1}
    for preset in EQUAL.findall(path.read_text()):
        assert generator.identity() == create_generator(preset).identity()


def test_the_resolved_configuration_gives_the_same_masks(tmp_path):
    first = create_generator("general_union", seed=7, stream="val")
    text = first.to_yaml()
    assert text.startswith(f"# sha256 of what makes the masks: {first.identity()}\nmask:\n")
    (tmp_path / "resolved.yaml").write_text(text)
    again = create_generator(str(tmp_path / "resolved.yaml"))
    assert (again.name, again.seed, again.stream, again.size) == ("general_union", 7, "val", None)
    assert again.identity() == first.identity()
    assert again.to_yaml() == text
    assert np.array_equal(again.batch(range(6), 200), first.batch(range(6), 200))
    resolved = yaml.safe_load(text)["mask"]
    nested = resolved["components"][0]["args"]["components"]
    assert [part["kind"] for part in nested][:2] == ["every_n_lines", "completion"]
    assert nested[1]["args"]["ratio"] == {"uniform": [0.2, 0.8]}
    assert resolved["accept"] is None


SCHEMA = """
mask:
  name: schema
  suite_seed: 20220101
  stream: val
  size: [64, 96]
  combine: choose
  components:
    - kind: lama_irregular
      weight: 3
      args: {max_width: 30}
      transforms: [{op: hflip}]
    - kind: center_square
      args: {side: 20}
  transforms:
    - {op: dilate, k: 3}
    - {op: invert, p: 0.0}
  accept: {lo: 0.0, hi: 0.9, closed: both, max_tries: 100, on_fail: raise}
  limits: {min_hole: 1, min_known: 1, allow_empty: false}
  square_crop: false
  scale_with_size: false
"""


def test_every_key_of_the_schema(tmp_path):
    (tmp_path / "m.yaml").write_text(SCHEMA)
    generator = create_generator(tmp_path / "m.yaml")
    assert (generator.name, generator.seed, generator.stream, generator.size) == ("schema", 20220101, "val", (64, 96))
    assert generator(3).shape == (64, 96)
    bare = yaml.safe_load(SCHEMA)["mask"]
    assert create_generator(bare).identity() == generator.identity()
    (tmp_path / "bare.yaml").write_text(yaml.safe_dump(bare))
    assert np.array_equal(create_generator(tmp_path / "bare.yaml")(3), generator(3))
    assert create_generator(tmp_path / "m.yaml", accept=None, seed=1).config()["accept"] is None


def test_the_documentation_is_true(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "masks.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert len(examples) == 1
    (tmp_path / "m.yaml").write_text(examples[0])
    assert create_generator(tmp_path / "m.yaml").batch(range(8), 256).any()
    for name in re.findall(r"`(\w+_train(?:_files)?)`", text):
        assert name in {path.stem for path in CONFIGS}, name
    for name in re.findall(r"`(\w+_eval)`", text):
        assert mask_suite(name)


def test_a_kind_or_a_preset_in_a_file(tmp_path):
    (tmp_path / "a.yaml").write_text("{name: center, size: 20}")
    assert create_generator(tmp_path / "a.yaml")(0, 64).sum() == 400
    (tmp_path / "b.yaml").write_text("mask: {name: mine, kind: half, side: left}")
    generator = create_generator(tmp_path / "b.yaml")
    assert generator.name == "mine"
    assert generator(0, 64).sum() == 64 * 32
    (tmp_path / "c.yml").write_text("mask: {preset: lama_thick_256, accept: null}")
    assert create_generator(str(tmp_path / "c.yml")).name == "lama_thick_256"


def test_a_file_with_masks_of_evaluation(tmp_path):
    (tmp_path / "m.yaml").write_text("mask: {name: half}\neval_mask:\n  name: center\n  size: 20\n")
    train = create_generator(tmp_path / "m.yaml", stream="train")
    evaluated = create_generator(tmp_path / "m.yaml", stream="val", seed=3, evaluation=True)
    assert (train.name, train(0, 64).sum()) == ("half", 64 * 32)
    assert (evaluated.name, evaluated(0, 64).sum()) == ("center", 400)
    (tmp_path / "one.yaml").write_text("mask: {name: half}")
    assert create_generator(tmp_path / "one.yaml", evaluation=True)(0, 64).sum() == 64 * 32
    (tmp_path / "bare.yaml").write_text("{name: center, size: 20}")
    assert create_generator(tmp_path / "bare.yaml", evaluation=True)(0, 64).sum() == 400
    (tmp_path / "null.yaml").write_text("mask: {name: half}\neval_mask: null")
    assert create_generator(tmp_path / "null.yaml", evaluation=True)(0, 64).sum() == 64 * 32
    (tmp_path / "m.yaml").write_text("mask: {name: half}\neval_mask:\n  name: centr\n")
    with pytest.raises(MaskConfigError, match=r"m.yaml:3: name: Unknown mask 'centr'"):
        create_generator(tmp_path / "m.yaml", evaluation=True)


def test_folders_are_relative_to_the_file(tmp_path):
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "0.png").write_bytes(encode_png(np.eye(32, dtype=np.uint8)))
    for text in (
        "mask: {bank: bank}",
        "mask: {kind: files, root: ./bank}",
        "mask: {components: [{kind: mixture, args: {components: [{kind: files, args: {root: bank}}]}}]}",
    ):
        (tmp_path / "m.yaml").write_text(text)
        assert create_generator(tmp_path / "m.yaml")(0, 32).sum() == 32


WRONG = [
    ("maks: {name: cmod}", r"m.yaml:1: maks: A mask needs `components`, .* got 'maks'"),
    ("mask:\n  name: cmodd\n", r"m.yaml:2: name: Unknown mask 'cmodd'. Did you mean 'cmod'"),
    ("mask:\n  kind: cmod\n  rects: 3\n", r"m.yaml:3: rects: `rects` of cmod must be true or false, got 3"),
    ("mask:\n  preset: cmod\n  acept: null\n", r"m.yaml:3: acept: .*Did you mean 'accept'"),
    (
        SCHEMA.replace("max_width: 30", "max_widht: 30"),
        r"m.yaml:11: components\[0\].args.max_widht: .*Allowed: max_angle",
    ),
    (SCHEMA.replace("weight: 3", "weight: -3"), r"m.yaml:10: components\[0\].weight: `weight` of lama_irregular"),
    (
        SCHEMA.replace("center_square", "centre_square"),
        r"m.yaml:13: components\[1\].kind: .*Did you mean 'center_square'",
    ),
    (SCHEMA.replace("{side: 20}", "[20]"), r"m.yaml:14: components\[1\].args: .* must be a mapping"),
    (SCHEMA.replace("k: 3", "k: 4"), r"m.yaml:16: transforms\[0\]: transform dilate: `k` must be odd"),
    (SCHEMA.replace("k: 3", "k: no"), r"m.yaml:16: transforms\[0\].k: `k` of transform dilate must be an integer"),
    (SCHEMA.replace("lo: 0.0", "lo: 0.95"), r"m.yaml:18: accept: .*`lo` 0.95 must be less than `hi` 0.9"),
    (SCHEMA.replace("closed: both", "closed: all"), r"m.yaml:18: accept.closed: `closed` of accept must be one of hi"),
    (SCHEMA.replace("min_hole: 1", "min_hole: -1"), r"m.yaml:19: limits.min_hole: "),
    (SCHEMA.replace("square_crop: false", "square_crop: 2"), r"m.yaml:20: square_crop: "),
    (SCHEMA.replace("[64, 96]", "[64, 96, 3]"), r"m.yaml:6: size: `size` must be \(H, W\)"),
    (SCHEMA.replace("[64, 96]", "[64, 8]"), r"m.yaml:6: size: lama_irregular needs a height and width of at least 16"),
    (SCHEMA.replace("20220101", "yes"), r"m.yaml:4: suite_seed: The seed must be an integer"),
    (SCHEMA.replace("  suite_seed: 20220101\n", ""), r"m.yaml:\d+: .*`suite_seed` is required for the stream 'val'"),
    (SCHEMA.replace("combine: choose", "combine: chose"), r"m.yaml:7: combine: .*Did you mean 'choose'"),
    (SCHEMA + "  name: again\n", r"m.yaml:22: the key 'name' is already set in line 3"),
    ("mask: {name: cmod}\nseed: 3\n", r"m.yaml:2: 'seed' is beside `mask:`"),
    ("mask: cmod", r"m.yaml:1: `mask` must be a mapping"),
    ("mask: {name: cmod}\neval_mask: cmod", r"m.yaml:2: `eval_mask` must be a mapping"),
    ("eval_mask: {name: cmod}", r"m.yaml:1: `eval_mask` needs a `mask` beside it"),
    ("- cmod", r"m.yaml:1: a mask configuration must be a mapping"),
    ("", r"m.yaml:1: a mask configuration must be a mapping"),
    ("mask: {name: cmod", r"m.yaml:1: invalid YAML: "),
    ("mask: &a {name: *a}", r"m.yaml:1: "),
    ("mask: {kind: files, root: nowhere}", r"m.yaml:1: files: .*nowhere: no such folder"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_errors_name_file_line_and_key(text, message, tmp_path):
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(MaskConfigError, match=message) as caught:
        create_generator(tmp_path / "m.yaml")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MaskConfigError, match=r"no.yaml: cannot be read: No such file"):
        create_generator(str(tmp_path / "no.yaml"))
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00mask")
    with pytest.raises(MaskConfigError, match=r"b.yaml: is not a text file"):
        create_generator(tmp_path / "b.yaml")


def test_hopeless_ranges_are_warned_of_before_the_first_mask():
    config = {"components": [{"kind": "lama_box"}], "accept": {"lo": 0.8, "hi": 0.9}, "name": "hopeless"}
    with pytest.warns(MaskWarning, match=r"hopeless: of 256 trial masks at size 128 x 128, 0 have a hole ratio in"):
        create_generator({**config, "size": [128, 128]})
    generator = create_generator(config)
    with (
        pytest.warns(MaskWarning, match=r"size 100 x 100, 0 have .*\(0.8, 0.9\], all lie from 0.\d+ to 0.6"),
        pytest.raises(MaskConfigError, match="in 100 attempts"),
    ):
        generator(0, 100)
    with pytest.raises(MaskConfigError, match="in 100 attempts"):
        generator(0, 100)  # the warning is not repeated
