"""The command line of trainings up to the parsed configuration."""

from inpaint_zoo.cli.train import ZooCLI


class Parsed(ZooCLI):
    """Reads the words of a command and builds nothing from them."""

    def instantiate_classes(self):
        pass

    def _evaluated(self, ckpt_path):
        return None  # whatever checkpoint is asked for need not exist

    def _run_subcommand(self, subcommand):
        pass
