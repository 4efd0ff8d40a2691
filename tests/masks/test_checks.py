"""Masks that are probably a mistake: all interfaces give the same sentences, and bad files do not end a run."""

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from inpaint_zoo.masks import MaskConfigError, MaskWarning, create_generator, read_mask
from inpaint_zoo.masks.index import INDEX_NAME
from inpaint_zoo.masks.read import DOUBTS, doubts_about


def top(rows, side=20):
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[:rows] = 1
    return mask


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)


GREY = top(5) * np.uint8(255)
SOFT = np.where(top(5) == 1, 200, 0).astype(np.uint8)
WHITE = np.full((20, 20), 255, np.uint8)


@pytest.mark.parametrize(
    ("values", "alpha", "options", "kinds"),
    [
        (GREY, None, {}, set()),
        (255 - GREY, None, {"invert": True}, set()),
        (255 - GREY, None, {}, {"large"}),
        (GREY, None, {"invert": True}, {"large"}),
        (top(12) * np.uint8(255), None, {}, set()),  # 60 % is not more than 60 %
        (top(0), None, {}, {"empty"}),
        (WHITE, None, {}, {"large"}),
        (SOFT, None, {}, {"gray"}),
        (top(5), None, {}, {"values"}),
        (top(5), None, {"threshold": 0}, set()),
        (top(5), None, {"invert": True}, {"values"}),
        (WHITE, GREY, {}, {"alpha"}),
        (top(0), 255 - GREY, {}, {"alpha"}),
        (GREY, WHITE, {}, set()),
    ],
)
def test_each_doubt_has_one_kind(values, alpha, options, kinds):
    threshold, invert = options.get("threshold", 127), options.get("invert", False)
    mask = values <= threshold if invert else values > threshold
    if kinds <= {"empty", "large"} and alpha is None and threshold:
        assert doubts_about(mask).keys() == kinds  # arrays and tensors have a known polarity
    found = doubts_about(mask, values, alpha=alpha, **options)
    assert found.keys() == kinds <= DOUBTS.keys()


def test_sentences_say_how_much_and_what_was_taken_as_hole():
    assert doubts_about(WHITE > 0, WHITE)["large"] == (
        "100.0 % of the mask is hole, white taken as hole; is it inverted? Hardly any pixel is known."
    )
    assert "75.0 % of the mask is hole, black taken as hole" in doubts_about(GREY == 0, GREY, invert=True)["large"]
    assert "(largest value 1), and above 127 is hole; multiply it by 255" in doubts_about(top(0), top(5))["values"]


def test_a_folder_is_looked_at_before_its_first_mask(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.png", 255 - GREY)
    with pytest.warns(MaskWarning, match=r"^3 mask files look wrong \(more than 60 % hole\), e\.g\. .*a\.png: 75\.0 %"):
        create_generator({"bank": str(tmp_path)})(0, 16)
    assert create_generator({"bank": str(tmp_path), "hole_value": "black"})(0, 20).sum() == 100  # without a warning
    inverted = create_generator({"bank": str(tmp_path), "transforms": [{"op": "invert"}]})
    assert inverted.check_files() == []  # the inverted mask is correct
    assert inverted(0, 20).sum() == 100
    sometimes = create_generator({"bank": str(tmp_path), "transforms": [{"op": "invert", "p": 0.5}]})
    assert sometimes.check_files() == []  # the ratio of a file then tells nothing
    nested = {
        "components": [
            {"kind": "mixture", "args": {"components": [{"kind": "files", "args": {"root": str(tmp_path)}}]}}
        ]
    }
    assert "more than 60 % hole" in create_generator(nested).check_files()[0]
    assert create_generator("center").check_files() == create_generator("center").files() == []


def test_a_few_large_holes_are_no_sign_of_inversion(tmp_path):
    for rows in (4, 8, 16):
        save(tmp_path / f"{rows}.png", top(rows) * 255)
    assert create_generator({"bank": str(tmp_path)}).check_files() == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (top(5), r"a mask file looks wrong \(values 0 and 1\), e\.g\. .*a\.png: the mask holds only 0 and 1"),
        (top(0), r"a mask file looks wrong \(empty\), e\.g\. .*a\.png: the mask is empty"),
        (WHITE, r"a mask file looks wrong \(more than 60 % hole\), e\.g\. .*a\.png: 100\.0 %"),
    ],
)
def test_a_folder_without_one_mask_is_refused_with_file_and_cause(tmp_path, values, message):
    save(tmp_path / "a.png", values)
    with pytest.raises(MaskConfigError, match=r"none of 1 files in .* is a mask: " + message):
        create_generator({"bank": str(tmp_path)}).check_files()
    allowed = create_generator({"bank": str(tmp_path), "limits": {"allow_empty": True, "min_known": 0}})
    assert len(allowed.check_files()) == 1


def test_one_empty_file_is_named_when_its_turn_comes(tmp_path):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "b.png", top(0))
    generator = create_generator({"bank": str(tmp_path)})
    assert generator.check_files() == [
        f"a mask file looks wrong (empty), e.g. {tmp_path / 'b.png'}: the mask is empty, nothing is white "
        "(largest value 0)."
    ]
    assert generator(2, 20).sum() == 100
    with pytest.raises(
        MaskConfigError, match=r"no mask with at least 1 hole .* first attempt read .*b\.png: the mask is"
    ):
        generator(1, 20)
    assert generator.meta(0, 20).get("doubts") is None
    train = create_generator({"bank": str(tmp_path)}, stream="train")
    train.check_files()
    assert (train.batch(range(20), 20).sum((1, 2)) == 100).all()  # random pairing chooses another file


def test_an_unreadable_file_gives_its_place_to_the_next(tmp_path):
    for number in range(4):
        save(tmp_path / f"{number}.png", top(number + 1) * 255)
    whole = create_generator({"bank": str(tmp_path)}).batch(range(4), 20)
    (tmp_path / "1.png").write_bytes(b"no image")
    (tmp_path / "2.png").unlink()
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    generator = create_generator({"bank": str(tmp_path)})
    with pytest.warns(MaskWarning, match=r"a mask file cannot be read \(2 in all\): .*1\.png: is not a PNG"):
        found = generator.batch(range(4), 20)
    np.testing.assert_array_equal(found, whole[[0, 3, 3, 3]])
    assert len(generator.identity()) == 64
    late = create_generator({"bank": str(tmp_path)})
    late.check_files()
    (tmp_path / "3.png").write_bytes(b"")
    with pytest.warns(MaskWarning, match=r"3\.png: is empty \(0 bytes\); the next mask file is used instead"):
        np.testing.assert_array_equal(late(3, 20), whole[0])


def test_bins_leave_out_what_cannot_be_read(tmp_path):
    for k in range(6):
        for j in range(4):
            ratio = (10 * k + 2 + j) / 100
            save(
                tmp_path / f"mask{10 * k}-{10 * k + 10}" / f"{j}.png",
                255 * (np.arange(400) < round(400 * ratio)).reshape(20, 20),
            )
    (tmp_path / "mask10-20" / "1.png").write_bytes(b"no image")
    with pytest.warns(MaskWarning, match=r"mask10-20/1\.png: is not a PNG, .*; it is left out"):
        generator = create_generator("nvidia_10_20", root=str(tmp_path))
    assert sorted({int(mask.sum()) for mask in generator.batch(range(9), 20)}) == [48, 56, 60]
    assert len((tmp_path / INDEX_NAME).read_text().splitlines()) == 24
    with pytest.warns(MaskWarning, match=r"mask10-20/1\.png: is not a PNG, .*; it belongs to no bin"):
        assert len(create_generator({"bank": str(tmp_path), "bins": [0.1, 0.2]}).files()) == 3
    message = r"no mask of .* has a hole ratio in \(0\.9, 0\.95\]\. With white as hole, ratios lie from 0\.02 to 0\.55"
    with pytest.warns(MaskWarning), pytest.raises(MaskConfigError, match=message):
        create_generator({"bank": str(tmp_path), "bins": [0.9, 0.95]})


def test_names_of_any_bytes_have_an_identity(tmp_path):
    name = "caf\udce9.png"
    try:
        save(tmp_path / name, GREY)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    generator = create_generator({"bank": str(tmp_path)})
    assert len(generator.identity()) == 64
    assert generator(0, 20).sum() == 100


def test_masks_beside_their_images_are_taken_alone(tmp_path):
    save(tmp_path / "x.png", np.full((20, 20, 3), 90))
    save(tmp_path / "x_mask001.png", GREY)
    with pytest.warns(UserWarning, match=r"files other than masks stored next to their image left out \(1\): x"):
        generator = create_generator({"bank": str(tmp_path)})
    assert [path.name for path in generator.files()] == ["x_mask001.png"]
    assert generator(0, 20).sum() == generator(1, 20).sum() == 100


@pytest.mark.parametrize("white", [1, 255])
def test_values_of_8_bits_in_a_file_of_16_are_named_behind_every_door(tmp_path, white, capsys):
    values = np.zeros((64, 64), np.uint16)
    values[20:40, 20:40] = white
    (tmp_path / "masks").mkdir()
    Image.fromarray(values).save(tmp_path / "masks" / "a.png")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.warns(MaskWarning, match="the mask has 16 bits, where white is 65535, but no value is above 255"):
        read_mask(tmp_path / "masks" / "a.png")
    for mask in ("masks", "masks/a.png"):
        words = ["--mask", str(tmp_path / mask), "--model", "mean_fill", "--out", str(tmp_path / "out"), "--overwrite"]
        assert main(["inpaint", str(tmp_path / "a.png"), *words]) == 0
        assert "values of 8 bits in a file of 16" in capsys.readouterr().err
    assert main(["inpaint", str(tmp_path / "masks" / "a.png"), "--expand", "0,4,0,0", *words[2:]]) == 0
    assert "16-bit gray without a value above 255, so it is nearly black" in capsys.readouterr().err
