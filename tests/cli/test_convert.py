"""`inpaint-zoo convert` for checkpoints of networks with options that are not the defaults."""

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.weights import load_weights
from tests.helpers.toy import registered_repeating, write_checkpoint


def test_options_build_the_network_and_are_stated_by_the_file(tmp_path, capsys):
    generator = iz.create_model("glama", blocks=1)
    critic = iz.create_discriminator("lama", width=8)
    state = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    state |= {f"discriminator.{key}": value for key, value in critic.state_dict().items()}
    (tmp_path / "released" / "models").mkdir(parents=True)
    torch.save({"state_dict": state}, tmp_path / "released" / "models" / "best.ckpt")

    def convert(name, out, *options):
        return main(["convert", str(tmp_path / "released"), "--model", name, "--out", str(tmp_path / out), *options])

    assert convert("glama", "g.safetensors", "--option", "blocks=1") == 0
    assert load_weights(tmp_path / "g.safetensors").options == {"blocks": 1}
    loaded = iz.create_model("glama", weights=tmp_path / "g.safetensors")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in generator.state_dict().items())
    assert convert("lama_discriminator", "d.safetensors", "--option", "width=8") == 0
    assert load_weights(tmp_path / "d.safetensors").options == {"width": 8}
    capsys.readouterr()
    for options, message in (
        ((), "The checkpoint does not fit 'glama': "),
        (("--option", "block=1"), "Did you mean 'blocks'?"),
        (("--option", "blocks"), "--option must be KEY=VALUE, such as steps=1, got 'blocks'"),
    ):
        assert convert("glama", "none.safetensors", *options) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "none.safetensors").exists()


@pytest.fixture
def trained(tmp_path):
    """Return a checkpoint of our own training: a network with other options than the defaults."""
    with registered_repeating():
        yield write_checkpoint(tmp_path / "last.ckpt", width=4, rounds=3)


def test_a_checkpoint_of_a_training_states_its_model_and_options(trained, tmp_path, capsys):
    def convert(out, *words):
        return main(["convert", str(trained), "--out", str(tmp_path / out), *words])

    assert convert("a.safetensors") == 0
    assert convert("b.safetensors", "--model", "repeating", "--option", "rounds=2", "--licence", "MIT") == 0
    one, two = (load_weights(tmp_path / name) for name in ("a.safetensors", "b.safetensors"))
    assert (one.name, one.options) == ("repeating", {"width": 4, "rounds": 3})
    assert (two.options, two.licence) == ({"width": 4, "rounds": 2}, "MIT")
    assert one.sha256 == two.sha256 == load_weights(trained).sha256
    assert one.training["step"] == 7
    assert set(one.training["converted_from"]) == {"last.ckpt"}
    capsys.readouterr()
    bare = tmp_path / "bare.pth"
    torch.save(iz.create_model("repeating", weights=trained).state_dict(), bare)
    for words, message in (
        ((str(trained), "--model", "glama"), "last.ckpt holds weights of 'repeating', not of 'glama'"),
        ((str(trained), "--option", "width=6"), "it was saved with width=4, but width=6 is asked for"),
        ((str(trained), "--option", "round=2"), "Did you mean 'rounds'?"),
        ((str(bare),), "bare.pth does not state its model: name it by --model."),
    ):
        assert main(["convert", *words, "--out", str(tmp_path / "none.safetensors")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none.safetensors").exists()
