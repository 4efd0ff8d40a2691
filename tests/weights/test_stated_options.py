"""The options that weight files and checkpoints state: they build the network, and explicit ones override them."""

import json

import pytest
import torch
from safetensors.torch import save_file

import inpaint_zoo as iz
from inpaint_zoo import registry
from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.inpaint import ready_model
from inpaint_zoo.weights import WeightsError, WeightsHeader, load_weights, read_header
from tests.helpers.fill import vector_image, vector_mask
from tests.helpers.toy import registered_repeating, write_checkpoint

BEHIND = {"width": 4, "levels": 6, "local_width": 4, "blocks": 1}


@pytest.fixture(autouse=True)
def repeating_is_registered():
    with registered_repeating():
        yield


@pytest.fixture(params=["safetensors", "ckpt"])
def write(request, tmp_path):
    """Write a weight file, or a checkpoint as training writes it, whose network has the given options."""

    def written(name="repeating", **options):
        torch.manual_seed(1)
        net = iz.create_model(name, **options)
        if request.param == "safetensors":
            return net, iz.save_weights(net, tmp_path / "file.safetensors")
        return net, write_checkpoint(tmp_path / "file.ckpt", name, **options)

    return written


def result(net):
    with torch.no_grad():
        return net(vector_image(40, 40), vector_mask(40, 40))


def test_the_network_is_built_as_the_file_states(write):
    net, path = write(width=4, rounds=3)
    assert (load_weights(path).name, load_weights(path).options) == ("repeating", {"width": 4, "rounds": 3})
    header = read_header(path)
    assert (header.name, header.options) == ("repeating", {"width": 4, "rounds": 3})
    loaded = iz.create_model("repeating", weights=path)
    assert loaded.origin == ("repeating", {"width": 4, "rounds": 3})
    assert torch.equal(result(loaded), result(net))
    assert torch.equal(result(ready_model("repeating", path)), result(net))
    again = iz.save_weights(loaded, path.with_name("again.safetensors"))
    assert torch.equal(result(iz.create_model("repeating", weights=again)), result(net))


def test_an_explicit_option_overrides_where_the_parameters_stay_the_same(write):
    net, path = write(width=4, rounds=3)
    once = iz.create_model("repeating", weights=path, rounds=1)
    assert once.origin.options == {"width": 4, "rounds": 1}
    assert not torch.equal(result(once), result(net))
    net.rounds = 1
    assert torch.equal(result(once), result(net))
    assert torch.equal(result(ready_model("repeating", path, rounds=1)), result(net))


def test_one_that_changes_the_parameters_is_an_error_that_names_both_values_and_the_file(write):
    _, path = write(width=4, rounds=3)
    wrong = rf"{path.name} does not fit 'repeating': it was saved with width=4, but width=6 is asked for"
    with pytest.raises(WeightsError, match=wrong) as raised:
        iz.create_model("repeating", weights=path, width=6, rounds=1)
    assert "rounds" not in str(raised.value)  # it is not to blame
    _, path = write()  # the file states nothing: it was saved with the defaults
    with pytest.raises(WeightsError, match="it was saved with width=8, but width=6 is asked for"):
        iz.create_model("repeating", weights=path, width=6)


def test_what_is_known_of_a_model_follows_the_file(write):
    _, path = write(width=4, rounds=3)
    defaults, of_file = iz.model_info("repeating"), iz.model_info("repeating", path, rounds=2)
    assert defaults.options == {"width": 8, "rounds": 1, "threshold": 0.5}
    assert of_file.options == {"width": 4, "rounds": 2, "threshold": 0.5}
    assert of_file.parameters == sum(p.numel() for p in iz.create_model("repeating", width=4).parameters())
    assert of_file.parameters < defaults.parameters


def test_a_file_of_another_model_is_refused(write):
    _, path = write("autoencoder_tiny")
    for build in (iz.create_model, iz.model_info):
        with pytest.raises(WeightsError, match="holds weights of 'autoencoder_tiny', not of 'repeating'"):
            build("repeating", weights=path)
        with pytest.raises(WeightsError, match="holds weights of 'autoencoder_tiny', not of 'progressive:repeating'"):
            build("progressive:repeating", weights=path)
        with pytest.raises(WeightsError, match="not of 'local_global:autoencoder_tiny'"):
            build("local_global:autoencoder_tiny", weights=path)


def test_a_combinator_takes_the_network_s_file_and_options_of_its_own(write):
    net, path = write(width=4, rounds=3)
    combined = iz.create_model("progressive:repeating", weights=path, kernel_size=5, max_iterations=2)
    assert combined.origin.options == {"width": 4, "rounds": 3, "kernel_size": 5, "max_iterations": 2}
    assert torch.equal(result(combined), result(iz.progressive(net, kernel_size=5, max_iterations=2)))
    assert iz.model_info("progressive:repeating", path, rounds=2).options["rounds"] == 2


def test_a_combinator_s_own_file_states_the_options_of_both(write):
    net, path = write("local_global:repeating", **{**BEHIND, "rounds": 2})
    loaded = iz.create_model("local_global:repeating", weights=path)
    assert loaded.first.rounds == 2
    assert torch.equal(result(loaded), result(net))
    with pytest.raises(WeightsError, match="it was saved with blocks=1, but blocks=2 is asked for"):
        iz.create_model("local_global:repeating", weights=path, blocks=2)
    progressive = iz.create_model("progressive:local_global:repeating", weights=path, kernel_size=5)
    assert progressive.network.first.rounds == 2


def test_an_option_that_a_combinator_hides_is_refused(write):
    _, path = write(threshold=0.9)
    wrong = r"file\.\w+: The option threshold=0.9 of 'repeating' cannot be given to 'progressive:repeating'"
    with pytest.raises(WeightsError, match=wrong):
        iz.create_model("progressive:repeating", weights=path)
    with pytest.raises(ZooError, match=r"inpaint_zoo\.local_global\(network\)"):
        registry.options_through("local_global:repeating", "repeating", {"width": 4})
    assert registry.options_through("local_global:repeating", "repeating", {"rounds": 4}) == {"rounds": 4}


def test_an_option_that_the_model_does_not_take_names_the_file(write, monkeypatch):
    _, path = write(width=4)
    monkeypatch.setitem(registry.MODELS, "repeating", registry.MODELS["autoencoder_tiny"])
    with pytest.raises(WeightsError, match=r"file\.\w+ states the option width=4, which 'repeating' does not take"):
        iz.create_model("repeating", weights=path)


def test_files_of_others_state_nothing(tmp_path):
    net = iz.create_model("repeating", width=4)
    state = net.state_dict()
    torch.save(state, tmp_path / "bare.pth")
    torch.save(state, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "bare.safetensors")
    torch.save({"state_dict": state, "hyper_parameters": {"network": "resnet"}}, tmp_path / "theirs.ckpt")
    for name in ("bare.pth", "legacy.pth", "bare.safetensors", "theirs.ckpt"):
        assert read_header(tmp_path / name) == WeightsHeader(None, {}, "unknown", {})
        assert torch.equal(result(iz.create_model("repeating", weights=tmp_path / name, width=4)), result(net))
        with pytest.raises(WeightsError, match="does not fit 'repeating': Error"):
            iz.create_model("repeating", weights=tmp_path / name)


def test_what_is_known_of_a_checkpoint(write):
    _, path = write(width=4)
    training = read_header(path).training
    assert training == ({} if path.suffix == ".safetensors" else {"step": 7, "epoch": 1, "weights": "in training"})


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        ({"options": "{width"}, "its metadata is not valid JSON"),
        ({"options": "[4]"}, r"its 'options' must be values by name, got \[4\]"),
        ({"training": json.dumps("none")}, "its 'training' must be values by name, got 'none'"),
    ],
)
def test_damaged_metadata_are_named(tmp_path, metadata, wrong):
    path = tmp_path / "file.safetensors"
    save_file({"weight": torch.ones(2)}, path, metadata={"format": "inpaint-zoo/1", "name": "repeating", **metadata})
    for read in (read_header, load_weights):
        with pytest.raises(WeightsError, match=rf"file\.safetensors is damaged: {wrong}"):
            read(path)


def test_missing_and_damaged_files_have_no_header(tmp_path):
    with pytest.raises(WeightsError, match="No weight file"):
        read_header(tmp_path / "none.ckpt")
    for name in ("a.safetensors", "a.ckpt"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and no more")
        with pytest.raises(WeightsError, match="is damaged or is not a weight file"):
            read_header(tmp_path / name)
