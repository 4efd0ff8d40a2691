"""`inpaint-zoo convert` for checkpoints of networks with options that are not the defaults."""

import torch

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.weights import load_weights


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
