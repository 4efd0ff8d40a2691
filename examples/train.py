"""Train a small GLaMa with Lightning alone: a Trainer, a module and a data module in plain Python.

    python examples/train.py --out runs/example --steps 20

It uses Lightning's own checkpoints, logger and callbacks, and the images that come with scikit-image. The command
`inpaint-zoo fit` adds what a long training needs: resuming bit for bit, run folders, and saving at signals and errors.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

import inpaint_zoo as iz
from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.models import GLaMa


def train(out: Path, steps: int) -> dict[str, float]:
    """Train, select the best checkpoint, and evaluate it.

    Args:
        out: Folder of the checkpoints and logs.
        steps: Number of generator updates.

    Returns:
        The metrics of the best checkpoint on the test images.
    """
    seed_everything(0, verbose=False)
    data = InpaintingDataModule(
        train={"name": "sample", "split": "train", "select": {"first": 3}, "size": 64},
        val={"name": "sample", "split": "train", "select": {"after": 3}, "size": 64},
        test={"name": "sample", "split": "test", "size": 64},
        masks={"name": "center", "size": 32},
        batch_size=2,
        epoch_samples=2 * steps,
        workers=0,
    )
    # a perceptual weight of 0, because its network cannot be downloaded
    module = GLaMa("glama_tiny", perceptual=0, discriminator_width=8, metrics=["psnr", "ssim"])
    best = ModelCheckpoint(
        out / "checkpoints",
        filename="{step}",
        monitor="val/psnr",
        mode="max",
        save_top_k=2,
        save_on_train_epoch_end=False,
    )
    trainer = Trainer(
        accelerator="auto",
        max_steps=steps,
        log_every_n_steps=1,
        val_check_interval=max(1, steps // 2),
        logger=CSVLogger(out, name="logs"),
        callbacks=[best, LearningRateMonitor("step")],
    )
    trainer.fit(module, datamodule=data)

    # the arguments and weights of the module come from the checkpoint
    trained = GLaMa.load_from_checkpoint(best.best_model_path)
    trainer.test(trained, datamodule=data)
    # without Lightning: the network in eval mode, with the options that it was trained with
    network = iz.create_model("glama_tiny", weights=best.best_model_path)
    iz.save_weights(network, out / "glama_tiny.safetensors")
    return trained.results


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/example"), help="folder of the checkpoints and logs")
    parser.add_argument("--steps", type=int, default=20, help="number of generator updates (default: 20)")
    options = parser.parse_args()
    print(train(options.out, options.steps))


if __name__ == "__main__":
    main()
