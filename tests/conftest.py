"""Fixtures for all tests. They need no network connection, GPU or files outside the repository, except `shared`."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest
import torch

# A deadline would be a timing assertion, which fails on a busy machine. `.ci/run` selects `repeatable`, which tries the
# same examples each time, so that a run judges the change and not its luck; `make fuzz` and developers try new ones.
hypothesis.settings.register_profile("inpaint_zoo", deadline=None)
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "inpaint_zoo"))

# two threads for one process, one each where pytest-xdist runs several
THREADS = max(1, min(2, os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
torch.set_num_threads(THREADS)
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # of programs that tests start
os.environ.setdefault("INPAINT_ZOO_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

pytest.register_assert_rewrite("tests.helpers")  # failed assertions of helpers show their values, too

REPOSITORY = Path(__file__).parent.parent


gc.disable()  # until all modules are imported: what they make stays


def pytest_collection_finish() -> None:
    """Exempt modules and tests from garbage collection: there are millions of objects, and they stay until the end."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _disk_in_its_own_time() -> Iterator[None]:
    """Do not wait for the disk: no test cuts the power, and `tests/io/test_atomic.py` checks what is flushed when."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real weights, images and masks; tests that need it are skipped where it is missing."""
    from tests.helpers.fill import shared_folder

    folder = shared_folder()
    if folder is None:
        pytest.skip("needs real weights, images or masks: INPAINT_ZOO_SHARED can name their folder (docs/testing.md)")
    return folder


@pytest.fixture
def shared_weights(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set INPAINT_ZOO_WEIGHTS to the folder of real backbone weights, and return it."""
    folder = shared / "weights"
    if not folder.is_dir():
        pytest.skip(f"needs real weights: the folder `weights` is missing in {shared} (INPAINT_ZOO_SHARED)")
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def wandb() -> Iterator[ModuleType]:
    """Return the package `wandb`. After the test, no run and no mode is left that a later test would continue with."""
    package = pytest.importorskip("wandb")
    yield package
    package.finish()
    package.teardown()


def filled_vgg(backbone: str, folder: Path) -> Path:
    """Return a file of VGG weights in torchvision's layout, filled with the weights that the recorded losses used."""
    from inpaint_zoo.layers import VGGFeatures
    from tests.helpers.fill import fill

    trunk = VGGFeatures(backbone, ("pool5",), input_norm="zero_one", weights="random").trunk
    torch.save(fill({f"features.{key}": value for key, value in trunk.state_dict().items()}), folder / "filled.pth")
    return folder / "filled.pth"


@pytest.fixture(scope="session")
def filled_vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled_vgg("vgg16", tmp_path_factory.mktemp("vgg16"))


@pytest.fixture(scope="session")
def filled_vgg19(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled_vgg("vgg19", tmp_path_factory.mktemp("vgg19"))
