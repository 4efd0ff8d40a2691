"""inpaint-zoo: train, compare and use image-inpainting models.

All models share one interface: images are float tensors (B, 3, H, W), RGB in [0, 1], masks are float tensors
(B, 1, H, W) with 1 = hole.

    import inpaint_zoo as iz
    net = iz.create_model("telea")
    filled = iz.inpaint(net, "image.jpg", "mask.png")

Importing the package is fast: each name below is imported on first use.
"""

import logging
from typing import TYPE_CHECKING

from inpaint_zoo import discovery
from inpaint_zoo._version import __version__
from inpaint_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from inpaint_zoo.combinators import local_global, progressive, two_stage
    from inpaint_zoo.errors import UnknownNameError, ZooError
    from inpaint_zoo.export import export_model, load_exported
    from inpaint_zoo.hub import from_pretrained, push_to_hub, save_pretrained
    from inpaint_zoo.inference import inpaint, optimize
    from inpaint_zoo.interfaces import InpaintingNetwork
    from inpaint_zoo.masks import MaskConfigError, create_generator, create_mask, list_masks
    from inpaint_zoo.metrics import create_metric, list_metrics
    from inpaint_zoo.registry import (
        convert_official,
        create_discriminator,
        create_model,
        list_discriminators,
        list_models,
        model_info,
        register_model,
    )
    from inpaint_zoo.weights import save_weights

__all__ = [
    "InpaintingNetwork",
    "MaskConfigError",
    "UnknownNameError",
    "ZooError",
    "__version__",
    "convert_official",
    "create_discriminator",
    "create_generator",
    "create_mask",
    "create_metric",
    "create_model",
    "export_model",
    "from_pretrained",
    "inpaint",
    "list_discriminators",
    "list_masks",
    "list_metrics",
    "list_models",
    "load_exported",
    "local_global",
    "model_info",
    "optimize",
    "progressive",
    "push_to_hub",
    "register_model",
    "save_pretrained",
    "save_weights",
    "two_stage",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a program that uses the package decides what is printed

discovery.PROVIDERS += ["inpaint_zoo.combinators", "inpaint_zoo.models"]

__getattr__ = lazy_names(
    __name__,
    {
        "inpaint_zoo.combinators": ("local_global", "progressive", "two_stage"),
        "inpaint_zoo.errors": ("UnknownNameError", "ZooError"),
        "inpaint_zoo.export": ("export_model", "load_exported"),
        "inpaint_zoo.hub": ("from_pretrained", "push_to_hub", "save_pretrained"),
        "inpaint_zoo.inference": ("inpaint", "optimize"),
        "inpaint_zoo.interfaces": ("InpaintingNetwork",),
        "inpaint_zoo.masks": ("MaskConfigError", "create_generator", "create_mask", "list_masks"),
        "inpaint_zoo.metrics": ("create_metric", "list_metrics"),
        "inpaint_zoo.registry": (
            "convert_official",
            "create_discriminator",
            "create_model",
            "list_discriminators",
            "list_models",
            "model_info",
            "register_model",
        ),
        "inpaint_zoo.weights": ("save_weights",),
    },
)


def __dir__() -> list[str]:
    return __all__
