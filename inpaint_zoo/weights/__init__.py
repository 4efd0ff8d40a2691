"""Weight files: finding, writing and loading them without running code from the files."""

from inpaint_zoo.weights.backbones import (
    BACKBONES,
    Backbone,
    WeightsNotFoundError,
    backbone_place,
    find_backbone,
    recorded_backbones,
    weights_folder,
)
from inpaint_zoo.weights.errors import OtherModelError, WeightsError
from inpaint_zoo.weights.files import (
    WeightsFile,
    WeightsHeader,
    load_state,
    load_weights,
    read_header,
    save_weights,
    shipped_weights,
    state_sha256,
)
from inpaint_zoo.weights.foreign import load_foreign, match_state, unwrapped
from inpaint_zoo.weights.origin import Origin, OriginKind, weights_origin
from inpaint_zoo.weights.released import (
    RELEASES,
    Release,
    ReleasedFile,
    find_release,
    is_official,
    official_weights,
    release_path,
)

__all__ = [
    "BACKBONES",
    "RELEASES",
    "Backbone",
    "Origin",
    "OriginKind",
    "OtherModelError",
    "Release",
    "ReleasedFile",
    "WeightsError",
    "WeightsFile",
    "WeightsHeader",
    "WeightsNotFoundError",
    "backbone_place",
    "find_backbone",
    "find_release",
    "is_official",
    "load_foreign",
    "load_state",
    "load_weights",
    "match_state",
    "official_weights",
    "read_header",
    "recorded_backbones",
    "release_path",
    "save_weights",
    "shipped_weights",
    "state_sha256",
    "unwrapped",
    "weights_folder",
    "weights_origin",
]
