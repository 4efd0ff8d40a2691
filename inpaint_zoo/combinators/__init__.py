"""Combinators: networks that wrap one or two other networks and are `InpaintingNetwork`s themselves."""

from inpaint_zoo.combinators.hole_ns import HoleNS, hole_ns
from inpaint_zoo.combinators.local_global import LocalGlobal, local_global
from inpaint_zoo.combinators.progressive import Frame, Progressive, progressive
from inpaint_zoo.combinators.two_stage import TwoStage, two_stage

__all__ = [
    "Frame",
    "HoleNS",
    "LocalGlobal",
    "Progressive",
    "TwoStage",
    "hole_ns",
    "local_global",
    "progressive",
    "two_stage",
]
