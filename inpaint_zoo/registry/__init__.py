"""Registry of models, combinators, discriminators and converters, and functions that create them by name.

Models, discriminators and converters of the authors' checkpoints register themselves with the decorators of this module
when their package is imported, which `discover` does when the first network is built. Until then, models and
combinators are looked up in the recorded table, see `model_table`, which needs no PyTorch. Other packages can register
more: installed ones by an entry point, see `discovery`.
"""

from inpaint_zoo.registry.create import (
    convert_official,
    create_discriminator,
    create_model,
    create_unfilled,
    official_files,
)
from inpaint_zoo.registry.info import Counts, ModelInfo, count_on_meta, model_info, model_infos
from inpaint_zoo.registry.lookup import (
    list_combinators,
    list_converters,
    list_discriminators,
    list_models,
    options_through,
    ready_weights,
)
from inpaint_zoo.registry.register import (
    register_combinator,
    register_converter,
    register_discriminator,
    register_model,
)
from inpaint_zoo.registry.stored import options_clash, weights_path
from inpaint_zoo.registry.tables import COMBINATORS, CONVERTERS, DISCRIMINATORS, MODELS, Paper

__all__ = [
    "COMBINATORS",
    "CONVERTERS",
    "DISCRIMINATORS",
    "MODELS",
    "Counts",
    "ModelInfo",
    "Paper",
    "convert_official",
    "count_on_meta",
    "create_discriminator",
    "create_model",
    "create_unfilled",
    "list_combinators",
    "list_converters",
    "list_discriminators",
    "list_models",
    "model_info",
    "model_infos",
    "official_files",
    "options_clash",
    "options_through",
    "ready_weights",
    "register_combinator",
    "register_converter",
    "register_discriminator",
    "register_model",
    "weights_path",
]
