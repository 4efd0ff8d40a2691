"""Test `load_from_checkpoint` of the training modules of all families."""

import importlib
import inspect
import pkgutil

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

import inpaint_zoo as iz
import inpaint_zoo.models
from inpaint_zoo import registry
from inpaint_zoo.training import TrainingModule
from tests.helpers.fill import vector_image, vector_mask
from tests.helpers.toy import registered_two_stage

SIDE = 64
SMALL_REFINEMENT = {"width": 4, "levels": 6, "local_width": 4, "blocks": 1}
# where no `_tiny` model of the family is of the kind that the module trains
NETWORKS = {
    "GLaMa2Stage": {"network": "small_two_stage", "network_options": {"coarse_size": 32}},
    "JointRefinement": {
        "network": "local_global:autoencoder_tiny",
        "network_options": SMALL_REFINEMENT,
        "first_training": {
            "class_path": "inpaint_zoo.models.Autoencoder",
            "init_args": {"network": "autoencoder_tiny"},
        },
    },
    "LocalGlobalRefinement": {"network": "local_global:autoencoder_tiny", "network_options": SMALL_REFINEMENT},
}


def module_classes():
    """Return all classes in `inpaint_zoo.models` that derive from `TrainingModule`."""
    found = []
    for info in pkgutil.walk_packages(inpaint_zoo.models.__path__, "inpaint_zoo.models."):
        members = vars(importlib.import_module(info.name)).values()
        found += [c for c in members if inspect.isclass(c) and c.__module__ == info.name]
    return [found_class for found_class in found if issubclass(found_class, TrainingModule)]


CLASSES = module_classes()


@pytest.fixture(autouse=True)
def small_two_stage():
    with registered_two_stage():
        yield


def arguments(kind):
    """Return arguments for small networks that differ from the defaults, including functions and base options."""
    given = {"metrics": ["psnr", "l1"], "guard_every": 7, "channels_last": True, "on_missing": "drop"}
    for name in inspect.signature(kind).parameters:
        if name.endswith("_width"):
            given[name] = 8
        elif name.endswith("optimizer"):
            given[name] = lambda parameters: torch.optim.SGD(parameters, lr=0.125)
    if kind.__name__ == "ContextualAttention":
        given |= {"size": SIDE, "window": 32}
    if kind.__name__ in NETWORKS:
        return given | NETWORKS[kind.__name__]
    family = kind.__module__.split(".")[2]
    builders = {name: registry.MODELS[name].build for name in iz.list_models("*_tiny")}
    name, build = next(pair for pair in builders.items() if pair[1].__module__.split(".")[2] == family)
    steps = {"steps": 1} if "steps" in inspect.signature(build).parameters else {}
    return given | {"network": name, "network_options": steps}


def save(module, path):
    """Write a checkpoint with a Trainer."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, limit_val_batches=0)
    trainer.validate(module, DataLoader([0]), verbose=False)
    trainer.save_checkpoint(path)
    return path


def equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(value, two[key]) for key, value in one.items())


def result(module):
    image, mask = vector_image(SIDE, SIDE), vector_mask(SIDE, SIDE)
    with torch.no_grad():
        return module.network.eval()(image, mask)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_loaded_module_equals_the_saved_one(kind, tmp_path):
    torch.manual_seed(3)
    module = kind(**arguments(kind))
    path = save(module, tmp_path / "last.ckpt")
    loaded = kind.load_from_checkpoint(path)
    assert type(loaded) is kind
    assert equal(loaded.state_dict(), module.state_dict())
    assert result(loaded).dtype == torch.float32
    assert torch.equal(result(loaded), result(module))
    assert loaded.network.origin == module.network.origin
    assert loaded.metric_names == ("psnr", "l1")
    assert getattr(loaded, "weights", None) == getattr(module, "weights", None)
    assert loaded.hparams == module.hparams
    direct = iz.create_model(module.network.origin.name, weights=path)
    assert direct.origin == module.network.origin
    assert equal(direct.state_dict(), module.network.state_dict())
