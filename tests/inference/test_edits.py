"""`iz.inpaint` grows, feathers and expands holes as the command does, for every type of image, and keeps 16 bits."""

import numpy as np
import pytest
import torch
from PIL import Image

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.io.images import read_image, write_image
from tests.helpers.odd_files import BASE

HOLE = np.zeros((24, 32), bool)
HOLE[8:14, 10:20] = True
WORDS = ["--dilate", "2", "--feather", "3", "--expand", "0,6,4,2"]
EDITS = {"dilate": 2, "feather": 3, "expand": (0, 6, 4, 2)}
DEEP = BASE.astype(np.uint16) * 257 + np.arange(24 * 32 * 3, dtype=np.uint16).reshape(24, 32, 3) % 200


def run(folder, pixels, *words):
    """Return what the command writes for an image, as (H, W, 3) with all bits."""
    write_image(folder / "image.png", pixels)
    Image.fromarray(HOLE.astype(np.uint8) * 255).save(folder / "mask.png")
    names = [str(folder / name) for name in ("image.png", "mask.png", "out")]
    assert main(["inpaint", names[0], "--mask", names[1], "--model", "mean_fill", "--out", names[2], *words]) == 0
    return read_image(folder / "out" / "image.png", deep=True).pixels


@pytest.mark.parametrize("pixels", [BASE, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize(("words", "edits"), [((), {}), (WORDS, EDITS)], ids=["as it is", "edited"])
def test_arrays_and_tensors_become_what_the_command_writes(tmp_path, pixels, words, edits):
    expected = run(tmp_path, pixels, *words)
    assert expected.dtype == pixels.dtype
    out = iz.inpaint("mean_fill", pixels, HOLE, **edits)
    assert out.dtype == pixels.dtype
    np.testing.assert_array_equal(out, expected)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (tensor, tensor[None]):
        filled = iz.inpaint("mean_fill", image, HOLE, **edits)
        assert filled.dtype == image.dtype
        assert filled.ndim == image.ndim
        np.testing.assert_array_equal(filled.reshape(3, *expected.shape[:2]).permute(1, 2, 0).numpy(), expected)


def test_images_and_paths_become_what_the_command_writes(tmp_path):
    expected = run(tmp_path, BASE, *WORDS)
    for image in (tmp_path / "image.png", Image.fromarray(BASE)):
        np.testing.assert_array_equal(np.asarray(iz.inpaint("mean_fill", image, HOLE, **EDITS)), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, torch.bfloat16, torch.float64])
def test_floats_agree_and_far_pixels_keep_their_bits(dtype):
    expected = iz.inpaint("mean_fill", BASE, HOLE, **EDITS).astype(np.float64) / 255
    if isinstance(dtype, torch.dtype):
        image = (torch.from_numpy(BASE).permute(2, 0, 1).double() / 255).to(dtype)
        out = iz.inpaint("mean_fill", image, HOLE, **EDITS)
        values, given = (each.permute(1, 2, 0).double().numpy() for each in (out, image))
    else:
        given = (BASE / 255.0).astype(dtype)
        values = out = iz.inpaint("mean_fill", given, HOLE, **EDITS)
    assert out.dtype == dtype
    assert np.abs(values.astype(np.float64) - expected).max() < (0.008 if "16" in str(dtype) else 0.004)
    far = np.ones((24, 32), bool)
    far[8 - 6 : 14 + 6, 10 - 6 : 20 + 6] = False  # 2 + 3 px, and less than a pixel of the diagonal metric
    far[24 - 6 :] = far[:, 32 - 6 :] = far[:, :6] = False  # the border of the added pixels, which are hole as well
    assert far.any()
    np.testing.assert_array_equal(values[:24, 2:34][far], given[far])


def test_outpainting_needs_no_mask():
    out = iz.inpaint("mean_fill", BASE, expand=(0, 8, 0, 0))
    assert out.shape == (24, 40, 3)
    np.testing.assert_array_equal(out[:, :32], BASE)


def test_a_batch_equals_its_images():
    images = torch.from_numpy(np.stack([BASE, BASE[::-1].copy()])).permute(0, 3, 1, 2)
    holes = np.stack([HOLE, HOLE[:, ::-1]])
    batch = iz.inpaint("mean_fill", images, holes, **EDITS)
    for k in range(2):
        assert torch.equal(batch[k], iz.inpaint("mean_fill", images[k], holes[k], **EDITS))


def test_added_pixels_of_an_alpha_channel_are_opaque(tmp_path):
    alpha = np.full((24, 32), 200, np.uint8)
    alpha[HOLE] = 0
    for image in (np.dstack([BASE, alpha]), Image.fromarray(np.dstack([BASE, alpha]))):
        out = np.asarray(iz.inpaint("mean_fill", image, HOLE, expand=(1, 2, 3, 4)))
        inner = out[1:25, 4:36, 3]
        np.testing.assert_array_equal(inner, alpha)
        assert out[..., 3].astype(int).sum() == int(alpha.sum()) + 255 * (28 * 38 - 24 * 32)
    holes = np.asarray(iz.inpaint("mean_fill", Image.fromarray(np.dstack([BASE, alpha])), "alpha", expand=(1, 2, 3, 4)))
    assert (holes[1:25, 4:36, 3] == np.where(HOLE, 255, 200)).all()


def test_gray_images_keep_16_bits(tmp_path):
    gray = DEEP[..., 0].copy()
    Image.fromarray(gray).save(tmp_path / "gray.png")
    for image in (tmp_path / "gray.png", Image.fromarray(gray)):
        out = iz.inpaint("mean_fill", image, HOLE)
        assert out.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(out)[~HOLE], gray[~HOLE])
        assert (np.asarray(out)[HOLE] % 257 != 0).any()  # not 8 bits, repeated


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"dilate": -1}, "`dilate` must be a whole number of pixels of at least 0, got -1"),
        ({"feather": 1.5}, "`feather` must be a whole number of pixels of at least 0, got 1.5"),
        ({"expand": (0, 1, 2)}, r"`expand` must be \(top, right, bottom, left\) in pixels, got \(0, 1, 2\)"),
        ({"expand": "0,1,2,3"}, r"`expand` must be \(top, right, bottom, left\) in pixels, got '0,1,2,3'"),
        ({"expand": (0, 0, -4, 0)}, "`expand` must be a whole number of pixels of at least 0, got -4"),
    ],
)
def test_wrong_edits_are_named(edits, message):
    with pytest.raises(iz.ZooError, match=message):
        iz.inpaint("mean_fill", BASE, HOLE, **edits)


def test_no_hole_at_all_is_named():
    with pytest.raises(iz.ZooError, match="Give the hole by `mask`, or add pixels by `expand`"):
        iz.inpaint("mean_fill", BASE)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float64])
def test_a_mask_of_each_dtype_is_the_same_mask(dtype):
    expected = iz.inpaint("mean_fill", BASE, HOLE)
    np.testing.assert_array_equal(iz.inpaint("mean_fill", BASE, torch.from_numpy(HOLE).to(dtype)), expected)


def test_a_mask_with_channels_is_refused_with_the_way_out():
    with pytest.raises(
        iz.ZooError, match=r"`mask` must have one channel, got \(24, 32, 3\)\. Keep one: `mask\[..., 0\]`"
    ):
        iz.inpaint("mean_fill", BASE, np.repeat(HOLE[..., None], 3, axis=2).astype(np.uint8) * 255)
