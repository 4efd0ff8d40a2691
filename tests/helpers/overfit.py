"""Small training runs of a family on 64 px images, and whether it can overfit two images."""

import json

from inpaint_zoo.cli.main import main
from tests.helpers.small_runs import REPOSITORY, TINY
from tests.helpers.toys import ImageData


class Images64(ImageData):
    """The toy's images at 64 px, large enough for known pixels at 1/4 resolution."""

    def train_dataloader(self):
        loader = super().train_dataloader()
        loader.dataset.side = 64
        return loader


def psnr_by_heart(config, folder, *args, steps=150, size=32):
    """Return PSNR in dB on two 64 px images with a central hole, after training only on them for the given steps.

    The mean of the known colors reaches 23.2 dB, OpenCV's methods 22.6 and 22.9 dB.
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
        '--data.val={"name": "sample", "split": "train", "select": {"first": 2}, "crop": "center", "keep_mib": 64}',
        "--data.init_args.augment=[center_crop]",
        f'--data.init_args.masks={{"name": "center", "size": {size}}}',
        f'--data.init_args.eval_masks={{"name": "center", "size": {size}}}',
        *args,
    ]
    assert main(words) == 0
    words = ["validate", "--config", str(folder / "config.yaml"), "--out", str(folder), "--ckpt_path", "last"]
    assert main([*words, "--trainer.limit_val_batches=1.0"]) == 0
    return json.loads((folder / "validate.json").read_text())["metrics"]["val/psnr"]
