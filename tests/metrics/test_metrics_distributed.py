"""Test that two processes that share the images give the values of a single process."""

import pytest
import torch

from inpaint_zoo.metrics import create_metric, list_metrics, metric_info
from tests.helpers.ranks import on_processes

LIGHT = [name for name in list_metrics() if metric_info(name).per_image and not metric_info(name).needs]
SET_NAMES = [name for name in list_metrics() if not metric_info(name).per_image]
SIZES = (5, 3)  # images of each process


class Pooled(torch.nn.Module):
    """Feature extractor that returns the mean color and needs no weight file."""

    def forward(self, images):
        return images.mean((2, 3))


def images():
    generator = torch.Generator().manual_seed(0)
    pred, target = torch.rand(2, sum(SIZES), 3, 52, 52, generator=generator)
    mask = (torch.rand(sum(SIZES), 1, 52, 52, generator=generator) > 0.5).float()
    mask[6] = 0  # an empty hole, in the second process
    pred[1] = target[1]  # a perfect image, in the first
    return pred, target, mask


def build(name):
    return create_metric(name, extractor=Pooled()) if name in SET_NAMES else create_metric(name)


def measure(rank, count):
    part = [x.split(SIZES)[rank] for x in images()]
    values = {}
    for name in LIGHT + SET_NAMES:
        metric = build(name)
        metric.update(*part)
        values[name] = metric.compute()
        if name == "psnr_hole":
            with metric.sync_context():
                values["counts"] = torch.stack([metric.count, metric.undefined, metric.capped])
    return values


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    first, second = on_processes(len(SIZES), measure, str(tmp_path))
    for name in LIGHT + SET_NAMES:
        metric = build(name)
        metric.update(*images())
        expected = metric.compute()
        assert torch.equal(first[name], second[name]), name
        assert torch.allclose(first[name], expected, rtol=1e-12, equal_nan=True), name
    assert first["counts"].tolist() == [7, 1, 1]
