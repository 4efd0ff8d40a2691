"""The arguments that checkpoints store of a module: network options, plain values, and names of other arguments."""

import functools
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

import inpaint_zoo as iz
from inpaint_zoo import registry
from inpaint_zoo.errors import ZooError
from inpaint_zoo.models import LocalGlobalRefinement
from inpaint_zoo.training import InpaintingModule, NetworkEMA
from inpaint_zoo.weights import WeightsError, load_weights
from tests.helpers.toys import ImageData, fit, make_trainer

SGD = functools.partial(torch.optim.SGD, lr=0.01)
BEHIND = {"width": 4, "levels": 6, "local_width": 4, "blocks": 1}


class Painting(InpaintingModule):
    """A family's module, as described in docs/training.md."""

    def __init__(self, network: str = "painter", **base):
        super().__init__(network, **base)

    def loss(self, batch, stages):
        return {"l1": (stages["fine"] - batch["image"]).abs().mean()}


def module(**more):
    return Painting(**{"network_options": {"width": 6}, "metrics": ["psnr"], **more})


def saved(folder, built, **options):
    """Return the last checkpoint of a short training run."""
    fit(folder, built, max_steps=2, **options)
    return folder / "checkpoints" / "step_00000002.ckpt"


def equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(value, two[key]) for key, value in one.items())


def test_a_checkpoint_of_a_training_loads_as_the_module_that_it_was(tmp_path):
    built = module(optimizer=SGD, guard_every=3, weights={"l1": 2.0})
    path = saved(tmp_path, built, callbacks=[NetworkEMA(0.5)])
    content = torch.load(path, weights_only=True)
    assert content["arguments_not_stored"] == ["optimizer"]
    loaded = Painting.load_from_checkpoint(path)
    # the running average, as create_model loads it
    assert equal(loaded.network.state_dict(), iz.create_model("painter", weights=path).state_dict())
    average = {key: value for key, value in content["state_dict"].items() if key.startswith("network.")}
    assert equal({f"network.{key}": value for key, value in loaded.network.state_dict().items()}, average)
    assert not equal(average, {key: content["current_model_state"][key] for key in average})
    assert (loaded.weights, loaded.guard.every, loaded.metric_names) == ({"l1": 2.0}, 3, ("psnr",))
    given = Painting.load_from_checkpoint(path, network_options={"plain": False})  # the others stay the checkpoint's
    assert given.network.origin.options == {"width": 6, "plain": False}
    assert load_weights(path).training == {"step": 2, "epoch": 0, "weights": "running average (EMA)"}


def test_training_goes_on_with_optimizers_that_are_given_or_says_that_it_takes_the_defaults(tmp_path):
    path = saved(tmp_path / "first", module(optimizer=SGD))
    loaded = Painting.load_from_checkpoint(path)
    with pytest.warns(
        UserWarning, match=r"was trained with another optimizer\..*load_from_checkpoint\(path, optimizer="
    ):
        fit(tmp_path / "defaults", loaded, max_steps=1)
    given = Painting.load_from_checkpoint(path, optimizer=SGD)
    trainer = fit(tmp_path / "given", given, max_steps=1)  # a warning would be an error here
    assert isinstance(trainer.optimizers[0], torch.optim.SGD)
    default = saved(tmp_path / "second", module())
    assert torch.load(default, weights_only=True)["arguments_not_stored"] == []
    fit(tmp_path / "as default", Painting.load_from_checkpoint(default), max_steps=1)


@pytest.mark.parametrize(
    "optimizer", [torch.optim.Adam, functools.partial(torch.optim.Adam, lr=1e-3, betas=(0.9, 0.999))]
)
def test_an_optimizer_that_equals_the_default_of_the_base_class_need_not_be_stored(optimizer, tmp_path):
    path = saved(tmp_path, module(optimizer=optimizer))
    assert torch.load(path, weights_only=True)["arguments_not_stored"] == []


def test_a_checkpoint_of_another_training_class_is_refused(tmp_path):
    class Other(Painting):
        def __init__(self, network: str = "painter", sharpness: float = 1.0, **base):
            super().__init__(network, **base)

    path = saved(tmp_path, Other(metrics=["psnr"]))
    with pytest.raises(ZooError, match=r"cannot be loaded as Painting: .*'sharpness'.* Load it with this class"):
        Painting.load_from_checkpoint(path)


def test_checkpoints_that_only_name_the_network_load_as_before(tmp_path):
    built = module()
    path = saved(tmp_path, built)
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"] = {"network": "painter", "network_options": {"width": 6}}
    del content["arguments_not_stored"]
    torch.save(content, path)
    assert equal(Painting.load_from_checkpoint(path).state_dict(), built.state_dict())
    trainer = make_trainer(tmp_path / "again")
    trainer.validate(module(), ImageData(), ckpt_path=path, weights_only=True, verbose=False)


def test_code_in_a_checkpoint_is_refused(tmp_path):
    path = saved(tmp_path, module())
    content = torch.load(path, weights_only=True)
    torch.save(content | {"path": Path("a")}, path)  # a class that pickle would import
    with pytest.raises(Exception, match="Weights only load failed"):
        Painting.load_from_checkpoint(path)


def test_options_of_the_weights_to_start_from_are_the_network_s(tmp_path):
    start = iz.save_weights(iz.create_model("painter", width=5), tmp_path / "start.safetensors")
    built = Painting("painter", init_weights=start, metrics=["psnr"])
    assert built.hparams["network_options"] == {"width": 5}
    assert not {"init_weights", "optimizer"} & set(built.hparams)
    path = saved(tmp_path, built)
    start.unlink()
    assert equal(Painting.load_from_checkpoint(path).state_dict(), built.state_dict())
    assert iz.create_model("painter", weights=path).origin.options == {"width": 5}
    with pytest.raises(WeightsError, match="it was saved with width=5, but width=7 is asked for"):
        Painting("painter", init_weights=path, network_options={"width": 7})


def test_options_of_the_first_network_to_start_from_are_its_own(tmp_path, monkeypatch):
    first = iz.save_weights(iz.create_model("painter", width=5, plain=True), tmp_path / "first.safetensors")
    name = "local_global:painter"
    base = {"first_weights": str(first), "freeze_first": True, "lambda_per": 0, "lambda_style": 0, "metrics": []}
    small = {key: value for key, value in BEHIND.items() if key != "width"}
    with pytest.raises(ZooError, match=r"The option width=5 of 'painter' cannot be given to 'local_global:painter'"):
        LocalGlobalRefinement(name, network_options=small, **base)
    iz.save_weights(iz.create_model("painter", plain=True), first)
    built = LocalGlobalRefinement(name, network_options=small, **base)
    assert built.network.origin.options == {**small, "plain": True, "freeze_first": True}
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, limit_val_batches=0)
    trainer.validate(built, ImageData(), verbose=False)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    first.unlink()
    loaded = LocalGlobalRefinement.load_from_checkpoint(tmp_path / "last.ckpt")
    assert equal(loaded.state_dict(), built.state_dict())
    loaded.check_trainer(trainer)  # its first network is frozen, and trained
    iz.save_weights(iz.create_model("painter"), first)
    with pytest.raises(
        ZooError, match=r"does not fit the first network of 'local_global:painter': .*first\.safetensors"
    ):
        LocalGlobalRefinement(name, network_options={**small, "plain": True}, **base)


def test_a_checkpoint_of_another_network_or_with_another_option_is_refused(tmp_path):
    path = saved(tmp_path, module(network_options={"plain": True}))
    trainer = make_trainer(tmp_path / "again")

    def validate(built):
        trainer.validate(built, ImageData(), ckpt_path=path, weights_only=True, verbose=False)

    with pytest.raises(ZooError, match="network 'painter', but the network to load it into is 'autoencoder_tiny'"):
        validate(Painting("autoencoder_tiny"))
    silent = r"plain=True, but the network to load it into has the default plain=False.*network_options\.plain=True"
    with pytest.raises(ZooError, match=silent):
        validate(module(network_options=None))
    both = "does not fit 'painter': it was saved with plain=True, but plain=False is asked for"
    with pytest.raises(ZooError, match=both):
        validate(module(network_options={"plain": False}))
    validate(module(network_options={"plain": True}))


class Outer(LightningModule):
    """A user's LightningModule that contains one of this package."""

    def __init__(self, network: str, width: int) -> None:
        super().__init__()
        self.inner = module(network_options={"width": width})


def test_arguments_are_those_of_the_module_itself():
    inner = Outer("unrelated", 9).inner
    assert inner.hparams == {"network": "painter", "network_options": {"width": 9}, "metrics": ["psnr"]}


def test_an_option_that_no_checkpoint_can_hold_is_refused_at_once():
    @registry.register_model(source="tests")
    def painter_by(activation: type = torch.nn.ReLU):
        """Build a painter that has a class as an option."""
        return iz.create_model("painter")

    try:
        with pytest.raises(ZooError, match=r"A checkpoint can hold numbers, strings, .* but not type"):
            Painting("painter_by", network_options={"activation": torch.nn.GELU})
    finally:
        del registry.MODELS["painter_by"]
