"""Small networks that predict differences from a pre-filled image."""

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.ops import composite, spread_known
from tests.helpers.images import sample

LEARNED = [name for name in iz.list_models("*_tiny") if iz.model_info(name).learned]


@pytest.fixture(params=LEARNED, scope="module")
def net(request):
    torch.manual_seed(0)
    return iz.create_model(request.param, difference=True).eval()


@torch.no_grad()
def test_it_follows_the_contract(net):
    image, mask = sample((63, 41), batch=2)
    out = net(image, mask)
    assert torch.equal(composite(out, image, mask), out)
    assert torch.equal(net(image.masked_fill(mask > 0, float("nan")), mask), out)
    fast = iz.optimize(net)(image, mask)
    torch.testing.assert_close(fast, out, atol=1e-4, rtol=0)


@torch.no_grad()
def test_it_starts_from_the_filling(net):
    image, mask = sample((48, 40))
    own = spread_known(image.masked_fill(mask > 0, 0), mask)
    torch.testing.assert_close(net(image, mask, hole_fill=own), net(image, mask), atol=1e-6, rtol=0)
    assert not torch.equal(net(image, mask, hole_fill=1 - own), net(image, mask))


@torch.no_grad()
def test_an_output_of_the_middle_color_changes_nothing(net):
    image, mask = sample((48, 40))
    filled = spread_known(image.masked_fill(mask > 0, 0), mask)
    low, high = net.value_range
    raw = torch.full_like(image, (low + high) / 2)
    torch.testing.assert_close(net.to_prediction(raw, filled), filled)
    plain = iz.create_model(net.origin.name)
    assert plain.to_prediction(raw, filled) is raw


@torch.no_grad()
def test_files_state_it(net, tmp_path):
    path = iz.save_weights(net, tmp_path / "net.safetensors", licence="Apache-2.0", training={"data": "none"})
    again = iz.create_model(net.origin.name, weights=path)
    image, mask = sample((40, 40))
    assert again.predicts_difference
    assert torch.equal(again(image, mask), net(image, mask))
    plain = iz.create_model(net.origin.name)
    plain.load_state_dict(net.state_dict())
    assert not torch.equal(plain(image, mask), net(image, mask))
