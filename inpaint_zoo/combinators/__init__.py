"""Networks made of networks: each takes any model of the zoo, and is one itself."""

from inpaint_zoo.combinators.local_global import LocalGlobal, local_global
from inpaint_zoo.combinators.progressive import Frame, Progressive, progressive
from inpaint_zoo.combinators.two_stage import TwoStage, two_stage

__all__ = ["Frame", "LocalGlobal", "Progressive", "TwoStage", "local_global", "progressive", "two_stage"]
