"""Additional files beside results: the passes of a progressive model, feature maps, and attention."""

import numpy as np
import pytest
import torch
from PIL import Image

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.attention import attention_sheet
from inpaint_zoo.inference.branches import branch_sheet, principal_colors
from inpaint_zoo.inference.extras import Extras, paint
from inpaint_zoo.inference.folder import fill_folder
from inpaint_zoo.inference.inpaint import fill_bytes
from inpaint_zoo.inference.jobs import plan_jobs
from inpaint_zoo.inference.mask_source import mask_source
from inpaint_zoo.inference.strategy import AnySize
from inpaint_zoo.io.animation import write_gif
from inpaint_zoo.io.flow import flow_colors
from inpaint_zoo.io.images import read_image, write_image
from inpaint_zoo.ops import to_uint8
from tests.helpers.odd_files import BASE
from tests.helpers.toy import toy

PHOTO = np.tile(BASE, (2, 2, 1))  # 48 x 64
LARGE, SMALL = (slice(2, 46), slice(2, 62)), (slice(10, 20), slice(10, 30))
BOTH = Extras("png", branches=True)
MODEL, LEARNED = "progressive:mean_fill", "progressive:autoencoder_tiny"


def run(*args):
    return main(["inpaint", *map(str, args)])


@pytest.fixture
def images(tmp_path):
    for name in ("a.png", "sub/b.jpg"):
        write_image(tmp_path / "images" / name, PHOTO)
    alpha = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    write_image(tmp_path / "images" / "c.png", PHOTO[::-1], alpha)
    return tmp_path / "images"


@pytest.fixture
def masks(tmp_path):
    """Write masks: `large.png` needs three passes, `small.png` one."""
    for name, place in (("large", LARGE), ("small", SMALL)):
        values = np.zeros((48, 64), np.uint8)
        values[place] = 255
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    return tmp_path


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def passes(stem, count):
    return [f"{stem}_pass_{number:02d}.png" for number in range(1, count + 1)]


def test_each_pass_is_an_image_and_the_last_one_the_result(images, masks, tmp_path, capsys):
    args = (images, "--mask", masks / "large.png", "--model", LEARNED)
    assert run(*args, "--out", tmp_path / "out", "--frames", "--batch-size", 2) == 0
    assert capsys.readouterr().out == f"3 inpainted: {tmp_path / 'out'}\n"
    count = 3
    wanted = [*passes("a", count), *passes("c", count), *passes("sub/b", count), "a.png", "c.png", "sub/b.jpg"]
    assert files(tmp_path / "out") == sorted(wanted)
    assert run(*args, "--out", tmp_path / "plain") == 0
    assert (tmp_path / "out" / "a.png").read_bytes() == (tmp_path / "plain" / "a.png").read_bytes()
    assert (tmp_path / "out" / "a_pass_03.png").read_bytes() == (tmp_path / "plain" / "a.png").read_bytes()
    known = np.ones((48, 64), bool)
    known[LARGE] = False
    for name in passes("c", count):
        frame = read_image(tmp_path / "out" / name)
        np.testing.assert_array_equal(frame.rgb[known], PHOTO[::-1][known])
        np.testing.assert_array_equal(frame.alpha, read_image(images / "c.png").alpha)
    image = torch.from_numpy(PHOTO).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        net = iz.create_model(LEARNED, weights="shipped")
        (frames,) = net.frames(image, torch.from_numpy(~known)[None, None].float())
    for frame, name in zip(frames, passes("a", count), strict=True):
        off = to_uint8(frame.image).permute(1, 2, 0).numpy().astype(int) - read_image(tmp_path / "out" / name).rgb
        assert np.abs(off).max() <= 1  # the command uses the fast form


def test_one_animation(images, masks, tmp_path):
    args = (images / "a.png", "--mask", masks / "large.png", "--model", LEARNED, "--out", tmp_path / "out")
    assert run(*args, "--frames", "gif") == 0
    assert files(tmp_path / "out") == ["a.png", "a_passes.gif"]
    with Image.open(tmp_path / "out" / "a_passes.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (3, (64, 48), 0)


def test_what_exists_is_kept_and_what_lacks_is_added(images, masks, tmp_path, capsys):
    args = (images, "--mask", masks / "large.png", "--model", MODEL, "--out", tmp_path / "out")
    out = tmp_path / "out"
    assert run(*args) == 0
    (out / "a.png").write_bytes(b"mine")
    assert run(*args, "--frames") == 0
    assert (out / "a.png").read_bytes() == b"mine"
    assert set(passes("a", 3)) <= set(files(out))
    capsys.readouterr()
    (out / "sub" / "b_pass_01.png").unlink()
    (out / "sub" / "b_pass_02.png").write_bytes(b"mine too")
    assert run(*args, "--frames") == 0
    assert "1 inpainted, 2 skipped" in capsys.readouterr().out
    assert (out / "sub" / "b_pass_02.png").read_bytes() == b"mine too"
    assert (out / "sub" / "b_pass_01.png").exists()
    assert run(*args, "--frames") == 0
    assert "0 inpainted, 3 skipped" in capsys.readouterr().out
    (out / "c.png").unlink()  # a missing result is made again with its additional files
    (out / "c_pass_02.png").write_bytes(b"of an older run")
    assert run(*args, "--frames") == 0
    assert read_image(out / "c_pass_02.png").size == (48, 64)


def test_overwriting_leaves_no_pass_of_an_older_run(images, masks, tmp_path):
    args = (images / "a.png", "--model", MODEL, "--out", tmp_path / "out", "--frames")
    assert run(*args, "--mask", masks / "large.png") == 0
    assert run(*args, "--mask", masks / "small.png", "--overwrite") == 0
    assert files(tmp_path / "out") == ["a.png", "a_pass_01.png"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "telea", "--frames"], "--frames: 'telea' fills in one pass; `--model progressive:telea`"),
        (["--model", "telea", "--branches"], "--branches: 'telea' has no branches to show; ISNet has"),
        (["--model", MODEL, "--branches"], f"--branches: '{MODEL}' has no branches to show"),
    ],
)
def test_models_that_have_nothing_to_show_are_refused_before_anything_is_written(
    images, masks, tmp_path, capsys, args, message
):
    assert run(images, "--mask", masks / "large.png", *args, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_file_of_a_run_takes_the_place_of_another(tmp_path):
    def plan(*names, extras=BOTH):
        root = tmp_path / "-".join(names).replace("/", "-")
        for name in names:
            write_image(root / name, BASE)
        return plan_jobs(root, tmp_path / "out", extras=extras)

    assert len(plan("a.png", "a.jpg", extras=Extras())) == 2
    with pytest.raises(ZooError, match=r"a\.jpg and .*a\.png would get the same files beside their results"):
        plan("a.png", "a.jpg")
    for name in ("b_pass_02.png", "b_pass_123.png", "b_branches.png"):
        with pytest.raises(ZooError, match=rf"{name}: the result of .* the name of a file beside .*b\.jpg's"):
            plan("b.jpg", name)
    assert len(plan("b.jpg", "b_pass_02.jpg", "b_pass_2.png", "sub/b_pass_01.png", "d_pass_01.png")) == 5
    assert len(plan("b.jpg", "b_pass_02.png", extras=Extras("gif"))) == 2
    write_image(tmp_path / "out" / "e_branches.png", BASE)
    jobs = plan("e.png")
    with pytest.raises(ZooError, match=r"e_branches\.png: a file written beside .*e\.png would replace this mask"):
        mask_source(tmp_path / "out" / "e_branches.png", jobs)


class Branching(type(toy())):
    """The toy network with feature maps like ISNet's."""

    def branches(self, image, mask):
        maps = self.encode(torch.cat([image * (1 - mask), mask], 1))
        return {"phase_1_high": image, "phase_1_low": maps, "fused": image[:, :1]}


def test_branches_are_one_sheet_beside_each_result(tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "in" / name, PHOTO)
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out", extras=Extras(branches=True))
    hole = np.zeros((48, 64), np.uint8)
    hole[SMALL] = 1
    report = fill_folder([AnySize(Branching().eval())], jobs, lambda job, image: (hole, {}), batch_size=2)
    assert (report.done, report.problems) == (2, [])
    assert files(tmp_path / "out") == ["a.png", "a_branches.png", "b.png", "b_branches.png"]
    assert all(job.done() for job in jobs)
    sheets = [read_image(tmp_path / "out" / f"{name}_branches.png").rgb for name in "ab"]
    np.testing.assert_array_equal(*sheets)


def test_the_result_does_not_depend_on_what_stands_beside_it():
    net = Branching().eval()
    images, holes = np.stack([PHOTO, PHOTO[::-1]]), np.zeros((2, 48, 64), bool)
    holes[:, *SMALL] = True
    painted = paint(AnySize(net), images, holes, Extras(branches=True))
    np.testing.assert_array_equal([each.result for each in painted], fill_bytes(net, images, holes))
    for k in range(2):
        with torch.no_grad():
            maps = {name: x[0] for name, x in net.branches(*tensors(images[k], holes[k])).items()}
        np.testing.assert_array_equal(
            painted[k].sheets["_branches.png"], branch_sheet(maps, images[k], holes[k], painted[k].result, "Branching")
        )


def test_isnet_shows_its_branches():
    net = iz.create_model("isnet_tiny")
    Extras(branches=True).check(net, "isnet_tiny")
    (painted,) = paint(AnySize(net), PHOTO[None], np.ones((1, 48, 64), bool), Extras(branches=True))
    H, W, _ = painted.sheets["_branches.png"].shape
    assert W > 5 * 256  # the image, three phases and the fusion side by side
    assert H > 2 * 192


def tensors(image, hole):
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255, torch.from_numpy(hole)[
        None, None
    ].float()


def test_small_images_are_padded_and_their_passes_cropped():
    images, holes = PHOTO[None, :11, :9], np.ones((1, 11, 9), bool)
    holes[:, :, :2] = False
    (painted,) = paint(AnySize(iz.progressive(toy().eval(), kernel_size=3)), images, holes, Extras("png"))
    assert painted.passes.shape[1:] == (11, 9, 3)
    assert len(painted.passes) > 1
    np.testing.assert_array_equal(painted.passes[:, :, :2], np.repeat(images[:, :, :2], len(painted.passes), 0))


def test_colors_are_principal_components():
    ramp = torch.linspace(0, 1, 101).expand(5, 101)  # along x
    wave = torch.tensor([1.0, -1.0]).repeat(51)[:101].expand(5, 101) * 0.01
    features = torch.stack([3 * ramp, 4 * ramp, wave])
    colors = principal_colors(features)
    assert colors.shape == (5, 101, 3)
    expected = np.clip((np.linspace(0, 1, 101) - 0.01) / 0.98, 0, 1) * 255  # the ramp, for any mixture of channels
    assert np.abs(colors[0, :, 0] - expected).max() <= 2
    assert set(np.unique(colors[..., 1])) <= {0, 255}
    flat = principal_colors(torch.ones(1, 4, 4))
    assert (flat == flat[0, 0]).all()
    alone = principal_colors(torch.linspace(0, 1, 16).reshape(1, 4, 4))
    assert (alone[..., :1] == alone).all()


def test_animations_are_whole_and_do_not_flicker(tmp_path):
    frames = np.stack([PHOTO] * 3)
    frames[1, 10:20, 10:20] = 200
    frames[2, 10:20, 10:20] = (10, 200, 30)
    write_gif(tmp_path / "new" / "a.gif", frames, shown_ms=100, last_ms=900)
    with Image.open(tmp_path / "new" / "a.gif") as gif:
        shown, durations = [], []
        for number in range(gif.n_frames):
            gif.seek(number)
            shown.append(np.asarray(gif.convert("RGB")))
            durations.append(gif.info["duration"])
    assert durations == [100, 100, 900]
    same = np.ones((48, 64), bool)
    same[10:20, 10:20] = False
    for frame in shown[1:]:
        np.testing.assert_array_equal(frame[same], shown[0][same])
    assert np.abs(shown[2].astype(int) - frames[2]).mean() < 12  # quantization noise of 256 colors
    with pytest.raises(ZooError, match="70000 x 1 cannot be written as GIF"):
        write_gif(tmp_path / "b.gif", np.zeros((2, 1, 70_000, 3), np.uint8))
    assert files(tmp_path) == ["new/a.gif"]


def test_attention_is_painted_beside_the_result(images, masks, tmp_path, capsys):
    weights = iz.save_weights(iz.create_model("contextual_attention_tiny"), tmp_path / "a.safetensors", licence="none")
    args = (images, "--mask", masks / "large.png", "--weights", weights, "--out", tmp_path / "out", "--attention")
    assert run(*args, "--model", "contextual_attention_tiny") == 0
    results = ["a.png", "c.png", "sub/b.jpg"]
    assert set(files(tmp_path / "out")) == {*results, *(f"{name.split('.')[0]}_attention.png" for name in results)}
    assert run(*args, "--model", "contextual_attention_tiny") == 0
    assert "3 skipped" in capsys.readouterr().out
    (tmp_path / "out" / "a_attention.png").unlink()
    assert run(*args, "--model", "hole_ns:contextual_attention_tiny") == 0  # with the same weights
    assert "1 inpainted, 2 skipped" in capsys.readouterr().out
    assert (tmp_path / "out" / "a_attention.png").is_file()
    weights = iz.save_weights(iz.create_model("glcic_tiny"), tmp_path / "g.safetensors", licence="none")
    args = (images, "--mask", masks / "large.png", "--weights", weights, "--out", tmp_path / "out", "--attention")
    for name in ("glcic_tiny", "hole_ns:glcic_tiny"):
        assert run(*args, "--model", name) == 2
        assert f"--attention: '{name}' has no attention to show" in capsys.readouterr().err


def test_attention_sheet_shows_each_place_in_its_color():
    offsets = np.zeros((2, 3, 4), int)
    offsets[0, 1, 2], offsets[1, 2, 3] = -2, 3
    image, hole = np.zeros((24, 27, 3), np.uint8), np.zeros((24, 27), bool)
    sheet = attention_sheet(offsets, image, hole, image, "title", place=8)
    colors = flow_colors(offsets[None])[0]
    scale = 384 / 27
    left = 12 + 2 * (384 + 12)
    for row in range(3):
        for column in range(4):
            y, x = 60 + int((8 * row + 1) * scale), left + int((8 * column + 1) * scale)
            np.testing.assert_array_equal(sheet[y, x], colors[row, column])
