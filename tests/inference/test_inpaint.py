"""`inpaint`: every type of image and mask is accepted, the result has the same type, known pixels are unchanged."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo.inference.inpaint import fill_bytes, ready_model
from inpaint_zoo.io.images import write_image
from inpaint_zoo.masks import MaskWarning
from tests.helpers.odd_files import BASE, exif

HOLE = np.zeros((24, 32), bool)
HOLE[5:12, 8:20] = True


def gray(image, mask):
    """Model that fills the hole with the middle of the range, rounded up: 128."""
    return torch.where(mask > 0.5, 0.5, image)


FILLED = np.where(HOLE[..., None], 128, BASE).astype(np.uint8)


def mask_image():
    return Image.fromarray(HOLE.astype(np.uint8) * 255)


def test_arrays_of_bytes():
    before = BASE.copy()
    out = iz.inpaint(gray, BASE, HOLE)
    np.testing.assert_array_equal(out, FILLED)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(BASE, before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_of_floats_keep_their_type_and_known_bits(dtype):
    image = np.random.default_rng(0).random((24, 32, 3)).astype(dtype)
    image[HOLE] = np.nan  # values under the hole are not used
    out = iz.inpaint(gray, image, HOLE)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out[~HOLE], image[~HOLE])
    np.testing.assert_array_equal(out[HOLE], dtype(0.5))


def test_arrays_keep_alpha():
    image = np.concatenate([BASE, BASE[..., :1]], axis=2)
    out = iz.inpaint(gray, image, HOLE)
    np.testing.assert_array_equal(out[..., :3], FILLED)
    np.testing.assert_array_equal(out[..., 3], BASE[..., 0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
def test_tensors_keep_type_and_rank(dtype):
    image = torch.from_numpy(BASE).permute(2, 0, 1).contiguous()
    image = image if dtype == torch.uint8 else (image / 255).to(dtype)
    hole = torch.from_numpy(HOLE)
    single = iz.inpaint(gray, image, hole)
    batch = iz.inpaint(gray, torch.stack([image, image.flip(1)]), torch.stack([hole, hole.flip(0)])[:, None])
    assert single.dtype == dtype
    assert single.shape == image.shape
    assert torch.equal(batch[0], single)
    assert torch.equal(batch[1], single.flip(1))
    assert torch.equal(single[:, ~hole], image[:, ~hole])
    assert torch.equal(single[:, hole].float(), torch.full((3, int(hole.sum())), 128 if dtype == torch.uint8 else 0.5))


def test_pillow_images_and_paths(tmp_path):
    write_image(tmp_path / "image.png", BASE)
    mask_image().save(tmp_path / "mask.png")
    for image in (Image.fromarray(BASE), tmp_path / "image.png", str(tmp_path / "image.png")):
        for mask in (mask_image(), tmp_path / "mask.png", str(tmp_path / "mask.png"), HOLE, torch.from_numpy(HOLE)):
            out = iz.inpaint(gray, image, mask)
            assert isinstance(out, Image.Image)
            assert out.mode == "RGB"
            np.testing.assert_array_equal(np.asarray(out), FILLED)


def test_pillow_images_keep_alpha_and_turn_upright():
    image = Image.fromarray(np.concatenate([BASE, BASE[..., :1]], axis=2))
    image.getexif()[0x0112] = 6
    out = np.asarray(iz.inpaint(gray, image, np.rot90(HOLE, -1)))
    np.testing.assert_array_equal(out[..., :3], np.rot90(FILLED, -1))
    np.testing.assert_array_equal(out[..., 3], np.rot90(BASE[..., 0], -1))


def test_paths_are_turned_upright(tmp_path):
    Image.fromarray(BASE).save(tmp_path / "a.png", exif=exif(8))
    np.testing.assert_array_equal(np.asarray(iz.inpaint(gray, tmp_path / "a.png", np.rot90(HOLE))), np.rot90(FILLED))


@pytest.mark.filterwarnings("ignore::inpaint_zoo.masks.MaskWarning")  # one of the masks is gray
@pytest.mark.parametrize(
    "mask",
    [
        HOLE.astype(np.uint8),
        HOLE.astype(np.uint8) * 255,
        HOLE.astype(np.uint8) * 128,
        HOLE.astype(np.int64),
        HOLE.astype(np.float32),
        HOLE[..., None],
        HOLE[None],
        HOLE[None, None],
        torch.from_numpy(HOLE).float(),
    ],
)
def test_masks_of_every_kind(mask):
    np.testing.assert_array_equal(iz.inpaint(gray, BASE, mask), FILLED)


@pytest.mark.filterwarnings("ignore::inpaint_zoo.masks.MaskWarning")  # one of the masks is gray
def test_masks_can_be_inverted_and_thresholded(tmp_path):
    soft = np.where(HOLE, 90, 20).astype(np.uint8)
    np.testing.assert_array_equal(iz.inpaint(gray, BASE, soft, mask_threshold=50), FILLED)
    inverted = Image.fromarray((~HOLE).astype(np.uint8) * 255)
    inverted.save(tmp_path / "mask.png")
    for mask in (inverted, tmp_path / "mask.png", ~HOLE, (~HOLE).astype(np.uint8) * 255):
        np.testing.assert_array_equal(iz.inpaint(gray, BASE, mask, invert_mask=True), FILLED)


def test_masks_by_name_depend_on_the_seed():
    image = np.tile(BASE, (4, 4, 1))
    out = [iz.inpaint(gray, image, "lama_thick_256", seed=seed) for seed in (1, 1, 2)]
    hole = iz.create_mask("lama_thick_256", size=(96, 128), seed=1).astype(bool)
    np.testing.assert_array_equal(out[0], np.where(hole[..., None], 128, image))
    np.testing.assert_array_equal(out[0], out[1])
    assert not np.array_equal(out[0], out[2])


def test_doubtful_mask_files_warn(tmp_path):
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(tmp_path / "mask.png")
    with pytest.warns(MaskWarning, match="the mask is empty"):
        np.testing.assert_array_equal(np.asarray(iz.inpaint(gray, BASE, tmp_path / "mask.png")), BASE)


@pytest.mark.filterwarnings("ignore::inpaint_zoo.masks.MaskWarning")  # holes of any size
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_known_bytes_survive_at_every_size(data):
    H, W = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    image = data.draw(arrays(np.uint8, (H, W, 3)))
    hole = data.draw(arrays(bool, (H, W)))
    for model in ("telea", "mean_fill"):
        out = iz.inpaint(model, image, hole)
        assert out.shape == image.shape
        np.testing.assert_array_equal(out[~hole], image[~hole])


@pytest.mark.filterwarnings("ignore::inpaint_zoo.masks.MaskWarning")  # a single pixel is fully masked
@pytest.mark.parametrize("model", ["telea", "navier_stokes", "mean_fill"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (15, 17), (301, 451)])
def test_any_size_from_one_pixel_up(model, shape):
    image = np.full((*shape, 3), 77, np.uint8)
    hole = np.zeros(shape, bool)
    hole[shape[0] // 3 : shape[0] // 2 + 1, shape[1] // 3 : shape[1] // 2 + 1] = True
    out = iz.inpaint(model, image, hole)
    assert out.shape == image.shape
    np.testing.assert_array_equal(out[~hole], 77)
    if model != "telea":  # OpenCV's Telea drifts even on a plain color
        np.testing.assert_array_equal(out[hole], 128 if hole.all() else 77)


def test_no_model_runs_with_random_weights(monkeypatch):
    from inpaint_zoo.registry import lookup

    name = next(name for name in iz.list_models() if iz.model_info(name).learned)
    monkeypatch.setattr(lookup, "shipped_weights", lambda name: None)
    with pytest.raises(iz.ZooError, match=f"'{name}' is a learned model and the package ships no weights"):
        iz.inpaint(name, BASE, HOLE)
    with pytest.raises(iz.UnknownNameError, match="Did you mean 'telea'"):
        ready_model("tela")


def test_a_network_in_training_is_used_in_eval_and_left_in_training():
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.level = nn.Parameter(torch.tensor(0.5))

        def forward(self, image, mask, boost=0.0):
            assert not self.training
            assert not torch.is_grad_enabled()
            return torch.where(mask > 0.5, self.level + boost, image)

    net = Moody().train()
    np.testing.assert_array_equal(iz.inpaint(net, BASE, HOLE), FILLED)
    assert net.training
    assert iz.inpaint(net, BASE, HOLE, boost=0.5)[8, 10, 0] == 255


def test_bytes_are_rounded_and_batches_equal_singles():
    def fill(image, mask):
        return torch.where(mask > 0.5, 254.6 / 255, image)

    images, holes = np.stack([BASE, BASE[::-1]]), np.stack([HOLE, ~HOLE])
    out = fill_bytes(fill, images, holes)
    assert (out[holes] == 255).all()
    np.testing.assert_array_equal(out[1], fill_bytes(fill, images[1:], holes[1:])[0])


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (BASE, HOLE[:20], r"`mask` is 32 x 20, but `image` is 32 x 24 \(width x height\)"),
        (BASE[..., 0], HOLE, r"must be \(H, W, 3\) or \(H, W, 4\), got \(24, 32\). For gray images: "),
        (BASE[:0], HOLE, r"must be \(H, W, 3\)"),
        (BASE.astype(np.int16), HOLE, "must be uint8, uint16, or float in"),
        (BASE.astype(np.float32), HOLE, r"must lie in \[0, 1\]"),
        (BASE, HOLE * 0.3, "must hold only 0"),
        (BASE, np.full((24, 32), np.nan), "must hold only 0"),
        (BASE, HOLE[0], r"`mask` must be \(H, W\)"),
        (BASE, np.stack([HOLE, HOLE]), "one mask for one image, got 2"),
        (BASE, 3, "`mask` must be a path, name, PIL image"),
        (BASE, "lama_thik_256", "lama_thick_256"),
        (BASE, "no/such/mask.png", r"no/such/mask\.png: no such file"),
        ("no/such/image.png", HOLE, r"no/such/image\.png: no such file"),
        (3, HOLE, "`image` must be a path, PIL image, numpy array or tensor, got int"),
        (torch.zeros(24, 32), HOLE, r"must be \(3, H, W\) or \(B, 3, H, W\)"),
        (torch.zeros(3, 24, 32, dtype=torch.int64), HOLE, "must be uint8, uint16, or float"),
        (torch.zeros(3, 3, 24, 32), np.stack([HOLE, HOLE]), "one mask, or 3 for the 3 images, got 2"),
    ],
)
def test_wrong_arguments_are_named(image, mask, message):
    with pytest.raises(iz.ZooError, match=message):
        iz.inpaint("mean_fill", image, mask)


def test_a_model_that_gives_nan_is_an_error():
    with pytest.raises(iz.ZooError, match="NaN or infinity"):
        iz.inpaint(lambda image, mask: torch.where(mask > 0.5, torch.nan, image), BASE, HOLE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_networks_run_where_their_parameters_are():
    class Level(nn.Module):
        def __init__(self):
            super().__init__()
            self.level = nn.Parameter(torch.tensor(0.5))

        def forward(self, image, mask):
            assert image.is_cuda
            return torch.where(mask > 0.5, self.level, image)

    np.testing.assert_array_equal(iz.inpaint(Level().cuda(), BASE, HOLE), FILLED)


def colored(image, mask):
    """Model that fills the hole with a color."""
    fill = torch.tensor([0.9, 0.5, 0.1])[:, None, None].expand_as(image)
    return torch.where(mask > 0.5, fill, image)


def test_gray_in_gray_out():
    gray_base = BASE[..., 0]
    three = np.repeat(gray_base[..., None], 3, axis=2)
    luma = round(255 * (0.299 * 0.9 + 0.587 * 0.5 + 0.114 * 0.1))
    wanted = np.where(HOLE, luma, gray_base)
    out = iz.inpaint(colored, Image.fromarray(gray_base), HOLE)
    assert out.mode == "L"
    np.testing.assert_array_equal(out, wanted)
    np.testing.assert_array_equal(iz.inpaint(colored, three, HOLE), np.repeat(wanted[..., None], 3, axis=2))
    batch = torch.from_numpy(np.stack([three, BASE])).permute(0, 3, 1, 2).float() / 255  # one gray, one not
    filled = iz.inpaint(colored, batch, HOLE)
    hole = torch.from_numpy(HOLE)
    assert (filled[0] == filled[0, :1]).all()
    torch.testing.assert_close(filled[1][:, hole], torch.tensor([0.9, 0.5, 0.1])[:, None].expand(3, int(hole.sum())))
    scribbled = three.copy()
    scribbled[HOLE] = (255, 0, 0)  # values in the hole do not count as known
    np.testing.assert_array_equal(iz.inpaint(colored, scribbled, HOLE), np.repeat(wanted[..., None], 3, axis=2))


def test_a_color_profile_stays_with_the_image(tmp_path):
    from inpaint_zoo.io.profiles import srgb_profile

    Image.fromarray(BASE).save(tmp_path / "a.png", icc_profile=srgb_profile())
    out = iz.inpaint(gray, tmp_path / "a.png", HOLE)
    assert out.info["icc_profile"] == srgb_profile()
    assert "icc_profile" not in iz.inpaint(gray, Image.fromarray(BASE), HOLE).info


def test_arrays_that_cannot_be_written_are_taken_without_a_warning():
    image, mask = BASE.copy(), HOLE.copy()
    image.flags.writeable = mask.flags.writeable = False
    np.testing.assert_array_equal(iz.inpaint(gray, image, mask), FILLED)
    floats = (BASE / 255).astype(np.float32)
    floats.flags.writeable = False
    np.testing.assert_allclose(iz.inpaint(gray, floats, mask)[~HOLE], floats[~HOLE])
    np.testing.assert_array_equal(iz.inpaint(gray, BASE[::-1, ::-1], HOLE[::-1, ::-1]), FILLED[::-1, ::-1])


def test_arrays_are_doubted_as_files_are():
    for mask, kind in ((HOLE * False, "the mask is empty"), (~HOLE, "89.1 % of the mask is hole, 1 taken as hole")):
        with pytest.warns(MaskWarning, match=f"^`mask`: {kind}"):
            iz.inpaint(gray, BASE, mask)
    with pytest.warns(MaskWarning, match=r"10\.9 % of the mask is gray; above 127"):
        iz.inpaint(gray, BASE, HOLE * np.uint8(200))


def test_an_image_is_not_its_own_mask(tmp_path):
    write_image(tmp_path / "a.png", BASE)
    with pytest.raises(ValueError, match=r"a\.png: is used both as image and as mask"):
        iz.inpaint(gray, tmp_path / "a.png", str(tmp_path / "a.png"))
