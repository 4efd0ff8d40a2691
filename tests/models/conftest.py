"""Fixtures shared by the tests of model families."""

import pytest


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """Hide all pretrained networks."""
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "nothing"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
