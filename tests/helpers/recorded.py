"""Comparison with recorded outputs, and state dicts in the authors' layouts."""

import pytest
import torch

import inpaint_zoo as iz
from tests.helpers.fill import fill, read_keys


def close(got, recorded, atol, correction=0):
    assert list(got.shape) == recorded["output_shape"]
    values = got.flatten()[torch.tensor(recorded["indices"])]
    torch.testing.assert_close(values, torch.tensor(recorded["values"]), atol=atol, rtol=0)
    assert got.double().mean().item() == pytest.approx(recorded["mean"], abs=atol)
    assert got.double().std(correction=correction).item() == pytest.approx(recorded["std"], abs=atol)


def official(name):
    """Return a network's state dict with the authors' keys, filled by these keys."""
    keys = read_keys(name)
    return fill({key: torch.zeros(shape) for key, shape in keys.items()})


def _dtype(key):
    return torch.int64 if key.endswith("tracked") else torch.float32


def numbered(name, first=0):
    """Return a state dict with these names and shapes, in which each tensor has its own constant value.

    It takes no memory; the values count from ``first``.
    """
    keys = read_keys(name)
    return {
        key: torch.tensor(number, dtype=_dtype(key)).expand(shape)
        for number, (key, shape) in enumerate(keys.items(), first)
    }


def released_isnet(name):
    """Return the state dict in the format of the authors' files."""
    return {"generator": {f"module.{key}": value for key, value in official(name).items()}, "epoch": 3}


def recorded_net(name):
    net = iz.create_model(name)
    net.load_state_dict(iz.convert_official(name, released_isnet(name)))
    return net


def official_lgnet(part, light=False):
    """Return a network's state dict with the authors' keys, filled by these keys."""
    name = f"lgnet_light_{part}" if light and part != "local" else f"lgnet_{part}"
    keys = read_keys(name)
    return fill({key: torch.zeros(shape, dtype=_dtype(key)) for key, shape in keys.items()})


def released_lgnet(light=False):
    return {part: official_lgnet(part, light) for part in ("coarse", "local", "global")}


def close_sample_std(got, recorded, atol):
    """Compare like `close`, for files with the sample standard deviation (torch's default)."""
    close(got, recorded, atol, correction=1)
