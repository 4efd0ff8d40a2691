"""Test the training with reconstruction losses only: its terms in closed form, missing weights, and a short run."""

import math

import pytest
import torch

from inpaint_zoo.training import Reconstruction
from inpaint_zoo.training.reconstruction import EPSILON, hole_log_mse
from inpaint_zoo.weights import WeightsNotFoundError
from tests.helpers.images import sample
from tests.helpers.ranks import shard
from tests.helpers.toy import registered_toy
from tests.helpers.toys import ImageData, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
]


@pytest.fixture(autouse=True)
def toy_is_registered():
    with registered_toy():
        yield


def test_log_mse_is_the_mean_psnr_of_the_holes():
    image, mask = sample((24, 20), batch=3)
    pred = (image + torch.tensor([0.1, 0.02, 0.0]).view(3, 1, 1, 1)).requires_grad_()
    value = hole_log_mse(pred, image, mask)
    by_hand = [math.log10(error**2 + EPSILON) for error in (0.1, 0.02, 0.0)]
    assert value.item() == pytest.approx(sum(by_hand) / 3, abs=1e-5)
    value.backward()
    assert pred.grad[(mask == 0).expand_as(pred)].abs().max() == 0
    assert hole_log_mse(pred, image, torch.zeros_like(mask)).item() == pytest.approx(math.log10(EPSILON))


def test_the_loss_weights_stages_and_regions():
    module = Reconstruction("toy", known=1.0, hole=6.0, earlier_stages=0.5)
    image, mask = sample((16, 16), batch=2)
    stages = {"coarse": image + 0.2, "fine": image - 0.1}
    terms = module.loss({"image": image, "mask": mask}, stages)
    region = 1 + 5 * mask.mean().item()
    assert terms["l1"].item() == pytest.approx((0.5 * 0.2 + 0.1) * region, rel=1e-5)
    logs = [math.log10(error**2 + EPSILON) for error in (0.2, 0.1)]
    assert terms["log_mse"].item() == pytest.approx(0.5 * logs[0] + logs[1], rel=1e-4)
    assert set(terms) == {"l1", "log_mse"}


@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_share_a_batch_have_the_loss_of_the_whole(count):
    """The mean of the processes' losses and gradients, which DDP computes, even if their holes differ in size."""
    module = Reconstruction("toy")
    image, mask = sample((16, 16), batch=4)
    mask[1:, :, :8] = 0
    raw = {"coarse": (image + 0.2).requires_grad_(), "fine": (0.5 * image).requires_grad_()}

    def loss(rank, of):
        terms = module.loss(shard({"image": image, "mask": mask}, rank, of), shard(raw, rank, of))
        return torch.stack(list(terms.values()))

    whole, parts = loss(0, 1), [loss(rank, count) for rank in range(count)]
    torch.testing.assert_close(torch.stack(parts).mean(0), whole)
    for value in raw.values():
        (expected,) = torch.autograd.grad(whole.sum(), value, retain_graph=True)
        (found,) = torch.autograd.grad(torch.stack(parts).sum(1).mean(), value, retain_graph=True)
        torch.testing.assert_close(found, expected)


def test_missing_lpips_is_refused_or_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    module = Reconstruction("toy", lpips=0.1)
    with pytest.raises(WeightsNotFoundError, match="squeezenet1_1"):
        module.build_losses()
    dropping = Reconstruction("toy", lpips=0.1, on_missing="drop")
    with pytest.warns(UserWarning, match="lpips"):
        dropping.build_losses()
    assert dropping.dropped == {"lpips"}


def test_lpips_is_that_of_the_result_and_not_saved(shared_weights):
    from inpaint_zoo import create_metric

    module = Reconstruction("toy", lpips=0.1)
    module.build_losses()
    image, mask = sample((64, 64), batch=2)
    term = module.loss({"image": image, "mask": mask}, {"fine": 1 - image})["lpips"]
    metric = create_metric("lpips_squeeze")
    metric.update(torch.where(mask > 0, 1 - image, image), image, mask)
    assert term.item() == pytest.approx(float(metric.compute()), rel=1e-4)
    assert not any("lpips" in key for key in module.state_dict())


def test_it_trains_any_network(tmp_path):
    module = Reconstruction("toy")
    start = {key: value.clone() for key, value in module.network.state_dict().items()}
    fit(tmp_path, module, ImageData(batches=4), max_steps=4)
    assert any(not torch.equal(value, start[key]) for key, value in module.network.state_dict().items())
