"""Test the Inception network and its resizing against torch-fidelity's forward pass and clean-fid's resizing.

The pretrained file is large, so the network has random weights with the right names; its layers and resizing are the
real ones.
"""

import pytest
import torch

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics import InceptionFeatures, create_metric
from inpaint_zoo.metrics.inception import resize_images
from inpaint_zoo.weights import WeightsError

pytest.importorskip("torch_fidelity")


@torch.no_grad()
def test_features_equal_torch_fidelitys(inception, images):
    theirs, path = inception
    pred, _, _ = images
    integers = (pred * 255).round().to(torch.uint8)
    ours = InceptionFeatures("tensorflow", path)(pred)
    assert ours.shape == (2, 2048)
    assert torch.allclose(ours, theirs(integers)[0], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_named_metrics_find_the_file(inception, images, monkeypatch):
    pred, target, mask = images
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(inception[1].parent))
    values = []
    for kind, names in (
        ("tensorflow", ("fid", "kid", "p_ids", "u_ids")),
        ("clean", ("fid_clean",)),
        ("pytorch", ("fid_pytorch",)),
    ):
        first, *others = map(create_metric, names)
        assert {metric.feature_key for metric in (first, *others)} == {f"inception_{kind}"}
        first.update(pred, target, mask)
        values.append(first.compute().item())
    assert len(set(values)) == 3
    assert min(values) > 0


@pytest.mark.parametrize("size", [(256, 256), (512, 640), (37, 50), (299, 299)])
def test_clean_resize_matches_clean_fid(size):
    resize = pytest.importorskip("cleanfid.resize", reason="clean-fid is not installed").build_resizer("clean")
    image = torch.randint(0, 256, (3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    expected = torch.from_numpy(resize(image.permute(1, 2, 0).numpy())).permute(2, 0, 1)
    ours = resize_images(image[None] / 255, "clean")[0] * 128 + 128
    assert (ours - expected).abs().max() < 1e-4  # on 0..255; noise, the hardest image


def test_resizings_of_a_flat_image_differ_in_scale_alone():
    gray = torch.full((1, 3, 40, 50), 200 / 255)
    for how, value in (("tensorflow", 72 / 128), ("clean", 72 / 128), ("pytorch", 200 / 127.5 - 1)):
        resized = resize_images(gray, how)
        assert resized.shape == (1, 3, 299, 299)
        assert torch.allclose(resized, torch.full_like(resized, value), atol=1e-5)


def test_pytorch_resize_is_half_pixel_bilinear():
    ramp = torch.arange(64.0).expand(1, 3, 64, 64) / 255
    centres = ((torch.arange(299) + 0.5) * 64 / 299 - 0.5).clamp(0, 63)
    assert torch.allclose(resize_images(ramp, "pytorch")[0, 0, 150], centres / 127.5 - 1, atol=1e-5)


def test_images_are_rounded_to_bytes_first():
    image = torch.full((1, 3, 299, 299), 100.4 / 255)
    assert torch.allclose(resize_images(image, "clean") * 128 + 128, torch.tensor(100.0), atol=1e-4)


def test_a_wrong_file_is_refused(tmp_path):
    path = tmp_path / "wrong.pth"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(ZooError, match="does not hold torch-fidelity's Inception network"):
        InceptionFeatures(weights=path)
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"wrong\.pth"):
        InceptionFeatures(weights=path)
