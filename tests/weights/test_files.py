"""Weight files: round trips, provenance, and everything that must be refused."""

import pickle
import zipfile

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.weights import WeightsError, load_state, load_weights, state_sha256
from tests.helpers.toy import registered_toy


@pytest.fixture(autouse=True)
def toy_is_registered():
    with registered_toy():
        yield


@pytest.fixture
def saved(tmp_path):
    net = iz.create_model("toy", width=4)
    training = {"data": "sample/train", "steps": 10, "metrics": {"psnr": 21.5}}
    return net, iz.save_weights(net, tmp_path / "toy.safetensors", licence="Apache-2.0", training=training)


def test_a_file_says_what_it_is(saved):
    net, path = saved
    file = load_weights(path)
    assert (file.name, file.options, file.licence) == ("toy", {"width": 4}, "Apache-2.0")
    assert file.training == {"data": "sample/train", "steps": 10, "metrics": {"psnr": 21.5}}
    assert file.sha256 == state_sha256(net.state_dict())


def test_its_options_build_the_network(saved):
    _, path = saved
    assert iz.create_model("toy", weights=path).coarse.in_channels == 4
    with pytest.raises(WeightsError, match="does not fit 'toy'"):
        iz.create_model("toy", weights=path, width=8)


def test_hash_knows_equal_weights_in_another_order_and_any_change(saved):
    state = dict(saved[0].state_dict())
    assert state_sha256(dict(reversed(state.items()))) == state_sha256(state)
    state["coarse.bias"] = state["coarse.bias"] + 1e-3
    assert state_sha256(state) != state_sha256(saved[0].state_dict())


def test_half_precision_halves_and_casts_back(saved, tmp_path):
    net, path = saved
    half = iz.save_weights(net, tmp_path / "half.safetensors", half=True)
    assert half.stat().st_size < path.stat().st_size
    weight = iz.create_model("toy", weights=half).coarse.weight
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, net.coarse.weight, atol=1e-3, rtol=1e-3)


def test_a_damaged_file_is_refused(saved):
    _, path = saved
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF  # one byte of the last tensor
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged: its tensors do not match"):
        load_weights(path)
    path.write_bytes(bytes(data[:100]))
    with pytest.raises(WeightsError, match="is damaged or is not a weight file"):
        load_weights(path)


def test_weights_of_another_model_are_refused(saved):
    with pytest.raises(WeightsError, match="'telea' has no trainable weights"):
        iz.create_model("telea", weights=saved[1])
    with pytest.raises(WeightsError, match="No weights of 'toy' ship"):
        iz.create_model("toy", weights="shipped")
    with pytest.raises(WeightsError, match="No weight file"):
        iz.create_model("toy", weights="nowhere.safetensors")


class Bomb:
    def __reduce__(self):
        return (print, ("code ran while weights were loaded",))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_runs_code_is_refused(tmp_path, legacy, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Bomb()}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"needs code to load.*was not opened"):
        load_state(path)
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(WeightsError, match=r"needs code|damaged"):
        load_state(tmp_path / "raw.pth")
    assert "code ran" not in capsys.readouterr().out


def test_other_files_are_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    with pytest.raises(WeightsError, match="contains no state dict"):
        load_state(tmp_path / "epoch.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"damaged|needs code"):
        load_state(tmp_path / "empty.pth")
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("a.txt", "b")
    with pytest.raises(WeightsError, match=r"damaged|needs code"):
        load_state(tmp_path / "zip.pth")


def test_only_named_networks_are_saved(tmp_path):
    from tests.helpers.toy import Toy

    with pytest.raises(WeightsError, match="must name its model"):
        iz.save_weights(Toy(), tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"written as \.safetensors, got 'a\.pth'"):
        iz.save_weights(iz.create_model("toy"), tmp_path / "a.pth")
