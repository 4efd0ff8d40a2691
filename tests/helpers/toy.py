"""A learned network for tests of the common interface, with weights, norms, padding and its own value range."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import inpaint_zoo as iz
from inpaint_zoo import discovery, registry
from inpaint_zoo.combinators import TwoStage, two_stage
from inpaint_zoo.interfaces import InpaintingNetwork


class Toy(InpaintingNetwork):
    """Three convolutions, two stages, values in [-1, 1]; height and width must be multiples of 8 and at least 32."""

    divisor = 8
    min_size = 32
    value_range = (-1.0, 1.0)
    hole_value = 1.0
    takes_hole_fill = True

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(4, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.decode = nn.Sequential(nn.ConvTranspose2d(width, width, 2, 2), nn.BatchNorm2d(width), nn.ReLU())
        self.coarse = nn.Conv2d(width, 3, 3, 1, 1)
        self.fine = nn.Conv2d(6, 3, 3, 1, 1)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        assert image.shape[-1] % 8 == 0
        assert min(image.shape[-2:]) >= 32
        coarse = self.coarse(self.decode(self.encode(torch.cat([image, mask], 1)))).tanh()
        return {"coarse": coarse, "fine": self.fine(torch.cat([coarse, image], 1)).tanh()}


def toy(width: int = 8) -> Toy:
    """Build a `Toy`."""
    torch.manual_seed(0)
    net = Toy(width)
    for module in net.modules():  # statistics that folding must get right
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.weight, 1, 0.1)
    return net


@contextmanager
def registered(build: Callable[..., InpaintingNetwork]) -> Iterator[None]:
    """Register a builder within the context, under its name."""
    discovery.discover()  # tests also look up other models in the registry's tables
    registry.register_model(source="tests")(build)
    try:
        yield
    finally:
        del registry.MODELS[build.__name__]


def registered_toy() -> AbstractContextManager[None]:
    """Register `toy` within the context."""
    return registered(toy)


class Repeating(Toy):
    """A `Toy` that is applied ``rounds`` times. Like GRIG's steps, this option does not change the parameters."""

    def __init__(self, width: int, rounds: int) -> None:
        super().__init__(width)
        self.rounds = rounds

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        for _ in range(self.rounds):
            stages = super().predict(image, mask)
            image = torch.where(mask > 0, stages["fine"], image)
        return stages


def repeating(width: int = 8, rounds: int = 1, threshold: float = 0.5) -> Repeating:
    """Build a `Toy` with several rounds. `progressive` has an option ``threshold``, too."""
    return Repeating(width, rounds)


def registered_repeating() -> AbstractContextManager[None]:
    """Register `repeating` within the context."""
    return registered(repeating)


def small_two_stage(coarse_size: int = 48, freeze_first: bool = False) -> TwoStage:
    """Build two small networks, the second one behind the first."""
    return two_stage(iz.create_model("glama_tiny"), iz.create_model("glama_tiny"), coarse_size, freeze_first)


def registered_two_stage() -> AbstractContextManager[None]:
    """Register `small_two_stage` within the context."""
    return registered(small_two_stage)


def write_checkpoint(path: Path, name: str = "repeating", **options: Any) -> Path:
    """Write a network with random weights as a training checkpoint that states its name and options."""
    torch.manual_seed(1)
    net = iz.create_model(name, **options)
    state = {f"network.{key}": value for key, value in net.state_dict().items()}
    stated = {"network": name, "network_options": options}
    torch.save({"state_dict": state, "hyper_parameters": stated, "global_step": 7, "epoch": 1}, path)
    return path
