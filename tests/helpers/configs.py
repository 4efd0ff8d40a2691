"""All configurations, found by glob and built without running them."""

from pathlib import Path

from inpaint_zoo.cli.train import ZooCLI

CONFIGS = Path(__file__).parent.parent.parent / "configs"


class Built(ZooCLI):
    """CLI that builds model and data, and stops before it creates the Trainer."""

    def instantiate_trainer(self, **kwargs):
        return None

    def fit(self, model, datamodule, ckpt_path=None):
        self.built = model, datamodule

    def _run_subcommand(self, subcommand):
        self.fit(self.model, self.datamodule)
