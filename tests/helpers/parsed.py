"""The command line of training commands, up to the parsed configuration."""

from inpaint_zoo.cli.train import ZooCLI


class Parsed(ZooCLI):
    """CLI that parses the arguments of a command but builds nothing."""

    def instantiate_classes(self):
        pass

    def _evaluated(self, ckpt_path):
        return None  # whatever checkpoint is asked for need not exist

    def _run_subcommand(self, subcommand):
        pass
