"""Every YAML under configs/ is found here and builds what it describes."""

from pathlib import Path

import pytest

from inpaint_zoo.cli.train import ZooCLI
from inpaint_zoo.training import TrainingModule

CONFIGS = Path(__file__).parent.parent.parent / "configs"
PARTS = ("trainer", "logger", "data", "augment", "masks")  # added to a family's configuration
BASE = CONFIGS / "autoencoder" / "sample.yaml"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
pytestmark = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")


class Built(ZooCLI):
    """Builds, and stops before the Trainer is made or anything runs."""

    def instantiate_trainer(self, **kwargs):
        return None

    def fit(self, model, datamodule, ckpt_path=None):
        self.built = model, datamodule

    def _run_subcommand(self, subcommand):
        self.fit(self.model, self.datamodule)


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(PARTS)])
def test_a_familys_configuration_builds(file, tmp_path):
    model, data = Built("fit", ["--config", str(CONFIGS / file), "--out", str(tmp_path)]).built
    assert isinstance(model, TrainingModule)
    assert model.network.origin.name == model.hparams["network"]
    assert data is not None


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(("trainer", "logger", "data", "augment"))])
def test_a_part_goes_with_a_familys_configuration(file, tmp_path):
    args = ["--config", str(BASE), "--config", str(CONFIGS / file), "--out", str(tmp_path)]
    if "tensorboard" in file:
        pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    cli = Built("fit", args)
    assert isinstance(cli.built[0], TrainingModule)
