"""All configurations, found by glob and built without running them."""

import functools
from pathlib import Path
from typing import Any

from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.cli.train import ZooCLI

CONFIGS = Path(__file__).parent.parent.parent / "configs"


@functools.cache
def settings_of(path: Path) -> dict[str, Any]:
    """Return what `read_config` makes of a file, which several test modules ask for. It must not be changed."""
    return read_config(path)


class Built(ZooCLI):
    """CLI that builds model and data, and stops before it creates the Trainer."""

    def instantiate_trainer(self, **kwargs):
        return None

    def fit(self, model, datamodule, ckpt_path=None):
        self.built = model, datamodule

    def _run_subcommand(self, subcommand):
        self.fit(self.model, self.datamodule)
