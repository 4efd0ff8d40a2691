"""Test per-image metrics against scikit-image, torchmetrics and closed forms; holes, batches, counts, bad input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torchmetrics import MetricCollection
from torchmetrics.functional.image import structural_similarity_index_measure, total_variation

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics import SSIM, create_metric, list_metrics, metric_info
from inpaint_zoo.metrics.pixel import to_scale
from inpaint_zoo.metrics.structure import gaussian_window, ssim_map
from tests.helpers.fill import read_vector

LIGHT = [name for name in list_metrics() if metric_info(name).per_image and not metric_info(name).needs]


def as_arrays(batch):
    return batch.double().permute(0, 2, 3, 1).numpy()


def test_pixel_errors_match_numpy(images):
    pred, target, mask = images
    x, y, hole = as_arrays(pred), as_arrays(target), mask[:, 0].numpy() > 0.5
    for name, values in (("l1", np.abs(x - y)), ("mse", (x - y) ** 2)):
        whole = [value.mean() for value in values]
        inside = [value[h].mean() for value, h in zip(values, hole, strict=True)]
        assert create_metric(name).score(pred, target, mask).tolist() == pytest.approx(whole, rel=1e-12)
        assert create_metric(f"{name}_hole").score(pred, target, mask).tolist() == pytest.approx(inside, rel=1e-12)
    l1 = create_metric("l1").score(pred, target)
    assert torch.allclose(create_metric("l1_percent").score(pred, target), 100 * l1, rtol=1e-14)
    assert torch.allclose(create_metric("l1_255").score(pred, target), 255 * l1, rtol=1e-14)
    assert torch.allclose(create_metric("l1_lgnet").score(pred, target), 200 * l1, rtol=1e-14)
    assert torch.equal(create_metric("mae_isnet").score(pred, target), l1)


def test_byte_scale_matches_integer_arithmetic(images):
    pred, target, _ = images
    k, j = ((image * 255).round().long() for image in (pred, target))
    expected = ((k - j) ** 2).sum((1, 2, 3)).double() / k[0].numel()
    assert torch.allclose(create_metric("mse_255").score(pred, target), expected, rtol=1e-6)


def test_psnr_matches_scikit_image(images):
    pred, target, _ = images
    k, j = ((as_arrays(image) * 255).round().astype(np.uint8) for image in (pred, target))
    expected = [peak_signal_noise_ratio(b, a) for a, b in zip(k, j, strict=True)]
    for name in ("psnr", "psnr_grig"):
        assert create_metric(name).score(pred, target).tolist() == pytest.approx(expected, abs=1e-5)
    assert mean_squared_error(k[0], j[0]) == pytest.approx(
        create_metric("mse_255").score(pred, target)[0].item(), rel=1e-6
    )


def test_psnr_by_hand():
    pred, target = torch.full((1, 3, 16, 16), 0.6), torch.full((1, 3, 16, 16), 0.5)
    assert create_metric("psnr").score(pred, target).item() == pytest.approx(20, abs=1e-5)


def test_ssim_matches_torchmetrics(images):
    pred, target, _ = images
    expected = structural_similarity_index_measure(pred.double(), target.double(), data_range=1.0, reduction="none")
    assert torch.allclose(create_metric("ssim").score(pred, target), expected, rtol=0, atol=1e-12)


def test_ssim_matches_scikit_image(images):
    pred, target, _ = images
    options = {"data_range": 1.0, "gaussian_weights": True, "use_sample_covariance": False, "channel_axis": -1}
    for x, y, ours in zip(as_arrays(pred), as_arrays(target), create_metric("ssim").score(pred, target), strict=True):
        # scikit-image drops the 5 pixels of its border: give it ours, so that it drops that
        x, y = (np.pad(image, ((5, 5), (5, 5), (0, 0)), mode="reflect") for image in (x, y))
        assert ours.item() == pytest.approx(structural_similarity(x, y, **options), abs=1e-12)
    cropped = SSIM(border="crop").score(pred, target)
    x, y = as_arrays(pred)[0], as_arrays(target)[0]
    assert cropped[0].item() == pytest.approx(structural_similarity(x, y, **options), abs=1e-12)


def test_ssim_of_grig_is_scikit_images_on_bytes(images):
    pred, target, _ = images
    k, j = ((as_arrays(image) * 255).round().astype(np.uint8) for image in (pred, target))
    expected = [structural_similarity(a, b, channel_axis=-1, win_size=51) for a, b in zip(k, j, strict=True)]
    assert create_metric("ssim_grig").score(pred, target).tolist() == pytest.approx(expected, abs=1e-12)


def test_ssim_in_the_hole_is_the_mean_of_the_map(images):
    pred, target, mask = images
    values = ssim_map(pred.double(), target.double(), gaussian_window(), "reflect", False)
    expected = torch.stack([v[:, m[0] > 0.5].mean() for v, m in zip(values, mask, strict=True)])
    assert torch.allclose(create_metric("ssim_hole").score(pred, target, mask), expected, rtol=1e-12)


@given(
    rows=st.tuples(st.integers(0, 29), st.integers(1, 30)),
    columns=st.tuples(st.integers(0, 36), st.integers(1, 37)),
)
def test_ssim_is_one_where_all_pixels_of_the_window_are_equal(rows, columns):
    """Only the part around the differences is computed; scikit-image computes all of it."""
    rng = np.random.default_rng(0)
    x = rng.random((30, 37, 3))
    y = x.copy()
    box = tuple(slice(start, start + length) for start, length in (rows, columns))
    y[box] = rng.random(y[box].shape)
    arguments = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in (x, y))
    ours = ssim_map(*arguments, gaussian_window(), "reflect", False)[0].permute(1, 2, 0).numpy()
    padded = (np.pad(image, ((5, 5), (5, 5), (0, 0)), mode="reflect") for image in (x, y))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    _, expected = structural_similarity(*padded, data_range=1, full=True, **settings)
    np.testing.assert_allclose(ours, expected[5:-5, 5:-5], atol=1e-12)


def test_ssim_in_a_region_needs_a_map_of_full_size():
    with pytest.raises(ValueError, match='got "crop"'):
        SSIM(border="crop", region="hole")


def test_tv_matches_torchmetrics_and_a_checkerboard(random_batch):
    pred, target, _ = random_batch(3, 24, 24)
    expected = 100 * total_variation(pred.double(), reduction="none") / (3 * 24 * 23)
    assert torch.allclose(create_metric("tv").score(pred, target), expected, rtol=1e-12)
    board = ((torch.arange(16)[:, None] + torch.arange(16)) % 2).float().expand(1, 3, 16, 16)
    assert create_metric("tv").score(board, board).item() == 200


def test_tv_in_the_hole_counts_pairs_inside():
    pred, mask = torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    pred[..., 4, 4], mask[..., 4, 4:6] = 0.5, 1
    assert create_metric("tv_hole").score(pred, pred, mask).item() == 50  # one horizontal pair, no vertical one
    mask[..., 5] = 0
    assert create_metric("tv_hole").score(pred, pred, mask).isnan().all()  # a single pixel has no neighbour inside


def test_relative_errors_by_hand():
    pred, target = torch.full((1, 3, 16, 16), 0.6), torch.full((1, 3, 16, 16), 0.2)
    assert create_metric("mae_grig").score(pred, target).item() == pytest.approx(0.5)
    assert create_metric("mae_relative_isnet").score(pred, target).item() == pytest.approx(2)
    black = torch.zeros_like(pred)
    for name in ("mae_grig", "mae_relative_isnet"):
        assert create_metric(name).score(black, black).isnan().all()
    assert create_metric("mae_relative_isnet").score(pred, black).isnan().all()


def test_isnet_recorded_values():
    recorded = read_vector("isnet_metrics_64")["values_named"]
    i = torch.arange(64, dtype=torch.float32)
    c = torch.arange(3, dtype=torch.float32)[:, None, None]
    x = 0.5 + 0.5 * torch.sin(0.05 * (i[:, None] + 1) * (c + 1) + 0.03 * (i + 1))
    pred, target = 0.5 * x.flip(1)[None], x[None]
    for name, key in (
        ("psnr_isnet", "psnr_truncated_uint8"),
        ("ssim_isnet", "ssim_win11_zero_pad"),
        ("mae_isnet", "mae"),
    ):
        # the recorded SSIM is float32 arithmetic: in float64 the same formula differs by 1.1e-6
        assert create_metric(name).score(pred, target).item() == pytest.approx(recorded[key], abs=2e-6)


def test_isnet_self_checks():
    half, quarter = torch.full((1, 3, 32, 32), 0.5), torch.full((1, 3, 32, 32), 0.25)
    assert create_metric("ssim_isnet").score(half, quarter).item() == pytest.approx(0.731696, abs=1e-6)
    levels = (torch.full_like(half.double(), level / 255) for level in (127, 63))  # 127.5 and 63.75, truncated by LaMa
    expected = create_metric("ssim_isnet").score(*levels).item()
    assert create_metric("ssim_lama").score(half, quarter).item() == pytest.approx(expected, abs=1e-12)
    assert abs(expected - 0.731696) > 1e-3
    values = ssim_map(half.double(), quarter.double(), gaussian_window(), "zero", False)
    assert values[0, 0, 16, 16].item() == pytest.approx(0.800064, abs=1e-6)
    white, black = torch.full((1, 3, 16, 16), 0.999), torch.zeros(1, 3, 16, 16)
    for name in ("psnr_isnet", "psnr_lgnet"):
        assert create_metric(name).score(white, black).item() == pytest.approx(20 * math.log10(255 / 254), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", ["truncate", "round"])
def test_every_byte_survives(dtype, rule):
    levels = torch.arange(256, dtype=dtype)
    for image in (levels / 255, levels * torch.tensor(1 / 255, dtype=dtype)):
        assert torch.equal(to_scale(image, 255, rule), levels.double())


def test_truncation_and_rounding_differ():
    image = torch.tensor([0.9 / 255, 253.4 / 255])
    assert to_scale(image, 255, "truncate").tolist() == [0, 253]
    assert to_scale(image, 255, "round").tolist() == [1, 253]


def test_identical_images_are_capped_and_counted(random_batch):
    pred, target, mask = random_batch(3)
    pred[1] = target[1]
    for name in ("psnr", "psnr_hole", "psnr_isnet", "psnr_lgnet", "psnr_grig"):
        metric = create_metric(name)
        assert metric.score(pred, target, mask)[1].item() == metric.cap == 100
        metric.update(pred, target, mask)
        assert (metric.capped.item(), metric.count.item()) == (1, 3)
        assert metric.compute().isfinite()
    assert create_metric("psnr_isnet", identical=0.0).score(pred, target)[1].item() == 0
    assert create_metric("psnr", cap=60.0).score(pred, target)[1].item() == 60


def test_known_pixels_never_reach_a_hole_metric(random_batch):
    pred, target, mask = random_batch(2)
    other = torch.where(mask > 0.5, pred, torch.rand_like(pred))
    expected = torch.where(mask > 0.5, target, torch.rand_like(target))
    for name in ("l1_hole", "l1_percent_hole", "mse_hole", "psnr_hole", "tv_hole"):
        assert torch.equal(
            create_metric(name).score(pred, target, mask), create_metric(name).score(other, expected, mask)
        )
    completed = torch.where(mask > 0.5, pred, target)
    assert create_metric("l1_known").score(completed, target, mask).tolist() == [0, 0]
    assert (create_metric("l1_known").score(pred, target, mask) > 0.2).all()


def test_all_hole_is_the_whole_image(random_batch):
    pred, target, mask = random_batch(2)
    for name in LIGHT:
        if name.endswith("_hole"):
            whole = create_metric(name.removesuffix("_hole")).score(pred, target)
            assert torch.allclose(create_metric(name).score(pred, target, torch.ones_like(mask)), whole, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in LIGHT if name.endswith(("_hole", "_known"))])
def test_empty_region_is_nan_and_counted(name, random_batch):
    pred, target, mask = random_batch(3)
    mask[1] = 1.0 if name.endswith("_known") else 0.0
    metric = create_metric(name)
    scores = metric.score(pred, target, mask)
    assert scores.isnan().tolist() == [False, True, False]
    metric.update(pred, target, mask)
    assert (metric.undefined.item(), metric.count.item(), metric.capped.item()) == (1, 2, 0)
    assert metric.compute().item() == pytest.approx(scores[[0, 2]].mean().item(), rel=1e-14)
    with pytest.raises(ZooError, match="needs a `mask`"):
        metric.score(pred, target)


@pytest.mark.parametrize("name", LIGHT)
def test_value_does_not_depend_on_batch_threads_or_layout(name, random_batch):
    pred, target, mask = random_batch(64, 52, 61)
    metric, at_once = create_metric(name), None
    for size in (64, 7, 1):
        batches = zip(pred.split(size), target.split(size), mask.split(size), strict=True)
        scores = torch.cat([metric.score(*batch) for batch in batches])
        at_once = scores if at_once is None else at_once
        assert torch.equal(scores, at_once)
    strided = (x.to(memory_format=torch.channels_last) for x in (pred, target, mask))
    assert torch.equal(metric.score(*strided), at_once)


@pytest.mark.parametrize("name", ["l1", "psnr", "ssim", "tv_hole"])
def test_value_does_not_depend_on_threads(name, random_batch):
    batch = random_batch(1, 300, 451)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(create_metric(name).score(*batch))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_metric_is_the_mean_and_forward_gives_the_batch(random_batch):
    pred, target, mask = random_batch(5)
    metric = create_metric("l1")
    scores = metric.score(pred, target, mask)
    assert metric(pred[:2], target[:2], mask[:2]).item() == pytest.approx(scores[:2].mean().item(), rel=1e-14)
    metric.update(pred[2:], target[2:], mask[2:])
    assert metric.compute().item() == pytest.approx(scores.mean().item(), rel=1e-14)
    metric.reset()
    assert metric.count.item() == 0


def test_a_collection_keeps_metrics_apart(random_batch):
    """torchmetrics shares equal states between metrics: after a perfect first batch, l1 and mse would share theirs."""
    pred, target, mask = random_batch(2)
    collection = MetricCollection({name: create_metric(name) for name in ("l1", "mse", "l1_hole", "tv")})
    collection.update(target, target, mask)
    collection.update(pred, target, mask)
    values = collection.compute()
    for name, value in values.items():
        scores = [create_metric(name).score(x, target, mask) for x in (target, pred)]
        assert value.item() == pytest.approx(torch.cat(scores).mean().item(), rel=1e-12), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", LIGHT)
def test_cuda_gives_the_values_of_the_cpu(name, random_batch):
    batch = random_batch(3, 61, 52)
    metric = create_metric(name)
    expected = metric.score(*batch)
    scores = metric.score(*(x.cuda() for x in batch))
    assert scores.is_cuda
    assert torch.allclose(scores.cpu(), expected, rtol=1e-10, equal_nan=True)
    metric.cuda().update(*(x.cuda() for x in batch))
    assert metric.compute().is_cuda


def test_nothing_leaks_into_training(random_batch):
    pred, target, mask = random_batch(1)
    pred.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        score = create_metric("ssim").score(pred, target, mask)
    assert not score.requires_grad
    assert torch.equal(score, create_metric("ssim").score(pred, target, mask))


def test_empty_batch_has_no_scores():
    empty = torch.zeros(0, 3, 16, 16)
    assert create_metric("psnr").score(empty, empty).shape == (0,)


@pytest.mark.parametrize(
    ("pred", "target", "mask", "message"),
    [
        (torch.zeros(3, 16, 16), torch.zeros(3, 16, 16), None, r"`pred` must be a float tensor \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 16, 16).byte(), torch.zeros(1, 3, 16, 16), None, "`pred` must be a float .* uint8"),
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 18), None, r"`target` must be \(1, 3, 16, 16\)"),
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), r"`mask` must be \(1, 1, 16"),
        (torch.full((1, 3, 16, 16), 1.5), torch.zeros(1, 3, 16, 16), None, r"`pred` must lie in \[0, 1\]"),
        (torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), -1.0), None, r"`target` must lie in \[0, 1\]"),
        (torch.full((1, 3, 16, 16), torch.nan), torch.zeros(1, 3, 16, 16), None, "`pred` .* from nan to nan"),
    ],
)
def test_bad_input_is_named(pred, target, mask, message):
    with pytest.raises(ZooError, match=message):
        create_metric("psnr").score(pred, target, mask)
