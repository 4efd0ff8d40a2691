"""What the page computes: one model on one image. It runs in the process of `Worker`."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["STRATEGIES", "Drawn", "Filled", "Model", "Request", "Tasks"]

Bytes = NDArray[np.uint8]
STRATEGIES = ("auto", "full", "crop", "tile", "coarse_to_fine")
"""The values of `inference.strategy.Strategy`, whose module imports PyTorch, which the page itself does not need."""
KEPT = 4  # networks that stay in memory; the one that was not used for the longest time is dropped


class Model(NamedTuple):
    """A model of the page.

    Attributes:
        name: Its registry name.
        weights: Its weight file; None for the shipped weights or a model that needs none.
    """

    name: str
    weights: str | None = None


class Request(NamedTuple):
    """One model on one image.

    Attributes:
        model: The model.
        image: (H, W, 3) uint8.
        hole: (H, W) bool, True = hole.
        inside: Also draw what the model computes on its way: stages or passes, branches, attention.
        strategy: How the image is divided, one of `STRATEGIES`.
    """

    model: Model
    image: Bytes
    hole: NDArray[np.bool_]
    inside: bool
    strategy: str = "auto"


class Drawn(NamedTuple):
    """An image with a caption."""

    caption: str
    image: Bytes


class Filled(NamedTuple):
    """The result of a request.

    Attributes:
        image: (H, W, 3) uint8, with the known pixels of the input.
        seconds: Time to fill the image, without loading the model.
        memory_mib: Growth of the peak memory while the image was filled; None if it is unknown; see `watch_memory`.
        inside: What the model computes on its way, if it was requested and the model has it.
        strategy: How the image was divided, never "auto".
    """

    image: Bytes
    seconds: float
    memory_mib: float | None
    inside: tuple[Drawn, ...]
    strategy: str


class Tasks:
    """Computes requests, and keeps the networks of the latest ones.

    Args:
        device: Name of the device, as in `choose_device`.
    """

    def __init__(self, device: str) -> None:
        from inpaint_zoo.inference.device import choose_device

        self._device = choose_device(device)
        self._networks: dict[Model, Any] = {}

    def __call__(self, request: Request) -> Filled:
        """Fill the image."""
        from inpaint_zoo.analysis.cost import watch_memory
        from inpaint_zoo.inference.inpaint import inpaint
        from inpaint_zoo.inference.strategy import AnySize, Strategy

        net = self._network(request.model)
        filler = AnySize(net, cast(Strategy, request.strategy))
        begin = time.perf_counter()
        image, memory = watch_memory(
            lambda: cast(Bytes, inpaint(filler, request.image, request.hole)), self._device, fresh=True
        )
        seconds = time.perf_counter() - begin
        inside = tuple(self._inside(request, net)) if request.inside else ()
        return Filled(image, seconds, memory, inside, filler.choices[0].strategy)

    def _network(self, model: Model) -> Any:  # noqa: ANN401 - an `InpaintingNetwork`, whose module is slow to import
        from inpaint_zoo.inference.inpaint import ready_model

        net = self._networks.pop(model, None)
        if net is None:
            net = ready_model(model.name, model.weights).to(self._device)
            self._warm(net)
        self._networks[model] = net
        while len(self._networks) > KEPT:
            del self._networks[next(iter(self._networks))]
        return net

    def _warm(self, net: Any) -> None:  # noqa: ANN401
        """Fill a small image, so that the one-time set-up of a network does not count."""
        from inpaint_zoo.inference.inpaint import inpaint

        hole = np.zeros((64, 64), np.bool_)
        hole[24:40, 24:40] = True
        inpaint(net, np.full((64, 64, 3), 128, np.uint8), hole)

    def _inside(self, request: Request, net: Any) -> list[Drawn]:  # noqa: ANN401
        from inpaint_zoo.inference.extras import Extras, HasAttention, HasBranches, paint
        from inpaint_zoo.inference.stages import network_stages
        from inpaint_zoo.inference.strategy import AnySize

        stages = network_stages(net, request.image, request.hole, device=self._device)
        drawn = [Drawn(stage.name, stage.result) for stage in stages] if len(stages) > 1 else []
        extras = Extras(branches=isinstance(net, HasBranches), attention=isinstance(net, HasAttention))
        if any(extras):
            painted = paint(AnySize(net, "full"), request.image[None], request.hole[None], extras)[0]
            drawn += [Drawn(suffix.strip("_").partition(".")[0], sheet) for suffix, sheet in painted.sheets.items()]
        return drawn
