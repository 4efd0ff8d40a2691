"""Image data: registered data sets, folders, lists, splits and shards; crops, augmentation, the data module."""

from typing import TYPE_CHECKING

from inpaint_zoo.data import distortions  # noqa: F401 - registers its steps
from inpaint_zoo.data.augment import Augmentation, create_augmentation
from inpaint_zoo.data.crops import CROPS
from inpaint_zoo.data.datasets import ImageDataset, Problem
from inpaint_zoo.data.entries import create_dataset
from inpaint_zoo.data.lists import read_list, write_split
from inpaint_zoo.data.locate import DatasetFolder, DatasetLayoutError, DatasetNotFoundError, DatasetWarning
from inpaint_zoo.data.packing import write_shards
from inpaint_zoo.data.records import DatasetRecord
from inpaint_zoo.data.registry import dataset_info, datasets_markdown, list_datasets
from inpaint_zoo.data.sample import SAMPLE_SPLITS, sample_files
from inpaint_zoo.data.shards import open_shards
from inpaint_zoo.data.splits import select
from inpaint_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from inpaint_zoo.data.module import InpaintingDataModule

__all__ = [
    "CROPS",
    "SAMPLE_SPLITS",
    "Augmentation",
    "DatasetFolder",
    "DatasetLayoutError",
    "DatasetNotFoundError",
    "DatasetRecord",
    "DatasetWarning",
    "ImageDataset",
    "InpaintingDataModule",
    "Problem",
    "create_augmentation",
    "create_dataset",
    "dataset_info",
    "datasets_markdown",
    "list_datasets",
    "open_shards",
    "read_list",
    "sample_files",
    "select",
    "write_shards",
    "write_split",
]

# importing Lightning takes seconds, and only training needs it
__getattr__ = lazy_names(__name__, {"inpaint_zoo.data.module": ("InpaintingDataModule",)})
