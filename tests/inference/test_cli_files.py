"""`inpaint-zoo inpaint` on files of all kinds: what it finds, which masks it takes, and what results keep."""

import numpy as np
import pytest
import torch
from PIL import Image, JpegImagePlugin

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.edits import Edits, parse_expand
from inpaint_zoo.inference.folder import fill_folder
from inpaint_zoo.inference.jobs import plan_jobs
from inpaint_zoo.inference.mask_source import mask_source
from inpaint_zoo.inference.strategy import AnySize
from inpaint_zoo.io.images import read_image, write_image
from tests.helpers.toy import toy

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
MASK = np.zeros((24, 32), np.uint8)
MASK[4:12, 6:20] = 255
HOLE = MASK > 0


def half(image, mask):
    return torch.where(mask > 0.5, 0.5, image)


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in a folder with three images and a mask."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/sub/b.png", "in/sub/deep/c.jpg"):
        save(tmp_path / name, RGB)
    save(tmp_path / "mask.png", MASK)
    return tmp_path


def run(*words, device="cpu"):
    return main(["inpaint", *map(str, words), "--model", "mean_fill", "--device", device, "--out", "out"])


def results(place):
    return sorted(path.relative_to(place / "out").as_posix() for path in (place / "out").rglob("*.*"))


def test_patterns_files_and_folders(place, capsys):
    assert run("in/**/*.png", "in/sub/deep/c.jpg", "--mask", "mask.png") == 0
    assert results(place) == ["a.png", "c.jpg", "sub/b.png"]
    assert run("in/**/*.png", "in/sub/deep/c.jpg", "--mask", "mask.png") == 0
    assert "3 skipped (already exist" in capsys.readouterr().out
    assert run("in/*.bmp", "--mask", "mask.png") == 2
    assert "matches no image file" in capsys.readouterr().err


def test_manifest(place):
    save(place / "masks" / "other.png", 255 - MASK)
    (place / "list.csv").write_text(
        "image,mask,output\nin/a.png,mask.png,x/first.png\nin/sub/b.png, masks/other.png,\n"
    )
    assert run("list.csv") == 0
    assert results(place) == ["in/sub/b.png", "x/first.png"]
    assert np.array_equal(read_image("out/x/first.png").rgb[~HOLE], RGB[~HOLE])
    assert np.array_equal(read_image("out/in/sub/b.png").rgb[HOLE], RGB[HOLE])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture\nx.png\n", "the first line must name the columns image"),
        ("image,mask\n", "lists no images"),
        ("image,output\nin/a.png,result.psd\n", r"line 2: the output 'result.psd' must end in"),
        ("image\nin/a.png,b\n", "line 2: must be image, got"),
    ],
)
def test_bad_manifests(place, text, message):
    (place / "list.csv").write_text(text)
    with pytest.raises(ZooError, match=message):
        plan_jobs(place / "list.csv", place / "out")


def test_a_missing_mask_is_an_error_before_anything_is_written(place, capsys):
    assert run("in") == 2
    assert "Give the holes by --mask" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_frames_are_paired_by_number(place):
    for number in range(3):
        save(place / "frames" / f"frame_{number:04d}.png", RGB)
        mask = np.zeros_like(MASK)
        mask[:, number] = 255
        save(place / "masks" / f"mask_{number}.png", mask)
    jobs = plan_jobs(place / "frames", place / "out")
    masks = mask_source(place / "masks", jobs)
    assert [int(masks(job, read_image(job.image))[0].argmax(1)[0]) for job in jobs] == [0, 1, 2]
    (place / "masks" / "mask_2.png").rename(place / "masks" / "mask_7.png")
    with pytest.raises(ZooError, match="3 images and 3 masks do not match"):
        mask_source(place / "masks", jobs)


def test_alpha_of_the_image_is_the_hole(place):
    alpha = np.where(HOLE, 0, 255).astype(np.uint8)
    save(place / "cut" / "x.png", np.dstack([RGB, alpha]))
    save(place / "cut" / "opaque.png", RGB)
    assert run("cut", "--mask", "alpha") == 1  # one image has no alpha channel
    result = read_image("out/x.png")
    assert np.array_equal(result.rgb[~HOLE], RGB[~HOLE])
    assert len(np.unique(result.rgb[HOLE], axis=0)) == 1
    assert result.alpha is not None
    assert (result.alpha == 255).all()
    assert results(place) == ["x.png"]
    np.testing.assert_array_equal(np.asarray(iz.inpaint("mean_fill", "cut/x.png", "alpha"))[..., :3], result.rgb)
    with pytest.raises(ZooError, match="has no alpha channel"):
        iz.inpaint("mean_fill", "cut/opaque.png", "alpha")
    with pytest.raises(ZooError, match="needs a path or PIL image"):
        iz.inpaint("mean_fill", RGB, "alpha")


def test_alpha_of_a_mask_file(place):
    save(place / "painted.png", np.dstack([np.zeros((24, 32, 3), np.uint8), MASK]))
    assert run("in/a.png", "--mask", "painted.png", "--mask-channel", "alpha") == 0
    assert np.array_equal(read_image("out/a.png").rgb[~HOLE], RGB[~HOLE])
    assert not np.array_equal(read_image("out/a.png").rgb, RGB)


def test_dilate_and_feather(place):
    assert run("in/a.png", "--mask", "mask.png", "--dilate", "2") == 0
    changed = (read_image("out/a.png").rgb != RGB).any(-1)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 13, 4, 21)
    flat = np.full((40, 40, 3), 200, np.uint8)
    hole = np.zeros((40, 40), bool)
    hole[15:25, 15:25] = True
    edits = Edits(feather=4)
    blended = edits.blended(np.where(edits.seen(hole)[..., None], np.uint8(100), flat), flat, hole)[..., 0]
    assert (blended[hole] == 100).all()
    line = blended[20, 25:32].astype(int)
    assert list(line) == sorted(line)
    assert 100 < line[0] < line[3] < 200
    assert (line[4:] == 200).all()
    assert (Edits().blended(flat, flat, hole) == flat).all()


def test_outpainting(place):
    assert run("in/a.png", "--expand", "0,8,4,16") == 0
    result = read_image("out/a.png").rgb
    assert result.shape == (28, 56, 3)
    np.testing.assert_array_equal(result[:24, 16:48], RGB)
    assert len(np.unique(result[24:].reshape(-1, 3), axis=0)) == 1
    for text in ("1,2,3", "0,0,0,0", "1,2,3,-4", "a,b,c,d"):
        with pytest.raises(ZooError, match="must be TOP,RIGHT,BOTTOM,LEFT"):
            parse_expand(text)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("gray", [False, True])
def test_sixteen_bits_in_and_out(tmp_path, suffix, gray):
    deep = np.random.default_rng(1).integers(0, 65536, (24, 32, 3), dtype=np.uint16)
    deep = np.repeat(deep[..., :1], 3, axis=2) if gray else deep
    write_image(tmp_path / "in" / f"a{suffix}", deep, gray=gray)
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    report = fill_folder([AnySize(half)], jobs, lambda job, image: (HOLE.astype(np.uint8), {}))
    assert report.done == 1
    assert report.notes == {}
    result = read_image(jobs[0].target, deep=True)
    assert result.levels is not None
    assert result.gray == gray
    np.testing.assert_array_equal(result.levels[~HOLE], deep[~HOLE])
    assert (result.levels[HOLE] == 32768).all()


def test_jpeg_keeps_quality_and_subsampling_unless_set(place):
    Image.fromarray(RGB).save(place / "x.jpg", quality=37, subsampling=2)
    assert run("x.jpg", "--mask", "mask.png") == 0
    with Image.open("x.jpg") as before, Image.open("out/x.jpg") as after:
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == 2
    assert run("x.jpg", "--mask", "mask.png", "--quality", 90, "--subsampling", "4:4:4", "--overwrite") == 0
    with Image.open("out/x.jpg") as after:
        assert after.quantization != before.quantization
        assert JpegImagePlugin.get_sampling(after) == 0


def test_batches_of_one_padded_size_and_two_devices_change_nothing(tmp_path):
    for number, (height, width) in enumerate([(24, 32), (23, 31), (24, 30), (20, 20), (23, 32), (19, 20)]):
        save(tmp_path / "in" / f"{number}.png", RGB[:height, :width])
    outputs = []
    for batch_size, devices in ((1, 1), (4, 1), (2, 2)):
        sizes = []
        nets = [toy().eval() for _ in range(devices)]
        for net in nets:
            net.divisor = 8
            net.register_forward_pre_hook(lambda _, inputs, sizes=sizes: sizes.append(len(inputs[0])))
        jobs = plan_jobs(tmp_path / "in", tmp_path / f"out{batch_size}{devices}")
        masks = mask_source("cmod", jobs, seed=3)
        fill_folder([AnySize(net, fast=False) for net in nets], jobs, masks, batch_size=batch_size)
        outputs.append([read_image(job.target).rgb.astype(int) for job in jobs])
        assert max(sizes) == batch_size
    for other in outputs[1:]:
        for first, second in zip(outputs[0], other, strict=True):
            assert np.abs(first - second).max() <= 1  # kernels round differently for other batch sizes


def test_the_strategy_and_memory_are_printed(place, capsys):
    assert run("in", "--mask", "mask.png", "--max-memory", "4GiB", device="cpu,cpu") == 0
    err = capsys.readouterr().err
    assert "strategy: full for 3 (up to 32 x 24 at once); peak memory" in err
    assert "3/3" in err
    assert "left" in err
    assert run("in", "--mask", "mask.png", "--overwrite", device="cuda:99") == 2
    assert "--device cuda:99: not available on this machine" in capsys.readouterr().err
