"""The kinds of masks, one file for each protocol. Importing this package registers them."""

from inpaint_zoo.masks.kinds.box import CaBox
from inpaint_zoo.masks.kinds.brush import Cmod, Dfv2Brush
from inpaint_zoo.masks.kinds.files import Files
from inpaint_zoo.masks.kinds.lama import LamaBox, LamaDumb, LamaIrregular, LamaOutpainting, LamaSuperres
from inpaint_zoo.masks.kinds.ntire import Completion, EveryNLines, Expand, NearestNeighbor, Strokes
from inpaint_zoo.masks.kinds.nvidia import NvidiaBins, NvidiaTrain
from inpaint_zoo.masks.kinds.objects import SegmObjects
from inpaint_zoo.masks.kinds.quickdraw import QdImd
from inpaint_zoo.masks.kinds.regular import CenterSquare, FourCircles, Half, RandomBlock
from inpaint_zoo.masks.kinds.walk import RandomWalk

__all__ = [
    "CaBox",
    "CenterSquare",
    "Cmod",
    "Completion",
    "Dfv2Brush",
    "EveryNLines",
    "Expand",
    "Files",
    "FourCircles",
    "Half",
    "LamaBox",
    "LamaDumb",
    "LamaIrregular",
    "LamaOutpainting",
    "LamaSuperres",
    "NearestNeighbor",
    "NvidiaBins",
    "NvidiaTrain",
    "QdImd",
    "RandomBlock",
    "RandomWalk",
    "SegmObjects",
    "Strokes",
]
