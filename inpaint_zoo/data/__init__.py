"""Photographs as data: the sample, folders, size and crop rules."""

from inpaint_zoo.data.crops import CROPS
from inpaint_zoo.data.photos import PhotoDataset, Problem, create_dataset
from inpaint_zoo.data.sample import SAMPLE_SPLITS, sample_files

__all__ = ["CROPS", "SAMPLE_SPLITS", "PhotoDataset", "Problem", "create_dataset", "sample_files"]
