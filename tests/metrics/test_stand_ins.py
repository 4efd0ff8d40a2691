"""Metrics with a small random network in place of their backbone."""

import pytest
import torch

from inpaint_zoo.metrics import create_metric, create_stand_in, list_metrics, metric_info
from inpaint_zoo.weights import WeightsNotFoundError

WITH_BACKBONE = [name for name in list_metrics() if metric_info(name).needs]


@pytest.fixture(autouse=True)
def _no_backbones(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("INPAINT_ZOO_WEIGHTS", raising=False)


@pytest.mark.parametrize("name", WITH_BACKBONE)
def test_a_metric_runs_without_its_backbone_and_repeats_its_value(name):
    with pytest.raises(WeightsNotFoundError):
        create_metric(name)
    target = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    pred, mask = target * 0.5, torch.ones(3, 1, 64, 64)
    values = []
    for _ in range(2):
        metric = create_stand_in(name)
        metric.update(pred, target, mask)
        values.append(metric.compute())
    assert values[0].isfinite()
    assert torch.equal(*values)
    if metric_info(name).value_range.startswith("0 upwards"):
        same = create_stand_in(name)
        same.update(target, target, mask)
        assert same.compute() < 1e-6 < values[0]


def test_a_metric_that_needs_no_backbone_is_itself():
    assert type(create_stand_in("psnr")) is type(create_metric("psnr"))
