"""Test the ADE20K encoder: layers, a recorded loss, finding its weights, and no silent random weights."""

import pytest
import torch

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers import ADE20K_TAPS, ADE20KFeatures
from inpaint_zoo.layers.ade20k import DilatedResNet50
from inpaint_zoo.losses import PerceptualLoss
from inpaint_zoo.weights import WeightsNotFoundError
from tests.helpers.fill import fill, read_keys, read_vector, vector_image


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ade20k") / "ade20k-resnet50dilated-ppm_deepsup"
    folder.mkdir()
    torch.save(fill(DilatedResNet50().state_dict()), folder / "encoder_epoch_20.pth")
    return folder / "encoder_epoch_20.pth"


def test_layout_is_the_owners():
    theirs = read_keys("ade20k_resnet50dilated_encoder")
    ours = {key: list(value.shape) for key, value in DilatedResNet50().state_dict().items()}
    assert ours == theirs


@pytest.mark.parametrize("side", ["64", "256"])
def test_recorded_loss(encoder_file, side):
    recorded = read_vector("lama_resnet_pl")["cases"][side]
    features = ADE20KFeatures(encoder_file)
    pred, target = vector_image(int(side), int(side), 0.7).requires_grad_(), vector_image(int(side), int(side))
    maps, expected = features(pred), features(target)
    loss = PerceptualLoss(ADE20K_TAPS, "mse")(maps, expected)
    loss.backward()
    assert loss.item() == pytest.approx(recorded["loss"], rel=1e-4)
    assert pred.grad.double().norm().item() == pytest.approx(recorded["grad_l2"], rel=1e-3)
    assert [list(x.shape) for x in expected.values()] == recorded["shapes"]
    means, stds = (
        [f(x.double()).item() for x in expected.values()] for f in (torch.mean, lambda x: x.std(correction=0))
    )
    assert means == pytest.approx(recorded["stage_mean"], rel=1e-4)
    assert stds == pytest.approx(recorded["stage_std"], rel=1e-4)


def test_it_is_found_where_users_keep_it(encoder_file, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("INPAINT_ZOO_WEIGHTS", raising=False)
    with pytest.raises(WeightsNotFoundError, match=r"put ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20\.pth"):
        ADE20KFeatures()
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(encoder_file.parent.parent))
    assert ADE20KFeatures().source == "encoder_epoch_20.pth"
    monkeypatch.delenv("INPAINT_ZOO_WEIGHTS")
    target = tmp_path / "ade20k" / encoder_file.parent.name
    target.mkdir(parents=True)
    (target / encoder_file.name).symlink_to(encoder_file)
    assert ADE20KFeatures().source == "encoder_epoch_20.pth"


def test_another_network_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet50.pth")
    with pytest.raises(ZooError, match=r"encoder of ADE20K: 'conv1\.weight' is \(64, 3, 7, 7\)"):
        ADE20KFeatures(tmp_path / "resnet50.pth")


def test_it_stays_in_eval_mode_and_out_of_the_state():
    features = ADE20KFeatures("random").train()
    assert not features.trunk.training
    assert not features.state_dict()
    assert not list(features.parameters())
