"""Photographs as data: the sample, folders, size and crop rules, and the datamodule of training."""

import importlib
from typing import TYPE_CHECKING

from inpaint_zoo.data.crops import CROPS
from inpaint_zoo.data.photos import PhotoDataset, Problem, create_dataset
from inpaint_zoo.data.sample import SAMPLE_SPLITS, sample_files

if TYPE_CHECKING:
    from inpaint_zoo.data.module import InpaintingDataModule

__all__ = [
    "CROPS",
    "SAMPLE_SPLITS",
    "InpaintingDataModule",
    "PhotoDataset",
    "Problem",
    "create_dataset",
    "sample_files",
]


def __getattr__(name: str) -> object:
    # Lightning takes seconds to import, and only training needs it
    if name != "InpaintingDataModule":
        raise AttributeError(f"module 'inpaint_zoo.data' has no attribute '{name}'")
    return importlib.import_module("inpaint_zoo.data.module").InpaintingDataModule
