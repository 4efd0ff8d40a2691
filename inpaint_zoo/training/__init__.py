"""Training with Lightning: base classes for the LightningModules of the families, and callbacks used by every run."""

from inpaint_zoo.training.adversarial import AdversarialModule
from inpaint_zoo.training.checkpoints import Checkpoints, TrainingStoppedError
from inpaint_zoo.training.ema import NetworkEMA
from inpaint_zoo.training.fast_convolutions import FastConvolutions
from inpaint_zoo.training.guard import LossGuard, NonFiniteLossError
from inpaint_zoo.training.images import ImageGrid, PredictionWriter, image_row
from inpaint_zoo.training.logs import CSVLog, MetricsLog, ProgressLines
from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.one_optimizer import InpaintingModule
from inpaint_zoo.training.phases import (
    HALVED,
    Batch,
    LossFunction,
    Phase,
    Recipe,
    Stages,
    Terms,
    Updates,
    completed,
)
from inpaint_zoo.training.reconstruction import Reconstruction
from inpaint_zoo.training.resume import newest_readable
from inpaint_zoo.training.schedules import ConstantThenLinear

__all__ = [
    "HALVED",
    "AdversarialModule",
    "Batch",
    "CSVLog",
    "Checkpoints",
    "ConstantThenLinear",
    "FastConvolutions",
    "ImageGrid",
    "InpaintingModule",
    "LossFunction",
    "LossGuard",
    "MetricsLog",
    "NetworkEMA",
    "NonFiniteLossError",
    "Phase",
    "PredictionWriter",
    "ProgressLines",
    "Recipe",
    "Reconstruction",
    "Stages",
    "Terms",
    "TrainingModule",
    "TrainingStoppedError",
    "Updates",
    "completed",
    "image_row",
    "newest_readable",
]
