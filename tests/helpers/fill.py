"""Rules and files of the recorded outputs of the authors' code: weights, image, mask and folders.

The rules are those of tests/vectors/README.md. Every weight is a function of its state-dict key and shape only, so two
implementations with the same names have the same weights.
"""

import gzip
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

POWER_ITERATIONS = 30
VECTORS = Path(__file__).parent.parent / "vectors"
BESIDE = Path(__file__).parents[3] / "shared"  # of the repository, unless INPAINT_ZOO_SHARED names another folder


def fill(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict with every floating-point tensor replaced by the rule; integer buffers stay.

    Keys are relative to the recorded network, so fill each network before it becomes a part of another one. For
    spectral norm in its hook form (`weight_orig`, `weight_u`, `weight_v`), u and v are filled like all tensors, scaled
    to unit length and refined by 30 power iterations in float64.
    """
    filled = {key: _draw(key, value) if value.is_floating_point() else value.clone() for key, value in state.items()}
    for key in state:
        if key.endswith("weight_orig"):
            stem = key.removesuffix("orig")
            filled[f"{stem}u"], filled[f"{stem}v"] = _refined(filled[key], filled[f"{stem}u"], filled[f"{stem}v"])
    return filled


def fill_module(module: nn.Module) -> nn.Module:
    """Fill the weights of ``module`` in place, and return it in eval mode."""
    module.load_state_dict(fill(module.state_dict()))
    return module.eval()


def _draw(key: str, value: Tensor) -> Tensor:
    a = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(tuple(value.shape)).astype(np.float32)
    if key.endswith("running_var"):
        a = np.abs(a) * np.float32(0.1) + np.float32(0.9)
    elif key.endswith("running_mean"):
        a = a * np.float32(0.05)
    elif a.ndim >= 2:
        a = a / np.float32(np.sqrt(np.prod(a.shape[1:])))
    else:
        a = a * np.float32(0.1) + np.float32(key.endswith("weight"))
    return torch.from_numpy(np.asarray(a, np.float32))


def _refined(weight: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    matrix = weight.double().flatten(1)
    u, v = nn.functional.normalize(u.double(), dim=0), nn.functional.normalize(v.double(), dim=0)
    for _ in range(POWER_ITERATIONS):
        v = nn.functional.normalize(matrix.T @ u, dim=0)
        u = nn.functional.normalize(matrix @ v, dim=0)
    return u.float(), v.float()


def vector_image(H: int, W: int, phase: float = 0.0) -> Tensor:
    """Return an image (1, 3, H, W) in [0, 1], computed in float32 by torch. LaMa's fake image has the phase 0.7."""
    c, i, j = torch.arange(3.0).view(3, 1, 1), torch.arange(float(H)).view(1, H, 1), torch.arange(float(W))
    return (0.5 + 0.5 * torch.sin(0.05 * (i + 1) * (c + 1) + 0.03 * (j + 1) + phase))[None]


def vector_mask(H: int, W: int) -> Tensor:
    """Return a mask (1, 1, H, W), 1 = hole, with a box and four complete rows."""
    mask = torch.zeros(1, 1, H, W)
    mask[:, :, H // 4 : H // 2 + 8, W // 4 : 3 * W // 4 - 4] = 1
    mask[:, :, 5:9] = 1
    return mask


def shared_folder() -> Path | None:
    """Return the folder of files that are not in the repository, or None.

    The environment variable INPAINT_ZOO_SHARED sets it; by default it is the folder `shared` next to the repository. It
    may contain `weights`, `data`, and more recorded outputs in `vectors` and `specs/keys`.
    """
    folder = Path(os.environ.get("INPAINT_ZOO_SHARED", BESIDE))
    return folder if any((folder / part).is_dir() for part in ("vectors", "weights", "data")) else None


def read_vector(name: str) -> dict[str, Any]:
    """Return the recorded outputs called ``name``; skip the test if no folder holds them."""
    return _read("vectors", name)


def read_keys(name: str) -> dict[str, list[int]]:
    """Return the shapes of an official state dict by key, in its order; skip the test if no folder holds them."""
    return _read("keys", name)


def has_vector(name: str) -> bool:
    """Return whether recorded outputs called ``name`` are found."""
    return _find("vectors", name) is not None


def _read(kind: str, name: str) -> dict[str, Any]:
    path = _find(kind, name)
    if path is None:
        where = {"vectors": "vectors", "keys": "specs/keys"}[kind]
        pytest.skip(f"{name}.json is not in tests/vectors: INPAINT_ZOO_SHARED can name a folder with it in {where}")
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def _find(kind: str, name: str) -> Path | None:
    """Return the file of a recorded output, from the repository or else from the folder of additional files."""
    folders = [VECTORS / "keys" if kind == "keys" else VECTORS]
    shared = shared_folder()
    if shared is not None:
        folders.append(shared / "specs" / "keys" if kind == "keys" else shared / "vectors")
    paths = (folder / f"{name}{ending}" for folder in folders for ending in (".json", ".json.gz"))
    return next((path for path in paths if path.is_file()), None)


def losses_batch(H: int, W: int, low: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return ground truth, prediction and mask of the batch of two for most recorded losses; images in [low, 1]."""
    x = vector_image(H, W) * (1 - low) + low
    target = torch.cat([x, x.flip(3)])
    mask = vector_mask(H, W)
    return target, 0.5 * target.flip(2), torch.cat([mask, mask.roll(11, 3)])
