"""Mask folders and files: pairing, bins, polarity, resizing, content identity, and warnings."""

import warnings

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.masks import MaskConfigError, MaskWarning, create_generator, read_mask
from inpaint_zoo.masks.errors import UnknownMaskError
from inpaint_zoo.masks.transforms import resize_mask
from tests.masks import plain


def save(path, mask, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.asarray(mask) * 255).astype(np.uint8)).save(path, **options)


def top(tenths):
    """Return a 20 x 20 mask with this many tenths of hole."""
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[: 2 * tenths] = 1
    return mask


@pytest.fixture
def folder(tmp_path):
    """Write ten files, `m1.png` ... `m10.png`, with 1 ... 9 tenths of hole; the last has 5."""
    for rows in range(1, 11):
        save(tmp_path / "bank" / f"m{rows}.png", top(rows if rows < 10 else 5))
    return tmp_path / "bank"


def test_files_are_paired_in_natural_order(folder):
    generator = create_generator({"bank": str(folder)})
    assert generator.name == "bank:bank"
    rows = [int(generator(index, 20).sum()) // 40 for index in range(12)]
    assert rows == [1, 2, 3, 4, 5, 6, 7, 8, 9, 5, 1, 2]
    assert generator.meta(1, 20)["file"].endswith("m2.png")


def test_random_pairing_is_the_default_of_training(folder):
    for generator in (
        create_generator("files", root=str(folder), pairing="random"),
        create_generator("files", root=str(folder), stream="train", augment=False),
    ):
        for index in range(20):
            pick = int(10 * plain.Sample(0, f"{generator.stream}/0", index).u(0))
            assert generator(index, 20).sum() == 40 * (pick + 1 if pick < 9 else 5)


def test_augmentation_flips_then_turns(folder):
    generator = create_generator("files", root=str(folder), stream="train", pairing="mod")
    for index in range(20):
        sample = plain.Sample(0, "train/0", index)
        wanted = top([1, 2, 3, 4, 5, 6, 7, 8, 9, 5][index % 10])
        wanted = wanted[:, ::-1] if sample.u(1) < 0.5 else wanted
        wanted = wanted[::-1] if sample.u(2) < 0.5 else wanted
        assert np.array_equal(generator(index, 20), np.rot90(wanted, int(4 * sample.u(3))))
    assert generator.batch(range(8), (16, 34)).shape == (8, 16, 34)


def test_bins_hold_what_lies_above_the_lower_and_up_to_the_upper_edge(folder):
    def ratios(bins):
        generator = create_generator({"bank": str(folder), "bins": bins})
        return sorted({float(mask.mean()) for mask in generator.batch(range(10), 20)})

    assert ratios([0.1, 0.2]) == [0.2]
    assert ratios([0.2, 0.5]) == [0.3, 0.4, 0.5]
    assert ratios([0.2, 0.3, 0.4]) == [0.3, 0.4]
    with pytest.raises(MaskConfigError, match=r"no mask of .*bank has a hole ratio in \(0.9, 1\]"):
        ratios([0.9, 1.0])
    for bins in ([0.5], [0.5, 0.2], [0.1, 2], "ab", [0.1, None]):
        with pytest.raises(MaskConfigError, match="`bins` of files must be a list of at least two increasing"):
            create_generator({"bank": str(folder), "bins": bins})


def test_bins_are_measured_at_the_native_size(tmp_path):
    grid = np.zeros((512, 512), dtype=np.uint8)
    grid[1::2] = 1
    save(tmp_path / "grid.png", grid)
    generator = create_generator({"bank": str(tmp_path), "bins": [0.4, 0.5], "limits": {"allow_empty": True}})
    assert generator(0, 256).sum() == 0


def test_polarity_and_threshold(tmp_path):
    save(tmp_path / "a.png", top(3))
    with pytest.warns(MaskWarning, match=r"70.0 % of the mask is hole, black taken as hole; is it inverted\?"):
        assert create_generator({"bank": str(tmp_path), "hole_value": "black"})(0, (20, 20)).sum() == 280
    Image.fromarray(np.array([[127, 128], [0, 255]], dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.warns(MaskWarning, match=r"50.0 % of the mask is gray"):
        assert create_generator({"bank": str(tmp_path)})(0, 16)[:8].tolist() == [[0] * 8 + [1] * 8] * 8


def test_identity_follows_the_content(folder, tmp_path):
    first = create_generator({"bank": str(folder)}).identity()
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert create_generator({"bank": str(copy)}).identity() == first
    save(copy / "m3.png", top(4))
    assert create_generator({"bank": str(copy)}).identity() != first
    assert create_generator({"bank": str(folder), "bins": [0.1, 0.5]}).identity() != first


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(MaskConfigError, match="nowhere: no such folder"):
        create_generator({"bank": str(tmp_path / "nowhere")})
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaskConfigError, match="empty: contains no images"):
        create_generator({"bank": str(tmp_path / "empty")})
    (tmp_path / "empty" / "a.png").write_bytes(b"no image")
    message = r"none of 1 files in .*empty is a mask: a mask file cannot be read: .*a\.png: is not a PNG"
    with pytest.raises(MaskConfigError, match=message):
        create_generator({"bank": str(tmp_path / "empty")})(0, 16)


def test_an_empty_file_is_refused(tmp_path):
    save(tmp_path / "a.png", top(0))
    message = r"none of 1 files in .* is a mask: a mask file looks wrong \(empty\), e.g. .*a\.png: the mask is empty"
    with pytest.raises(MaskConfigError, match=message):
        create_generator({"bank": str(tmp_path)})(0, 16)


def test_read_mask_takes_white_as_hole(tmp_path):
    save(tmp_path / "a.png", top(3))
    mask = read_mask(tmp_path / "a.png")
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, top(3))
    with pytest.warns(MaskWarning, match=r"70.0 % of the mask is hole"):
        assert np.array_equal(read_mask(tmp_path / "a.png", invert=True), 1 - top(3))
    assert read_mask(tmp_path / "a.png", threshold=254).sum() == 120
    with pytest.raises(MaskConfigError, match=r"`threshold` must lie in 0 .. 254, got 255"):
        read_mask(tmp_path / "a.png", threshold=255)


def test_read_mask_warns_of_what_looks_wrong(tmp_path):
    save(tmp_path / "empty.png", top(0))
    with pytest.warns(MaskWarning, match="the mask is empty, nothing is white"):
        read_mask(tmp_path / "empty.png")
    ones = Image.fromarray(top(3))  # 0 and 1 instead of 0 and 255
    ones.save(tmp_path / "ones.png")
    with pytest.warns(MaskWarning) as caught:
        read_mask(tmp_path / "ones.png")
    assert any("largest value 1" in str(item.message) for item in caught)
    gray = top(3) * 255
    gray[10, :8] = 100
    Image.fromarray(gray.astype(np.uint8)).save(tmp_path / "grey.png")
    with pytest.warns(MaskWarning, match=r"2.0 % of the mask is gray; above 127"):
        read_mask(tmp_path / "grey.png")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_masks_of_any_mode_are_read_alike(tmp_path, mode):
    Image.fromarray(top(3) * np.uint8(255)).convert(mode).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_mask(tmp_path / "a.png"), top(3))


def test_the_real_masks_can_be_read(shared):
    bank = create_generator({"bank": str(shared / "data" / "masks_freeform"), "bins": [0.0, 0.3]})
    masks = bank.batch(range(10), (128, 96))
    assert masks.shape == (10, 128, 96)
    assert 0 < masks.mean() < 0.35


def slow_resize(mask, size, mode):
    (H, W), (h, w) = mask.shape, size
    out = np.zeros(size, dtype=np.uint8)
    for i in range(h):
        for j in range(w):
            if mode == "nearest":
                out[i, j] = mask[i * H // h, j * W // w]
                continue
            share = 0.0
            for y in range(H):
                for x in range(W):
                    down = max(0.0, min(y + 1, (i + 1) * H / h) - max(y, i * H / h))
                    across = max(0.0, min(x + 1, (j + 1) * W / w) - max(x, j * W / w))
                    share += float(mask[y, x]) * down * across
            out[i, j] = share > 1e-9 if mode == "any" else share >= 0.5 * H * W / (h * w) - 1e-9
    return out


@pytest.mark.parametrize("mode", ["nearest", "any", "area>=.5"])
@pytest.mark.parametrize("size", [(3, 5), (8, 12), (16, 7), (1, 1)])
def test_resize_equals_the_slow_version(mode, size):
    mask = np.random.default_rng(3).integers(0, 2, (8, 12), dtype=np.uint8)
    found = resize_mask(mask, size, mode)
    assert found.dtype == np.uint8
    assert np.array_equal(found, slow_resize(mask, size, mode))


def test_resize_refuses_unknown_modes():
    with pytest.raises(UnknownMaskError, match="Unknown resize mode 'bilinear'"):
        resize_mask(top(1), (2, 2), "bilinear")
