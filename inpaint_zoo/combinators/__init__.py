"""Networks made of networks: each takes any model of the zoo, and is one itself."""

from inpaint_zoo.combinators.two_stage import TwoStage, two_stage

__all__ = ["TwoStage", "two_stage"]
