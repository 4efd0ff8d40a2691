"""Command-line arguments of small training runs."""

from pathlib import Path

TINY = [
    # cached, because decoding an image takes longer than many a step
    '--data.train={"name": "sample", "split": "train", "keep_mib": 64}',
    '--data.val={"name": "sample", "split": "test", "crop": "center", "keep_mib": 64}',
    '--data.test={"name": "sample", "split": "test", "crop": "center", "keep_mib": 64}',
    "--data.init_args.size=64",
    "--data.init_args.batch_size=2",
    "--data.init_args.workers=0",
    "--data.init_args.epoch_samples=16",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--trainer.num_sanity_val_steps=0",
    "--checkpoints.monitor=null",  # because the validation images are the test images
]


CRITICS = [  # of images of 64 px, two batches a step
    "--model.init_args.size=64",
    "--model.init_args.window=32",
    "--model.init_args.num_critics=2",
    '--data.init_args.masks={"name": "ca_box", "mask_shape": [32, 32], "max_delta": [8, 8]}',
    '--data.init_args.eval_masks={"name": "center", "size": 32}',
]


REPOSITORY = Path(__file__).parent.parent.parent
