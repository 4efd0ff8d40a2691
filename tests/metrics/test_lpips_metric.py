"""Test LPIPS against the lpips package, torchmetrics and recorded values, with the backbone in the shared folder."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import squeezenet1_1
from torchvision.transforms.functional import to_tensor

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics import create_metric


@pytest.fixture
def known_answers(shared_weights):
    return json.loads((shared_weights / "known_answers.json").read_text())


@torch.no_grad()
def test_equals_lpips(official_lpips, images):
    pred, target, mask = images
    expected = official_lpips[False](pred * 2 - 1, target * 2 - 1).flatten()
    assert torch.allclose(create_metric("lpips_squeeze").score(pred, target).float(), expected, atol=1e-6)
    maps = official_lpips[True](pred * 2 - 1, target * 2 - 1)
    expected = torch.stack([m[hole > 0.5].mean() for m, hole in zip(maps, mask, strict=True)])
    assert torch.allclose(create_metric("lpips_squeeze_hole").score(pred, target, mask).float(), expected, atol=1e-6)


@torch.no_grad()
def test_agrees_with_torchmetrics(shared_weights, images):
    pred, target, _ = images
    state = torch.load(shared_weights / "squeezenet1_1_imagenet_fp16.pth", weights_only=True)
    with torch.random.fork_rng():
        theirs = _LPIPS(net="squeeze", pnet_rand=True)
    trunk = theirs.net.state_dict()
    theirs.net.load_state_dict({key: state[f"features.{key.split('.', 2)[2]}"] for key in trunk})
    expected = theirs(pred, target, normalize=True).flatten()
    assert torch.allclose(create_metric("lpips_squeeze").score(pred, target).float(), expected, atol=1e-4)


def test_known_answers(shared, shared_weights, known_answers):
    metric = create_metric("lpips_squeeze")
    folder = shared / "data" / "lpips_ref"
    p0, p1, ref = (
        to_tensor(Image.open(folder / f"ex_{part}.png").convert("RGB"))[None] for part in ("p0", "p1", "ref")
    )
    expected = known_answers["lpips_squeeze_ex"]
    assert metric.score(ref, p0).item() == pytest.approx(expected["ref_p0"], abs=2e-4)
    assert metric.score(ref, p1).item() == pytest.approx(expected["ref_p1"], abs=2e-4)
    assert metric.score(ref, ref).item() == 0
    generator = torch.Generator().manual_seed(42)
    scores = metric.score(*(torch.rand(2, 3, 100, 100, generator=generator) for _ in range(2)))
    assert scores.tolist() == pytest.approx(known_answers["lpips_squeeze_rand_seed42"], abs=2e-4)


def test_known_answers_of_an_image(shared, shared_weights, known_answers):
    expected = known_answers["lpips_squeeze_kodim23_crop256_y128_x256_mask_ff256a_02"]
    image = np.asarray(Image.open(shared / "data" / "kodak18" / "kodim23.png").convert("RGB"))[128:384, 256:512]
    hole = np.asarray(Image.open(shared / "data" / "masks_freeform" / "ff256a_02.png").convert("L")) > 127
    assert hole.mean() == pytest.approx(expected["hole_ratio"], abs=1e-4)
    mean_fill = np.where(hole[..., None], image[~hole].mean(0), image).round().astype(np.uint8)
    telea = cv2.inpaint(
        np.where(hole[..., None], 0, image).astype(np.uint8), hole.astype(np.uint8) * 255, 3, cv2.INPAINT_TELEA
    )
    metric = create_metric("lpips_squeeze")
    for filled, key in ((mean_fill, "mean_fill"), (telea, "telea_r3")):
        score = metric.score(to_tensor(filled)[None], to_tensor(image.copy())[None]).item()
        assert score == pytest.approx(expected[key], abs=2e-3)  # OpenCV's fill drifts with its version


def test_empty_hole_odd_sizes_and_batches(shared_weights, random_batch):
    pred, target, mask = random_batch(7, 33, 45)
    mask[2] = 0
    metric = create_metric("lpips_squeeze_hole")
    scores = metric.score(pred, target, mask)
    assert scores.isnan().tolist() == [i == 2 for i in range(7)]
    for i in range(7):
        alone = metric.score(pred[i, None], target[i, None], mask[i, None])
        assert torch.equal(alone, scores[i, None]) or i == 2
    with pytest.raises(ZooError, match="`lpips_squeeze_hole` needs a height and width of at least 17 px, got 16 x 40"):
        metric.score(*random_batch(1, 16, 40))


def test_smallest_side_is_the_smallest_that_works(shared_weights, random_batch):
    assert create_metric("lpips_squeeze").score(*random_batch(1, 17, 17)).isfinite().all()


def test_training_mode_and_global_random_state_are_left_alone(shared_weights, images):
    pred, target, _ = images
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    metric = create_metric("lpips_squeeze")
    assert torch.equal(torch.rand(3), expected)
    value = metric.score(pred, target)
    torch.nn.Sequential(metric).train()  # as a training loop does: would switch on the dropout of the heads
    assert torch.equal(metric.score(pred, target), value)


def test_a_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "alexnet.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    with pytest.raises(ZooError, match="does not hold torchvision's alexnet"):
        create_metric("lpips_alex", weights=path)
