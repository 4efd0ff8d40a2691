"""Filling folders: planning, finding masks, and bad files, which do not stop the others."""

import errno
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.inference.folder import fill_folder
from inpaint_zoo.inference.jobs import plan_jobs
from inpaint_zoo.inference.mask_source import mask_source
from inpaint_zoo.inference.strategy import AnySize
from inpaint_zoo.io.images import read_image, write_image
from inpaint_zoo.masks import create_mask
from tests.helpers.odd_files import BASE, exif, write_bad, write_odd


def gray(image, mask):
    return torch.where(mask > 0.5, 0.5, image)


def whole(job, image):
    """Mask source that returns full masks."""
    return np.ones(image.size, np.uint8), {}


def names(jobs, root):
    return [job.target.relative_to(root).as_posix() for job in jobs]


def test_the_tree_is_mirrored_in_natural_order(tmp_path):
    for name in ("b/img10.png", "b/img2.jpg", "a.bmp"):
        write_image(tmp_path / "in" / name, BASE)
    Image.fromarray(BASE).save(tmp_path / "in" / "c.gif")
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    assert names(jobs, tmp_path / "out") == ["a.bmp", "b/img2.jpg", "b/img10.png", "c.png"]
    assert [job.number for job in jobs] == [0, 1, 2, 3]
    as_png = plan_jobs(tmp_path / "in", tmp_path / "out", "png")
    assert names(as_png, tmp_path / "out") == ["a.png", "b/img2.png", "b/img10.png", "c.png"]
    assert names(plan_jobs(tmp_path / "in" / "a.bmp", tmp_path / "out", "jpg"), tmp_path / "out") == ["a.jpg"]


def test_results_inside_the_folder_are_no_images(tmp_path):
    write_image(tmp_path / "a.png", BASE)
    write_image(tmp_path / "out" / "a.png", BASE)
    assert [job.image for job in plan_jobs(tmp_path, tmp_path / "out")] == [tmp_path / "a.png"]


def test_no_input_is_ever_a_target(tmp_path):
    write_image(tmp_path / "in" / "a.png", BASE)
    write_image(tmp_path / "masks" / "a.png", BASE)
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    for out in (tmp_path / "in", tmp_path / "alias"):
        with pytest.raises(ZooError, match="must not be written to the folder of the input images"):
            plan_jobs(tmp_path / "in", out)
        with pytest.raises(ZooError, match="would overwrite an input image"):
            plan_jobs(tmp_path / "in" / "a.png", out)
    jobs = plan_jobs(tmp_path / "in", tmp_path / "masks")
    for mask in (tmp_path / "masks", tmp_path / "masks" / "a.png"):
        with pytest.raises(ZooError, match="would overwrite an input mask"):
            mask_source(mask, jobs)


def test_two_images_of_one_target_are_named(tmp_path):
    write_image(tmp_path / "in" / "a.png", BASE)
    write_image(tmp_path / "in" / "a.jpg", BASE)
    assert len(plan_jobs(tmp_path / "in", tmp_path / "out")) == 2
    with pytest.raises(ZooError, match=r"a\.jpg and .*a\.png would both be written to .*out/a\.png"):
        plan_jobs(tmp_path / "in", tmp_path / "out", "png")


def test_requests_that_cannot_be_meant_are_refused(tmp_path):
    write_image(tmp_path / "in" / "a.png", BASE)
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="this is the name of an image"):
        plan_jobs(tmp_path / "in", tmp_path / "result.png")
    with pytest.raises(ZooError, match="file: is a file, but the results need a folder"):
        plan_jobs(tmp_path / "in", tmp_path / "file")
    with pytest.raises(ZooError, match="nowhere: no such file or folder"):
        plan_jobs(tmp_path / "nowhere", tmp_path / "out")
    write_image(tmp_path / "only" / "out" / "a.png", BASE)
    with pytest.raises(ZooError, match="contains no images except those in"):
        plan_jobs(tmp_path / "only", tmp_path / "only" / "out")


def test_odd_files_are_filled_and_bad_ones_reported(tmp_path):
    odd, bad = write_odd(tmp_path / "in" / "odd"), write_bad(tmp_path / "in" / "bad")
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    seen = []
    report = fill_folder([AnySize(gray)], jobs, whole, batch_size=3, finished=seen.append)
    assert report.done == len(odd)
    assert sorted(seen) == jobs
    assert [problem.image for problem in report.problems] == [
        job.image for job in jobs if job.image.parent.name == "bad"
    ]
    for problem in report.problems:
        assert bad[problem.image.name] in problem.reason
        assert str(problem.image) not in problem.reason
    for job in jobs:
        assert job.target.exists() == (job.image.parent.name == "odd")
        if job.target.exists():
            source, result = read_image(job.image), read_image(job.target)
            assert result.size == source.size
            assert np.abs(result.rgb.astype(int) - 128).max() <= 1
            assert result.exif_orientation == 1
            if source.alpha is not None and job.target.suffix != ".jpg":
                np.testing.assert_array_equal(result.alpha, source.alpha)
            assert result.gray == source.gray
    assert "palette converted to RGB" in report.notes
    assert "gray repeated to RGB" not in report.notes  # the results are gray again


@pytest.mark.parametrize("name", ["plain.png", "plain.webp", "plain.bmp", "plain.ppm", "rgba.tif", "rgba.png"])
def test_known_pixels_are_bit_identical_in_lossless_files(tmp_path, name):
    write_odd(tmp_path / "in")
    jobs = plan_jobs(tmp_path / "in" / name, tmp_path / "out")
    mask = np.zeros((24, 32), np.uint8)
    mask[3:9, 4:] = 1
    fill_folder([AnySize(gray)], jobs, lambda job, image: (mask, {}))
    wanted = np.where(mask[..., None] == 1, 128, BASE)
    result = read_image(tmp_path / "out" / name)
    np.testing.assert_array_equal(result.rgb, wanted)
    assert (result.alpha is None) == (not name.startswith("rgba"))


def test_lost_transparency_is_noted(tmp_path):
    write_odd(tmp_path / "in")
    jobs = plan_jobs(tmp_path / "in" / "rgba.png", tmp_path / "out", "jpg")
    report = fill_folder([AnySize(gray)], jobs, whole)
    assert report.notes == {"transparency lost, since .jpg cannot store it": [tmp_path / "in" / "rgba.png"]}


def test_batches_change_nothing(tmp_path):
    sizes = [(24, 32), (24, 32), (24, 32), (20, 20), (24, 32), (20, 20), (20, 20)]
    for number, (H, W) in enumerate(sizes):
        write_image(tmp_path / "in" / f"{number}.png", np.roll(BASE, number, axis=1)[:H, :W])
    calls = []

    def counting(image, mask):
        calls.append(len(image))
        return gray(image, mask)

    results = []
    for batch_size in (1, 2, 8):
        out = tmp_path / f"out{batch_size}"
        jobs = plan_jobs(tmp_path / "in", out)
        fill_folder([AnySize(counting)], jobs, mask_source("cmod", jobs, seed=3), batch_size=batch_size)
        results.append([path.read_bytes() for path in sorted(out.iterdir())])
    assert results[0] == results[1] == results[2]
    assert calls == [1] * 7 + [2, 2, 2, 1] + [4, 3]


def test_masks_of_a_generator_follow_the_image_and_not_the_run(tmp_path):
    for number in range(3):
        write_image(tmp_path / "in" / f"{number}.png", BASE)
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    masks = mask_source("cmod", jobs, seed=3)
    fill_folder([AnySize(gray)], jobs[2:], masks)  # as if the first two results existed
    hole = create_mask("cmod", size=(24, 32), seed=3, index=2)[..., None]
    np.testing.assert_array_equal(read_image(jobs[2].target).rgb, np.where(hole == 1, 128, BASE))
    inverted = mask_source("cmod", jobs, seed=3, invert=True)
    np.testing.assert_array_equal(inverted(jobs[2], read_image(jobs[2].image))[0], 1 - hole[..., 0])


def test_one_mask_serves_all_and_is_doubted_once(tmp_path):
    for number in range(3):
        write_image(tmp_path / "in" / f"{number}.png", BASE)
    Image.fromarray(np.full((24, 32), 200, np.uint8)).save(tmp_path / "mask.png")
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    report = fill_folder([AnySize(gray)], jobs, mask_source(tmp_path / "mask.png", jobs))
    assert report.done == 3
    assert {kind: len(texts) for kind, texts in report.doubts.items()} == {"large": 1, "gray": 1}
    assert "100.0 % of the mask is hole" in report.doubts["large"][0]
    report = fill_folder([AnySize(gray)], jobs, mask_source(tmp_path / "mask.png", jobs, threshold=200))
    assert list(report.doubts) == ["empty", "gray"]


def test_masks_of_a_folder_are_paired_by_stem(tmp_path):
    for number, name in enumerate(("b/x", "a")):
        write_image(tmp_path / "in" / f"{name}.jpg", BASE)
        mask = np.zeros((24, 32), np.uint8)
        mask[:, number] = 255
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out", "png")
    masks = mask_source(tmp_path / "masks", jobs)
    columns = {job.image.stem: int(masks(job, read_image(job.image))[0].argmax(axis=1)[0]) for job in jobs}
    assert columns == {"x": 0, "a": 1}
    Image.fromarray(mask).save(tmp_path / "masks" / "extra.png")
    with pytest.raises(ZooError, match=r"2 images and 3 masks do not match: 1 without a partner .*: extra"):
        mask_source(tmp_path / "masks", jobs)
    single = plan_jobs(tmp_path / "in" / "a.jpg", tmp_path / "out")
    assert mask_source(tmp_path / "masks", single)


def test_masks_that_do_not_exist_are_named(tmp_path):
    write_image(tmp_path / "in" / "a.png", BASE)
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    with pytest.raises(UnknownNameError, match="Did you mean 'lama_thick_256'"):
        mask_source("lama_thik_256", jobs)
    with pytest.raises(ZooError, match=r"mask\.png: no such file"):
        mask_source("mask.png", jobs)
    with pytest.raises(ZooError, match="no such file"):
        mask_source(tmp_path / "masks", jobs)


def test_a_mask_of_another_size_is_an_error_of_its_image(tmp_path):
    write_image(tmp_path / "in" / "a.png", BASE)
    write_image(tmp_path / "in" / "b.png", BASE[:20])
    Image.fromarray(BASE).save(tmp_path / "in" / "c.png", exif=exif(6))
    Image.fromarray(np.full((24, 32), 255, np.uint8)).save(tmp_path / "mask.png")
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    report = fill_folder([AnySize(gray)], jobs, mask_source(tmp_path / "mask.png", jobs))
    assert report.done == 1
    assert [problem.reason for problem in report.problems] == [
        "the image is 32 x 20, its mask 32 x 24 (width x height)",
        "the image is 24 x 32, its mask 32 x 24 (width x height); the image is rotated by its EXIF "
        "orientation, and the mask must match the rotated image",
    ]


def test_a_model_that_fails_on_one_image_fills_the_others(tmp_path):
    for number in range(4):
        write_image(tmp_path / "in" / f"{number}.png", np.full((16, 16, 3), 10 * number, np.uint8))

    def picky(image, mask):
        if bool((image == 20 / 255).any()):
            raise RuntimeError("this one\nis too much")
        return gray(image, mask)

    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    right = np.eye(16, dtype=np.uint8)
    report = fill_folder([AnySize(picky)], jobs, lambda job, scene: (right, {}), batch_size=4)
    assert report.done == 3
    assert [(p.image.name, p.reason) for p in report.problems] == [("2.png", "RuntimeError: this one is too much")]


def test_a_result_too_large_for_its_format_is_reported(tmp_path):
    write_image(tmp_path / "in" / "a.png", np.zeros((1, 70_000, 3), np.uint8))
    write_image(tmp_path / "in" / "b.png", BASE)
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out", "jpg")
    report = fill_folder([AnySize(gray)], jobs, whole)
    assert report.done == 1
    assert "70000 x 1 cannot be written as JPEG" in report.problems[0].reason


def test_a_full_disk_stops_the_run_and_keeps_what_is_whole(tmp_path):
    resource = pytest.importorskip("resource", reason="file size limits need a POSIX system")
    import signal

    write_image(tmp_path / "in" / "0.png", np.zeros((16, 16, 3), np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for number in range(1, 12):
        write_image(tmp_path / "in" / f"{number}.png", noise)
    jobs = plan_jobs(tmp_path / "in", tmp_path / "out")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            fill_folder([AnySize(gray)], jobs, lambda job, image: (np.zeros(image.size, np.uint8), {}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert caught.value.errno == errno.EFBIG
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]


def test_threads_end_with_the_run(tmp_path):
    write_image(tmp_path / "in" / "a.png", BASE)
    before = threading.active_count()
    fill_folder([AnySize(gray)], plan_jobs(tmp_path / "in", tmp_path / "out"), whole)
    assert threading.active_count() == before
