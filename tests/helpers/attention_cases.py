"""Inputs of the recorded outputs of contextual attention."""

import zlib

import numpy as np
import torch

from tests.helpers.fill import vector_mask

SHAPE = (2, 16, 16, 24)


def normals(name):
    return torch.from_numpy(
        np.random.default_rng(zlib.crc32(f"ca_attention.{name}".encode())).standard_normal(SHAPE).astype(np.float32)
    )


def features():
    f, b = (0.05 * normals(name) for name in "fb")
    return {"f": f, "b": b, "fh": 0.3 * normals("f"), "fr": f.relu()}


def vector_masks(name):
    mask = vector_mask(64, 96)
    return {
        "none": None,
        "same": mask.repeat(2, 1, 1, 1),
        "differ": torch.cat([mask, mask.flip(2)]),
        "all hole": torch.ones(2, 1, 64, 96),
    }[name]


# case -> foreground, background, mask, options
CASES = {
    "f,f fuse mask none": ("f", "f", "none", {}),
    "f,f fuse mask same": ("f", "f", "same", {}),
    "f,b fuse mask same": ("f", "b", "same", {}),
    "f,f fuse mask differ reference": ("f", "f", "differ", {"first_mask_only": True}),
    "f,f fuse mask differ per_sample": ("f", "f", "differ", {}),
    "f,f nofuse mask none": ("f", "f", "none", {"fuse": False}),
    "f,f nofuse mask same": ("f", "f", "same", {"fuse": False}),
    "f,b nofuse mask same": ("f", "b", "same", {"fuse": False}),
    "f,f nofuse mask differ reference": ("f", "f", "differ", {"fuse": False, "first_mask_only": True}),
    "f,f nofuse mask differ per_sample": ("f", "f", "differ", {"fuse": False}),
    "fh,fh fuse mask same (sharp)": ("fh", "fh", "same", {}),
    "fr,fr fuse mask same (relu)": ("fr", "fr", "same", {}),
    "f,f fuse mask same softmax_scale 1": ("f", "f", "same", {"softmax_scale": 1.0}),
    "f,f fuse mask all hole": ("f", "f", "all hole", {}),
}
