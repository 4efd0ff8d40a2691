"""What the tests of families share."""

import pytest


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """No pretrained network is anywhere."""
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "nothing"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
