"""Publish the folder of a benchmark to W&B or TensorBoard, from the same content."""

from inpaint_zoo.benchmark.publish.base import Publisher
from inpaint_zoo.benchmark.publish.content import read_content
from inpaint_zoo.benchmark.publish.tensorboard_files import TensorBoardPublisher
from inpaint_zoo.benchmark.publish.wandb_runs import WandbPublisher

__all__ = ["Publisher", "TensorBoardPublisher", "WandbPublisher", "read_content"]
