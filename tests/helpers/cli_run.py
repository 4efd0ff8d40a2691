"""A small configuration for the command-line tests."""

from tests.helpers.toys import ImageData

CONFIG = {
    "model": {"class_path": "tests.helpers.toys.Reconstruction", "init_args": {"metrics": ["psnr", "l1"]}},
    # the default of the default data module would be kept
    "data": {"class_path": "tests.helpers.toys.ImageData", "init_args": {"workers": 0}},
    "trainer": {"accelerator": "cpu", "max_steps": 6, "log_every_n_steps": 2, "num_sanity_val_steps": 0},
    "checkpoints": {"every": 3},
}


class Held(ImageData):
    """Data module that uses its validation set as test set."""

    def test_dataloader(self):
        return self.val_dataloader()
