"""Every configuration, found by glob, built without running."""

from pathlib import Path

from inpaint_zoo.cli.train import ZooCLI

CONFIGS = Path(__file__).parent.parent.parent / "configs"


class Built(ZooCLI):
    """Builds, and stops before the Trainer is made or anything runs."""

    def instantiate_trainer(self, **kwargs):
        return None

    def fit(self, model, datamodule, ckpt_path=None):
        self.built = model, datamodule

    def _run_subcommand(self, subcommand):
        self.fit(self.model, self.datamodule)
