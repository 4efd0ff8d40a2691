"""Training modules of all families, found as the package finds them, with small networks for fast tests."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints, is_typeddict

import torch
from torch import Tensor, nn

import inpaint_zoo as iz
from inpaint_zoo import models
from inpaint_zoo.models.grig.projected_discriminator import SMALLEST, ProjectedDiscriminator
from inpaint_zoo.training import AdversarialModule, Batch, InpaintingModule, Stages, Terms, TrainingModule

BACKBONES = {"vgg_weights", "perceptual_weights", "backbone_weights"}
SMALL = {"width": 4, "levels": 6, "local_width": 4, "blocks": 1}  # of refinement behind another network
SIDE = 32  # of images
SIDES = {"ContextEncoder": 64, "LGNet": 64}  # their own, or the discriminator's least
ALIKE = {"LaMa", "GLaMa2Stage", "JointRefinement"}  # recipes and terms of GLaMa; those of ContextualAttention and LGNet
FIRST = {
    "class_path": "inpaint_zoo.models.ContextualAttention",
    "init_args": {"network": "glcic_tiny", "size": 32, "window": 16, "critic_width": 8, "num_critics": 2},
}
SPECIAL = {
    "JointRefinement": {"network": "local_global:glcic_tiny", "network_options": SMALL, "first_training": FIRST},
    "ContextualAttention": {"size": 32, "window": 16},
    "LocalGlobalRefinement": {"network": "local_global:glcic_tiny", "network_options": SMALL},
}


def training_modules() -> list[type[TrainingModule]]:
    """Return the training modules that are available as `inpaint_zoo.models.NAME`."""
    found = []
    for family in pkgutil.iter_modules(models.__path__):
        name = f"{models.__name__}.{family.name}.module"
        if importlib.util.find_spec(name) is not None:
            members = vars(importlib.import_module(name)).values()
            found += [
                x for x in members if inspect.isclass(x) and x.__module__ == name and issubclass(x, TrainingModule)
            ]
    return found


def arguments(kind: type[TrainingModule]) -> set[str]:
    """Return the argument names of the class and of the family's classes that it derives from."""
    bases = [base for base in kind.__mro__ if base.__module__ == kind.__module__]
    return {name for base in bases for name in inspect.signature(base.__init__).parameters}


def choices(kind: type[TrainingModule]) -> list[dict[str, Any]]:
    """Return one dictionary for each non-default value of the class's own arguments of type Literal or bool."""
    hints = get_type_hints(kind.__init__)
    return [
        {name: value}
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        for value in _values(hints.get(name))
        if value != parameter.default and name != "backbone"
    ]


def _values(hint: Any) -> list[Any]:
    found: list[Any] = []
    for option in (hint, *(get_args(hint) if get_origin(hint) in (Union, UnionType) else ())):
        if option is bool:
            found += [True, False]
        elif get_origin(option) is Literal:
            found += get_args(option)
        elif get_origin(option) is Sequence:
            found += [list(_values(get_args(option)[0]))]
        elif is_typeddict(option):
            found += [{name: True} for name, kind in get_type_hints(option).items() if kind is bool]
    return found


def small(kind: type[TrainingModule], **options: Any) -> TrainingModule:
    """Build a module with the tiny network, narrow discriminators, random backbones, and the family's loss weights."""
    family = kind.__module__.split(".")[-2]
    tiny = next(name for name in iz.list_models("*_tiny") if iz.model_info(name).family == family)
    given = {"network": tiny, **SPECIAL.get(kind.__name__, {}), **options}
    for name in arguments(kind):
        if name.endswith("_width"):
            given.setdefault(name, 8)
    for name in arguments(kind) & BACKBONES:
        given.setdefault(name, "random")
    torch.manual_seed(0)
    module = with_small_inputs(kind(metrics=(), **given))
    module.build_losses()
    return module


def with_small_inputs(module: TrainingModule) -> TrainingModule:
    """Let projected discriminators upsample small images to the smallest size that they accept, and no further."""
    for part in module.modules():
        if isinstance(part, ProjectedDiscriminator):
            part.resize_below = part.resize_to = SMALLEST
    return module


class Part(NamedTuple):
    """One weighted loss: that of a phase, or the only one of a module with one optimizer."""

    name: str
    terms: Any
    weights: Mapping[str, float]
    trains: tuple[str, ...]

    @property
    def is_generator(self) -> bool:
        return any(name.split(".")[0] == "network" for name in self.trains)

    def total(self, terms: Terms) -> Tensor:
        return torch.stack([self.weights.get(name, 1.0) * term for name, term in terms.items()]).sum()


def parts(module: TrainingModule) -> list[Part]:
    """Return the parts in order; a penalty belongs to its phase. Their batch and stages are in ``loss_range``."""
    if isinstance(module, InpaintingModule):
        return [Part("train", module.loss, module.weights, ("network",))]
    assert isinstance(module, AdversarialModule)

    def terms(phase: Any) -> Any:
        def compute(batch: Batch, stages: Stages) -> Terms:
            prepared = module.prepare(batch)
            penalty = {} if phase.penalty is None else phase.penalty(batch, stages, *prepared)
            return phase.loss(batch, stages, *prepared) | penalty

        return compute

    return [Part(phase.name, terms(phase), phase.weights, phase.trains) for phase in module.plan.phases]


def trained(module: nn.Module, part: Part) -> dict[str, nn.Parameter]:
    """Return the parameters that a discriminator's phase trains."""
    return {
        f"{name}.{key}": parameter
        for name in part.trains
        for key, parameter in module.get_submodule(name).named_parameters()
        if parameter.requires_grad
    }
