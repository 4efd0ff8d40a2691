"""The command line of training commands, up to the parsed configuration."""

import functools

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from inpaint_zoo.cli.config_files import expand_configs
from inpaint_zoo.cli.train import ZooCLI
from tests.helpers.small_runs import REPOSITORY


class Parsed(ZooCLI):
    """CLI that parses the arguments of a command but builds nothing."""

    def instantiate_classes(self):
        pass

    def _evaluated(self, ckpt_path):
        return None  # whatever checkpoint is asked for need not exist

    def _run_subcommand(self, subcommand):
        pass


@functools.cache
def parser(command: str = "fit") -> LightningArgumentParser:
    """Return the parser of a command."""
    return Parsed(command, ["--config", str(REPOSITORY / "configs" / "autoencoder" / "sample.yaml")])._parser(command)


def parse(command: str, words: list[str]) -> Namespace:
    """Parse the arguments of a command."""
    return parser(command).parse_args(expand_configs(words))
