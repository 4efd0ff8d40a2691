"""Kinds that read special folders: NVIDIA's bins and raw masks, Quick-Draw strokes, labels, papers' rules."""

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.masks import MASK_SUITES, MaskConfigError, create_generator, list_masks, mask_info, mask_suite
from inpaint_zoo.masks.index import INDEX_NAME
from inpaint_zoo.masks.kinds.nvidia import bin_of
from inpaint_zoo.masks.transforms import resize_mask
from tests.conftest import REPOSITORY
from tests.masks import plain


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path, **options)


def with_ratio(percent, side=40):
    """Return a mask of 0 and 1 with this share of hole, in rows from the top."""
    mask = np.zeros(side * side, dtype=np.uint8)
    mask[: round(percent / 100 * side * side)] = 1
    return mask.reshape(side, side)


def bins(folder, per_bin=4, names="folders", black=False):
    """Write masks of the six bins, in sub-folders or numbered as in the flat set; files differ in their ratios."""
    for k in range(6):
        for j in range(per_bin):
            mask = with_ratio(10 * k + 2 + j)
            number = k * 2000 + (j if j % 2 == 0 else 1000 + j)
            name = f"mask{10 * k}-{10 * k + 10}/{j:05d}.png" if names == "folders" else f"{number:05d}.png"
            save(folder / name, 255 * (1 - mask if black else mask))
    return folder


def ratios(spec, size=40, n=24, **more):
    generator = create_generator(spec, **more)
    return sorted({round(100 * float(mask.mean())) for mask in generator.batch(range(n), size)})


def test_bins_in_integers():
    area = 512 * 512
    for k in range(1, 7):
        assert bin_of(k * area // 10, area) == k
        assert bin_of(k * area // 10 + 1, area) == (k + 1 if k < 6 else None)
    assert bin_of(area // 100, area) is None
    assert bin_of(area // 100 + 1, area) == 1
    assert bin_of(0, area) is bin_of(area, area) is None


@pytest.mark.parametrize("names", ["folders", "numbers"])
@pytest.mark.parametrize("black", [False, True])
def test_bins_of_the_test_set(tmp_path, names, black):
    root = str(bins(tmp_path / "set", names=names, black=black))
    for k in range(6):
        wanted = [10 * k + 2 + j for j in range(4)]
        name = "nvidia_01_10" if k == 0 else f"nvidia_{10 * k}_{10 * k + 10}"
        assert ratios({"name": name, "root": root}) == wanted
        assert ratios("nvidia_bins", root=root, bin=k + 1, hole_value="black" if black else "white") == wanted
    assert len(ratios("nvidia_bins", root=root)) == 24


def test_a_single_bin_folder_is_known_by_its_name(tmp_path):
    bins(tmp_path, black=True)
    assert ratios("nvidia_bins", root=str(tmp_path / "mask40-50")) == [42, 43, 44, 45]
    with pytest.raises(MaskConfigError, match=r"bin 2 \(10-20 %\): no file of .*mask40-50 is in this bin"):
        create_generator("nvidia_10_20", root=str(tmp_path / "mask40-50"))
    shutil.move(tmp_path / "mask40-50", tmp_path / "unnamed")
    with pytest.raises(MaskConfigError, match=r"cannot tell which color .* 100 % if white is and 100 % if black is"):
        create_generator("nvidia_bins", root=str(tmp_path / "unnamed"))
    assert ratios("nvidia_bins", root=str(tmp_path / "unnamed"), hole_value="black", bin=5) == [42, 43, 44, 45]


def test_unnamed_files_are_binned_by_their_ratio(tmp_path):
    for percent in (0.5, 5, 15, 55, 61):
        save(tmp_path / f"m{percent}.png", 255 * with_ratio(percent))
    assert ratios("nvidia_bins", root=str(tmp_path), hole_value="white") == [5, 15, 55]
    assert ratios("nvidia_10_20", root=str(tmp_path), hole_value="white") == [15]
    with pytest.raises(MaskConfigError, match=r"bin 3 .*no mask of .* has such a hole ratio"):
        create_generator("nvidia_20_30", root=str(tmp_path), hole_value="white")


def test_a_file_outside_the_bin_it_claims_is_refused(tmp_path):
    root = bins(tmp_path, per_bin=30)  # some ratios belong to the next bins
    with pytest.raises(MaskConfigError, match=r"cannot tell which color"):
        create_generator("nvidia_10_20", root=str(root))
    shutil.rmtree(root)
    bins(root)
    save(root / "mask10-20" / "odd.png", 255 * with_ratio(33))
    with pytest.raises(MaskConfigError, match=r"odd.png has a hole ratio of 33 % .* says 10-20 % \(1 of 5 files"):
        create_generator("nvidia_10_20", root=str(root), hole_value="white")
    assert ratios("nvidia_10_20", root=str(root), hole_value="white", strict=False) == [12, 13, 14, 15, 33]
    assert ratios("nvidia_20_30", root=str(root)) == [22, 23, 24, 25]  # errors in other bins do not matter


def test_border_classes_are_the_halves_of_a_bin(tmp_path):
    root = str(bins(tmp_path / "flat", names="numbers"))
    assert ratios("nvidia_20_30", root=root, border="first") == [22, 24]
    assert ratios("nvidia_20_30", root=root, border="second") == [23, 25]
    save(tmp_path / "named" / "a.png", 255 * with_ratio(15))
    with pytest.raises(MaskConfigError, match="needs files named by their number"):
        create_generator("nvidia_bins", root=str(tmp_path / "named"), border="first")


def test_the_index_is_written_once_and_follows_changes(tmp_path):
    root = bins(tmp_path / "set")
    first = create_generator("nvidia_10_20", root=str(root)).identity()
    table = (root / INDEX_NAME).read_text().splitlines()
    assert table[0] == "name,white,area,bytes,changed"
    assert table[1].startswith("mask0-10/00000.png,32,1600,")
    assert len(table) == 25
    (root / INDEX_NAME).write_text("\n".join(line.replace(",192,1600,", ",224,1600,") for line in table) + "\n")
    assert ratios("nvidia_10_20", root=str(root)) == [
        12,
        13,
        14,
        15,
    ]  # the stated bins are used, the masks are unchanged
    (root / INDEX_NAME).write_text("nonsense\n1,2\n")
    assert create_generator("nvidia_10_20", root=str(root)).identity() == first
    save(root / "mask10-20" / "00000.png", 255 * with_ratio(19))
    assert ratios("nvidia_10_20", root=str(root)) == [13, 14, 15, 19]
    assert create_generator("nvidia_10_20", root=str(root)).identity() != first


def test_bins_are_resized_paired_and_augmented_as_files(tmp_path):
    root = str(bins(tmp_path))
    files = create_generator("files", root=str(tmp_path / "mask30-40"), stream="train", seed=5)
    nvidia = create_generator("nvidia_30_40", root=root, stream="train", seed=5)
    assert np.array_equal(files.batch(range(20), (24, 32)), nvidia.batch(range(20), (24, 32)))
    assert {"file", "hflip", "vflip", "rot90"} <= set(nvidia.meta(3, 24))


def drawings(folder, strokes, n=6, side=300):
    """Write files with black strokes on white."""
    for k, mask in enumerate(
        create_generator("dfv2_brush", min_strokes=strokes, max_strokes=strokes).batch(range(n), side)
    ):
        save(folder / f"{k}.png", 255 * (1 - mask))
    return folder


def test_raw_training_masks_equal_the_steps_one_by_one(tmp_path):
    root = drawings(tmp_path, 1)
    generator = create_generator("nvidia_train", root=str(root), seed=4, stream="val", pairing="random")
    again = 0
    for index in range(10):
        for attempt in range(50):
            s = plain.Sample(4, "val/0", index, [0, attempt])
            with Image.open(root / f"{int(6 * s.u(0))}.png") as image:
                hole = (np.asarray(image) <= 153).astype(np.uint8)
            k = 9 + 2 * s.whole(5, 0, 20)
            hole = cv2.dilate(hole, np.ones((k, k), np.uint8))
            turn = cv2.getRotationMatrix2D((149.5, 149.5), 360 * s.u(4), 1)
            hole = cv2.warpAffine(hole, turn, (300, 300), flags=cv2.INTER_NEAREST)
            top, left = s.whole(6, 0, 300 - 128), s.whole(7, 0, 300 - 160)
            wanted = hole[top : top + 128, left : left + 160]
            if 0.01 < wanted.mean() <= 0.6:
                break
        assert np.array_equal(generator(index, (128, 160)), wanted)
        assert generator.meta(index, (128, 160))["component_attempts"] == attempt + 1
        again += attempt
    assert again > 0
    train = create_generator("nvidia_train", root=str(root), stream="train")
    assert np.array_equal(train.batch(range(8), 100), np.stack([train(k, 100) for k in range(8)]))
    with pytest.raises(
        MaskConfigError, match=r"nvidia_train: a crop of size 64 x 301 does not fit into .*png, 300 x 300"
    ):
        create_generator("nvidia_train", root=str(root))(0, (64, 301))


def test_quick_draw_masks_equal_the_steps_one_by_one(tmp_path):
    root = drawings(tmp_path, 3)
    generator = create_generator("qd_imd", root=str(root), seed=2, hole_range=[0.05, 0.5], margin=10)
    again = 0
    for index in range(10):
        for attempt in range(1000):
            s = plain.Sample(2, "mask/0", index, [0, attempt])
            with Image.open(root / f"{index % 6}.png") as image:
                gray = np.asarray(image)
            turn = cv2.getRotationMatrix2D((150, 150), s.whole(4, -180, 180), 1.5)
            gray = cv2.warpAffine(gray, turn, (300, 300), borderValue=255)
            side = s.whole(5, 14, 27)
            gray = cv2.erode(gray, np.ones((side, side), np.uint8))
            top, left = s.whole(6, 0, 300 - 128), s.whole(7, 0, 300 - 128)
            wanted = (gray[top : top + 128, left : left + 128] < 127.5).astype(np.uint8)
            wanted[:10] = wanted[-10:] = wanted[:, :10] = wanted[:, -10:] = 0
            if 0.05 <= wanted.mean() < 0.5:
                break
        assert np.array_equal(generator(index, 128), wanted)
        again += attempt
    assert again > 0
    with pytest.raises(MaskConfigError, match="`margin` 10 leaves no pixel of size 20 x 90"):
        generator(0, (20, 90))
    with pytest.raises(MaskConfigError, match="low < high"):
        create_generator("qd_imd", root=str(root), hole_range=[0.4, 0.1])
    with pytest.raises(MaskConfigError, match=r"qd_imd with hole_range .*a hole ratio in \[0.98, 0.99\) in 5 attempts"):
        create_generator("qd_imd", root=str(root), hole_range=[0.98, 0.99], max_tries=5)(0, 64)


def labels_with(*boxes, size=(120, 160)):
    labels = np.zeros(size, dtype=np.uint8)
    for number, (top, left, h, w) in enumerate(boxes, start=1):
        labels[top : top + h, left : left + w] = number
    return labels


def slow_objects(labels, s):
    """Apply the rules of `segm_objects` to one variant after the other, with boxes; None if the attempt fails."""
    H, W = labels.shape
    numbers = [k for k in range(1, labels.max() + 1) if 0 < (labels == k).mean() < 0.3]
    number = numbers[s.whole(0, 0, len(numbers) - 1)]
    shape = labels == number
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    crop = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    kept = []
    for v in range(4):
        o = 1 + 4 * v
        scale = min(0.75 + 0.5 * s.u(o), H / crop.shape[0], W / crop.shape[1])
        h, w = (int(scale * n + 0.5) for n in crop.shape)
        piece = resize_mask(crop, (h, w))
        piece = piece[:, ::-1] if s.u(o + 1) < 0.5 else piece
        row = int(np.floor(rows[0] + (crop.shape[0] - h) / 2 + (0.2 * s.u(o + 2) - 0.1) * H + 0.5))
        column = s.whole(o + 3, 0, W - w)
        variant = np.zeros((H, W), dtype=bool)
        for i, j in np.argwhere(piece):
            if 0 <= row + i < H:
                variant[row + i, column + j] = True
        size = variant.sum()
        good = size >= 0.8 * piece.sum() and (variant & (labels > 0)).sum() <= 0.5 * size
        good = good and all((variant & other).sum() <= 0.5 * size for other in [shape, *kept])
        good = good and all(
            (variant & (labels == k)).sum() <= 0.5 * (labels == k).sum() for k in range(1, labels.max() + 1)
        )
        if good:
            kept.append(variant)
    mask = np.logical_or.reduce(kept) if kept else np.zeros((H, W), dtype=bool)
    return mask.astype(np.uint8) if mask.mean() > 0.02 else None


def test_object_masks_equal_the_rules_one_by_one(tmp_path):
    images = [
        labels_with((10, 20, 40, 30), (70, 100, 30, 40)),
        labels_with((0, 0, 120, 100), (60, 110, 50, 30)),  # the first object is too large to be used, but is foreground
        labels_with((5, 5, 100, 20), (5, 60, 30, 90), (60, 60, 20, 20)),
    ]
    for k, labels in enumerate(images):
        save(tmp_path / f"{k}.png", labels)
    generator = create_generator("segm_objects", root=str(tmp_path), seed=6)
    attempts = []
    for index in range(15):
        for attempt in range(100):
            wanted = slow_objects(images[index % 3], plain.Sample(6, "mask/0", index, [0, attempt]))
            if wanted is not None:
                break
        assert np.array_equal(generator(index, (120, 160)), wanted)
        attempts.append(attempt)
    assert max(attempts) > 0
    assert generator.batch(range(6), (60, 90)).shape == (6, 60, 90)
    assert generator.meta(1, (120, 160))["object"] == 2


def test_labels_are_values_not_colors(tmp_path):
    labels = labels_with((10, 20, 40, 30), (70, 100, 30, 40))
    save(tmp_path / "grey" / "0.png", labels)
    wanted = create_generator("segm_objects", root=str(tmp_path / "grey")).batch(range(5), 100)
    palette = Image.fromarray(labels)
    palette.putpalette([200, 200, 200, 255, 0, 0, 0, 0, 255] + [0] * 759)
    (tmp_path / "palette").mkdir()
    palette.save(tmp_path / "palette" / "0.png")
    (tmp_path / "deep").mkdir()
    Image.fromarray(labels.astype(np.uint16) * 300).save(tmp_path / "deep" / "0.png")
    for folder in ("palette", "deep"):
        found = create_generator("segm_objects", root=str(tmp_path / folder)).batch(range(5), 100)
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((40, 40, 3)), r"must have one channel of whole numbers, got RGB"),
        (np.zeros((40, 40)), r"shows no object of less than 30 % of the image at size 40 x 40"),
        (np.ones((40, 40)), r"shows no object"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path, pixels, message):
    save(tmp_path / "0.png", pixels)
    with pytest.raises(MaskConfigError, match=message):
        create_generator("segm_objects", root=str(tmp_path))(0, 40)


def test_a_damaged_label_file_is_named(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(
        MaskConfigError, match=r"segm_objects: 1 files in a row cannot be read; the first: .*0.png: is not a PNG"
    ):
        create_generator("segm_objects", root=str(tmp_path))(0, 40)


def disc(H, W, r):
    y, x = np.ogrid[:H, :W]
    return ((y - H / 2) ** 2 + (x - W / 2) ** 2 <= r * r).astype(np.uint8)


def test_isnet_reads_files_in_its_own_way(tmp_path):
    hole = disc(80, 120, 25)
    save(tmp_path / "0.png", 255 * (1 - hole))
    save(tmp_path / "1.png", 255 * np.eye(80, 120))
    image = Image.fromarray(255 * (1 - hole))
    generator = create_generator("files", root=str(tmp_path), compat="isnet", bins=[0.0, 0.5])
    wanted = np.asarray(image.crop((20, 0, 100, 80)).resize((40, 40), Image.Resampling.BILINEAR)) == 0
    assert np.array_equal(generator(0, 40), wanted)  # the second file is dark except for a line, so it is in no bin
    assert wanted.sum() < resize_mask(hole[:, 20:100], (40, 40)).sum()
    one_to_one = create_generator("files", root=str(tmp_path), compat="isnet", pairing="mod", bins=[0.0, 0.5])
    assert np.array_equal(one_to_one(0, 40), np.asarray(image.resize((40, 40), Image.Resampling.BILINEAR)) == 0)
    assert generator.config()["components"][0]["args"]["hole_value"] == "black"
    save(tmp_path / "0.png", 255 * hole)
    white = create_generator("files", root=str(tmp_path), compat="isnet", hole_value="white", bins=[0.0, 0.5])
    assert np.array_equal(white(0, 40), wanted)


def test_isnet_draws_files_at_random_and_never_turns_them_upside_down_by_a_flip(tmp_path):
    wedge = np.tril(np.ones((32, 32), dtype=np.uint8))
    for k in range(3):
        save(tmp_path / f"{k}.png", 255 * (1 - np.pad(wedge, ((0, 8 * k),) * 2, constant_values=1)))
    generator = create_generator("files", root=str(tmp_path), compat="isnet", stream="train", seed=1)
    test = create_generator("files", root=str(tmp_path), compat="isnet", stream="test", seed=1)
    for each in (generator, test):  # the smaller wedges leave more hole than known
        assert "2 mask files look wrong (more than 60 % hole)" in each.check_files()[0]
    for index in range(12):
        s = plain.Sample(1, "train/0", index)
        note = generator.meta(index, 32)
        assert note["file"] == str(tmp_path / f"{int(3 * s.u(0))}.png")
        assert (note["hflip"], note["vflip"], note["rot90"]) == (s.u(1) < 0.5, False, int(4 * s.u(3)))
        plain_test = plain.Sample(1, "test/0", index)
        assert test.meta(index, 32)["file"] == str(tmp_path / f"{int(3 * plain_test.u(0))}.png")
        assert not test.meta(index, 32)["hflip"]


def test_isnet_cuts_its_bins_strictly_on_both_sides(tmp_path):
    for percent in (10, 15, 20):
        save(tmp_path / f"{percent}.png", 255 - 255 * with_ratio(percent))
    spec = {"bank": str(tmp_path), "bins": [0.1, 0.2], "hole_value": "black"}
    assert ratios(spec) == [15, 20]
    assert ratios({**spec, "compat": "isnet"}) == [15]


def test_lgnet_reads_files_in_its_own_way(tmp_path):
    hole = disc(64, 64, 20)
    save(tmp_path / "0.png", 255 * hole)
    train = create_generator("files", root=str(tmp_path), compat="lgnet", stream="train", augment=False)
    bicubic = np.asarray(Image.fromarray(255 * hole).resize((50, 40), Image.Resampling.BICUBIC))
    assert np.array_equal(train(0, (40, 50)), bicubic >= 128)
    test = create_generator("files", root=str(tmp_path), compat="lgnet", stream="test")
    assert np.array_equal(test(0, 64), hole)
    with pytest.raises(
        MaskConfigError, match=r"0.png is 64 x 64, the image 40 x 50; `compat: lgnet` does not resize test"
    ):
        test(0, (40, 50))
    flipping = create_generator("files", root=str(tmp_path), compat="lgnet", stream="train")
    notes = [flipping.meta(index, 64) for index in range(12)]
    assert {note["hflip"] for note in notes} == {True, False}
    assert not any(note["vflip"] or note["rot90"] for note in notes)


def test_presets_of_files_need_their_folder():
    names = list_masks("nvidia_*", ready=False)
    assert names == [
        "nvidia_01_10",
        "nvidia_10_20",
        "nvidia_20_30",
        "nvidia_30_40",
        "nvidia_40_50",
        "nvidia_50_60",
        "nvidia_bins",
        "nvidia_train",
    ]
    assert not list_masks("nvidia_*")
    info = mask_info("nvidia_20_30")
    assert info.is_preset
    assert info.required == ("root",)
    assert info.args["bin"] == 3
    assert info.args["hole_value"] == "auto"
    with pytest.raises(MaskConfigError, match="nvidia_bins needs `root`"):
        create_generator("nvidia_20_30")


def test_lists_of_masks_are_what_the_papers_test_on(tmp_path):
    assert [mask.column for mask in mask_suite("lgnet_eval", tmp_path)] == [
        *("1-10%", "10-20%", "20-30%", "30-40%", "40-50%", "50-60%"),
        *(None, None),
    ]
    grig = [mask.column for mask in mask_suite("grig_eval", tmp_path)]
    assert grig == [*(f"{k}0-{k + 1}0%" for k in range(1, 6)), "Fixed"]
    names = [f"synthetic_{k}0_{k + 1}0" for k in range(1, 5)]
    assert [mask.label for mask in mask_suite("isnet_eval")] == [f"{name} (stand-in)" for name in names]
    generated = mask_suite("synthetic_bins", tmp_path)  # asked for as they are, so they stand in for nothing
    assert [mask.label for mask in generated[1:5]] == names
    assert not any(mask.stand_in or mask.column for mask in generated)
    bins(tmp_path)
    for name in MASK_SUITES:
        for mask in (*mask_suite(name), *mask_suite(name, tmp_path)):
            assert create_generator(mask.spec)(0, 256).any()
            assert mask.stand_in == mask.label.endswith(" (stand-in)")
            assert not mask.stand_in or (mask.column is None and mask.files.name == "nvidia_irregular")
    with pytest.raises(
        MaskConfigError, match=r"grig_eval is a list of 6 masks, not one mask.* write \{masks: grig_eval\}"
    ):
        create_generator("grig_eval")
    with pytest.raises(MaskConfigError, match=r"Unknown list of masks 'grig'. Did you mean 'grig_eval'"):
        mask_suite("grig")


def test_table_columns_are_those_of_the_paper_tables():
    tables = REPOSITORY / "benchmarks" / "paper_tables"
    for paper in ("lgnet", "isnet", "glama"):
        table = (tables / f"{paper}.csv").read_text()
        for mask in mask_suite(f"{paper}_eval", "root"):
            assert mask.column is None or f",{mask.column}," in table
    assert ",50-60%," in (tables / "grig.csv").read_text()
    assert ",central 128x128 hole," in (tables / "glcic_ca.csv").read_text()
