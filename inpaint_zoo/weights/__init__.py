"""Where weights are found, how ours are written, and loading that runs no code."""

from inpaint_zoo.weights.backbones import BACKBONES, Backbone, WeightsNotFoundError, find_backbone
from inpaint_zoo.weights.files import (
    WeightsError,
    WeightsFile,
    load_state,
    load_weights,
    save_weights,
    shipped_weights,
    state_sha256,
)
from inpaint_zoo.weights.foreign import load_foreign, match_state, unwrapped

__all__ = [
    "BACKBONES",
    "Backbone",
    "WeightsError",
    "WeightsFile",
    "WeightsNotFoundError",
    "find_backbone",
    "load_foreign",
    "load_state",
    "load_weights",
    "match_state",
    "save_weights",
    "shipped_weights",
    "state_sha256",
    "unwrapped",
]
