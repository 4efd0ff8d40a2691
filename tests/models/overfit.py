"""Small trainings of a family: pictures of 64 px, and whether it learns two photographs by heart."""

import json

from inpaint_zoo.cli.main import main
from tests.models.test_glama_training import TINY
from tests.training.test_kill import REPOSITORY
from tests.training.toys import PictureData


class Pictures64(PictureData):
    """The toy's pictures at 64 px, where a quarter of the sides still holds more than a hole."""

    def train_dataloader(self):
        loader = super().train_dataloader()
        loader.dataset.side = 64
        return loader


def psnr_by_heart(config, folder, *args, steps=150, size=32):
    """PSNR in dB on two photographs of 64 px with a central hole, after that many steps on just these.

    The mean of the known colours has 23.2 dB there, OpenCV's methods 22.6 and 22.9.
    """
    words = [
        "fit",
        "--config",
        str(REPOSITORY / "configs" / config),
        "--out",
        str(folder),
        *TINY,
        f"--trainer.max_steps={steps}",
        "--trainer.limit_val_batches=0",
        '--data.train={"name": "sample", "split": "train", "select": {"first": 2}, "keep_mib": 64}',
        '--data.val={"name": "sample", "split": "train", "select": {"first": 2}, "crop": "center"}',
        "--data.init_args.augment=[center_crop]",
        f'--data.init_args.masks={{"name": "center", "size": {size}}}',
        f'--data.init_args.eval_masks={{"name": "center", "size": {size}}}',
        *args,
    ]
    assert main(words) == 0
    words = ["validate", "--config", str(folder / "config.yaml"), "--out", str(folder), "--ckpt_path", "last"]
    assert main([*words, "--trainer.limit_val_batches=1.0"]) == 0
    return json.loads((folder / "validate.json").read_text())["metrics"]["val/psnr"]
