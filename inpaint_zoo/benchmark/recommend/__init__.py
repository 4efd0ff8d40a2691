"""Choose a model for given masks by the results of a finished benchmark, and the results that come with the package."""

from inpaint_zoo.benchmark.recommend.choose import Evidence, Left, Limits, Ranked, evidence_for, recommend, verdict
from inpaint_zoo.benchmark.recommend.resemblance import ALIKE, HoleShape, MaskSet, resembling
from inpaint_zoo.benchmark.recommend.shipped import SHIPPED, write_shipped

__all__ = [
    "ALIKE",
    "SHIPPED",
    "Evidence",
    "HoleShape",
    "Left",
    "Limits",
    "MaskSet",
    "Ranked",
    "evidence_for",
    "recommend",
    "resembling",
    "verdict",
    "write_shipped",
]
