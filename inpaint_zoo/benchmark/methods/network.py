"""Registered models as methods."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.analysis.macs import Macs, count_macs
from inpaint_zoo.benchmark.entries import ModelEntry
from inpaint_zoo.benchmark.methods.base import Method, MethodInput, MethodOutput, Task
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_file

if TYPE_CHECKING:
    import torch

    from inpaint_zoo.inference.optimize import Precision
    from inpaint_zoo.inference.stages import Stage
    from inpaint_zoo.inference.strategy import AnySize, Strategy
    from inpaint_zoo.interfaces import InpaintingNetwork
    from inpaint_zoo.registry import ModelInfo

__all__ = ["NetworkMethod"]


class NetworkMethod(Method):
    """A registered model, in the form that `optimize` gives it.

    Images of one size are batched only if that does not change a bit of the results: the first batch of each shape is
    also computed image by image, and if the results differ, batches of that shape are not used again. Kernels are
    selected by shape and not by value, so the comparison holds for all later batches. A network that repeats never gets
    a batch, because its passes and seconds are measured per image.

    Attributes:
        same_in_batches: Whether batches and single images have equal results, by the shape of the batches tried so far.
    """

    entry: ModelEntry

    def __init__(self, entry: ModelEntry, seed: int) -> None:
        super().__init__(entry)
        self.seed = seed
        self.network: InpaintingNetwork | None = None
        self.filler: AnySize | None = None  # for a strategy other than "full"
        self.parameters: int | None = None  # of the original network; the optimized one has folded normalization layers
        self.same_in_batches: dict[tuple[int, ...], bool] = {}
        self._warm: set[tuple[int, ...]] = set()
        self._passes = 0  # since the start of the current image

    @cached_property
    def info(self) -> ModelInfo:
        """Description of the network: its options are the suite's, else the weight file's, else the defaults.

        Raises:
            ZooError: If the file cannot be read or states another model, or the suite gives an unknown option.
        """
        from inpaint_zoo.registry import model_info

        return model_info(self.entry.model, self._weights, **self.entry.options)

    @property
    def _weights(self) -> str | None:
        """The argument ``weights`` of `create_model`."""
        return None if self.entry.weights == "random" else self.entry.weights

    def refuse_other_model(self) -> None:
        """Check that a weight file of the suite does not state another model; a damaged file is left to the cells.

        Raises:
            ZooError: If it does, with file and line of the suite.
        """
        from inpaint_zoo.weights import OtherModelError

        if self.entry.file is None or not self.entry.applies:
            return
        try:
            _ = self.info
        except OtherModelError as error:
            raise self.entry.table.located(error) from error
        except ZooError:
            pass

    def _weight_file(self) -> Path | None:
        from inpaint_zoo.weights import shipped_weights

        if self._weights is None:
            return None
        return shipped_weights(self.info.weights_of) if self._weights == "shipped" else Path(self._weights)

    def weights_sha256(self) -> str | None:
        """Return the SHA-256 of the weight file; None if there is none."""
        path = self._weight_file()
        return sha256_file(path) if path else None

    def origin(self) -> dict[str, str] | None:
        """Return the origin of the weights, from the metadata of their file, which is read once."""
        return self._origin

    @cached_property
    def _origin(self) -> dict[str, str]:
        from inpaint_zoo.weights import weights_origin

        return weights_origin(self.entry.model, self._weight_file() or self.entry.weights)._asdict()

    def refusal(self, task: Task) -> str | None:
        """Return why a cell does not apply: a checkpoint of another dataset, or a mosaic that the network ignores."""
        from inpaint_zoo.registry import model_info

        if not self.entry.applies:
            return f"the run for '{task.dataset}' has no checkpoint of this step"
        if task.mosaic and self.entry.strategy != "full":
            return f"the strategy '{self.entry.strategy}' divides the image, and a mosaic needs it whole"
        if not task.mosaic or model_info(self.entry.model).takes_hole_fill:
            return None
        return f"'{self.entry.model}' ignores the values in the hole, so a mosaic would not change its result"

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the model's name, its options from all sources, the hash of its weights, and the plugin's version."""
        return self._identity

    @cached_property
    def _identity(self) -> dict[str, Any]:
        plugin = {"plugin": self.info.plugin} if self.info.plugin else {}
        random = {"random_weights": self.seed} if self.entry.weights == "random" else {}
        return {
            "model": self.entry.model,
            "options": self.info.options,
            "weights_sha256": self.weights_sha256(),
            **self.entry.division,
            **random,
            **plugin,
        }

    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Build the network, once."""
        import torch

        from inpaint_zoo.combinators.wrapper import repeating_networks
        from inpaint_zoo.inference import AnySize, optimize
        from inpaint_zoo.registry import create_model

        self.device = device
        if self.network is not None:
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # for `weights: random`, the only use of this generator here
            network = create_model(self.entry.model, weights=self._weights, **self.entry.options)
        self.parameters = sum(parameter.numel() for parameter in network.parameters())
        self.network = optimize(network.to(device), cast("Precision", precision))
        if self.entry.strategy != "full":
            self.filler = AnySize(
                network,
                cast("Strategy", self.entry.strategy),
                max_memory=self.entry.max_memory,
                runs=self.network,
            )
        repeating = repeating_networks(self.network)
        self.repeats = bool(repeating)
        if repeating:
            repeating[-1].on_pass = self._count_passes  # the innermost one runs the network itself

    def _count_passes(self, samples: int) -> None:
        self._passes += samples

    def count_macs(self, height: int, width: int) -> Macs | None:
        """Return the MACs for one image of this size with the original network; cached by size.

        They are unknown for a strategy that divides images, because they depend on the holes.
        """
        if self.entry.strategy != "full":
            return None
        from inpaint_zoo.discovery import discover
        from inpaint_zoo.interfaces import MIN_SIDE
        from inpaint_zoo.registry import MODELS

        discover()
        builder = MODELS[self.entry.model.rpartition(":")[2]].build
        options = json.dumps(self.info.options, sort_keys=True)
        # at least the padding of `fill_batch`
        return _macs(builder, self.entry.model, options, max(height, MIN_SIDE), max(width, MIN_SIDE))

    def close(self) -> None:
        """Drop the network."""
        self.network = self.filler = None
        self.same_in_batches.clear()
        self._warm.clear()

    def fill(self, items: Sequence[MethodInput]) -> list[MethodOutput]:
        """Complete images, in batches of one size if that does not change a bit of the results."""
        outputs: list[MethodOutput] = []
        for _, group in groupby(items, key=lambda item: item.mask.shape):
            outputs += self._same_size(list(group))
        return outputs

    def _same_size(self, items: list[MethodInput]) -> list[MethodOutput]:
        shape = (len(items), *items[0].mask.shape)
        if len(items) == 1 or self.repeats or self.same_in_batches.get(shape) is False:
            return [output for item in items for output in self._forward([item])[0]]
        outputs, raw = self._forward(items)
        if shape not in self.same_in_batches:
            singles = [self._forward([item]) for item in items]
            self.same_in_batches[shape] = bool(np.array_equal(raw, np.concatenate([each[1] for each in singles])))
            if not self.same_in_batches[shape]:
                return [output for each in singles for output in each[0]]
        return outputs

    def _forward(self, items: list[MethodInput]) -> tuple[list[MethodOutput], NDArray[np.float32]]:
        """Return the answers, and the network's output (B, 3, H, W) before rounding."""
        import torch

        from inpaint_zoo.inference.batch import to_bytes, to_tensors

        images, holes = np.stack([item.image for item in items]), np.stack([item.mask for item in items])
        image, hole = to_tensors(images, holes, self.device)
        hole_fills = [torch.from_numpy(each.hole_fill) for each in items if each.hole_fill is not None]
        hole_fill = torch.stack(hole_fills).to(self.device) if hole_fills else None
        if image.shape not in self._warm:  # the first pass of a shape selects kernels and fills caches
            self._run(image, hole, hole_fill)
            self._warm.add(tuple(image.shape))
        self._passes = 0
        begin = time.perf_counter()
        result = self._run(image, hole, hole_fill)
        seconds = (time.perf_counter() - begin) / len(items)
        for item, finite in zip(items, torch.isfinite(result).flatten(1).all(1).tolist(), strict=True):
            if not finite:
                raise ZooError(f"{self.label} returned NaN or infinity for '{item.key}'.")
        passes = self._passes if self.repeats else None
        filled, raw = to_bytes(result), result.cpu().numpy()
        return [MethodOutput(rgb, seconds, passes, each) for rgb, each in zip(filled, raw, strict=True)], raw

    def stages(self, item: MethodInput) -> list[Stage]:
        """Return the results of all stages of the network for one image, or of all passes of a repeating network."""
        from inpaint_zoo.inference.stages import network_stages

        assert self.network is not None
        return network_stages(self.network, item.image, item.mask, item.hole_fill, self.device)

    def _run(self, image: torch.Tensor, hole: torch.Tensor, hole_fill: torch.Tensor | None) -> torch.Tensor:
        """Return the output (B, 3, H, W) when the device has computed it."""
        import torch

        from inpaint_zoo.inference.batch import fill_batch

        assert self.network is not None
        with torch.inference_mode():
            if self.filler is None:
                result = fill_batch(self.network, image, hole, hole_fill=hole_fill)
            else:
                result = fill_batch(self.filler, image, hole)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return result


@lru_cache(maxsize=1024)
def _macs(builder: object, model: str, options: str, height: int, width: int) -> Macs | None:
    """Count the MACs of a network, once in a process.

    Args:
        builder: Function that builds the network: part of the key, because a name can be registered again.
        model: Registry name.
        options: Its options, as JSON.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    import torch

    from inpaint_zoo.registry import create_model

    with torch.device("meta"):
        return count_macs(create_model(model, **json.loads(options)), height, width, use_up=True)
