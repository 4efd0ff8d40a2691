"""Inpainting pipelines of Hugging Face diffusers, from a local folder, as methods."""

from __future__ import annotations

import inspect
import json
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_zoo.benchmark.entries import FileModelEntry
from inpaint_zoo.benchmark.methods.base import Task
from inpaint_zoo.benchmark.methods.file_model import OutsideMethod, content_sha256
from inpaint_zoo.errors import ZooError
from inpaint_zoo.random import sample_key

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from inpaint_zoo.benchmark.methods.outside import Run

__all__ = ["DiffusersMethod"]

CALL_NAMES = {"steps": "num_inference_steps", "guidance": "guidance_scale", "strength": "strength"}
"""Keys of a suite -> arguments of a pipeline."""


class DiffusersMethod(OutsideMethod):
    """An inpainting pipeline, in float32, with an empty prompt.

    The random numbers of an image depend on the seed and on the key of the image only, not on the order of the images.
    A safety checker is left out, because it would replace results by black images.
    """

    entry: FileModelEntry
    warms_up = False

    def __init__(self, entry: FileModelEntry, seed: int) -> None:
        super().__init__(entry)
        self.seed = int(entry.options.get("seed", seed))

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the hash of all files of the folder, the seed, the other options and the convention."""
        return {
            "kind": self.entry.kind,
            "weights_sha256": content_sha256(self.entry.path),
            "convention": self.entry.convention.plain(),
            **self.entry.options,
            "seed": self.seed,
        }

    def load(self, device: torch.device) -> Run:
        """Load the pipeline; nothing is downloaded, and no code from the folder runs."""
        pipeline = _load_pipeline(self.entry.path).to(device)
        pipeline.set_progress_bar_config(disable=True)
        accepted = inspect.signature(pipeline.__call__).parameters
        options = {CALL_NAMES[key]: value for key, value in self.entry.options.items() if key in CALL_NAMES}
        for key, name in CALL_NAMES.items():
            if name in options and name not in accepted:
                raise ZooError(f"{type(pipeline).__name__} takes no `{key}` ({name}).")
        if "prompt" in accepted:
            options["prompt"] = ""

        def run(arguments: Sequence[Tensor], key: str) -> Tensor:
            return self._complete(pipeline, arguments, key, options, accepted)

        return run

    def _complete(
        self,
        pipeline: Any,  # noqa: ANN401 - a class of diffusers, which is not always installed
        arguments: Sequence[Tensor],
        key: str,
        options: dict[str, Any],
        accepted: Any,  # noqa: ANN401 - a mapping of inspect
    ) -> Tensor:
        import torch
        from PIL import Image

        from inpaint_zoo.inference.batch import as_tensor, to_bytes

        image = to_bytes(arguments[0])[0]
        mask = to_bytes(arguments[1].expand(-1, 3, -1, -1))[0, ..., 0]
        height, width = mask.shape
        size = {name: side for name, side in (("height", height), ("width", width)) if name in accepted}
        seed = sample_key(self.seed, "diffusers", zlib.crc32(key.encode())) % 2**63
        with warnings.catch_warnings(action="ignore"):
            result = pipeline(
                image=Image.fromarray(image),
                mask_image=Image.fromarray(mask),
                generator=torch.Generator("cpu").manual_seed(seed),  # the same on every device
                output_type="np",
                **size,
                **options,
            )
        return as_tensor(result.images).permute(0, 3, 1, 2).float()


def _load_pipeline(folder: Path) -> Any:  # noqa: ANN401
    """Load an inpainting pipeline in float32.

    Raises:
        ZooError: If the folder has no pipeline, it cannot be loaded, or it takes no mask.
    """
    import torch

    index = folder / "model_index.json"
    if not index.is_file():
        raise ZooError(f"the folder {folder.name} has no model_index.json, so it is no pipeline of diffusers")
    try:
        parts = json.loads(index.read_text("utf-8"))
    except ValueError as error:
        raise ZooError(f"{folder.name}/model_index.json is damaged: {error}") from error
    unchecked = {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in parts else {}
    with warnings.catch_warnings(action="ignore"):
        from diffusers import AutoPipelineForInpainting, DiffusionPipeline
        from diffusers.utils import logging
        from transformers.utils import logging as text_logging

        for each in (logging, text_logging):
            each.disable_progress_bar()
        try:
            pipeline = DiffusionPipeline.from_pretrained(
                folder, local_files_only=True, torch_dtype=torch.float32, **unchecked
            )
            if "mask_image" not in inspect.signature(pipeline.__call__).parameters:
                pipeline = AutoPipelineForInpainting.from_pipe(pipeline)
        except Exception as error:  # diffusers raises many kinds of exceptions
            raise ZooError(
                f"the pipeline in {folder.name} cannot be loaded for inpainting: {type(error).__name__}: {error}"
            ) from error
        finally:
            for each in (logging, text_logging):
                each.enable_progress_bar()
    return pipeline
